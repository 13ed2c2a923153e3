"""Step 2: the EC2 instance that serves the page, in a private subnet, without a public address.

It holds no data: when the config asks for another page or type, `up` terminates it and makes a new one.
"""

from __future__ import annotations

import base64

from privatelink_lab import prices, tags
from privatelink_lab.attributes import CONFIG, Attribute
from privatelink_lab.config import PROVIDER
from privatelink_lab.digest import digest
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import (
    SLOW_GRACE_PERIOD,
    Found,
    Patience,
    Phase,
    Resource,
    ResourceType,
    Step,
    Token,
    rebuilt_from,
)
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps._instance import KIND, STATES, STOPPED, check_type, image, launch, terminate
from privatelink_lab.steps._security_group import group_key
from privatelink_lab.steps._vpc import provider_zones, server_zone, subnet_ids, subnet_keys

KEY = "provider/web-server"
GROUP = group_key(PROVIDER)
NEWLINE = "\n"
# A per-boot script of cloud-init serves the page again after every boot, without systemd, and restarts the server when
# it dies. The page has a folder of its own: user data runs in /, and http.server serves the folder it is told.
USER_DATA = """\
#!/bin/bash
set -eu
mkdir -p /srv/plab /var/lib/cloud/scripts/per-boot
echo {message} | base64 -d > /srv/plab/index.html
cat > /var/lib/cloud/scripts/per-boot/plab-web-server <<'END'
#!/bin/bash
serve() {{
  while true; do
    python3 -m http.server {port} --directory /srv/plab
    sleep 1
  done
}}
serve </dev/null >>/var/log/plab-web-server.log 2>&1 &
END
chmod 755 /var/lib/cloud/scripts/per-boot/plab-web-server
/var/lib/cloud/scripts/per-boot/plab-web-server
echo PLAB-WEB-SERVER-STARTED > /dev/console
"""


def page(message: str) -> bytes:
    """What the server answers: the message, and a newline at its end, for those who read it in a shell."""
    return f"{message.removesuffix(NEWLINE)}{NEWLINE}".encode()


def user_data(message: str, port: int) -> str:
    """The shell script of the instance's first boot; the message reaches the shell as base64 only."""
    return USER_DATA.format(message=base64.b64encode(page(message)).decode(), port=port)


def _spec(lab: Lab) -> str:
    server = lab.config.provider.web_server
    return digest(type=server.instance_type, user_data=user_data(server.message, server.port))


def _read(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> Found:
    state = row["State"]["Name"]
    phase = STATES.get(state, Phase.FAILED)
    if phase is not Phase.DELETING and tags.of(row).get(tags.SPEC) != _spec(lab):
        return Found(row["InstanceId"], Phase.DRIFTED, "config changed: is replaced")
    return Found(row["InstanceId"], phase, state, {"private_ip": row.get("PrivateIpAddress", "")})


@calls("ec2:ModifyInstanceAttribute")
def _compare(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> list[Attribute]:
    id_, group = row["InstanceId"], snapshot.id(GROUP)
    groups = {entry["GroupId"] for entry in row.get("SecurityGroups") or ()}
    kind = lab.config.provider.web_server.instance_type

    def move() -> object:
        return lab.provider.ec2.modify_instance_attribute(InstanceId=id_, Groups=[group or ""])

    return [
        Attribute("security groups", groups, {group} if group else None, move),
        Attribute("instance type", row["InstanceType"], kind, lambda: _end(lab, snapshot, id_), asked_by=CONFIG),
    ]


@calls("ec2:RunInstances", "ssm:GetParameter")
def _create(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    server = lab.config.provider.web_server
    return launch(
        lab,
        resource,
        token,
        subnet=subnet_ids(lab, snapshot, PROVIDER)[0],
        group=snapshot.id(GROUP),
        user_data=user_data(server.message, server.port),
        spec=_spec(lab),
    )


@calls("ec2:DescribeInstanceTypeOfferings", "ec2:StartInstances", "ec2:TerminateInstances")
def _update(lab: Lab, snapshot: Snapshot, resource: Resource, found: Found) -> None:
    """Start a stopped instance; terminate one that the config no longer describes (the loop makes a new one)."""
    if found.detail == STOPPED:
        lab.provider.ec2.start_instances(InstanceIds=[found.id])
    else:
        _end(lab, snapshot, found.id)


def _end(lab: Lab, snapshot: Snapshot, id_: str) -> None:
    check_type(lab, provider_zones(lab, snapshot).get(1, ""))  # the server runs on until another one can take its place
    lab.provider.ec2.terminate_instances(InstanceIds=[id_])


WEB_SERVER_TYPE = ResourceType(
    "instance",
    KIND,
    read=_read,
    create=_create,
    update=_update,
    delete=terminate,
    compare=_compare,
    patience=Patience(600, SLOW_GRACE_PERIOD),
)


def _own(lab: Lab) -> tuple[Resource, ...]:
    cost = prices.instance(lab.config.provider.web_server.instance_type)
    needs = (*subnet_keys(lab, PROVIDER)[:1], GROUP)
    return (Resource(KEY, WEB_SERVER_TYPE, depends_on=needs, usd_per_hour=cost),)


def _check(lab: Lab) -> None:
    """Raise PlabError when a server is to be launched and there is no image, or not its type in its zone."""
    made = lab.state.made.get(lab.state.ids.get(KEY, ""), {})
    if lab.config.provider.has_network and made.get(tags.SPEC) != _spec(lab):
        image(lab, lab.provider)
        check_type(lab, server_zone(lab))


def _resources(lab: Lab) -> tuple[Resource, ...]:
    return _own(lab) if lab.config.provider.has_network else ()


STEP = Step("web server", _resources, rebuilt_from(_own), kinds=(KIND,), check=_check)
