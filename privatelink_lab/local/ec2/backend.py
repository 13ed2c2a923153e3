"""moto's EC2 backend without two slow functions of it, and with corrected instances, interfaces and zones.

moto derives `InstanceId` and `NetworkInterfaceId` from the class names, so these classes keep moto's names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.ec2.exceptions import InvalidAvailabilityZoneError
from moto.ec2.models import EC2Backend, ec2_backends, elastic_network_interfaces, instances
from moto.ec2.models.amis import Ami
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from privatelink_lab.local.ec2.zones import zones_of

_ROOT = "/dev/sda1"
"""The device name that moto gives the root volume of an instance launched without block device mappings."""


class NetworkInterface(elastic_network_interfaces.NetworkInterface):
    """A network interface whose answer has no public address while it has none."""

    @property
    def association(self) -> Any:
        """The public address; None without one. moto answers an empty element, which Terraform takes for an address."""
        return super().association or None


class Instance(instances.Instance):
    """An instance that has the security groups of its first network interface.

    moto keeps two lists: groups given with the interface are missing on the instance, and a change
    on the instance leaves the old groups on the interface.
    """

    @property
    def security_groups(self) -> list[Any]:
        """The list of the first network interface."""
        return self.nics[0]._group_set if self.nics else []

    @security_groups.setter
    def security_groups(self, groups: list[Any]) -> None:
        self.nics[0]._group_set = groups

    def set_root_device_name(self) -> None:
        """Attach the root volume under the device name that the image gives."""
        mapping, name = self.block_device_mapping, self.root_device_name
        if list(mapping) == [_ROOT]:
            mapping[name] = mapping.pop(_ROOT)
            self.ec2_backend.volumes[mapping[name].volume_id].attachment.device = name


class FastBackend(EC2Backend):
    """A backend that looks tags up instead of searching them, and makes images at the first request.

    moto compares every tag of every resource with a pattern, once per described resource:
    describing 300 tagged VPCs took two seconds. It also makes 1,300 images for every account and
    region in use, which took as long as fifty calls.
    """

    _has_images = False

    def __init__(self, region_name: str, account_id: str) -> None:
        self.zones = {region_name: zones_of(account_id, region_name)}  # DescribeAvailabilityZones reads this
        super().__init__(region_name, account_id)

    def describe_tags(self, filters: dict[str, list[str]] | None = None) -> list[dict[str, str]]:
        """As moto's; fast for the tags of given ids, which moto asks for most."""
        ids = (filters or {}).get("resource-id", [])
        if list(filters or {}) != ["resource-id"] or any(
            "*" in resource_id or "?" in resource_id for resource_id in ids
        ):
            return super().describe_tags(filters)
        return [
            {
                "resource_id": resource_id,
                "key": key,
                "value": value,
                "resource_type": EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource_id), ""),
            }
            for resource_id in ids
            for key, value in self.tags.get(resource_id, {}).items()
        ]

    def describe_images(self, *args: Any, **kwargs: Any) -> list[Ami]:
        """As moto's; RunInstances calls this too."""
        if not self._has_images:
            self._has_images = True
            super()._load_amis()
        return super().describe_images(*args, **kwargs)

    def create_subnet(
        self,
        vpc_id: str,
        cidr_block: str,
        ipv6_cidr_block: str | None = None,
        availability_zone: str | None = None,
        availability_zone_id: str | None = None,
        *more: Any,
        **named: Any,
    ) -> Any:
        """As moto's, in the account's own zone of that name or id; moto takes the names and zones of any region."""
        zones = self.describe_availability_zones()
        for zone in zones:
            if availability_zone in {None, zone.name} and availability_zone_id in {None, zone.zone_id}:
                made: Any = super().create_subnet(vpc_id, cidr_block, ipv6_cidr_block, zone.name, None, *more, **named)
                made._availability_zone = zone
                return made
        raise InvalidAvailabilityZoneError(availability_zone or availability_zone_id, ", ".join(z.name for z in zones))

    def describe_instance_type_offerings(
        self, location_type: str | None = None, filters: dict[str, Any] | None = None
    ) -> list[Any]:
        """As moto's; an offer by zone name is the one by zone id, under the account's name for it."""
        if location_type != "availability-zone":
            return super().describe_instance_type_offerings(location_type, filters)
        names = {zone.zone_id: zone.name for zone in self.describe_availability_zones()}
        offers = super().describe_instance_type_offerings("availability-zone-id")
        named = [
            offer | {"Location": names[offer["Location"]], "LocationType": location_type}
            for offer in offers
            if offer["Location"] in names
        ]
        return [offer for offer in named if self.matches_filters(offer, filters or {}, location_type)]

    def run_instances(self, *args: Any, **kwargs: Any) -> Any:
        """As moto's, with instances of the class above."""
        reservation: Any = super().run_instances(*args, **kwargs)
        for instance in reservation.instances:
            instance.__class__ = Instance
            if "block_device_mappings" not in kwargs:
                instance.set_root_device_name()
        return reservation

    def create_network_interface(self, *args: Any, **kwargs: Any) -> Any:
        """As moto's, with an interface of the class above; RunInstances calls this too."""
        made: Any = super().create_network_interface(*args, **kwargs)
        made.__class__ = NetworkInterface
        return made

    def create_security_group(self, *args: Any, **kwargs: Any) -> Any:
        """As moto's; a VPC's default security group lets its own members in."""
        group: Any = super().create_security_group(*args, **kwargs)
        if group.is_default:
            own: Any = [{"GroupId": group.id}]
            self.authorize_security_group_ingress(group.id, "-1", "", "", [], own)
        return group

    def _load_amis(self) -> None:
        """Do nothing: moto calls this for every new backend, and `describe_images` loads the images later."""
        self._has_images = False


def is_alive(endpoint: Any) -> bool:
    """Whether the endpoint is not deleted; rows in the state `deleted` stay for a while."""
    return bool(endpoint.state != "deleted")


def all_subnets(ec2: Any) -> Iterator[Any]:
    """All subnets of a backend; moto keeps them by zone."""
    for subnets in ec2.subnets.values():
        yield from subnets.values()


def ec2_everywhere() -> Iterator[Any]:
    """The EC2 backends of all accounts and regions in use."""
    for _, _, backend in ec2_backends.iter_backends():
        yield backend


def find_instance(instance_id: str) -> Any:
    """The instance of that id in any account and region; None without one."""
    found = (backend.get_instance_by_id(instance_id) for backend in ec2_everywhere())
    return next((instance for instance in found if instance), None)


def find_subnet(subnet_id: str) -> Any:
    """The subnet of that id in any account and region; None without one."""
    subnets = (subnet for backend in ec2_everywhere() for subnet in all_subnets(backend))
    return next((subnet for subnet in subnets if subnet.id == subnet_id), None)
