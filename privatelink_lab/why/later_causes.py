"""It works, and then it does not, or it does not look as it is: causes 68 to 77 without those of Regions."""

from __future__ import annotations

from collections.abc import Iterator

from privatelink_lab.why.cause import Cause, Sighting, Stage, Stops, saw
from privatelink_lab.why.path import Path

PL = "https://docs.aws.amazon.com/vpc/latest/privatelink/"
NLB = "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/"
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")


def permission_removed(path: Path) -> Iterator[Sighting]:
    """The account may no longer ask, and its connection lives on."""
    owner = path.provider.account if path.provider else ""
    if path.state != "available" or not path.connection or not path.sees("permissions") or path.service is None:
        return
    account = str(path.connection["VpcEndpointOwner"])
    others = [principal for principal in path.principals if ":iam::" not in principal]  # of an organization, say, or *
    if account == owner or others or any(f":{account}:" in principal for principal in path.principals):
        return
    id_, service = path.request.endpoint, path.service["ServiceId"]
    reject = f"ec2 reject-vpc-endpoint-connections --service-id {service} --vpc-endpoint-ids {id_}"
    fix, by_hand = (f"plab reject {id_}" if path.lab else ""), reject
    if path.is_own:  # the config lets it in, so that the permission is what is missing
        root = f"arn:{path.partition}:iam::{account}:root"
        fix = "plab up"
        by_hand = f"ec2 modify-vpc-endpoint-service-permissions --service-id {service} --add-allowed-principals {root}"
    yield Sighting(f"no principal is of account {account}, and {id_} is available", fix, path.provider_words(by_hand))


def acceptance_switched(path: Path) -> Iterator[Sighting]:
    """The service accepts by itself, and one endpoint still waits: the switch is for new requests only."""
    if path.service and path.service.get("AcceptanceRequired") is False and path.state == "pendingacceptance":
        text = f"{path.service['ServiceId']} requires no acceptance, and {path.request.endpoint} asked before"
        fix = f"plab accept {path.request.name or path.request.endpoint}" if path.lab and path.request.named else ""
        yield Sighting(text, fix)


def credentials_expired(path: Path) -> Iterator[Sighting]:
    """The credentials ended in the middle."""
    for half in filter(None, (path.consumer, path.provider)):
        for kind, why in half.unseen.items():
            if any(code in why for code in EXPIRED) or "credentials have expired" in why:
                yield Sighting(
                    f"{kind} of account {half.account}: {why}", "", "aws sts get-caller-identity", Stops.NOTHING
                )
                return


def addresses_changed(path: Path) -> Iterator[Sighting]:
    """A client asks an address that no interface of the endpoint has."""
    yield from saw("old-address")(path)


CAUSES = (
    Cause(
        68,
        "idle-timeout",
        Stage.LISTENER,
        "X",
        "The balancer forgets a connection that was idle for 350 seconds.",
        "It dies after six idle minutes; only who sends gets a reset",
        "EC2 > Load balancers > Listeners > Attributes > TCP idle timeout",
        "Send keepalives more often, or lengthen the timeout.",
        f"{NLB}update-idle-timeout.html",
        saw("idle", proved=False),
        Stops.SOME,
    ),
    Cause(
        69,
        "large-packets",
        Stage.CLIENT,
        "X",
        "Packets of more than 8500 bytes do not pass.",
        "Small requests pass, large ones hang",
        "The client's interface: ip link",
        "Lower the MTU or the MSS.",
        f"{PL}vpc-limits-endpoints.html",
        saw("large-hang", proved=False),
        Stops.SOME,
    ),
    Cause(
        70,
        "bandwidth",
        Stage.ENDPOINT,
        "X",
        "The endpoint carries as much as a zone's interface can.",
        "Slow",
        "CloudWatch > PrivateLinkEndpoints > BytesProcessed",
        "Add zones.",
        f"{PL}vpc-limits-endpoints.html",
        saw("slow", proved=False),
        Stops.NOTHING,
    ),
    Cause(
        71,
        "permission-removed-but-alive",
        Stage.PERMISSION,
        "P",
        "The account may no longer ask, and its connection lives on.",
        "A customer who left still connects",
        "VPC > Endpoint services > Endpoint connections",
        "Reject the connection.",
        f"{PL}configure-endpoint-service.html",
        permission_removed,
        Stops.NOTHING,
        local=True,
    ),
    Cause(
        72,
        "acceptance-switched",
        Stage.ACCEPTANCE,
        "P",
        "The service requires no acceptance any more; who asked before still waits.",
        "Connections time out",
        "VPC > Endpoint services > Details > Acceptance required",
        "Accept the old requests once.",
        f"{PL}configure-endpoint-service.html",
        acceptance_switched,
        implies=frozenset({"waiting-for-acceptance"}),
        local=True,
    ),
    Cause(
        73,
        "endpoint-addresses-changed",
        Stage.CLIENT,
        "X",
        "The client asks addresses of an endpoint that was replaced.",
        "Connections time out until the client starts again",
        "The client's DNS cache",
        "Use names, and keep them no longer than their TTL.",
        f"{PL}manage-dns-names.html",
        addresses_changed,
    ),
    Cause(
        74,
        "credentials-expired-midway",
        Stage.ENDPOINT,
        "C P",
        "The credentials of an account have expired.",
        "A tool stops in the middle",
        "The client's log",
        "Renew them.",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp.html",
        credentials_expired,
        local=True,
    ),
    Cause(
        77,
        "ping-is-no-test",
        Stage.CLIENT,
        "X",
        "PrivateLink carries no ICMP: ping never answers.",
        "It looks down, and works",
        "The client: curl, nc",
        "Ask with curl or nc on the port.",
        f"{PL}concepts.html",
        saw("ping"),
        Stops.NOTHING,
        local=True,
    ),
)
