"""EC2 instances that take their time to boot, to stop and to end."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, OperationNotPermitted4
from moto.ec2.models.instances import Instance, InstanceState, Reservation

from privatelink_lab.local.world import Ec2Call, once

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

    def run_instances(self) -> ActionResult:
        """The new reservation, `pending`; a repeated ClientToken gives the same instances.

        A token whose instances have ended answers `IdempotentInstanceTerminated`.
        """
        return ActionResult(once(self.world, self, self._reservation_of, self._run))

    def start_instances(self) -> ActionResult:
        """Stopped instances become `pending`; the others stay as they are."""
        changes = [self._change(each, "stopped", "pending") for each in self._chosen()]
        return ActionResult({"StartingInstances": changes})

    def stop_instances(self) -> ActionResult:
        """Running instances become `stopping`; stopped ones stay as they are."""
        changes = [self._change(each, "running", "stopping") for each in self._chosen()]
        return ActionResult({"StoppingInstances": changes})

    def terminate_instances(self) -> ActionResult:
        """Every instance becomes `shutting-down`; one that is protected refuses the whole call."""
        chosen = self._chosen()
        for instance in chosen:
            if instance.disable_api_termination:
                raise OperationNotPermitted4(instance.id)
        return ActionResult({"TerminatingInstances": [self._end(each) for each in chosen]})

    def _run(self) -> tuple[Reservation, list[str]]:
        reservation: Any = super().run_instances().result
        for instance in reservation.instances:
            if not self._get_param("NetworkInterfaces", []):
                instance.nics[0].delete_on_termination = True  # as on AWS; moto keeps it
            enter(instance, "pending")
            self._later(instance, "pending", "running", "instance_running")
        return reservation, [instance.id for instance in reservation.instances]

    def _reservation_of(self, ids: list[str]) -> Reservation | None:
        found = self.ec2_backend.get_reservations_by_instance_ids(ids)
        if all(each.state in {"shutting-down", "terminated"} for each in found[0].instances):
            raise EC2ClientError(
                "IdempotentInstanceTerminated",
                "The client token belongs to an instance that has been terminated.",
            )
        reservation: Reservation = found[0]
        return reservation

    def _chosen(self) -> list[Instance]:
        self.error_on_dryrun()
        ids = self._get_param("InstanceIds", [])
        chosen: list[Instance] = self.ec2_backend.get_multi_instances_by_id(ids)
        return chosen

    def _change(self, instance: Instance, source: str, between: str) -> dict[str, Any]:
        before = instance.state
        if before == source:
            enter(instance, between)
            self._later(instance, between, *_AIMS[between])
        elif before not in {between, _AIMS[between][0]}:
            raise EC2ClientError("IncorrectInstanceState", f"The instance '{instance.id}' is {before}.")
        return change(instance, before)

    def _end(self, instance: Instance) -> dict[str, Any]:
        before = instance.state
        if before not in {"shutting-down", "terminated"}:
            enter(instance, "shutting-down")
            self.world.forget("running", instance.id)
            backend = self.ec2_backend
            # Not moto's response method: it loads moto.autoscaling, which the lean extra lacks.
            self.world.agenda.after("instance_terminated", lambda: backend.terminate_instances([instance.id]))
        return change(instance, before)

    def _later(self, instance: Instance, source: str, target: str, delay: str) -> None:
        def arrive() -> None:
            if instance.state != source:  # ended meanwhile
                return
            if target == "stopped":
                instance.stop()
                self.world.forget("running", instance.id)
            else:
                instance.start()
                self.world.note("running", instance.id)

        self.world.agenda.after(delay, arrive)


_AIMS = {
    "pending": ("running", "instance_running"),
    "stopping": ("stopped", "instance_stopped"),
}


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
