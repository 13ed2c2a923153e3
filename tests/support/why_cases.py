"""What a hand breaks in a lab on a local AWS, and the code that `plab why` has to name."""

from __future__ import annotations

from dataclasses import dataclass

from support import broken_lab
from support.broken_lab import Break


@dataclass(frozen=True)
class Case:
    """What breaks it, the code, and which of the printed lines repairs it."""

    code: str
    break_it: Break
    repair: str = "fix"
    name: str = ""
    config: str = ""  # what stands in plab.yaml below `lab` and `region`


TWO_ZONES = "provider: {zones: 2}\nconsumers: [{name: acme}]"
OTHER_ACCOUNT = "consumers: [{name: acme, role_arn: 'arn:aws:iam::222222222222:role/acme'}]"
CASES = [
    Case("endpoint-group-closed", lambda lab: broken_lab.revoke(lab, "acme/security-group")),
    Case("endpoint-group-closed", lambda lab: broken_lab.revoke(lab, "acme/security-group"), "by_hand", "by-hand"),
    Case("endpoint-group-closed", broken_lab.swap_endpoint_group, name="swapped"),
    Case("endpoint-group-closed", broken_lab.admit_one_client, name="partly"),
    Case("endpoint-group-closed", broken_lab.admit_one_client, "by_hand", "partly-by-hand"),
    Case("target-group-closed", broken_lab.admit_one_node, name="one-node", config=TWO_ZONES),
    Case("target-group-closed", broken_lab.admit_one_node, "by_hand", "one-node-by-hand", config=TWO_ZONES),
    Case("vpc-dns-off", broken_lab.resolve_nothing, "by_hand"),
    Case("target-group-closed", lambda lab: broken_lab.revoke(lab, "provider/security-group")),
    Case("target-group-closed", lambda lab: broken_lab.revoke(lab, "provider/security-group"), "by_hand", "by-hand"),
    Case("target-group-closed", broken_lab.swap_server_group, name="swapped"),
    Case("no-listener", lambda lab: lab.elbv2.delete_listener(ListenerArn=lab.listener)),
    Case("no-listener", broken_lab.listen_on_81, name="other-port"),
    Case("empty-target-group", broken_lab.deregister),
    Case("empty-target-group", broken_lab.forward_elsewhere, name="other-group"),
    Case("target-not-registered", lambda lab: lab.ec2.stop_instances(InstanceIds=[lab.id("provider/web-server")])),
    Case("target-port-wrong", broken_lab.register_on_81, "by_hand"),
    Case("health-check-wrong", broken_lab.check_http),
    Case("rejected", broken_lab.reject),
    Case("no-target-in-zone", broken_lab.stop_crossing_zones, config=TWO_ZONES),
    Case("no-target-in-zone", broken_lab.stop_crossing_zones, "by_hand", "by-hand", config=TWO_ZONES),
    Case("single-zone-client", broken_lab.leave_a_zone, config=TWO_ZONES),
    Case("service-gone", broken_lab.delete_service),
    Case("no-such-request", broken_lab.replace_service),
    Case("permission-removed-but-alive", broken_lab.forbid, config=OTHER_ACCOUNT),
    Case("not-permitted", broken_lab.forbid_and_delete, config=OTHER_ACCOUNT),
    Case("target-zone-not-enabled", broken_lab.register_in_another_zone, "by_hand"),
    Case("waiting-for-acceptance", lambda _: None, config="consumers: [{name: acme, accept: manual}]"),
]
