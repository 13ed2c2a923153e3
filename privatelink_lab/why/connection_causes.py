"""The connection exists and carries nothing: causes 21 to 31."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from privatelink_lab.why.cause import NO_SERVICE, OVER, REVOKED, TO_GIVE, Cause, Sighting, Stage, Stops, saw
from privatelink_lab.why.path import Path

PL = "https://docs.aws.amazon.com/vpc/latest/privatelink/"
NEW = 120.0  # seconds
SHOWS = "ec2 describe-vpc-endpoints --vpc-endpoint-ids"


def _again(path: Path) -> str:
    """The command that makes another endpoint; '' for one that is not of the lab."""
    return f"plab up --replace {path.request.name}/endpoint" if path.lab and path.request.name else ""


def _delete(path: Path) -> str:
    return path.consumer_words(f"ec2 delete-vpc-endpoints --vpc-endpoint-ids {path.request.endpoint}")


def waiting(path: Path) -> Iterator[Sighting]:
    """The provider has not decided. Only an account that the config names is advised to be admitted."""
    if path.state != "pendingacceptance":
        return
    id_, service = path.request.endpoint, (path.service or {}).get("ServiceId")
    if path.evidence.is_customers:
        fix = ""
    elif path.lab and path.request.name:
        fix = f"plab accept {path.request.name}"
    elif path.lab and path.request.named:
        fix = f"plab accept {id_}"
    else:
        fix = ""
    known = path.request.named and path.lab
    accept = f"ec2 accept-vpc-endpoint-connections --service-id {service} --vpc-endpoint-ids {id_}"
    by_hand = path.provider_words(accept) if service and known else ""
    whose = f"{id_} of account {path.account} waits for the provider"  # who decides whether it knows the account
    unknown, to_do = "", ""
    if path.request.revoked:
        unknown, to_do = REVOKED, "It is to be rejected: plab up"
    elif path.lab and not path.request.named:
        unknown = "; the config does not name this account"
        to_do = "Find out whose account it is; a name in the config lets plab admit it."
    if path.evidence.is_customers:
        to_do = f"Tell the provider: account {path.account}, endpoint {id_}, Region {path.request.region}."
    yield Sighting(whose + unknown, fix, by_hand, to_do=to_do)


def not_yet(path: Path) -> Iterator[Sighting]:
    """Accepted, and AWS is at work."""
    if path.state == "pending":
        yield Sighting(
            f"{path.request.endpoint} is pending: accepted, and not yet available",
            "",
            path.consumer_words(f"{SHOWS} {path.request.endpoint}"),
        )


def rejected(path: Path) -> Iterator[Sighting]:
    """The provider has said no, or has cut it."""
    if path.state != "rejected" or _is_gone(path):
        return
    text = f"{path.request.endpoint} of account {path.account} was rejected, and is still billed"
    if path.request.revoked:
        yield Sighting(f"{text}{REVOKED}", to_do=TO_GIVE.format(path.request.customer))
    elif _is_hidden(path):
        end = "plab down" if path.lab else "delete the endpoint"
        to_do = f"Ask the provider whether it still allows account {path.account}. If it does not: {end}"
        yield Sighting(f"{text}; this account sees no service {path.service_name}", to_do=to_do)
    else:
        yield Sighting(text, _again(path), _delete(path))


def expired(path: Path) -> Iterator[Sighting]:
    """Nobody decided in time."""
    if path.state == "expired":
        yield Sighting(f"{path.request.endpoint} expired before it was accepted", _again(path), _delete(path))


def failed(path: Path) -> Iterator[Sighting]:
    """AWS could not make it."""
    if path.state == "failed":
        row = path.endpoint or {}
        why = (row.get("LastError") or {}).get("Message") or row.get("FailureReason") or "AWS gives no reason"
        yield Sighting(f"{path.request.endpoint} failed: {why}", _again(path), _delete(path))


def partial(path: Path) -> Iterator[Sighting]:
    """Fewer interfaces than subnets."""
    row = path.endpoint or {}
    subnets, interfaces = row.get("SubnetIds") or (), row.get("NetworkInterfaceIds")
    is_short = bool(interfaces) and len(interfaces or ()) < len(subnets) and path.state == "available"
    if path.state == "partial" or (is_short and not _is_new(path)):
        text = f"{len(interfaces or ())} interfaces for {len(subnets)} subnets"
        fix = "plab up" if path.lab and path.request.name else ""
        yield Sighting(text, fix, path.consumer_words(f"{SHOWS} {path.request.endpoint}"))


def no_interfaces(path: Path) -> Iterator[Sighting]:
    """Available, and nowhere."""
    row = path.endpoint or {}
    is_interface = row.get("VpcEndpointType") == "Interface" and "NetworkInterfaceIds" in row
    if path.state == "available" and is_interface and not row["NetworkInterfaceIds"] and not _is_new(path):
        fix = "plab up" if path.lab and path.request.name else ""
        shows = path.consumer_words(f"{SHOWS} {path.request.endpoint}")
        yield Sighting(f"{path.request.endpoint} has no network interface", fix, shows)


def _is_gone(path: Path) -> bool:
    """Whether the service of an endpoint is not there any more, as its provider sees it."""
    if path.service:
        return str(path.service.get("ServiceState", "")).lower() == "deleted"
    joined = str((path.endpoint or {}).get("ServiceName", ""))
    half = path.provider
    return bool(joined) and half is not None and "services" in half.rows and _account_has(path, joined)


def _is_hidden(path: Path) -> bool:
    """Whether AWS shows the customer no such service: it is gone, or its provider does not allow the account."""
    return path.endpoint is not None and NO_SERVICE in path.why_unseen("offers") and not _is_gone(path)


def _account_has(path: Path, joined: str) -> bool:
    """Whether the asked provider made the service once, by its other connections; a lab's own service is known."""
    return path.lab and bool(path.request.name) and joined.startswith("com.amazonaws.vpce.")


def service_gone(path: Path) -> Iterator[Sighting]:
    """The endpoint's service does not exist any more. AWS deletes none that has a connection which was not rejected."""
    if path.endpoint is None or path.state in {"deleted", "deleting"} or _other_service(path):
        return
    name = path.endpoint["ServiceName"]
    if _is_gone(path):
        yield Sighting(f"{name} is not there any more; the endpoint is still billed", _again(path), _delete(path))
    elif _is_hidden(path) and path.state in OVER:
        text = f"account {path.account} sees no service {name}: it is gone, or its provider does not allow the account"
        yield Sighting(text, "", _delete(path), proved=False)


def _other_service(path: Path) -> bool:
    """Whether the endpoint asks another service than the lab's."""
    name = str((path.endpoint or {}).get("ServiceName", ""))
    return bool(path.evidence.service and name and name != path.evidence.service)


def no_such_request(path: Path) -> Iterator[Sighting]:
    """The endpoint asks another service, or the provider has no row of it."""
    if _other_service(path):
        joined = (path.endpoint or {})["ServiceName"]
        yield Sighting(
            f"{path.request.endpoint} asks {joined}, not {path.evidence.service}", _again(path), _delete(path)
        )
        return
    is_missing = path.request.endpoint and path.sees("connections") and path.connection is None and not _is_new(path)
    if path.service and is_missing and path.state not in {"deleting", "deleted", "rejected"}:
        listed = f"ec2 describe-vpc-endpoint-connections --filters Name=service-id,Values={path.service['ServiceId']}"
        yield Sighting(f"the service has no connection {path.request.endpoint}", "", path.provider_words(listed))


def _is_new(path: Path) -> bool:
    """Whether the endpoint was made so recently that the provider may not see its request yet (AWS facts 11)."""
    made = str((path.endpoint or {}).get("CreationTimestamp") or "")
    try:
        age = datetime.fromisoformat(path.evidence.at) - datetime.fromisoformat(made)
    except (ValueError, TypeError):
        return False
    return age.total_seconds() < NEW


def wrong_owner(path: Path) -> Iterator[Sighting]:
    """The connection is of another account than the one that was told."""
    owner = str((path.connection or {}).get("VpcEndpointOwner", ""))
    if owner and path.request.account and owner != path.request.account:
        text = f"{path.request.endpoint} is of account {owner}, expected is {path.request.account}"
        stops = Stops.ALL if path.state == "pendingacceptance" else Stops.NOTHING
        fix = "the line to correct in the config: accounts or admit of the customer" if path.lab else ""
        yield Sighting(text, fix, stops=stops)


CAUSES = (
    Cause(
        21,
        "waiting-for-acceptance",
        Stage.ACCEPTANCE,
        "P C",
        "The endpoint waits for the provider's decision.",
        "Connections time out",
        "VPC > Endpoint services > Endpoint connections",
        "The provider accepts it.",
        f"{PL}configure-endpoint-service.html#accept-reject-connection-requests",
        waiting,
        local=True,
    ),
    Cause(
        22,
        "accepted-not-yet-available",
        Stage.ACCEPTANCE,
        "P C",
        "The endpoint is accepted, and AWS is still at work.",
        "Connections time out for some minutes",
        "VPC > Endpoints > Status",
        "Wait up to ten minutes.",
        f"{PL}interface-endpoints.html",
        not_yet,
        local=True,
        waits=True,
    ),
    Cause(
        23,
        "rejected",
        Stage.ACCEPTANCE,
        "P C",
        "The provider has rejected the endpoint.",
        "Connections time out, or end in the middle",
        "VPC > Endpoint services > Endpoint connections",
        "Ask the provider; then make a new endpoint.",
        f"{PL}configure-endpoint-service.html#accept-reject-connection-requests",
        rejected,
        local=True,
    ),
    Cause(
        24,
        "expired",
        Stage.ACCEPTANCE,
        "P C",
        "Nobody accepted the endpoint in time.",
        "Connections time out",
        "VPC > Endpoints > Status",
        "Make a new endpoint, and let the provider know its id.",
        f"{PL}interface-endpoints.html",
        expired,
        local=True,
    ),
    Cause(
        25,
        "failed",
        Stage.ENDPOINT,
        "C",
        "AWS could not make the endpoint.",
        "There is no address",
        "VPC > Endpoints > Status",
        "Read AWS's reason; then make a new endpoint.",
        f"{PL}interface-endpoints.html",
        failed,
        local=True,
    ),
    Cause(
        26,
        "partial",
        Stage.ENDPOINT,
        "C",
        "The endpoint has fewer interfaces than subnets.",
        "It works from one zone and not from another",
        "VPC > Endpoints > Subnets",
        "Add the subnet again.",
        f"{PL}interface-endpoints.html",
        partial,
        Stops.SOME,
    ),
    Cause(
        27,
        "no-interfaces",
        Stage.ENDPOINT,
        "C",
        "The endpoint has no network interface.",
        "The name does not resolve",
        "VPC > Endpoints > Subnets",
        "Add a subnet.",
        f"{PL}interface-endpoints.html",
        no_interfaces,
    ),
    Cause(
        28,
        "service-gone",
        Stage.SERVICE,
        "C P",
        "The service of the endpoint does not exist any more.",
        "Connections time out; the endpoint is still billed",
        "VPC > Endpoints > Service name",
        "Delete the endpoint.",
        "https://aws.amazon.com/privatelink/pricing/",
        service_gone,
        implies=frozenset({"rejected"}),
        local=True,
    ),
    Cause(
        29,
        "no-such-request",
        Stage.ENDPOINT,
        "P C",
        "The endpoint asks another service, or another Region.",
        "The provider sees nothing",
        "VPC > Endpoints > Service name",
        "Make the endpoint for the right service.",
        f"{PL}create-interface-endpoint.html",
        no_such_request,
        implies=frozenset({"waiting-for-acceptance", "service-gone", "rejected"}),
        local=True,
    ),
    Cause(
        30,
        "wrong-owner",
        Stage.PERMISSION,
        "P",
        "The connection is of another account than the one that was told.",
        "It waits for ever",
        "VPC > Endpoint services > Endpoint connections > Owner",
        "Correct the account in the config, or reject the connection.",
        f"{PL}configure-endpoint-service.html",
        wrong_owner,
        implies=frozenset({"waiting-for-acceptance"}),
        local=True,
    ),
    Cause(
        31,
        "admitted-by-aws-not-by-application",
        Stage.SERVER,
        "X",
        "AWS has admitted the endpoint, and the server closes its connections.",
        "Connection reset by peer, at once",
        "The server's own list of endpoints",
        "Put the endpoint's id on the server's list.",
        f"{PL}configure-endpoint-service.html",
        saw("reset-at-once", proved=False),
    ),
)
