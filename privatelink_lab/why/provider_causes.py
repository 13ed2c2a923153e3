"""The provider's half: causes 43 to 67."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from privatelink_lab import tags
from privatelink_lab.kind import Row
from privatelink_lab.why import packet_rules
from privatelink_lab.why.cause import Cause, Sighting, Stage, Stops, refused, saw
from privatelink_lab.why.metrics import NEW_CONNECTIONS, NO_PORT, RESETS
from privatelink_lab.why.path import CROSS_ZONE, Path, value_of

PL = "https://docs.aws.amazon.com/vpc/latest/privatelink/"
NLB = "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/"
VPC = "https://docs.aws.amazon.com/vpc/latest/userguide/"
ENFORCED = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"
MOST_LISTENERS = 50  # of a balancer behind an endpoint service
UNHEALTHY = {"unhealthy"}
LEAVING = {"draining", "unhealthy.draining"}
PROXY = "proxy_protocol_v2.enabled"
SERVER = "provider/web-server"  # the key of a lab's own
ON_DEMAND = "traffic-port"


def _repair(path: Path, command: str = "plab up") -> str:
    return command if path.lab else ""


def _health(target: Row) -> tuple[str, str]:
    health = target.get("TargetHealth") or {}
    return str(health.get("State", "")), str(health.get("Reason", ""))


def _name(target: Row) -> str:
    state, reason = _health(target)
    return f"{target['Target']['Id']}: {state} ({reason})" if reason else f"{target['Target']['Id']}: {state}"


def _group_of(path: Path, target: Row) -> Row:
    return next(row for row in path.target_groups if row["TargetGroupArn"] == target["TargetGroupArn"])


def _check_port(path: Path, target: Row) -> int:
    """The port of a target's health check."""
    port = str(_group_of(path, target).get("HealthCheckPort") or ON_DEMAND)
    return int(target["Target"].get("Port") or 0) if port == ON_DEMAND else int(port)


def _is_proved_well(path: Path, target: Row) -> bool:
    """Whether AWS's own check on the port that clients use passes: then nothing is closed there."""
    return _health(target)[0] == "healthy" and _check_port(path, target) == target["Target"].get("Port")


def _serves(path: Path, balancer: Row, target: Row) -> bool:
    arns = _group_of(path, target).get("LoadBalancerArns")
    return arns is None or balancer["LoadBalancerArn"] in arns


def _stops(bad: int, of: int) -> Stops:
    return Stops.ALL if bad == of else Stops.SOME


# Balancer and service.


def group_enforced(path: Path) -> Iterator[Sighting]:
    """A balancer's groups are asked for packets of PrivateLink too, and admit no client."""
    for row in path.balancers:
        groups = path.groups_of(row)
        is_on = row.get(ENFORCED, "on") == "on"
        if groups and is_on and path.client_cidrs and not packet_rules.admits(groups, path.port, path.client_cidrs):
            arn, ids = row["LoadBalancerArn"], " ".join(group["GroupId"] for group in groups)
            off = (
                f"elbv2 set-security-groups --load-balancer-arn {arn} --security-groups {ids}"
                " --enforce-security-group-inbound-rules-on-private-link-traffic off"
            )
            clients = ", ".join(path.client_cidrs)
            text = f"{ids} of {row['LoadBalancerName']} has no rule for tcp {path.port} from {clients}"
            yield Sighting(text, "", path.provider_words(off), _stops(1, len(path.balancers)))


def balancer_egress_closed(path: Path) -> Iterator[Sighting]:
    """A balancer's groups let nothing out to the targets."""
    for row in path.balancers:
        groups = path.groups_of(row)
        mine = [target for target in path.targets if _serves(path, row, target) and not _is_proved_well(path, target)]
        for target in mine if groups else ():
            instance = path.instance(target)
            subnet = path.one("subnets", "SubnetId", (instance or {}).get("SubnetId"))
            members = [entry["GroupId"] for entry in (instance or {}).get("SecurityGroups") or ()]
            port = target["Target"].get("Port")
            if subnet and not packet_rules.lets_out(groups, port, [subnet["CidrBlock"]], members):
                add = (
                    f"ec2 authorize-security-group-egress --group-id {groups[0]['GroupId']}"
                    f" --protocol tcp --port {port} --cidr {subnet['CidrBlock']}"
                )
                yield Sighting(
                    f"{groups[0]['GroupId']} lets nothing out to {target['Target']['Id']} tcp {port}",
                    "",
                    path.provider_words(add),
                )
                return


def balancer_not_active(path: Path) -> Iterator[Sighting]:
    """A balancer is being made, or has failed."""
    for row in path.balancers:
        state = (row.get("State") or {}).get("Code", "active")
        if state != "active":
            shows = path.provider_words(f"elbv2 describe-load-balancers --load-balancer-arns {row['LoadBalancerArn']}")
            fix = _repair(path, "plab up --replace provider/nlb") if state == "failed" else _repair(path)
            stops = Stops.SOME if state == "active_impaired" else _stops(1, len(path.balancers))
            yield Sighting(f"{row['LoadBalancerName']} is {state}", fix, shows, stops)
    if path.service and path.sees("balancers") and not path.balancers:
        yield Sighting(f"{path.service['ServiceId']} has no load balancer that exists", _repair(path))


def service_unavailable(path: Path) -> Iterator[Sighting]:
    """The service itself is not in place."""
    if path.service:
        state = str(path.service.get("ServiceState", "Available"))
        if state.lower() not in {"available", "deleted"}:
            shows = f"ec2 describe-vpc-endpoint-service-configurations --service-ids {path.service['ServiceId']}"
            yield Sighting(f"{path.service['ServiceId']} is {state}", "", path.provider_words(shows))
    elif path.lab and path.provider and path.sees("services") and not path.endpoint and not path.connection:
        yield Sighting("the lab has no endpoint service", _repair(path))


def balancers_differ(path: Path) -> Iterator[Sighting]:
    """Several balancers do not listen on the same ports; an interface of the endpoint sticks to one of them."""
    ports = {
        row["LoadBalancerName"]: sorted(
            r["Port"] for r in path.all_listeners if r["LoadBalancerArn"] == row["LoadBalancerArn"]
        )
        for row in path.balancers
    }
    if len({tuple(found) for found in ports.values()}) > 1:
        yield Sighting("; ".join(f"{name} listens on {found}" for name, found in ports.items()))


def too_many_listeners(path: Path) -> Iterator[Sighting]:
    """A balancer of a service may have 50 listeners."""
    for row in path.balancers:
        count = sum(listener["LoadBalancerArn"] == row["LoadBalancerArn"] for listener in path.all_listeners)
        if count > MOST_LISTENERS:
            yield Sighting(f"{row['LoadBalancerName']} has {count} listeners")


def zone_taken_away(path: Path) -> Iterator[Sighting]:
    """A zonal shift moves traffic away from a zone of the endpoint, or the zone is disabled."""
    arns = {row["LoadBalancerArn"] for row in path.balancers}
    for row in path.rows("zonal_shifts"):
        if (
            row.get("resourceIdentifier") in arns
            and row.get("status") == "ACTIVE"
            and row.get("awayFrom") in path.endpoint_zones
        ):
            cancel = f"arc-zonal-shift cancel-zonal-shift --zonal-shift-id {row['zonalShiftId']}"
            yield Sighting(
                f"a zonal shift moves traffic away from {row['awayFrom']}",
                "",
                path.provider_words(cancel),
                _stops(1, len(path.endpoint_zones)),
            )


# Listener and target group.


def no_listener(path: Path) -> Iterator[Sighting]:
    """No balancer listens on the port."""
    if path.balancers and path.sees("listeners") and not path.listeners:
        others = sorted({row["Port"] for row in path.all_listeners})
        what = f"listens on {', '.join(map(str, others))}" if others else "has no listener"
        create = ""
        groups = list(path.rows("target_groups"))
        if groups:
            forward = f"Type=forward,TargetGroupArn={groups[0]['TargetGroupArn']}"
            create = path.provider_words(
                f"elbv2 create-listener --load-balancer-arn {path.balancers[0]['LoadBalancerArn']} --protocol TCP"
                f" --port {path.evidence.port or groups[0].get('Port')} --default-actions {forward}"
            )
        wanted = f", clients use {path.evidence.port}" if path.evidence.port else ""
        yield Sighting(f"{path.balancers[0]['LoadBalancerName']} {what}{wanted}", _repair(path), create)


def listener_protocol(path: Path) -> Iterator[Sighting]:
    """The listener speaks another protocol than TCP."""
    listeners = path.listeners if path.evidence.port else ()
    if any(row.get("Protocol") in {"TCP", "TCP_UDP"} for row in listeners):
        return
    for row in listeners:
        if row.get("Protocol") not in {"TCP", "TCP_UDP"} and (
            path.evidence.speaks or row.get("Protocol") in {"UDP", "QUIC"}
        ):
            modify = f"elbv2 modify-listener --listener-arn {row['ListenerArn']} --protocol TCP"
            yield Sighting(f"the listener on {row['Port']} is {row.get('Protocol')}", "", path.provider_words(modify))


def empty_target_group(path: Path) -> Iterator[Sighting]:
    """A listener forwards to a group without targets."""
    for row in path.target_groups if path.sees("targets") else ():
        if not any(target["TargetGroupArn"] == row["TargetGroupArn"] for target in path.targets):
            register = f"elbv2 register-targets --target-group-arn {row['TargetGroupArn']} --targets Id=INSTANCE_ID"
            mine = path.rows("instances") if path.lab else ()
            name = "PrivateIpAddress" if row.get("TargetType") == "ip" else "InstanceId"
            servers = [i[name] for i in mine if i.get("VpcId") == row.get("VpcId") and i.get(name)]
            by_hand = path.provider_words(register.replace("INSTANCE_ID", servers[0])) if servers else ""
            yield Sighting(
                f"{row['TargetGroupName']} has no target", _repair(path), by_hand, _stops(1, len(path.target_groups))
            )


def proxy_protocol(path: Path) -> Iterator[Sighting]:
    """The balancer puts a proxy-protocol header before the first byte, and the server reads none."""
    for row in path.target_groups:
        if value_of(row, PROXY) == "true" and path.evidence.speaks == "http":
            off = (
                f"elbv2 modify-target-group-attributes --target-group-arn {row['TargetGroupArn']}"
                f" --attributes Key={PROXY},Value=false"
            )
            yield Sighting(f"{PROXY} of {row['TargetGroupName']} is on", _repair(path), path.provider_words(off))


def peered_target(path: Path) -> Iterator[Sighting]:
    """A target is registered by its instance id and lives in another VPC."""
    for sighting in refused("InvalidTarget", operation="RegisterTargets")(path):
        yield replace(sighting, fix=_repair(path))
    for target in path.targets:
        instance, group = path.instance(target), _group_of(path, target)
        if instance and instance.get("VpcId") and group.get("VpcId") and instance["VpcId"] != group["VpcId"]:
            yield Sighting(
                f"{instance['InstanceId']} is in {instance['VpcId']}, {group['TargetGroupName']} in {group['VpcId']}"
            )


# Targets.


def no_target_in_zone(path: Path) -> Iterator[Sighting]:
    """The balancer keeps to its zones, and a zone of the endpoint has no healthy target."""
    for row in path.balancers:
        is_here = path.provider is None or path.request.region == path.provider.region
        if value_of(row, CROSS_ZONE) != "false" or not is_here:
            continue
        zones = {path.zone_of(target) for target in path.targets if _health(target)[0] not in {"unused", *LEAVING}}
        own = _balancer_of_targets(path, row)
        without = sorted(set(path.endpoint_zones) - zones)
        crosses = any(value_of(group, CROSS_ZONE) == "true" for group in path.target_groups)  # which decides for itself
        if path.targets and "" not in zones and without and own and not crosses:
            on = (
                f"elbv2 modify-load-balancer-attributes --load-balancer-arn {row['LoadBalancerArn']}"
                f" --attributes Key={CROSS_ZONE},Value=true"
            )
            text = f"{row['LoadBalancerName']} does not cross zones, and {', '.join(without)} has no target"
            yield Sighting(
                text, _repair(path), path.provider_words(on), _stops(len(without), len(set(path.endpoint_zones)))
            )


def _balancer_of_targets(path: Path, balancer: Row) -> bool:
    return any(balancer["LoadBalancerArn"] in (row.get("LoadBalancerArns") or ()) for row in path.target_groups)


def cross_region_without_cross_zone(path: Path) -> Iterator[Sighting]:
    """The service is offered in other Regions, and its balancer keeps to its zones."""
    others = [row["Region"] for row in (path.service or {}).get("SupportedRegions") or ()]
    asks_from = path.request.region != (path.provider.region if path.provider else path.request.region)
    for row in path.balancers:
        if others and asks_from and value_of(row, CROSS_ZONE) == "false":
            on = (
                f"elbv2 modify-load-balancer-attributes --load-balancer-arn {row['LoadBalancerArn']}"
                f" --attributes Key={CROSS_ZONE},Value=true"
            )
            yield Sighting(
                f"{row['LoadBalancerName']} does not cross zones; clients are in {path.request.region}",
                "",
                path.provider_words(on),
            )


def target_zone_not_enabled(path: Path) -> Iterator[Sighting]:
    """A target is in a zone that the balancer does not have."""
    bad = [target for target in path.targets if _is_outside(path, target)]
    for target in bad[:1] if path.service else ():
        instance, balancer = path.instance(target) or {}, path.balancers[0]
        subnets = " ".join(
            [*(row["SubnetId"] for row in path.balancer_subnets(balancer)), str(instance.get("SubnetId"))]
        )
        move = f"elbv2 set-subnets --load-balancer-arn {balancer['LoadBalancerArn']} --subnets {subnets}"
        text = f"{_name(target)}; the balancer is not in {path.zone_of(target) or 'its zone'}"
        again = f"ec2 modify-vpc-endpoint-service-configuration --service-id {(path.service or {})['ServiceId']}"
        both = path.provider_words(move, again)  # the service reads its zones again
        yield Sighting(text, "", both, _stops(len(bad), len(path.targets)))


def _is_outside(path: Path, target: Row) -> bool:
    state, reason = _health(target)
    if state == "unused" and reason == "Target.NotInUse" and path.balancers:
        zone = path.zone_of(target)
        return bool(zone) and all(zone not in path.balancer_zones(row) for row in path.balancers)
    return False


def target_group_closed(path: Path) -> Iterator[Sighting]:
    """The target's groups admit neither the balancer's groups nor its addresses, on the port or the check's port.

    Where only the check's port is closed, packets pass: AWS sends them to all targets when none is healthy.
    """
    members = {entry for row in path.balancers for entry in row.get("SecurityGroups") or ()}
    for target in path.targets:
        instance = path.instance(target)
        groups = path.groups_of(instance) if instance else []
        port, check = target["Target"].get("Port"), _check_port(path, target)
        closed = _not_admitted(groups, port, path.provider_cidrs, members)
        if not (groups and path.provider_cidrs) or (_is_proved_well(path, target) and len(path.provider_cidrs) == 1):
            continue
        if closed and (len(closed) < len(path.provider_cidrs) or not _is_proved_well(path, target)):
            is_all = len(closed) == len(path.provider_cidrs)
            stops = _stops(1, len(path.targets)) if is_all else Stops.SOME  # a node that is not admitted
            yield _closed(path, target, groups[0]["GroupId"], port, cidrs=closed, stops=stops)
        elif not closed and not path.lab and not packet_rules.admits(groups, check, path.provider_cidrs, members):
            yield _closed(path, target, groups[0]["GroupId"], check, cidrs=path.provider_cidrs, stops=Stops.NOTHING)


def _not_admitted(groups: list[Row], port: int, cidrs: list[str], members: set[str]) -> list[str]:
    """The subnets of balancers' nodes of which no address is admitted."""
    return [cidr for cidr in dict.fromkeys(cidrs) if not packet_rules.admits(groups, port, [cidr], members)]


def _closed(path: Path, target: Row, group: str, port: int, *, cidrs: list[str], stops: Stops) -> Sighting:
    rule = f"ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port {port} --cidr"
    add = path.provider_words(*(f"{rule} {cidr}" for cidr in cidrs))
    text = f"{_name(target)}; {group} has no rule for tcp {port} from {', '.join(cidrs)}"
    return Sighting(text, _repair(path), add, stops)


def target_stopped(path: Path) -> Iterator[Sighting]:
    """The instance of a target does not run, or the target is leaving its group."""
    bad = []
    well = any(_health(target)[0] == "healthy" for target in path.targets)
    for target in path.targets:
        state, reason = _health(target)
        instance = path.instance(target)
        runs = str(((instance or {}).get("State") or {}).get("Name", "running"))
        is_dead = instance is None or runs in {"terminated", "shutting-down"}
        if runs not in {"running", "pending"} or reason in {"Target.InvalidState", "Target.NotRegistered"}:
            if not (is_dead and well):  # nobody is sent there, and AWS forgets it
                bad.append((target, f"the instance is {runs}", runs))
        elif not well and (state in LEAVING or reason == "Target.DeregistrationInProgress"):
            bad.append((target, "it is leaving its group", ""))
    for target, text, runs in bad[:1]:
        id_ = target["Target"]["Id"]
        group = target["TargetGroupArn"]
        port = target["Target"].get("Port")
        commands = {
            "stopped": f"ec2 start-instances --instance-ids {id_}",
            "stopping": f"ec2 start-instances --instance-ids {id_}",
            "running": f"elbv2 register-targets --target-group-arn {group} --targets Id={id_},Port={port}",
            "": f"elbv2 register-targets --target-group-arn {group} --targets Id={id_},Port={port}",
        }
        by_hand = path.provider_words(commands[runs]) if runs in commands else ""  # what has ended does not start
        stops = Stops.NOTHING if well else Stops.ALL  # AWS sends connections to those that are well
        yield Sighting(f"{_name(target)}; {text}", _repair(path), by_hand, stops)


def target_port_wrong(path: Path) -> Iterator[Sighting]:
    """A target is registered on another port than the server's; a lab's server listens where clients ask."""
    wrong = [
        t for t in path.targets if path.lab and path.evidence.port and t["Target"].get("Port") != path.evidence.port
    ]
    for target in wrong[:1]:
        id_, port, group = target["Target"]["Id"], target["Target"].get("Port"), target["TargetGroupArn"]
        add = f"elbv2 register-targets --target-group-arn {group} --targets Id={id_},Port={path.evidence.port}"
        remove = f"elbv2 deregister-targets --target-group-arn {group} --targets Id={id_},Port={port}"
        both = path.provider_words(remove, add)
        stops = _stops(len(wrong), len(path.targets))
        yield Sighting(f"{id_} is registered on {port}, the server listens on {path.evidence.port}", "", both, stops)


def health_check_wrong(path: Path) -> Iterator[Sighting]:
    """The health check asks for what the server does not answer with; AWS then sends packets to all targets."""
    for row in path.target_groups:
        mine = [t for t in path.targets if t["TargetGroupArn"] == row["TargetGroupArn"] and _health(t)[0] in UNHEALTHY]
        protocol = str(row.get("HealthCheckProtocol", "TCP"))
        port = str(row.get("HealthCheckPort") or ON_DEMAND)
        mismatch = any(_health(target)[1] == "Target.ResponseCodeMismatch" for target in mine)
        elsewhere = port not in {ON_DEMAND, str(row.get("Port"))}
        if mine and (mismatch or elsewhere or protocol in {"HTTP", "HTTPS"}):
            asks = f"{protocol} {row.get('HealthCheckPath', '') if protocol != 'TCP' else ''}".strip()
            reset = (
                f"elbv2 modify-target-group --target-group-arn {row['TargetGroupArn']}"
                " --health-check-protocol TCP --health-check-port traffic-port"
            )
            text = f"{_name(mine[0])}; {row['TargetGroupName']} asks {asks} on {port}"
            yield Sighting(text, _repair(path), path.provider_words(reset), Stops.NOTHING, proved=mismatch or path.lab)


def _is_the_labs(path: Path, target: Row) -> bool:
    instance = path.instance(target)
    return instance is not None and tags.of(instance).get(tags.KEY) == SERVER


def target_unhealthy(path: Path) -> Iterator[Sighting]:
    """Health checks fail although they may pass: the server does not listen."""
    bad = [target for target in path.targets if _health(target)[0] in UNHEALTHY]
    for target in bad[:1]:
        is_plain = _group_of(path, target).get("HealthCheckProtocol", "TCP") == "TCP"
        on_traffic = _check_port(path, target) == target["Target"].get("Port")
        is_all = len(bad) == len(path.targets)  # else AWS sends packets to those that are well
        stops = Stops.ALL if is_plain and on_traffic and is_all else Stops.NOTHING
        arn, id_ = target["TargetGroupArn"], target["Target"]["Id"]
        by_hand = f"elbv2 describe-target-health --target-group-arn {arn}"
        fix = _repair(path, "plab up --replace provider/web-server")
        if path.lab and not _is_the_labs(path, target):  # the lab's own server may be well
            fix = "" if any(_is_the_labs(path, other) for other in path.targets) else "plab up"
            remove = f"elbv2 deregister-targets --target-group-arn {arn} --targets Id={id_}"
            by_hand = f"{remove},Port={target['Target'].get('Port')}"
        yield Sighting(_name(target), fix, path.provider_words(by_hand), stops)


def on_localhost(path: Path) -> Iterator[Sighting]:
    """The server listens on its own address only, by its console."""
    for sighting in saw("localhost")(path):
        yield Sighting(sighting.evidence, _repair(path, "plab up --replace provider/web-server"))


def fail_open(path: Path) -> Iterator[Sighting]:
    """All targets are unhealthy, and the customer gets answers: AWS then sends connections to all of them."""
    answers = any(row.get("saw") == "answers" for row in path.rows("probes"))
    answers |= bool(path.sum_of(NEW_CONNECTIONS)) and path.sum_of(RESETS) == 0
    if answers and path.targets and all(_health(target)[0] in UNHEALTHY for target in path.targets):
        shows = f"elbv2 describe-target-health --target-group-arn {path.targets[0]['TargetGroupArn']}"
        yield Sighting(
            f"all {len(path.targets)} targets are unhealthy", _repair(path, "plab status"), path.provider_words(shows)
        )


def provider_acl(path: Path) -> Iterator[Sighting]:
    """A network ACL between balancer and target denies the port or the answers."""
    for target in path.targets:
        if _is_proved_well(path, target):
            continue
        subnet = path.one("subnets", "SubnetId", (path.instance(target) or {}).get("SubnetId"))
        acl = path.acl_of(subnet) if subnet else None
        port = target["Target"].get("Port")
        for cidr in path.provider_cidrs[:1] if acl and port else ():
            into = packet_rules.acl_passes(acl or {}, egress=False, ports=(port, port), cidr=cidr)
            back = packet_rules.acl_passes(acl or {}, egress=True, ports=packet_rules.EPHEMERAL, cidr=cidr)
            if not (into and back):
                what = f"tcp {port} from" if not into else "answers (tcp 1024-65535) to"
                yield Sighting(f"{(acl or {})['NetworkAclId']} of {(subnet or {})['SubnetId']} denies {what} {cidr}")
                return


def port_exhaustion(path: Path) -> Iterator[Sighting]:
    """The balancer had no port left for new connections to a target."""
    for row in path.rows("metrics"):
        if row.get("Name") == NO_PORT and row.get("Sum", 0) > 0:
            yield Sighting(f"{NO_PORT} was {row['Sum']:g} in the last hour")


CAUSES = (
    Cause(
        43,
        "balancer-group-enforced",
        Stage.BALANCER_GROUP,
        "P",
        "The balancer's security groups are enforced on PrivateLink and admit no client.",
        "Connections time out, although all is available and healthy",
        "EC2 > Load balancers > Security > Enforce inbound rules on PrivateLink traffic",
        "Switch the enforcement off, or admit the clients' own CIDRs.",
        f"{NLB}load-balancer-security-groups.html",
        group_enforced,
        local=True,
    ),
    Cause(
        44,
        "balancer-egress-closed",
        Stage.BALANCER_GROUP,
        "P",
        "The balancer's security groups let nothing out to the targets.",
        "Connections time out",
        "EC2 > Load balancers > Security > Outbound rules",
        "Let the targets' port out.",
        f"{NLB}load-balancer-security-groups.html",
        balancer_egress_closed,
        implies=frozenset({"target-unhealthy", "fail-open"}),
    ),
    Cause(
        45,
        "no-listener",
        Stage.LISTENER,
        "P",
        "The balancer does not listen on the port.",
        "Connections time out",
        "EC2 > Load balancers > Listeners",
        "Create a listener.",
        f"{NLB}load-balancer-listeners.html",
        no_listener,
        implies=frozenset({"empty-target-group", "target-zone-not-enabled"}),
        local=True,
    ),
    Cause(
        46,
        "listener-protocol",
        Stage.LISTENER,
        "P",
        "The listener speaks another protocol than TCP.",
        "Connections time out, or get garbage",
        "EC2 > Load balancers > Listeners",
        "Make it TCP.",
        f"{NLB}load-balancer-listeners.html",
        listener_protocol,
    ),
    Cause(
        47,
        "empty-target-group",
        Stage.TARGET_GROUP,
        "P",
        "The target group has no target.",
        "Connections are reset, or time out",
        "EC2 > Target groups > Targets",
        "Register the server.",
        f"{NLB}target-group-register-targets.html",
        empty_target_group,
        local=True,
    ),
    Cause(
        48,
        "no-target-in-zone",
        Stage.TARGET,
        "P",
        "The balancer does not cross zones, and a zone of the endpoint has no target.",
        "It works from one zone and not from another",
        "EC2 > Load balancers > Attributes > Cross-zone load balancing",
        "Cross zones, or put a target into each zone.",
        f"{NLB}edit-load-balancer-attributes.html",
        no_target_in_zone,
        local=True,
    ),
    Cause(
        49,
        "cross-region-without-cross-zone",
        Stage.BALANCER,
        "P",
        "Clients are in another Region, and the balancer does not cross zones.",
        "It works from one Region and not from another",
        "EC2 > Load balancers > Attributes",
        "Cross zones.",
        f"{PL}create-endpoint-service.html",
        cross_region_without_cross_zone,
        Stops.SOME,
    ),
    Cause(
        50,
        "target-zone-not-enabled",
        Stage.TARGET,
        "P",
        "A target is in a zone that the balancer does not have.",
        "Connections time out",
        "EC2 > Target groups > Targets > Health status details",
        "Enable the zone, or move the target.",
        f"{NLB}target-group-register-targets.html",
        target_zone_not_enabled,
        implies=frozenset({"no-target-in-zone"}),
        local=True,
    ),
    Cause(
        51,
        "target-unhealthy",
        Stage.SERVER,
        "P",
        "The server does not answer the health check.",
        "Connections are reset",
        "EC2 > Target groups > Targets > Health status",
        "Look whether the server listens on the port.",
        f"{NLB}target-group-health-checks.html",
        target_unhealthy,
        local=True,
    ),
    Cause(
        52,
        "target-group-closed",
        Stage.TARGET,
        "P",
        "The server's security groups admit neither the balancer nor its addresses.",
        "Connections time out",
        "EC2 > Instances > Security > Inbound rules",
        "Admit the balancer on the port.",
        f"{NLB}target-group-register-targets.html",
        target_group_closed,
        implies=frozenset({"target-unhealthy", "fail-open", "health-check-wrong"}),
        local=True,
    ),
    Cause(
        53,
        "target-not-registered",
        Stage.TARGET,
        "P",
        "The server is stopped, or leaves its target group.",
        "Connections time out",
        "EC2 > Target groups > Targets",
        "Start or register it.",
        f"{NLB}target-group-register-targets.html",
        target_stopped,
        implies=frozenset({"target-unhealthy", "fail-open", "health-check-wrong", "no-target-in-zone"}),
        local=True,
    ),
    Cause(
        54,
        "target-port-wrong",
        Stage.TARGET,
        "P",
        "The target is registered on another port than the server's.",
        "Connections are reset",
        "EC2 > Target groups > Targets > Port",
        "Register it on the server's port.",
        f"{NLB}target-group-register-targets.html",
        target_port_wrong,
        implies=frozenset({"target-unhealthy", "fail-open", "target-group-closed"}),
        local=True,
    ),
    Cause(
        55,
        "server-on-localhost",
        Stage.SERVER,
        "X",
        "The server listens on 127.0.0.1 only.",
        "Connections are reset",
        "The server: ss -ltn",
        "Listen on 0.0.0.0.",
        f"{NLB}load-balancer-troubleshooting.html",
        on_localhost,
        implies=frozenset({"target-unhealthy", "fail-open"}),
        local=True,
    ),
    Cause(
        56,
        "health-check-wrong",
        Stage.TARGET,
        "P",
        "The health check asks for what the server does not answer with.",
        "It works, or works sometimes",
        "EC2 > Target groups > Health checks",
        "Ask TCP, or the right path and codes.",
        f"{NLB}target-group-health-checks.html",
        health_check_wrong,
        Stops.NOTHING,
        frozenset({"target-unhealthy", "fail-open"}),
        local=True,
    ),
    Cause(
        57,
        "fail-open",
        Stage.SERVER,
        "P X",
        "All targets are unhealthy, so AWS sends connections to all of them.",
        "It works sometimes",
        "EC2 > Target groups > Targets",
        "Repair the targets.",
        f"{NLB}target-group-health-checks.html",
        fail_open,
        Stops.NOTHING,
        implies=frozenset({"target-unhealthy"}),
        local=True,
    ),
    Cause(
        58,
        "proxy-protocol-mismatch",
        Stage.TARGET_GROUP,
        "P X",
        "The balancer sends a proxy-protocol header, and the server reads none.",
        "Health is green, every request is bad",
        "EC2 > Target groups > Attributes > Proxy protocol v2",
        "Switch it off, or let the server read it.",
        f"{NLB}edit-target-group-attributes.html",
        proxy_protocol,
    ),
    Cause(
        59,
        "provider-acl",
        Stage.TARGET,
        "P",
        "A network ACL of the provider denies the packets or their answers.",
        "Connections time out",
        "VPC > Network ACLs",
        "Allow the port one way and 1024-65535 the other way.",
        f"{VPC}vpc-network-acls.html",
        provider_acl,
        implies=frozenset({"target-unhealthy", "fail-open"}),
    ),
    Cause(
        60,
        "peered-target-by-instance",
        Stage.TARGET,
        "P",
        "A target in another VPC is registered by its instance id.",
        "InvalidTarget, or connections time out",
        "EC2 > Target groups > Targets",
        "Register its IP address.",
        f"{NLB}target-group-register-targets.html",
        peered_target,
        implies=frozenset({"empty-target-group"}),
        local=True,
    ),
    Cause(
        61,
        "hairpin",
        Stage.TARGET,
        "X",
        "A target is a client of its own balancer, and keeps its address.",
        "One connection of several times out",
        "EC2 > Target groups > Attributes > Preserve client IP",
        "Switch preserve_client_ip off.",
        f"{NLB}load-balancer-troubleshooting.html",
        saw("own-target", proved=False),
        Stops.SOME,
    ),
    Cause(
        62,
        "balancer-not-active",
        Stage.BALANCER,
        "P",
        "A load balancer of the service is not active.",
        "Connections time out",
        "EC2 > Load balancers > State",
        "Wait, or make it again.",
        f"{NLB}network-load-balancers.html",
        balancer_not_active,
        implies=frozenset({"service-unavailable", "no-listener", "empty-target-group", "target-zone-not-enabled"}),
        local=True,
    ),
    Cause(
        63,
        "service-unavailable",
        Stage.SERVICE,
        "P",
        "The endpoint service is not available.",
        "503, or InvalidServiceName",
        "VPC > Endpoint services > State",
        "Wait, or make it again.",
        f"{PL}create-endpoint-service.html",
        service_unavailable,
        local=True,
        waits=True,
    ),
    Cause(
        64,
        "balancers-differ",
        Stage.BALANCER,
        "P",
        "The balancers of the service do not listen on the same ports.",
        "It works for one customer and never for another",
        "EC2 > Load balancers > Listeners",
        "Give all of them the same listeners.",
        f"{PL}create-endpoint-service.html",
        balancers_differ,
        Stops.SOME,
    ),
    Cause(
        65,
        "too-many-listeners",
        Stage.LISTENER,
        "P",
        "A balancer has more than 50 listeners.",
        "Refused, or not served",
        "EC2 > Load balancers > Listeners",
        "Split them over several services.",
        f"{NLB}load-balancer-limits.html",
        too_many_listeners,
        Stops.SOME,
    ),
    Cause(
        66,
        "zone-taken-away",
        Stage.BALANCER,
        "P",
        "A zone of the endpoint is shifted away from.",
        "One zone is silent",
        "EC2 > Load balancers > Zonal shift",
        "Cancel the shift.",
        f"{NLB}zonal-shift.html",
        zone_taken_away,
        Stops.SOME,
    ),
    Cause(
        67,
        "port-exhaustion",
        Stage.BALANCER,
        "P",
        "The balancer had no ports left.",
        "Connections are reset under load",
        "CloudWatch > NetworkELB > PortAllocationErrorCount",
        "Add targets.",
        f"{NLB}load-balancer-troubleshooting.html",
        port_exhaustion,
        Stops.SOME,
    ),
)
