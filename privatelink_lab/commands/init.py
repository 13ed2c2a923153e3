"""`plab init`: write the commented config, and the JSON schema by which an editor checks and completes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from privatelink_lab import aws, prices
from privatelink_lab.commands import Options
from privatelink_lab.commands.advice import as_typed
from privatelink_lab.commands.run_command import new_screen
from privatelink_lab.config import Pack, load_pack, parse
from privatelink_lab.errors import AwsError, PlabError, UsageError
from privatelink_lab.prices import Cost, Rate
from privatelink_lab.state import FOLDER

SCHEMA = "config.schema.json"
FIRST_LINE = f"# yaml-language-server: $schema={FOLDER}/{SCHEMA}\n"  # relative to the config


NEXT = "Next: plab up --local (no account), or plab up --dry-run (AWS)"


def init(options: Options, path: Path, *, force: bool) -> str:
    """Write the example config, and return the sentence that says so; raises UsageError."""
    write_example(path, force=force)
    return as_typed(f"Wrote {path}. {NEXT}", options, local=False)


def write_example(path: Path, *, force: bool) -> None:
    """Write the commented example config to `path`; raises UsageError when it exists or cannot be written."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists.", hint="Choose another name, or overwrite the file with --force.")
    _write(path, resources.files("privatelink_lab").joinpath("config.example.yaml").read_text(encoding="utf-8"))


def _write(path: Path, text: str) -> None:
    """Write a config, and beside it the schema that an editor checks it by."""
    package = resources.files("privatelink_lab")
    folder = path.parent / FOLDER
    try:
        path.write_text(FIRST_LINE + text, encoding="utf-8")
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / SCHEMA).write_text(package.joinpath(SCHEMA).read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{error.filename or path} cannot be written: {error.strerror}.") from None


# The customer's side, from a pack.

CUSTOMERS_CONFIG = """\
# The side of {customer}: an endpoint to the service of account {provider_account}.
# plab has made this file from a pack. All keys: docs/config.md

lab: {customer}
region: {region}

provider:
  service_name: {service_name}{service_region}
  port: {port}{zones}

consumers:
  - name: {customer}
    profile: null              # default: the credentials of the environment
    vpc: {vpc}
"""


def init_from_pack(options: Options, path: Path, source: Path, vpc_id: str, subnet_ids: Sequence[str]) -> None:
    """Write the config of a customer, compared with AWS where credentials allow; raises UsageError, PlabError."""
    screen = new_screen(options)
    pack = load_pack(source)
    if path.exists():
        raise UsageError(f"{path} exists, and plab overwrites no config with a pack.", hint="Choose another name.")
    if bool(vpc_id) != bool(subnet_ids):
        raise UsageError(
            "--vpc-id and --subnet-id go together: the VPC, and its subnets, one per zone.",
            hint="plab init --help",
        )
    region = pack.region if pack.region in pack.supported_regions else pack.supported_regions[0]
    text = _config_text(pack, region, vpc_id, subnet_ids)
    parse(path, text)
    screen.say(_compared(pack, region))
    _write(path, text)
    zones = len(subnet_ids) or 1
    cost = Cost((Rate(zones * prices.ENDPOINT_ZONE),), region)
    screen.say(f"Wrote {path}. The endpoint of `plab up` costs {cost.in_words()}, and {prices.ENDPOINT_GB} per GB.")
    screen.say("Next: plab up --dry-run | plab up")


def _config_text(pack: Pack, region: str, vpc_id: str, subnet_ids: Sequence[str]) -> str:
    is_far = region != pack.region  # then the service's zones are no zones of the endpoint
    zones = f"\n  zones: [{pack.zone_ids[0]}]  # of {', '.join(pack.zone_ids)}; an endpoint costs money per zone"
    return CUSTOMERS_CONFIG.format(
        customer=pack.customer,
        provider_account=pack.provider_account,
        region=region,
        service_name=json.dumps(pack.service_name),
        service_region=f"\n  region: {pack.region}" if is_far else "",
        port=pack.ports[0],
        zones="" if vpc_id or is_far else zones,
        vpc=f"{{id: {vpc_id}, subnet_ids: [{', '.join(subnet_ids)}]}}" if vpc_id else "{cidr: 10.1.0.0/16}",
    )


def _compared(pack: Pack, region: str) -> str:
    """A sentence on what AWS shows of the pack's service; raises PlabError where it shows something else."""
    account = aws.connect(profile=None, role_arn=None, region=region)
    more = {} if region == pack.region else {"ServiceRegions": [pack.region]}
    operation, asked = "describe_vpc_endpoint_services", {"ServiceNames": [pack.service_name], **more}
    try:
        whose = "" if account.id in pack.accounts else f", which the pack does not name ({', '.join(pack.accounts)})"
        row = account.pages("ec2", operation, "ServiceDetails", **asked)[0]
    except AwsError as error:
        if error.code != "InvalidServiceName":
            return f"The pack is not compared with AWS: {error}"
        return f"AWS does not show the service to account {account.id}{whose}. Ask the provider to allow it."
    except PlabError as error:
        return f"The pack is not compared with AWS: {error}"
    zones = sorted(set(pack.zone_ids) - set(row.get("AvailabilityZoneIds") or pack.zone_ids))
    if row.get("Owner") != pack.provider_account or (zones and region == pack.region):
        found = f"zones {', '.join(row['AvailabilityZoneIds'])}" if zones else f"account {row.get('Owner')}"
        says = f"zones {', '.join(pack.zone_ids)}" if zones else f"account {pack.provider_account}"
        text = f"The pack says that {pack.service_name} is of {says}; AWS shows {found}. Nothing was written."
        raise PlabError(text, hint=f"Ask the provider for a new pack: plab share {pack.customer}")
    return f"AWS shows the service to account {account.id}{whose}."
