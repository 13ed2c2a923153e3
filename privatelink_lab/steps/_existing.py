"""What is there before the lab, as the config names it: a balancer, an endpoint service, or the service of others.

It is data, as a reused VPC is: read once a run, never changed, never deleted. Here is also what the other steps ask of
every service: the port on which it listens, and its zones.
"""

from __future__ import annotations

from typing import Any

from privatelink_lab import tags
from privatelink_lab.config import PROVIDER
from privatelink_lab.errors import AwsError, PlabError, UsageError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase, Resource, ResourceType
from privatelink_lab.resource_key import split_key
from privatelink_lab.snapshot import Snapshot

DEFAULT_PORT = 443  # of the services that AWS itself offers
INTERFACE = {"ServiceType": "Interface"}
ACTIVE = {"active", "active_impaired"}
SERVICE = "provider/endpoint-service"
NOT_OURS = "it was there before the lab, and plab does not change it"


def port(lab: Lab) -> int:
    """The port of the service: of the web server that plab makes, or of what is there. Raises PlabError."""
    provider = lab.config.provider
    if provider.has_network:
        return provider.web_server.port
    return (provider.port or DEFAULT_PORT) if lab.config.is_customers else ports(lab)[0]


def ports(lab: Lab) -> list[int]:
    """The ports of the service, the lowest first; one, unless a balancer that is there has more. Raises PlabError."""
    if lab.config.provider.has_network or lab.config.is_customers:
        return [port(lab)]
    found = sorted({row["Port"] for arn in _balancer_arns(lab) for row in _listeners(lab, arn)})
    if not found:
        text = f"{', '.join(_balancer_arns(lab)) or 'The service'} has no listener of protocol TCP or TLS."
        raise PlabError(text, hint="Give it one, and then: plab up")
    return found


def zones(lab: Lab) -> tuple[str, ...]:
    """The zone IDs of what is there, sorted. Raises PlabError."""
    provider = lab.config.provider
    found = (
        _zones_of_offer(lab)
        if lab.config.is_customers
        else zone_ids_of(lab, service(lab) if provider.service.id else balancer(lab))
    )
    return tuple(sorted(found))


def _described(lab: Lab, line: str, service: str, operation: str, rows: str, **asked: list[str]) -> Row:
    """What a line of the config names, read once a run. Raises AwsError, which names the line of what is not there."""
    account = lab.provider

    def fetch() -> Row:
        try:
            return account.pages(service, operation, rows, **asked)[0]
        except AwsError as error:
            if error.code.endswith("NotFound"):
                error.hint = f"Correct {line} in the config; asked was account {account.id}, Region {account.region}."
            raise

    return lab.run_cache.get((line,), fetch)


# A balancer that is there.


def balancer(lab: Lab) -> Row:
    """The balancer of the config's `nlb`, read once a run. Raises AwsError."""
    arn = lab.config.provider.nlb or ""
    return _described(lab, "provider.nlb", "elbv2", "describe_load_balancers", "LoadBalancers", LoadBalancerArns=[arn])


def _balancer_arns(lab: Lab) -> list[str]:
    provider = lab.config.provider
    return list(service(lab).get("NetworkLoadBalancerArns") or ()) if provider.service.id else [provider.nlb or ""]


def _listeners(lab: Lab, arn: str) -> list[Row]:
    """Those through which a service's packets may pass: of protocol TCP or TLS."""

    def fetch() -> list[Row]:
        rows = lab.provider.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)
        return [row for row in rows if row["Protocol"] in {"TCP", "TLS"}]

    return lab.run_cache.get(("listeners", arn), fetch)


def check_balancer(lab: Lab) -> None:
    """Raise PlabError for a balancer that cannot carry a service: of another type, not active, without a listener."""
    row, arn = balancer(lab), lab.config.provider.nlb
    if row["Type"] != "network":
        raise PlabError(f"{arn} is of type {row['Type']}; an endpoint service needs a network load balancer.")
    if row["State"]["Code"] not in ACTIVE:
        raise PlabError(f"{arn} is {row['State']['Code']}, and not active.", hint="plab up")
    ports(lab)
    operation, rows = "describe_vpc_endpoint_service_configurations", "ServiceConfigurations"
    for other in lab.provider.pages("ec2", operation, rows):
        is_ours = tags.of(other).get(tags.LAB) == lab.config.lab
        if arn in (other.get("NetworkLoadBalancerArns") or ()) and not is_ours:
            text = f"{arn} carries {other['ServiceId']} already, and a balancer has one service (AWS facts 5)."
            raise PlabError(text, hint=f"To manage the customers of that one: `service: {{id: {other['ServiceId']}}}`.")


@calls(
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeListeners",
    "ec2:DescribeAvailabilityZones",
)
def _find_balancer(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    row = balancer(lab)
    open_to = "" if row["Scheme"] == "internal" else f", {row['Scheme']}"
    listening = ", ".join(f"tcp {number}" for number in ports(lab))
    return (Found(row["LoadBalancerArn"], Phase.READY, f"{row['State']['Code']}{open_to}, {listening}; {NOT_OURS}"),)


# An endpoint service that is there.


def service(lab: Lab) -> Row:
    """The service of the config's `service.id`, read once a run. Raises AwsError."""
    id_, operation = lab.config.provider.service.id or "", "describe_vpc_endpoint_service_configurations"
    return _described(lab, "provider.service.id", "ec2", operation, "ServiceConfigurations", ServiceIds=[id_])


def check_service(lab: Lab) -> None:
    """Raise PlabError for a service without a network load balancer, or without a listener on it."""
    row = service(lab)
    if not row.get("NetworkLoadBalancerArns"):
        raise PlabError(f"{row['ServiceId']} has no network load balancer; interface endpoints need one.")
    ports(lab)


@calls(
    "ec2:DescribeVpcEndpointServiceConfigurations",
    "elasticloadbalancing:DescribeListeners",
    "ec2:DescribeAvailabilityZones",
)
def _find_service(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    row = service(lab)
    admits = "requires acceptance" if row["AcceptanceRequired"] else "admits every allowed account"
    detail = f"{row['ServiceState']}, {admits}; {NOT_OURS}"
    return (Found(row["ServiceId"], Phase.READY, detail, {"service_name": row["ServiceName"]}),)


def zone_ids_of(lab: Lab, row: Row) -> list[str]:
    """The zone IDs of a balancer or a service; where AWS shows their names alone, by the account's own names."""
    if ids := row.get("AvailabilityZoneIds"):
        return list(ids)
    found = row.get("AvailabilityZones") or ()
    names = [zone["ZoneName"] if isinstance(zone, dict) else zone for zone in found]
    return [_zone_ids_by_name(lab)[name] for name in names]


def refuse_made_before(lab: Lab) -> None:
    """Raise UsageError where the lab has made, by its state, what the config now says is there already."""
    provider, state = lab.config.provider, lab.state
    stays = {SERVICE} if provider.has_service else set()
    made = [key for key, id_ in state.ids.items() if split_key(key)[0] == PROVIDER and id_ in state.made]
    if not provider.has_network and (made := [key for key in made if key not in stays]):
        raise UsageError(
            f"The lab has made {', '.join(made)}, and the config now says that its side of the provider was there.",
            hint="Put the earlier config back and run plab down, or choose another `lab:` name.",
        )


# The service of somebody else, as the customer's account sees it.


def offer(lab: Lab) -> Row:
    """The service of the config's `service_name`, read once a run. Raises AwsError: it is not there, or not allowed."""
    name = lab.config.provider.service_name or ""
    region = {"ServiceRegions": [service_region(lab)]} if is_in_another_region(lab) else {}

    def fetch() -> Row:
        asked: Any = {"ServiceNames": [name], **region}
        try:
            return lab.provider.pages("ec2", "describe_vpc_endpoint_services", "ServiceDetails", **asked)[0]
        except AwsError as error:
            if error.code != "InvalidServiceName":
                raise
            error.hint = f"Is the name right? If it is, ask its provider to allow the account {lab.provider.id}."
            raise

    return lab.run_cache.get(("offer", name), fetch)


def service_region(lab: Lab) -> str:
    """The Region of the service."""
    return lab.config.provider.region or lab.provider.region


def is_in_another_region(lab: Lab) -> bool:
    """Whether the service is in another Region than the lab's endpoints."""
    return service_region(lab) != lab.provider.region


def _zones_of_offer(lab: Lab) -> list[str]:
    """The zones of the service; of one in another Region, whose zones are not those here, all of this Region."""
    if is_in_another_region(lab):
        return list(_zone_ids_by_name(lab).values())
    return zone_ids_of(lab, offer(lab))


def _zone_ids_by_name(lab: Lab) -> dict[str, str]:
    """The ids of a Region's zones by the names that they have in the account, read once a run (AWS facts 2)."""
    account = lab.provider
    filters: Any = [{"Name": "zone-type", "Values": ["availability-zone"]}]

    def fetch() -> dict[str, str]:
        rows = account.ec2.describe_availability_zones(Filters=filters)["AvailabilityZones"]  # it has no pages
        return {row["ZoneName"]: row["ZoneId"] for row in rows}

    return lab.run_cache.get(("zone-ids",), fetch)


def check_offer(lab: Lab) -> None:
    """Raise PlabError for a service that takes no interface endpoint, or has fewer zones than the config asks for."""
    row, wanted = offer(lab), lab.config.provider
    if INTERFACE not in (row.get("ServiceType") or ()):
        types = ", ".join(kind["ServiceType"] for kind in row.get("ServiceType") or ())
        text = f"{row['ServiceName']} takes endpoints of type {types}; plab makes interface endpoints."
        raise PlabError(text, hint="Name another `service_name`.")
    if all(consumer.vpc.reused for consumer in lab.config.consumers):
        return
    served = zones(lab)
    missing = sorted(set(wanted.zone_ids) - set(served))
    if missing or wanted.zone_count > len(served):
        asked = f"zone {', '.join(missing)}" if missing else f"{wanted.zone_count} zones"
        text = f"{row['ServiceName']} is in {', '.join(served) or 'no zone'}; the config asks for {asked}."
        raise PlabError(text, hint="Correct `zones` in the config.")


@calls("ec2:DescribeVpcEndpointServices", "ec2:DescribeAvailabilityZones")
def _find_offer(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    name = lab.config.provider.service_name or ""
    shows = {"service_name": name}
    try:
        row = offer(lab)
    except AwsError as error:
        if error.code != "InvalidServiceName":
            raise
        text = f"is not shown to account {lab.provider.id}: it is gone, or its provider does not allow the account"
        return (Found(name.rpartition(".")[2], Phase.FAILED, text, shows),)
    return (Found(row["ServiceId"], Phase.READY, f"of {row.get('Owner', 'an unknown owner')}", shows),)


# They have no create, no update and no delete.
OFFER_TYPE = ResourceType("service", find=_find_offer, goes_with_parent=True, called_by="consumer")
BALANCER_TYPE = ResourceType("load balancer", find=_find_balancer, goes_with_parent=True)
SERVICE_TYPE = ResourceType("endpoint service", find=_find_service, goes_with_parent=True)
