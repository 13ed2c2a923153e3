"""`plab share`: the pack of a customer, with all that it needs to ask for a connection, as data and as programs."""

from __future__ import annotations

import json
import shlex
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from privatelink_lab.commands import Options, accept_reject
from privatelink_lab.commands.lab_session import config_file
from privatelink_lab.commands.run_command import Execution
from privatelink_lab.config import Customer, Pack
from privatelink_lab.errors import PlabError, UsageError
from privatelink_lab.lab import Lab
from privatelink_lab.printable import on_one_line
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps import _existing
from privatelink_lab.steps._permissions import ROOT, principals
from privatelink_lab.steps.endpoint_service import row_of

TEMPLATE = "pack.template"


def share(options: Options, name: str) -> int:
    """Print the pack; see `plab share --help`."""
    with Execution(options) as execution:
        lab = execution.lab
        accept_reject.refuse_without_service(lab)
        pack = _pack(lab, accept_reject.snapshot_of(lab), name, _customer(lab, name))
        if options.json:
            execution.screen.data(pack.model_dump(by_alias=True, mode="json"))
        else:
            config = config_file(options).absolute() if execution.session.server else None
            execution.screen.document(pack_text(pack, config))
        return 0


def _customer(lab: Lab, name: str) -> Customer:
    """The customer of that name. Raises UsageError for one that is not there, or has no access."""
    customer = lab.config.customers.get(name)
    if customer is None:
        known = ", ".join(lab.config.customers) or "none: add one under `customers:` in the config"
        raise UsageError(f"The config has no customer {name!r}.", hint=f"One of: {known}")
    if customer.access == "revoked":
        raise UsageError(f"The config says of {name}: access: revoked.", hint=f"The line: customers.{name}.access")
    return customer


def _pack(lab: Lab, snapshot: Snapshot, name: str, customer: Customer) -> Pack:
    row = row_of(lab, snapshot)
    if row is None:
        raise PlabError("There is no service yet.", hint="plab up")
    allowed = principals(lab, snapshot, row["ServiceId"])
    roots = {account: ROOT.format(lab.provider.partition, account) for account in customer.accounts}
    if "*" not in allowed and (missing := [account for account, root in roots.items() if root not in allowed]):
        raise PlabError(f"{name} may not ask yet: {', '.join(missing)} has no permission.", hint="plab up")
    own = lab.provider.region
    regions = [found["Region"] for found in row.get("SupportedRegions") or ()] or [own]
    acceptance = "by a person" if customer.accept == "manual" else "by rule"
    return Pack.model_validate(
        {
            "schema": 1,
            "service_name": row["ServiceName"],
            "region": own,
            "supported_regions": [one for one in regions if one in (customer.regions or (own,))] or [own],
            "zone_ids": sorted(_existing.zone_ids_of(lab, row)),
            "ports": _existing.ports(lab),
            "provider_account": lab.provider.id,
            "customer": name,
            "accounts": customer.accounts,
            "endpoints": len(customer.admit) or customer.endpoints,
            "acceptance": acceptance if row["AcceptanceRequired"] else "not required",
        }
    )


def pack_text(pack: Pack, local_config: Path | None = None) -> str:
    """The pack as a file: its data, and as comments the halves of plab, the AWS CLI and Terraform.

    `local_config` is the config of a lab on a local AWS, which gives the customer its keys.
    """
    text = resources.files("privatelink_lab").joinpath(TEMPLATE).read_text(encoding="utf-8")
    region, port = pack.supported_regions[0], pack.ports[0]
    is_far = region != pack.region
    file, account = in_shell(str(local_config)), pack.accounts[0]
    keys = f'eval "$(plab local status --account {account} -c {file})"   # the service is on a local AWS'
    values: dict[str, Any] = {
        "customer": pack.customer,
        "account": pack.provider_account,
        "accounts": ", ".join(pack.accounts),
        "zones": ", ".join(pack.zone_ids),
        "acceptance": pack.acceptance,
        "file": f"{pack.customer}.yaml",
        "keys": f"\n{keys}\n" if local_config else "",
        "port": port,
        "region_sh": in_shell(region),
        "name_sh": in_shell(f"to-{pack.customer}-{port}"),
        "service_sh": in_shell(pack.service_name),
        "other_region_sh": f" --service-region {in_shell(pack.region)}" if is_far else "",
        "region_hcl": in_hcl(region),
        "service_hcl": in_hcl(pack.service_name),
        "other_region_hcl": f"\n  service_region      = {in_hcl(pack.region)}" if is_far else "",
    }
    comments = Template(text).substitute(values).splitlines()
    return pack.as_yaml() + "\n".join(f"# {line}" for line in comments)


def in_shell(text: str) -> str:
    """The text as one word of a POSIX shell, on one line."""
    return shlex.quote(on_one_line(text))


def in_hcl(text: str) -> str:
    """The text as a string of Terraform's language: JSON's, without its templates."""
    return json.dumps(text).replace("${", "$${").replace("%{", "%%{")
