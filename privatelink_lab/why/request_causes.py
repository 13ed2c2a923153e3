"""The request is refused, or would be: causes 1 to 20, and those of Regions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from privatelink_lab import tags
from privatelink_lab.kind import Row
from privatelink_lab.why.cause import NO_SERVICE, OVER, REVOKED, TO_GIVE, Cause, Sighting, Stage, Stops, refused
from privatelink_lab.why.path import Path

PL = "https://docs.aws.amazon.com/vpc/latest/privatelink/"
MOST_ENDPOINTS = 50  # interface endpoints in a VPC, by default
THROTTLES = ("RequestLimitExceeded", "Throttling", "ThrottlingException", "EC2ThrottledException")
DENIALS = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")


def _has_request(path: Path) -> bool:
    """Whether somebody asks who has no endpoint: then AWS has refused, or would refuse."""
    return not path.request.endpoint and path.connection is None


def _principal_account(principal: str) -> str:
    return principal.split(":")[4] if principal.count(":") >= 5 else ""  # noqa: PLR2004 (parts of an ARN)


def _is_root(principal: str) -> bool:
    return principal == "*" or principal.endswith(":root")


def not_permitted(path: Path) -> Iterator[Sighting]:
    """No principal of the service is of this account."""
    account, owner = path.request.account, path.provider.account if path.provider else ""
    if not _has_request(path) and path.state not in OVER:
        return
    if path.service and path.sees("permissions") and account and account != owner:
        if "*" in path.principals or account in map(_principal_account, path.principals):
            return
        if any(":iam::" not in principal for principal in path.principals):  # of an organization, say
            return
        service = path.service["ServiceId"]
        root = f"arn:{path.partition}:iam::{account}:root"
        add = f"ec2 modify-vpc-endpoint-service-permissions --service-id {service} --add-allowed-principals {root}"
        line = f"the line to add to the config: allowed_principals: ['{account}'] under provider.service; then plab up"
        fix = ("plab up" if path.request.named else line) if path.lab else ""
        text = f"no principal of {service} is of account {account}"
        if path.request.revoked:
            yield Sighting(f"{text}{REVOKED}", to_do=TO_GIVE.format(path.request.customer))
        else:
            yield Sighting(text, fix, path.provider_words(add))
    elif path.service is None and NO_SERVICE in path.why_unseen("offers"):
        text = f"account {account or 'of the consumer'} sees no service {path.service_name}"
        to_do = f"Compare the name of the service. If it is right, ask its provider to allow the account {account}."
        yield Sighting(text, proved=False, to_do=to_do)


def role_principal(path: Path) -> Iterator[Sighting]:
    """Principals of this account are roles or users, and the caller is another."""
    account = path.request.account
    mine = [principal for principal in path.principals if account and _principal_account(principal) == account]
    if not _has_request(path) or not mine or any(map(_is_root, [*mine, *path.principals])):
        return
    if path.provider and account == path.provider.account:
        return
    known = path.request.caller
    if known and any(_same_role(principal, known) for principal in mine):
        return
    service = (path.service or {}).get("ServiceId")
    root = f"{mine[0].rpartition(':')[0]}:root"
    add = f"ec2 modify-vpc-endpoint-service-permissions --service-id {service} --add-allowed-principals {root}"
    text = f"the service allows {', '.join(mine)} of account {account}" + (f", the caller is {known}" if known else "")
    line = f"the line to add to the config: allowed_principals: ['{account}'] under provider.service; then plab up"
    fix = ("plab up" if path.request.named else line) if path.lab else ""
    by_hand = path.provider_words(add) if known else ""  # a guess must not let more people ask
    yield Sighting(text, fix, by_hand, proved=bool(known))


def _same_role(principal: str, caller: str) -> bool:
    """Whether a caller, maybe an assumed role, is that role or user. Paths in principals are not supported by AWS."""
    if "assumed-role/" in caller:
        caller = caller.replace(":sts:", ":iam:").replace("assumed-role/", "role/").rpartition("/")[0]
    return principal == caller


def service_region_missing(path: Path) -> Iterator[Sighting]:
    """The Region in the service's name is not the one that was asked."""
    region = _region_of(path.service_name)
    asked_there = any(row.get("ServiceRegion") == region for row in path.rows("offers"))
    refused_name = NO_SERVICE in path.why_unseen("offers") or any(refused(NO_SERVICE)(path))
    is_elsewhere = _has_request(path) and region and region != path.request.region
    # With the provider's half alone: who is allowed, in a Region that is offered, and has no connection.
    fits = path.consumer is None and path.sees("connections") and not any(not_permitted(path))
    if is_elsewhere and (refused_name or fits) and not asked_there and _offered(path):
        shows = f"ec2 describe-vpc-endpoint-services --service-names {path.service_name} --service-regions {region}"
        text = f"the service is in {region}, the request in {path.request.region}"
        yield Sighting(text, "", path.consumer_words(shows), proved=refused_name)


def region_not_offered(path: Path) -> Iterator[Sighting]:
    """The provider does not offer the service in the Region of the request."""
    if path.service and path.provider and path.request.region != path.provider.region and not _offered(path):
        rows = {row["Region"]: row.get("ServiceState", "") for row in path.service.get("SupportedRegions") or ()}
        state = rows.get(path.request.region, "")
        known = (
            f"its state there is {state}" if state else f"it is offered in {', '.join(rows) or path.provider.region}"
        )
        service = path.service["ServiceId"]
        add = (
            f"ec2 modify-vpc-endpoint-service-configuration --service-id {service}"
            f" --add-supported-regions {path.request.region}"
        )
        yield Sighting(f"{path.request.region}: {known}", "", path.provider_words(add))


def _region_of(service_name: str) -> str:
    """`us-east-1` of `com.amazonaws.vpce.us-east-1.vpce-svc-...`."""
    parts = service_name.split(".")
    return parts[parts.index("vpce") + 1] if "vpce" in parts[:-1] else ""


def _offered(path: Path) -> bool:
    rows = (path.service or {}).get("SupportedRegions") or ()
    return any(
        row["Region"] == path.request.region and row.get("ServiceState", "Available") == "Available" for row in rows
    )


def zone_not_served(path: Path) -> Iterator[Sighting]:
    """A subnet of the request is in a zone that the service does not have."""
    if not (_has_request(path) and path.service_zones) or path.request.region != _region_of(path.service_name):
        return
    for subnet in path.endpoint_subnets:
        zone = subnet["AvailabilityZoneId"]
        if zone not in path.service_zones and zone not in _stale_zones(path):
            has = ", ".join(sorted(path.service_zones))
            yield Sighting(f"{subnet['SubnetId']} is in {zone}, the service in {has}", _another_subnet(path))


def _another_subnet(path: Path) -> str:
    return "the line to change in the config: subnet_ids of this consumer, or zones of the provider" if path.lab else ""


def zone_not_remote(path: Path) -> Iterator[Sighting]:
    """AWS names the zones from which a service of another Region can be asked."""
    words = "supported for remote access"
    yield from (Sighting(s.evidence) for s in refused("InvalidParameter", words=words)(path))


def _stale_zones(path: Path) -> set[str]:
    if not path.service or not path.service_zones:
        return set()
    return {zone for row in path.balancers for zone in path.balancer_zones(row)} - path.service_zones


def service_zones_stale(path: Path) -> Iterator[Sighting]:
    """The balancer has a zone that the service has not taken over."""
    if stale := _stale_zones(path):
        service = (path.service or {}).get("ServiceId")
        again = f"ec2 modify-vpc-endpoint-service-configuration --service-id {service}"
        wanted = {row["AvailabilityZoneId"] for row in path.endpoint_subnets}
        stops = Stops.ALL if wanted & stale else Stops.NOTHING
        text = f"the balancer has {', '.join(sorted(stale))}, the service only {', '.join(sorted(path.service_zones))}"
        yield Sighting(text, "", path.provider_words(again), stops)


def two_subnets_one_zone(path: Path) -> Iterator[Sighting]:
    """Two subnets of the request are in one zone."""
    for zone, count in Counter(path.endpoint_zones).items():
        if _has_request(path) and count > 1:
            fix = "the line to change in the config: subnet_ids of this consumer, one per zone" if path.lab else ""
            yield Sighting(f"{count} subnets are in {zone}", fix)


def ip_type_mismatch(path: Path) -> Iterator[Sighting]:
    """The endpoint asks for an address type that the service or its balancer does not have."""
    row = path.service or path.offer or {}
    offered = set(row.get("SupportedIpAddressTypes") or ())
    asked = (path.endpoint or {}).get("IpAddressType") or ""
    if asked and offered and asked != "dualstack" and asked not in offered:
        yield Sighting(f"the endpoint asks for {asked}, the service offers {', '.join(sorted(offered))}")
    yield from refused("InvalidParameter", words="IpAddressType")(path)


def endpoint_quota(path: Path) -> Iterator[Sighting]:
    """The VPC has as many interface endpoints as AWS allows."""
    rows = [row for row in path.rows("endpoints") if row.get("VpcId") == path.vpc and path.vpc]
    interfaces = [row for row in rows if row.get("VpcEndpointType") == "Interface"]
    if _has_request(path) and len(interfaces) >= MOST_ENDPOINTS:
        ask = "service-quotas get-service-quota --service-code vpc --quota-code L-29B6F2EB"
        yield Sighting(f"{path.vpc} has {len(interfaces)} interface endpoints", "", path.consumer_words(ask))
    elif _has_request(path):
        yield from refused("VpcEndpointLimitExceeded")(path)


def subnet_full(path: Path) -> Iterator[Sighting]:
    """A subnet has no free address."""
    for row in path.endpoint_subnets if _has_request(path) else ():
        if row.get("AvailableIpAddressCount") == 0:
            fix = "the line to change in the config: subnet_ids of this consumer" if path.lab else ""
            yield Sighting(f"{row['SubnetId']} has no free address", fix)


def throttled(path: Path) -> Iterator[Sighting]:
    """AWS has refused a describe, or a call, for load."""
    for half in filter(None, (path.consumer, path.provider)):
        for kind, why in half.unseen.items():
            if why.split(":")[0] in THROTTLES:
                again = path.consumer_words("ec2 describe-vpc-endpoints")
                yield Sighting(f"{kind} of account {half.account}: {why}", "", again, Stops.NOTHING)
                return
    if _has_request(path):
        yield from refused(*THROTTLES)(path)


def service_too_new(path: Path) -> Iterator[Sighting]:
    """AWS answers 503 for a service that was made a moment ago."""
    for sighting in refused("Unavailable", "ServiceUnavailable", operation="CreateVpcEndpoint")(path):
        again = path.consumer_words(f"ec2 describe-vpc-endpoint-services --service-names {path.service_name}")
        if _has_request(path):
            yield Sighting(sighting.evidence, "plab up" if path.lab else "", again)


def denied(path: Path) -> Iterator[Sighting]:
    """A policy denies the call that makes the endpoint or the service."""
    if _has_request(path):
        yield from (
            Sighting(s.evidence, "plab iam-policy consumer" if path.lab else "") for s in refused(*DENIALS)(path)
        )


def vpc_dns_off(path: Path) -> Iterator[Sighting]:
    """Any name needs AWS's resolver in the VPC, and private DNS needs both DNS attributes."""
    row = (path.one("vpcs", "VpcId", path.vpc) or {}) | (path.one("vpc_dns", "VpcId", path.vpc) or {})
    wants = path.request.private_dns or (path.endpoint or {}).get("PrivateDnsEnabled")
    for name, option, matters in (
        ("EnableDnsSupport", "--enable-dns-support", True),  # without it nothing answers a name in the VPC
        ("EnableDnsHostnames", "--enable-dns-hostnames", wants),
    ):
        if matters and row.get(name) is False:
            yield Sighting(
                f"{name} of {path.vpc} is off",
                "",
                path.consumer_words(f"ec2 modify-vpc-attribute --vpc-id {path.vpc} {option} Value=true"),
            )


def _to_repeat(path: Path, found: Iterable[Sighting]) -> Iterator[Sighting]:
    """Refusals of requests that plab makes again, and better."""
    yield from (replace(one, fix="plab up" if path.lab and path.request.name else "") for one in found)


def private_dns_not_offered(path: Path) -> Iterator[Sighting]:
    """The request wants private DNS of a service without a private name."""
    row = path.offer or path.service
    if path.request.private_dns and row is not None and not row.get("PrivateDnsName"):
        yield Sighting(f"{path.service_name} has no private DNS name")
    else:
        yield from _to_repeat(path, refused("InvalidParameter", words="does not provide a private DNS name")(path))


def private_dns_unverified(path: Path) -> Iterator[Sighting]:
    """The provider's private name is not verified."""
    state = ((path.service or {}).get("PrivateDnsNameConfiguration") or {}).get("State") or ""
    state = state or (path.offer or {}).get("PrivateDnsNameVerificationState") or ""
    if state and state != "verified":
        service = (path.service or {}).get("ServiceId", "")
        start = f"ec2 start-vpc-endpoint-service-private-dns-verification --service-id {service}"
        wants = path.request.private_dns or (path.endpoint or {}).get("PrivateDnsEnabled")
        stops = Stops.ALL if wants else Stops.NOTHING
        yield Sighting(f"the private DNS name is {state}", "", path.provider_words(start) if service else "", stops)


def private_dns_conflict(path: Path) -> Iterator[Sighting]:
    """Another endpoint or a hosted zone in the VPC has the name."""
    yield from refused("InvalidParameter", words="conflicting DNS domain")(path)


def wrong_type(path: Path) -> Iterator[Sighting]:
    """The endpoint is of another type: AWS's default is Gateway."""
    row, offer = path.endpoint or {}, path.offer or {}
    kind, types = (
        row.get("VpcEndpointType", "Interface"),
        [one["ServiceType"] for one in offer.get("ServiceType") or ()],
    )
    if "vpce-svc" in str(row.get("ServiceName")) and kind == "Gateway" and kind not in types:
        yield Sighting(f"{path.request.endpoint} is of the type {kind}")
    else:
        said = refused("InvalidParameter", "InvalidParameterCombination", words="Gateway")(path)
        yield from _to_repeat(path, said)


def duplicate_request(path: Path) -> Iterator[Sighting]:
    """The VPC has more than one endpoint to this service."""
    rows = [
        row
        for row in path.rows("endpoints")
        if row.get("ServiceName") == path.service_name
        and row.get("VpcId") == path.vpc
        and path.vpc
        and str(row.get("State", "")).lower() not in {"deleted", "deleting"}
    ]
    ids = [row["VpcEndpointId"] for row in rows]
    if len(rows) > 1 and path.request.endpoint in ids:
        # The same one on each path: of a lab the one that is not its own, else one that is not available, the youngest.
        surplus = max(rows, key=_surplus)["VpcEndpointId"]
        delete = path.consumer_words(f"ec2 delete-vpc-endpoints --vpc-endpoint-ids {surplus}")
        yield Sighting(f"{path.vpc} has {', '.join(ids)}, and each is billed", "", delete)


def _surplus(row: Row) -> tuple[bool, bool, str, str]:
    is_available = str(row.get("State", "")).lower() == "available"
    return tags.LAB not in tags.of(row), not is_available, str(row.get("CreationTimestamp", "")), row["VpcEndpointId"]


def region_not_opted_in(path: Path) -> Iterator[Sighting]:
    """A supported Region is switched off in an account."""
    regions = {path.request.region, *(row["Region"] for row in (path.service or {}).get("SupportedRegions") or ())}
    for row in path.rows("account_regions"):
        if row["RegionName"] in regions and row.get("RegionOptStatus") in {"DISABLED", "DISABLING", "ENABLING"}:
            enable = f"aws account enable-region --region-name {row['RegionName']}"
            yield Sighting(f"{row['RegionName']} is {row['RegionOptStatus']}", "", enable)


def region_not_eligible(path: Path) -> Iterator[Sighting]:
    """AWS refuses to add a supported Region although it is switched on."""
    for name in ("InvalidParameter", "InvalidParameterValue") if _has_request(path) else ():
        yield from refused(name, operation="ModifyVpcEndpointServiceConfiguration", words="egion")(path)


CAUSES = (
    Cause(
        1,
        "not-permitted",
        Stage.PERMISSION,
        "P C",
        "The service allows no principal of this account.",
        "CreateVpcEndpoint: InvalidServiceName, as if there were no such service",
        "VPC > Endpoint services > Allow principals",
        "The provider allows the account.",
        f"{PL}configure-endpoint-service.html#add-remove-permissions",
        not_permitted,
        local=True,
    ),
    Cause(
        2,
        "role-principal-mismatch",
        Stage.PERMISSION,
        "P",
        "The service allows a role or a user of this account, and another one asks.",
        "It works in the console and not in a pipeline, or the other way round",
        "VPC > Endpoint services > Allow principals",
        "The provider allows the account (`:root`).",
        f"{PL}configure-endpoint-service.html#add-remove-permissions",
        role_principal,
        local=True,
    ),
    Cause(
        3,
        "service-region-missing",
        Stage.SERVICE,
        "C",
        "The service is in another Region, and the request does not name it.",
        "The service name does not exist",
        "VPC > Endpoints > Create > Enable cross-Region endpoint",
        "Name the Region: --service-region.",
        f"{PL}create-interface-endpoint.html",
        service_region_missing,
        local=True,
    ),
    Cause(
        4,
        "region-not-offered",
        Stage.SERVICE,
        "P",
        "The provider does not offer the service in this Region.",
        "The service name does not exist",
        "VPC > Endpoint services > Details > Supported Regions",
        "The provider adds the Region.",
        f"{PL}create-endpoint-service.html",
        region_not_offered,
        implies=frozenset({"service-region-missing", "not-permitted"}),
        local=True,
    ),
    Cause(
        5,
        "zone-not-served",
        Stage.ZONES,
        "C P",
        "A subnet of the endpoint is in a zone that the service does not have.",
        "InvalidParameter: does not support the availability zone of the subnet",
        "VPC > Endpoint services > Details > Availability Zones",
        "Choose a subnet in another zone (compare zone IDs, not names), or add the zone to the balancer.",
        f"{PL}create-endpoint-service.html",
        zone_not_served,
        local=True,
    ),
    Cause(
        6,
        "zone-not-remote",
        Stage.ZONES,
        "C",
        "This zone cannot ask a service of another Region.",
        "InvalidParameter: Only the following availability zones are supported for remote access",
        "VPC > Endpoints > Create",
        "Choose a subnet in a zone that AWS names.",
        f"{PL}create-interface-endpoint.html",
        zone_not_remote,
    ),
    Cause(
        7,
        "service-zones-stale",
        Stage.ZONES,
        "P",
        "The balancer has zones that the service has not taken over.",
        "As zone-not-served, although the balancer has the zone",
        "VPC > Endpoint services > Details > Availability Zones",
        "Modify the service without a change: it reads the balancer's zones again.",
        f"{PL}create-endpoint-service.html",
        service_zones_stale,
        implies=frozenset({"zone-not-served"}),
    ),
    Cause(
        8,
        "two-subnets-one-zone",
        Stage.ZONES,
        "C",
        "Two subnets of the endpoint are in one zone.",
        "DuplicateSubnetsInSameZone",
        "VPC > Subnets > Availability Zone ID",
        "Give one subnet per zone.",
        f"{PL}create-interface-endpoint.html",
        two_subnets_one_zone,
        local=True,
    ),
    Cause(
        9,
        "ip-type-mismatch",
        Stage.SERVICE,
        "C P",
        "The endpoint asks for an address type that the service does not offer.",
        "InvalidParameter",
        "VPC > Endpoint services > Details > Supported IP address types",
        "Ask for ipv4, or make the balancer dualstack.",
        f"{PL}create-endpoint-service.html",
        ip_type_mismatch,
    ),
    Cause(
        10,
        "endpoint-quota",
        Stage.ENDPOINT,
        "C",
        "The VPC has as many interface endpoints as AWS allows.",
        "VpcEndpointLimitExceeded",
        "Service Quotas > VPC > Interface VPC endpoints per VPC",
        "Delete endpoints that nobody uses, or ask for more.",
        f"{PL}vpc-limits-endpoints.html",
        endpoint_quota,
    ),
    Cause(
        11,
        "subnet-full",
        Stage.ENDPOINT,
        "C",
        "A subnet has no free address for the endpoint.",
        "InsufficientFreeAddressesInSubnet",
        "VPC > Subnets > Available IPv4 addresses",
        "Choose another subnet.",
        f"{PL}create-interface-endpoint.html",
        subnet_full,
    ),
    Cause(
        12,
        "throttled",
        Stage.ENDPOINT,
        "C P",
        "AWS refuses calls for load; another program of the account may be the reason.",
        "Slow, and RequestLimitExceeded",
        "CloudTrail > Event history",
        "Wait; find who calls so often.",
        "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html",
        throttled,
        local=True,
        waits=True,
    ),
    Cause(
        13,
        "service-too-new",
        Stage.SERVICE,
        "C",
        "The service was made a moment ago, and AWS does not know it everywhere.",
        "503 Unavailable",
        "VPC > Endpoint services > State",
        "Ask again in a minute.",
        f"{PL}create-endpoint-service.html",
        service_too_new,
        local=True,
        waits=True,
    ),
    Cause(
        14,
        "denied-by-policy",
        Stage.ENDPOINT,
        "C P",
        "A policy denies the call.",
        "UnauthorizedOperation",
        "CloudTrail > Event history",
        "Allow the action that the message names.",
        "https://docs.aws.amazon.com/vpc/latest/privatelink/security-iam.html",
        denied,
        local=True,
    ),
    Cause(
        15,
        "vpc-dns-off",
        Stage.ENDPOINT,
        "C",
        "The DNS attributes of the VPC are off, so that names do not resolve.",
        "The name is not found; or: Enabling private DNS requires both enableDnsSupport and enableDnsHostnames",
        "VPC > Your VPCs > Edit VPC settings",
        "Switch both on.",
        f"{PL}manage-dns-names.html",
        vpc_dns_off,
        local=True,
    ),
    Cause(
        16,
        "private-dns-not-offered",
        Stage.ENDPOINT,
        "C",
        "The endpoint wants private DNS, and the service has no private name.",
        "Private DNS can't be enabled because the service does not provide a private DNS name",
        "VPC > Endpoint services > Details > Private DNS name",
        "Switch private DNS off.",
        f"{PL}manage-dns-names.html",
        private_dns_not_offered,
        local=True,
    ),
    Cause(
        17,
        "private-dns-unverified",
        Stage.SERVICE,
        "P C",
        "The private DNS name of the service is not verified.",
        "Private DNS cannot be enabled, or the name leads to the internet",
        "VPC > Endpoint services > Domain verification status",
        "Publish the TXT record, then start the verification.",
        f"{PL}manage-dns-names.html",
        private_dns_unverified,
    ),
    Cause(
        18,
        "private-dns-conflict",
        Stage.ENDPOINT,
        "C",
        "Another endpoint or a hosted zone in the VPC has this private name.",
        "There is already a conflicting DNS domain in the VPC",
        "Route 53 > Hosted zones",
        "Use one endpoint without private DNS, or take the zone away.",
        f"{PL}manage-dns-names.html",
        private_dns_conflict,
    ),
    Cause(
        19,
        "wrong-type",
        Stage.ENDPOINT,
        "C",
        "The endpoint is no interface endpoint.",
        "InvalidParameter on SubnetIds",
        "VPC > Endpoints > Endpoint type",
        "Name the type: --vpc-endpoint-type Interface.",
        f"{PL}create-interface-endpoint.html",
        wrong_type,
        local=True,
    ),
    Cause(
        20,
        "duplicate-request",
        Stage.ENDPOINT,
        "C",
        "The VPC has more than one endpoint to this service, and pays for each.",
        "Twice the bill, two requests",
        "VPC > Endpoints",
        "Delete one.",
        f"{PL}interface-endpoints.html",
        duplicate_request,
        Stops.NOTHING,
        local=True,
    ),
    Cause(
        75,
        "region-not-opted-in",
        Stage.SERVICE,
        "P C",
        "A Region is switched off in an account.",
        "The provider's call fails and blames the service",
        "Account > AWS Regions",
        "Both accounts enable the Region.",
        "https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html",
        region_not_opted_in,
        implies=frozenset({"region-not-offered"}),
    ),
    Cause(
        76,
        "region-not-eligible",
        Stage.SERVICE,
        "P",
        "AWS does not offer cross-Region access there yet.",
        "As region-not-offered",
        "VPC > Endpoint services > Supported Regions",
        "Choose another Region; only a call shows it.",
        f"{PL}create-endpoint-service.html",
        region_not_eligible,
        implies=frozenset({"region-not-offered"}),
    ),
)
