"""The calls for EC2 instances, which take time to boot, stop and terminate."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidParameterCombination,
    MissingParameterError,
    OperationNotPermitted4,
)
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance, Reservation

from privatelink_lab.local.api.call_base import Ec2Call
from privatelink_lab.local.ec2 import instance_states
from privatelink_lab.local.ec2.interfaces import require_free_addresses
from privatelink_lab.local.ec2.security_groups import find_group

MOST_USER_DATA = 16384  # bytes (AWS facts 3)
MOST_INSTANCES = 512  # of one account and region: AWS has a quota too


class Instances(Ec2Call):
    """Run, describe, start, stop, reboot and terminate instances; and their console."""

    def describe_instances(self) -> ActionResult:
        """The caller's reservations; a list of ids cannot be combined with MaxResults."""
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

        A token whose instances have ended answers `IdempotentInstanceTerminated`. More user data, and more instances in
        one account, than AWS takes are refused.
        """
        self._check_size()
        return ActionResult(self.make_once(self._reservation, self._run))

    def _check_size(self) -> None:
        data = self._get_param("UserData") or ""
        if len(data) * 3 / 4 > MOST_USER_DATA + 2:  # base64, and its padding
            raise EC2ClientError("InvalidParameterValue", f"User data is limited to {MOST_USER_DATA} bytes")
        wanted = int(self._get_param("MaxCount", 1))
        there = sum(instance.state != "terminated" for instance in self.ec2_backend.all_instances())
        if not 0 < wanted <= MOST_INSTANCES - there:
            text = f"You have requested more vCPU capacity than your current limit allows: {MOST_INSTANCES} instances."
            raise EC2ClientError("VcpuLimitExceeded", text)

    def start_instances(self) -> ActionResult:
        """Stopped instances become `pending`; running instances stay as they are."""
        return ActionResult({"StartingInstances": self._change("stopped", "pending")})

    def stop_instances(self) -> ActionResult:
        """Running instances become `stopping`; stopped ones stay as they are."""
        return ActionResult({"StoppingInstances": self._change("running", "stopping")})

    def reboot_instances(self) -> ActionResult:
        """Reboot running instances; one that does not run is `IncorrectInstanceState`."""
        chosen = self._chosen()
        refuse_states(chosen, {"running", "pending"})
        for instance in chosen:
            if instance.state == "running":
                instance_states.reboot(self.world, instance)
        return ActionResult({})

    def terminate_instances(self) -> ActionResult:
        """All instances become `shutting-down`; one instance with termination protection fails the whole call."""
        chosen = self._chosen()
        for instance in chosen:
            if instance.disable_api_termination:
                raise OperationNotPermitted4(instance.id)
        rows = []
        for instance in chosen:
            before = instance.state
            instance_states.terminate(self.world, instance)
            rows.append(state_change(instance, before))
        return ActionResult({"TerminatingInstances": rows})

    def get_console_output(self) -> ActionResult:
        """The last 64 KiB of the serial console, as of the last post; with Latest, as of now.

        AWS posts some time after a start, and at a stop, a reboot and a termination. Latest works on
        Nitro types only; on others it is `UnsupportedOperation`.
        """
        instance, latest = self.ec2_backend.get_instance(self._get_param("InstanceId")), self._get_param("Latest")
        if latest and INSTANCE_TYPES[instance.instance_type].get("Hypervisor") != "nitro":
            text = f"The instance type {instance.instance_type} has no serial console that can be read at any time."
            raise EC2ClientError("UnsupportedOperation", text)
        output = instance_states.console_output(self.world, instance, latest=bool(latest))
        encoded = base64.b64encode(output).decode() or None
        return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": encoded})

    def _run(self) -> tuple[Reservation, str]:
        self._check_launch()
        reservation: Any = super().run_instances().result
        for instance in reservation.instances:
            delete_interfaces_on_termination(instance, self._get_param("NetworkInterfaces", []))
            instance_states.launch(self.world, instance)
        return reservation, reservation.id

    def _check_launch(self) -> None:
        """Refuse what moto accepts: groups of another VPC, and a type that does not fit the image or the zone."""
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
        backend = self.ec2_backend
        offered = backend.describe_instance_type_offerings("availability-zone-id", {"instance-type": [kind]})
        if subnet.availability_zone_id not in {offer["Location"] for offer in offered}:
            text = f"The instance type {kind} is not supported in the Availability Zone {subnet.availability_zone}."
            raise EC2ClientError("Unsupported", text)
        for group_id in self._get_param("SecurityGroupIds", []):
            if find_group(backend, group_id).vpc_id != subnet.vpc_id:
                text = f"Security group {group_id} and subnet {subnet.id} belong to different networks."
                raise EC2ClientError("InvalidParameter", text)
        if not self._get_param("PrivateIpAddress"):  # otherwise the launch would fail half-way
            require_free_addresses(subnet, int(self._get_param("MaxCount", 1)))

    def _reservation(self, reservation_id: str) -> Reservation | None:
        found: Reservation | None = self.ec2_backend.reservations.get(reservation_id)
        if found and all(instance.state in {"shutting-down", "terminated"} for instance in found.instances):
            text = "The client token belongs to an instance that has been terminated."
            raise EC2ClientError("IdempotentInstanceTerminated", text)
        return found

    def _chosen(self) -> list[Instance]:
        ids = self._get_param("InstanceIds", [])
        chosen: list[Instance] = self.ec2_backend.get_multi_instances_by_id(ids)
        return chosen

    def _change(self, source: str, transitional: str) -> list[dict[str, Any]]:
        """Start or stop the chosen instances; one in another state fails the whole call."""
        chosen, rows = self._chosen(), []
        refuse_states(chosen, {source, transitional, instance_states.TRANSITIONS[transitional][0]})
        for instance in chosen:
            before = instance.state
            if before == source:
                instance_states.start_or_stop(self.world, instance, transitional)
            rows.append(state_change(instance, before))
        return rows


def delete_interfaces_on_termination(instance: Instance, requested: Iterable[Mapping[str, Any]]) -> None:
    """Delete interfaces made by the launch with the instance, unless the request says otherwise; moto keeps them."""
    given = {int(interface["DeviceIndex"]): interface for interface in requested}
    for index, interface in instance.nics.items():
        settings = given.get(index, {})
        if not settings.get("NetworkInterfaceId"):
            interface.delete_on_termination = settings.get("DeleteOnTermination") is not False


def refuse_states(instances: Iterable[Instance], states: AbstractSet[str]) -> None:
    """Raise `IncorrectInstanceState` for the first instance that is in none of `states`."""
    for instance in instances:
        if instance.state not in states:
            raise EC2ClientError("IncorrectInstanceState", f"The instance '{instance.id}' is {instance.state}.")


def state_change(instance: Instance, before: str) -> dict[str, Any]:
    """One row of the response: from the state `before` to the state of now."""
    return {
        "InstanceId": instance.id,
        "PreviousState": {"Code": instance_states.CODES[before], "Name": before},
        "CurrentState": {"Code": instance_states.CODES[instance.state], "Name": instance.state},
    }
