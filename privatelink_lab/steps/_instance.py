"""What the lab's instances have in common: how they are launched, in which states they are, how they end.

They are in private subnets without a public address and hold no data. Their volume and interface go with them.
"""

from __future__ import annotations

import re
from typing import Any

from privatelink_lab import prices
from privatelink_lab.aws import Account
from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Kind
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase, Resource, Token

IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
KIND = Kind(
    "instance",
    "describe_instances",
    "Reservations",
    id="InstanceId",
    nested="Instances",
    fixed=("SubnetId", "ClientToken"),
    created="LaunchTime",
    delete="terminate-instances --instance-ids",
)
STOPPED = "stopped"
STATES = {
    "pending": Phase.PENDING,
    "running": Phase.READY,
    "stopping": Phase.PENDING,
    STOPPED: Phase.DRIFTED,
    "shutting-down": Phase.DELETING,
}


def launch(
    lab: Lab,
    resource: Resource,
    token: Token,
    *,
    subnet: str,
    group: str | None,
    user_data: str,
    spec: str = "",
    **more: Any,
) -> Found:
    """Start an instance of the config's type in the account of the resource's party; returns it as AWS answers.

    `more` goes into the request as it is.
    """
    account = lab.account(resource.party)
    request = more | _request(lab, account, subnet, group) | {"UserData": user_data}
    client_token = token.of(**request)
    specifications = lab.tag_specifications(
        resource, "volume", "network-interface", spec=spec, SubnetId=subnet, ClientToken=client_token
    )
    started = account.ec2.run_instances(**request, ClientToken=client_token, TagSpecifications=specifications)
    return Found(started["Instances"][0]["InstanceId"], Phase.PENDING, "pending")


def _request(lab: Lab, account: Account, subnet: str, group: str | None) -> dict[str, Any]:
    type_ = lab.config.provider.web_server.instance_type
    interface = {
        "DeviceIndex": 0,
        "SubnetId": subnet,
        "Groups": [group],
        "AssociatePublicIpAddress": False,
        "DeleteOnTermination": True,
    }
    volume = {
        "Encrypted": True,
        "VolumeType": "gp3",
        "VolumeSize": prices.ROOT_VOLUME_GIB,
        "DeleteOnTermination": True,
    }
    return {
        "ImageId": image(lab, account),
        "InstanceType": type_,
        "MinCount": 1,
        "MaxCount": 1,
        "NetworkInterfaces": [interface],
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": volume}],
    }


@calls("ec2:TerminateInstances")
def terminate(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    """Start the end of instances; no refusals by id, since one bad id refuses the whole call (AWS facts 3)."""
    account.ec2.terminate_instances(InstanceIds=list(ids))
    return {}


def architecture(instance_type: str) -> str:
    """`arm64` for Graviton types (a `g` right after the generation: t4g, c7gn, x2gd; and a1), else `x86_64`.

    AWS's naming rule for instance types; an image of the other architecture is refused by RunInstances.
    """
    return "arm64" if re.match(r"(a1|[a-z]+\d+g[a-z]*)\.", instance_type) else "x86_64"


def image(lab: Lab, account: Account) -> str:
    """The id of the newest Amazon Linux image for the config's instance type; asked once a run. Raises PlabError."""
    name = IMAGE.format(architecture=architecture(lab.config.provider.web_server.instance_type))

    def fetch() -> str:
        try:
            return account.ssm.get_parameter(Name=name)["Parameter"]["Value"]
        except AwsError as error:
            if error.code != "ParameterNotFound":
                raise
            raise PlabError(
                f"{account.region} has no Amazon Linux 2023 image under {name}.", hint="Choose another region."
            ) from None

    return lab.run_cache.get(("image", account.region, name), fetch)


def zones_with_type(lab: Lab) -> list[str]:
    """The ids of the zones of the region that offer the config's instance type, sorted; asked once a run."""
    kind = lab.config.provider.web_server.instance_type

    def fetch() -> list[str]:
        rows = lab.provider.pages(
            "ec2",
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone-id",
            Filters=[{"Name": "instance-type", "Values": [kind]}],
        )
        # Local Zones and Wavelength Zones (use1-atl1-az1) take no NLB, and sort first.
        return sorted(row["Location"] for row in rows if re.fullmatch(r"[a-z]+[0-9]+-az[0-9]+", row["Location"]))

    zones = lab.run_cache.get(("zones", kind), fetch)
    return zones or lab.run_cache.get(("zones, asked again", kind), fetch)  # one empty answer is no proof


def check_type(lab: Lab, zone: str) -> None:
    """Raise PlabError when AWS does not offer the config's instance type in a zone; for "", in any zone of the region.

    RunInstances would refuse it (AWS facts 3), after a server that is replaced has gone.
    """
    offered, provider = zones_with_type(lab), lab.config.provider
    if zone in offered or (offered and not zone):
        return
    kind, places = provider.web_server.instance_type, ", ".join(offered) or "no zone"
    asked = f"; the server's zone is {zone}" if zone else ""
    other = "`subnet_ids`" if provider.vpc.reused else "`zones`"
    raise PlabError(
        f"{lab.provider.region} offers {kind} in {places}{asked}.",
        hint=f"Choose another `instance_type`, or other {other}."
        if offered
        else f"Is there a type {kind}? Change `instance_type`.",
    )
