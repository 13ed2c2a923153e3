"""A party's VPC, as the steps ask for it: its id, its subnets and their zones.

plab makes a VPC or reuses one. A reused VPC and its subnets are data: read once a run, never changed, never deleted.
"""

from __future__ import annotations

from privatelink_lab.attributes import CONFIG, NEEDED
from privatelink_lab.config import PROVIDER, Vpc
from privatelink_lab.errors import PlabError
from privatelink_lab.kind import Row, Rows
from privatelink_lab.lab import Lab
from privatelink_lab.resource_key import make_key
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps import _existing

FREE_ADDRESSES = 8  # what an NLB wants free in each subnet (AWS facts 4)


def vpc_of(lab: Lab, party: str) -> Vpc | None:
    """The VPC section of the provider or a consumer; None for a consumer that the config no longer names."""
    if party == PROVIDER:
        return lab.config.provider.vpc
    consumer = lab.config.consumer(party)
    return consumer.vpc if consumer else None


def parties(lab: Lab) -> tuple[str, ...]:
    """The parties that have a network in this lab: the provider, unless its own is there already, and the consumers."""
    own = (PROVIDER,) if lab.config.provider.has_network else ()
    return (*own, *(consumer.name for consumer in lab.config.consumers))


def subnets_asked_by(lab: Lab, party: str) -> str:
    """Who says which subnets are a party's: the config, where it reuses a VPC."""
    vpc = vpc_of(lab, party)
    return CONFIG if vpc and vpc.reused else NEEDED


def vpc_id(lab: Lab, snapshot: Snapshot, party: str) -> str:
    """The id of a party's VPC, reused or made."""
    vpc = vpc_of(lab, party)
    return (vpc.id if vpc else None) or snapshot.id(make_key(party, "vpc")) or ""


def subnet_keys(lab: Lab, party: str) -> tuple[str, ...]:
    """The keys of the subnets that plab makes for a party; none in a reused VPC."""
    vpc = vpc_of(lab, party)
    if vpc and vpc.reused:
        return ()
    return tuple(make_key(party, f"subnet-{number}") for number in range(1, lab.config.provider.zone_count + 1))


def subnet_ids(lab: Lab, snapshot: Snapshot, party: str) -> list[str]:
    """The ids of a party's private subnets, one per zone, in order."""
    vpc = vpc_of(lab, party)
    if vpc and vpc.reused:
        return list(vpc.subnet_ids)
    return [id_ for key in subnet_keys(lab, party) if (id_ := snapshot.id(key))]


def provider_zones(lab: Lab, snapshot: Snapshot) -> dict[int, str]:
    """The zone ids of the provider's subnets that are there, by their numbers: the zones that the service has."""
    if not lab.config.provider.has_network:
        zones = lab.config.provider.zone_ids or _existing.zones(lab)
        return dict(enumerate(zones, start=1))
    if lab.config.provider.vpc.reused:
        rows = reused_subnets(lab, PROVIDER)
        return {number: row["AvailabilityZoneId"] for number, row in enumerate(rows, start=1)}
    subnets = {number: snapshot.found(key) for number, key in enumerate(subnet_keys(lab, PROVIDER), start=1)}
    return {number: found[0].shows["zone"] for number, found in subnets.items() if found and "zone" in found[0].shows}


def server_zone(lab: Lab) -> str:
    """The zone id of the provider's first subnet, where its server goes; "" while plab may still choose it."""
    provider = lab.config.provider
    if provider.zone_ids:
        return provider.zone_ids[0]
    if provider.vpc.reused:
        return str(reused_subnets(lab, PROVIDER)[0]["AvailabilityZoneId"])
    rows = _made_subnets(lab, subnet_keys(lab, PROVIDER)[:1])
    return str(rows[0]["AvailabilityZoneId"]) if rows else ""


def reused_subnets(lab: Lab, party: str) -> Rows:
    """The rows of a reused VPC's subnets in the order of the config, read once a run."""
    vpc = vpc_of(lab, party)
    ids = list(vpc.subnet_ids) if vpc else []

    def fetch() -> Rows:
        rows = lab.account(party).pages("ec2", "describe_subnets", "Subnets", SubnetIds=ids)
        return tuple(sorted(rows, key=lambda row: ids.index(row["SubnetId"])))

    return lab.run_cache.get(("reused-subnets", party), fetch)


def reused_vpc(lab: Lab, party: str) -> Row:
    """The row of a reused VPC, read once a run."""
    vpc = vpc_of(lab, party)
    ids = [vpc.id] if vpc and vpc.id else []
    pages = lab.account(party).pages
    return lab.run_cache.get(("reused-vpc", party), lambda: pages("ec2", "describe_vpcs", "Vpcs", VpcIds=ids)[0])


def reused_consumer_zones(lab: Lab) -> set[str]:
    """The zone ids in which consumers reuse subnets."""
    reused = [consumer.name for consumer in lab.config.consumers if consumer.vpc.reused]
    return {row["AvailabilityZoneId"] for name in reused for row in reused_subnets(lab, name)}


def check_reused(lab: Lab) -> None:
    """Reused subnets must be in their VPC, in zones of their own that the service has, with free addresses."""
    for party in parties(lab):
        vpc = vpc_of(lab, party)
        if vpc and vpc.reused:
            _check_owner(lab, party)
            _check_subnets(party, vpc, reused_subnets(lab, party))
            _check_room(lab, party)
    _check_zones(lab)


def _check_owner(lab: Lab, party: str) -> None:
    """An account that only shares a VPC may put a balancer into it, but no endpoint (CreateVpcEndpoint refuses it)."""
    row, account = reused_vpc(lab, party), lab.account(party)
    owner = row.get("OwnerId", account.id)
    if party != PROVIDER and owner != account.id:
        raise PlabError(
            f"{row['VpcId']} of {party} belongs to account {owner}, which shares it with {account.id}. AWS lets only "
            "the owner of a VPC create an endpoint in it.",
            hint=f"Use a VPC that {account.id} owns, or the credentials of {owner} for {party}.",
        )


def _check_subnets(party: str, vpc: Vpc, rows: Rows) -> None:
    hint = _hint(party)
    zones = [row["AvailabilityZoneId"] for row in rows]
    for row in rows:
        if row["VpcId"] != vpc.id:
            raise PlabError(f"{row['SubnetId']} is in {row['VpcId']}, not in {vpc.id}.", hint=hint)
        if row.get("Ipv6Native"):
            raise PlabError(f"{row['SubnetId']} has IPv6 addresses alone; the lab requires IPv4.", hint=hint)
        if zones.count(row["AvailabilityZoneId"]) > 1:
            raise PlabError(
                f"Two subnets of {party} are in zone {row['AvailabilityZoneId']}; give one each.", hint=hint
            )


def _hint(party: str) -> str:
    return f"Correct the `subnet_ids` of {party} in the config."


def _check_room(lab: Lab, party: str) -> None:
    full = [row for row in reused_subnets(lab, party) if row["AvailableIpAddressCount"] < FREE_ADDRESSES]
    in_use = _in_use(lab, party) if full else set()
    for row in full:
        if row["SubnetId"] not in in_use:
            free = row["AvailableIpAddressCount"]
            text = f"{row['SubnetId']} has {free} free addresses; {FREE_ADDRESSES} are needed."
            raise PlabError(text, hint=_hint(party))


def _in_use(lab: Lab, party: str) -> set[str]:
    """The reused subnets in which the lab's balancer or endpoint has its addresses already; a balancer never moves."""
    if party == PROVIDER:
        return {row["SubnetId"] for row in reused_subnets(lab, party)} if "provider/nlb" in lab.state.ids else set()
    ids = [id_ for key, id_ in lab.state.ids.items() if key == make_key(party, "endpoint")]
    filters = [{"Name": "vpc-endpoint-id", "Values": ids}]
    rows = lab.account(party).pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=filters) if ids else ()
    return {id_ for row in rows for id_ in row.get("SubnetIds") or ()}


def _served_zones(lab: Lab) -> set[str]:
    """The zone ids that the service has, or will have; none while plab may still choose them by what consumers need."""
    if not lab.config.provider.has_network:
        return set(_existing.zones(lab))
    if lab.config.provider.vpc.reused:
        return {row["AvailabilityZoneId"] for row in reused_subnets(lab, PROVIDER)}
    if lab.config.provider.zone_ids:
        return set(lab.config.provider.zone_ids)
    return {row["AvailabilityZoneId"] for row in _made_subnets(lab, subnet_keys(lab, PROVIDER))}


def _made_subnets(lab: Lab, keys: tuple[str, ...]) -> Rows:
    """The rows of these subnets of the provider, by the state; none where one of them is not there."""
    ids = [lab.state.ids.get(key, "") for key in keys]
    filters = [{"Name": "subnet-id", "Values": ids}]
    rows = lab.provider.pages("ec2", "describe_subnets", "Subnets", Filters=filters) if all(ids) else ()
    return tuple(rows) if len(rows) == len(ids) else ()


def _check_zones(lab: Lab) -> None:
    reused = [consumer for consumer in lab.config.consumers if consumer.vpc.reused]
    served = _served_zones(lab) if reused else set()
    for consumer in reused if served else ():
        for row in reused_subnets(lab, consumer.name):
            if row["AvailabilityZoneId"] not in served:
                raise PlabError(
                    f"{row['SubnetId']} of {consumer.name} is in zone {row['AvailabilityZoneId']}; "
                    f"the service is in {', '.join(sorted(served))}.",
                    hint="An endpoint can only be in zones that the service has.",
                )
