"""The consumer's half: causes 32 to 42."""

from __future__ import annotations

from collections.abc import Iterator

from privatelink_lab.why import packet_rules
from privatelink_lab.why.cause import Cause, Sighting, Stage, Stops, saw
from privatelink_lab.why.path import Path

PL = "https://docs.aws.amazon.com/vpc/latest/privatelink/"
VPC = "https://docs.aws.amazon.com/vpc/latest/userguide/"


def endpoint_group_closed(path: Path) -> Iterator[Sighting]:
    """No group of the endpoint admits a client on the port. A rule for a group is for its members."""
    groups, port = path.endpoint_groups, path.port
    ids = {row["GroupId"] for row in groups}
    named = packet_rules.names_groups(groups, port)
    if not (groups and path.client_cidrs) or named - ids:
        return  # whoever is in that group is admitted
    # A lab's clients may be anywhere in its VPC; elsewhere somebody may want a part of the VPC alone.
    some = packet_rules.admits(groups, port, path.client_cidrs)
    closed = packet_rules.lacking(groups, port, path.client_cidrs) if path.is_own or not some else []
    if not closed or packet_rules.has_lists(groups, port):
        return
    what = f"tcp {port}" if port else "tcp"
    text = f"{', '.join(sorted(ids))} has no rule for {what} from {'all of ' if some else ''}{', '.join(closed)}"
    only = "; it admits its own members only" if named else ""
    others = packet_rules.has_source(groups, port)  # clients may come from where plab sees nothing
    add = f"ec2 authorize-security-group-ingress --group-id {groups[0]['GroupId']} --protocol tcp --port {port} --cidr"
    by_hand = path.consumer_words(*(f"{add} {cidr}" for cidr in closed)) if port and (some or not others) else ""
    stops = Stops.SOME if some else Stops.ALL
    yield Sighting(text + only, path.repair, by_hand, stops, proved=path.lab or not others)


def group_source_foreign(path: Path) -> Iterator[Sighting]:
    """The endpoint's groups admit members of a group, and the client comes from outside the VPC."""
    clients = list(path.rows("clients"))
    named = packet_rules.names_groups(path.endpoint_groups, path.port)
    for client in clients:
        is_elsewhere = client.get("VpcId") and client["VpcId"] != path.vpc
        address = client.get("PrivateIpAddress")
        open_to = address and packet_rules.admits(path.endpoint_groups, path.port, [f"{address}/32"])
        if named and is_elsewhere and not open_to:
            yield Sighting(f"{client['InstanceId']} is in {client['VpcId']}; the rule names {', '.join(sorted(named))}")


def client_egress_closed(path: Path) -> Iterator[Sighting]:
    """A client's own groups let nothing out to the endpoint."""
    targets = [subnet["CidrBlock"] for subnet in path.endpoint_subnets]
    members = {row["GroupId"] for row in path.endpoint_groups}
    for client in path.rows("clients"):
        groups = path.groups_of(client)
        if groups and targets and not packet_rules.lets_out(groups, path.port, targets, members):
            add = (
                f"ec2 authorize-security-group-egress --group-id {groups[0]['GroupId']}"
                f" --protocol tcp --port {path.port} --cidr {targets[0]}"
            )
            ids = ", ".join(row["GroupId"] for row in groups)
            text = f"{ids} of {client['InstanceId']} lets nothing out to tcp {path.port}"
            yield Sighting(text, "", path.consumer_words(add))


def consumer_acl(path: Path) -> Iterator[Sighting]:
    """A network ACL between clients and endpoint denies the port, or the answers."""
    for subnet in path.endpoint_subnets:
        acl, clients = path.acl_of(subnet), path.client_cidrs
        if acl is None or not path.port or not clients:
            continue
        port = (path.port, path.port)
        into = any(packet_rules.acl_passes(acl, egress=False, ports=port, cidr=cidr) for cidr in clients)
        ephemeral = packet_rules.EPHEMERAL
        back = any(packet_rules.acl_passes(acl, egress=True, ports=ephemeral, cidr=cidr) for cidr in clients)
        if not (into and back):
            what = f"tcp {path.port} from" if not into else "answers (tcp 1024-65535) to"
            whole = Stops.ALL if len(path.endpoint_subnets) == 1 else Stops.SOME
            text = f"{acl['NetworkAclId']} of {subnet['SubnetId']} denies {what} {', '.join(clients)}"
            yield Sighting(text, stops=whole)


def client_elsewhere(path: Path) -> Iterator[Sighting]:
    """The client is in another VPC than the endpoint."""
    named = packet_rules.names_groups(path.endpoint_groups, path.port)
    for client in path.rows("clients"):
        if client.get("VpcId") and path.vpc and client["VpcId"] != path.vpc and not named:
            yield Sighting(f"{client['InstanceId']} is in {client['VpcId']}, the endpoint in {path.vpc}", proved=False)


def own_dns_servers(path: Path) -> Iterator[Sighting]:
    """The VPC's DHCP options name DNS servers other than AWS's."""
    vpc = path.one("vpcs", "VpcId", path.vpc) or {}
    row = path.one("dhcp_options", "DhcpOptionsId", vpc.get("DhcpOptionsId")) or {}
    for option in row.get("DhcpConfigurations") or ():
        servers = [value["Value"] for value in option.get("Values") or ()]
        if option["Key"] == "domain-name-servers" and "AmazonProvidedDNS" not in servers:
            yield Sighting(f"{row['DhcpOptionsId']} names {', '.join(servers)}", proved=False)


def shadow_zone(path: Path) -> Iterator[Sighting]:
    """A private hosted zone covers the endpoint's name and has no record of it."""
    names = [entry["DnsName"] for entry in (path.endpoint or {}).get("DnsEntries") or () if entry.get("DnsName")]
    for zone in path.rows("hosted_zones"):
        suffix = str(zone["Name"]).rstrip(".")
        if any(name == suffix or name.endswith(f".{suffix}") for name in names):
            yield Sighting(f"the hosted zone {suffix} covers {names[0]}", proved=False)


def single_zone_client(path: Path) -> Iterator[Sighting]:
    """The VPC has subnets in zones of the service in which the endpoint has no interface."""
    mine = [row for row in path.rows("subnets") if row.get("VpcId") == path.vpc and path.vpc]
    zones = {row["AvailabilityZoneId"] for row in mine} & path.service_zones
    if path.state == "available" and path.endpoint_zones and (without := zones - set(path.endpoint_zones)):
        subnets = [row["SubnetId"] for row in mine if row["AvailabilityZoneId"] in without]
        add = f"ec2 modify-vpc-endpoint --vpc-endpoint-id {path.request.endpoint} --add-subnet-ids {subnets[0]}"
        fix = "plab up" if path.lab and path.request.name else ""
        yield Sighting(f"the endpoint has no interface in {', '.join(sorted(without))}", fix, path.consumer_words(add))


CAUSES = (
    Cause(
        32,
        "endpoint-group-closed",
        Stage.ENDPOINT_GROUP,
        "C",
        "The endpoint's security groups admit no client on the port.",
        "Connections time out",
        "VPC > Endpoints > Security groups > Inbound rules",
        "Admit the clients' CIDR on the port.",
        f"{PL}interface-endpoints.html",
        endpoint_group_closed,
        local=True,
    ),
    Cause(
        33,
        "endpoint-group-source-is-foreign",
        Stage.ENDPOINT_GROUP,
        "C",
        "The rule names a security group, and the client comes from another network.",
        "Connections time out",
        "VPC > Endpoints > Security groups > Inbound rules",
        "Admit the client's CIDR.",
        f"{VPC}security-group-rules.html",
        group_source_foreign,
        implies=frozenset({"client-elsewhere"}),
    ),
    Cause(
        34,
        "client-egress-closed",
        Stage.CLIENT,
        "C",
        "The client's own security groups let nothing out to the endpoint.",
        "Connections time out",
        "EC2 > Instances > Security > Outbound rules",
        "Let the port out.",
        f"{VPC}security-group-rules.html",
        client_egress_closed,
    ),
    Cause(
        35,
        "consumer-acl",
        Stage.CLIENT,
        "C",
        "A network ACL of the consumer denies the packets or their answers.",
        "Connections time out; the first packet is seen, no answer",
        "VPC > Network ACLs",
        "Allow the port one way and 1024-65535 the other way.",
        f"{VPC}vpc-network-acls.html",
        consumer_acl,
    ),
    Cause(
        36,
        "client-elsewhere",
        Stage.CLIENT,
        "C",
        "The client is not in the endpoint's VPC.",
        "A timeout, or the name is unknown",
        "VPC > Endpoints > VPC",
        "Give a route and a resolver rule, or make an endpoint in that VPC.",
        f"{PL}interface-endpoints.html",
        client_elsewhere,
    ),
    Cause(
        37,
        "own-dns-servers",
        Stage.CLIENT,
        "C",
        "The VPC uses DNS servers of its own, which may not know the name.",
        "The name is not found",
        "VPC > DHCP option sets",
        "Forward the name to the VPC's resolver.",
        f"{VPC}VPC_DHCP_Options.html",
        own_dns_servers,
    ),
    Cause(
        38,
        "shadow-zone",
        Stage.CLIENT,
        "C",
        "A private hosted zone covers the endpoint's name and may lack it.",
        "The name is not found",
        "Route 53 > Hosted zones",
        "Add the record before the zone joins the VPC.",
        "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/hosted-zone-private-considerations.html",
        shadow_zone,
    ),
    Cause(
        39,
        "resolves-elsewhere",
        Stage.CLIENT,
        "X",
        "The name gives an address that is not the endpoint's.",
        "The wrong server answers, or the way leads through the internet",
        "nslookup on the client",
        "Point the record at the endpoint's own DNS name.",
        f"{PL}manage-dns-names.html",
        saw("other-address"),
    ),
    Cause(
        40,
        "tls-name",
        Stage.SERVER,
        "X",
        "The server's certificate does not have the name that the client uses.",
        "A TLS error",
        "The client's log",
        "Use private DNS, or send the server's own name (SNI).",
        f"{PL}manage-dns-names.html",
        saw("tls-name"),
    ),
    Cause(
        41,
        "single-zone-client",
        Stage.ZONES,
        "C",
        "The endpoint has no interface in a zone that has clients.",
        "Slow, with a bill for crossing zones; a zone that fails cuts it off",
        "VPC > Endpoints > Subnets",
        "Add a subnet of that zone.",
        f"{PL}interface-endpoints.html",
        single_zone_client,
        Stops.NOTHING,
        local=True,
    ),
    Cause(
        42,
        "enabling-private-dns-broke-others",
        Stage.CLIENT,
        "X",
        "Private DNS was switched on in a VPC that used the public name.",
        "Everything stopped at one moment",
        "VPC > Endpoints > Private DNS names",
        "Switch it in stages.",
        f"{PL}manage-dns-names.html",
        saw("all-stopped-at-once", proved=False),
    ),
)
