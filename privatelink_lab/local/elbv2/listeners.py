"""Listeners: one per port; and a target group serves one load balancer only."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import DuplicateListenerError, ELBClientError, TargetGroupNotFoundError

from privatelink_lab.local.api.server_state import Fact
from privatelink_lab.local.elbv2.elbv2_call_base import ElbCall
from privatelink_lab.local.elbv2.forwarding import balancers_of, target_groups_of

_FITS = {"TCP": {"TCP", "TCP_UDP"}, "UDP": {"UDP", "TCP_UDP"}, "TCP_UDP": {"TCP_UDP"}, "TLS": {"TCP", "TLS"}}
"""Protocol of an NLB's listener -> the protocols that its target groups may have."""

MAX_LISTENERS = 50


class Listeners(ElbCall):
    """CreateListener, ModifyListener and DeleteListener."""

    def create_listener(self) -> ActionResult:
        """The listener; the same settings give the same one, other settings are `DuplicateListener`."""
        balancer = self.balancer()
        port = self._get_param("Port")
        listener = next((found for found in balancer.listeners.values() if found.port == port), None)
        if listener is None:
            self._check_groups(balancer, self._get_param("Protocol"))
            if len(balancer.listeners) >= MAX_LISTENERS:
                raise ELBClientError("TooManyListeners", f"A load balancer has at most {MAX_LISTENERS} listeners")
            made: Any = super().create_listener().result
            listener = made["Listeners"][0]
            if listener.protocol != "TLS":
                listener.ssl_policy = None
            self.world.settings[listener.arn] = self.settings()
            self.world.record(Fact.LISTENING, listener.arn)
        elif self.world.settings[listener.arn] != self.settings():
            raise DuplicateListenerError
        return ActionResult({"Listeners": [listener]})

    def modify_listener(self) -> ActionResult:
        """The listener; its target groups must fit, as for a new one."""
        arn = self._get_param("ListenerArn")
        for balancer in self.elbv2_backend.load_balancers.values():
            if arn in balancer.listeners:
                self._check_groups(balancer, self._get_param("Protocol") or balancer.listeners[arn].protocol)
        answer = super().modify_listener()
        self.release_target_groups()
        return answer

    def delete_listener(self) -> ActionResult:
        """Delete a listener; its targets are unused at once, its target group can be deleted soon."""
        answer = super().delete_listener()
        self.release_target_groups()
        return answer

    def _check_groups(self, balancer: Any, protocol: str) -> None:
        for arn in target_groups_of(self._get_param("DefaultActions", [])):
            group = self.elbv2_backend.target_groups.get(arn)
            if group is None:
                raise TargetGroupNotFoundError
            if balancer.type == "network" and group.protocol not in _FITS.get(protocol, ()):
                text = f"A {protocol} listener cannot forward to a target group of protocol {group.protocol}"
                raise ELBClientError("IncompatibleProtocols", text)
            if any(balancer_arn != balancer.arn for balancer_arn in balancers_of(self.elbv2_backend, arn)):
                text = f"The target group '{arn}' serves another load balancer"
                raise ELBClientError("TargetGroupAssociationLimit", text)
