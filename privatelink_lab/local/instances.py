"""EC2 instances that take their time to boot, to stop and to end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidParameterCombination,
    MissingParameterError,
    OperationNotPermitted4,
)
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance, InstanceState, Reservation, StateReason

from privatelink_lab.local.calls import Ec2Call
from privatelink_lab.local.interfaces import require_room
from privatelink_lab.local.placement import find_group
from privatelink_lab.local.world import once

CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}


class Instances(Ec2Call):
    """RunInstances, StartInstances, StopInstances and TerminateInstances with states between."""

    def describe_instances(self) -> ActionResult:
        """The reservations of the caller; a list of ids does not come in pages."""
        ids, filters = self._get_param("InstanceIds", []), self._filters_from_querystring()
        if ids and self._get_param("MaxResults"):
            text = "The parameter instancesSet cannot be used with the parameter maxResults"
            raise InvalidParameterCombination(text)
        backend = self.ec2_backend
        if ids:
            return ActionResult({"Reservations": backend.get_reservations_by_instance_ids(ids, filters=filters)})
        return ActionResult({"Reservations": backend.describe_instances(filters=filters)})

    def run_instances(self) -> ActionResult:
        """The new reservation, `pending`; a repeated ClientToken gives the same instances.

        A token whose instances have ended answers `IdempotentInstanceTerminated`.
        """
        return ActionResult(once(self.world, self, self._reservation_of, self._run))

    def start_instances(self) -> ActionResult:
        """Stopped instances become `pending`; the others stay as they are."""
        return ActionResult({"StartingInstances": self._change("stopped", "pending")})

    def stop_instances(self) -> ActionResult:
        """Running instances become `stopping`; stopped ones stay as they are."""
        return ActionResult({"StoppingInstances": self._change("running", "stopping")})

    def reboot_instances(self) -> ActionResult:
        """Nothing; what does not run is `IncorrectInstanceState`."""
        refuse_states(self._chosen(), {"running", "pending"})
        return super().reboot_instances()

    def terminate_instances(self) -> ActionResult:
        """Every instance becomes `shutting-down`; one that is protected refuses the whole call."""
        chosen = self._chosen()
        for instance in chosen:
            if instance.disable_api_termination:
                raise OperationNotPermitted4(instance.id)
        return ActionResult({"TerminatingInstances": [self._end(each) for each in chosen]})

    def _run(self) -> tuple[Reservation, list[str]]:
        self._check_launch()
        reservation: Any = super().run_instances().result
        for instance in reservation.instances:
            own_interfaces(instance, self._get_param("NetworkInterfaces", []))
            enter(instance, "pending")
            fails = self.world.faults.strike("instance-fails") is not None
            self._later(instance, "pending", "failed" if fails else "running", "instance_running")
        return reservation, [instance.id for instance in reservation.instances]

    def _check_launch(self) -> None:
        """Refuse what AWS refuses and moto takes: groups of another VPC, a type without its image or zone."""
        backend, subnet_id = self.ec2_backend, self._get_param("SubnetId")
        kind = self._get_param("InstanceType") or "m1.small"
        if not self._get_param("ImageId"):
            raise MissingParameterError("ImageId")
        (image,) = backend.describe_images(ami_ids=[self._get_param("ImageId")])
        runs = INSTANCE_TYPES.get(kind, {}).get("ProcessorInfo", {}).get("SupportedArchitectures", [])
        if image.architecture not in runs:
            text = f"The architecture '{image.architecture}' of the image does not fit '{kind}' ({', '.join(runs)})."
            raise EC2ClientError("InvalidParameterValue", text)
        if subnet_id:
            self._check_place(backend.get_subnet(subnet_id), kind)

    def _check_place(self, subnet: Any, kind: str) -> None:
        backend, zone = self.ec2_backend, subnet.availability_zone
        offered = backend.describe_instance_type_offerings("availability-zone", {"instance-type": [kind]})
        if zone not in {each["Location"] for each in offered}:
            text = f"The instance type {kind} is not supported in the Availability Zone {zone}."
            raise EC2ClientError("Unsupported", text)
        for group_id in self._get_param("SecurityGroupIds", []):
            if find_group(backend, group_id).vpc_id != subnet.vpc_id:
                text = f"Security group {group_id} and subnet {subnet.id} belong to different networks."
                raise EC2ClientError("InvalidParameter", text)
        if not self._get_param("PrivateIpAddress"):  # or the launch would fail half-way
            require_room(subnet, int(self._get_param("MaxCount", 1)))

    def _reservation_of(self, ids: list[str]) -> Reservation | None:
        found = self.ec2_backend.describe_instances({"instance-id": ids})
        if not found:
            return None
        if all(each.state in {"shutting-down", "terminated"} for each in found[0].instances):
            raise EC2ClientError(
                "IdempotentInstanceTerminated",
                "The client token belongs to an instance that has been terminated.",
            )
        reservation: Reservation = found[0]
        return reservation

    def _chosen(self) -> list[Instance]:
        ids = self._get_param("InstanceIds", [])
        chosen: list[Instance] = self.ec2_backend.get_multi_instances_by_id(ids)
        return chosen

    def _change(self, source: str, between: str) -> list[dict[str, Any]]:
        """Rows for all chosen instances, or a refusal of the whole call."""
        chosen, rows = self._chosen(), []
        refuse_states(chosen, {source, between, _AIMS[between][0]})
        for instance in chosen:
            before = instance.state
            if before == source:
                enter(instance, between)
                self._later(instance, between, *_AIMS[between])
            rows.append(change(instance, before))
        return rows

    def _end(self, instance: Instance) -> dict[str, Any]:
        before = instance.state
        if before not in {"shutting-down", "terminated"}:
            enter(instance, "shutting-down")
            self.world.forget("running", instance.id)
            backend = self.ec2_backend
            # Not moto's response method: it loads moto.autoscaling, which the lean extra lacks.
            self.world.agenda.after("instance_terminated", lambda: self._terminated(backend, instance))
        return change(instance, before)

    def _terminated(self, backend: Any, instance: Instance) -> None:
        """Its interface is gone with it, and after an hour nobody remembers it."""

        def vanish() -> None:
            for number, reservation in list(backend.reservations.items()):
                reservation.instances = [each for each in reservation.instances if each.id != instance.id]
                if not reservation.instances:
                    del backend.reservations[number]
            backend.tags.pop(instance.id, None)

        instance.terminate()
        self.world.agenda.after("instance_gone", vanish)

    def _later(self, instance: Instance, source: str, target: str, delay: str) -> None:
        def arrive() -> None:
            if instance.state != source:  # ended meanwhile
                return
            if target == "failed":
                self._fail(instance)
            elif target == "stopped":
                instance.stop()
                self.world.forget("running", instance.id)
            else:
                instance.start()
                self.world.note("running", instance.id)

        self.world.agenda.after(delay, arrive)

    def _fail(self, instance: Instance) -> None:
        """What a launch looks like that AWS could not carry out."""
        self._terminated(self.ec2_backend, instance)
        instance._reason = "Server.InternalError"
        instance.state_reason = StateReason("Server.InternalError: Internal error on launch", "Server.InternalError")


_AIMS = {
    "pending": ("running", "instance_running"),
    "stopping": ("stopped", "instance_stopped"),
}


def own_interfaces(instance: Instance, asked: Iterable[Mapping[str, Any]]) -> None:
    """Let the interfaces that the launch made go with the instance, unless it said no; moto keeps them."""
    given = {int(each["DeviceIndex"]): each for each in asked}
    for index, interface in instance.nics.items():
        wish = given.get(index, {})
        if not wish.get("NetworkInterfaceId"):
            interface.delete_on_termination = wish.get("DeleteOnTermination") is not False


def refuse_states(instances: Iterable[Instance], states: AbstractSet[str]) -> None:
    """Raise `IncorrectInstanceState` for the first instance that is in none of `states`."""
    for instance in instances:
        if instance.state not in states:
            raise EC2ClientError("IncorrectInstanceState", f"The instance '{instance.id}' is {instance.state}.")


def enter(instance: Instance, state: str) -> None:
    """Put an instance into a state by its name."""
    instance._state = InstanceState(state, CODES[state])


def change(instance: Instance, before: str) -> dict[str, Any]:
    """One row of a state-changing answer: from `before` to what the instance is now."""
    return {
        "InstanceId": instance.id,
        "PreviousState": {"Code": CODES[before], "Name": before},
        "CurrentState": {"Code": CODES[instance.state], "Name": instance.state},
    }
