"""moto's EC2 backend without its two slow habits."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix


class QuickBackend(EC2Backend):
    """Tags are looked up instead of searched, and images are made when somebody asks.

    moto compares every tag of every resource with a pattern, once per described resource:
    describing 300 tagged VPCs took two seconds. And it makes 1,300 images for each account and
    region that is touched, which took as long as fifty calls.
    """

    _has_images = False

    def describe_tags(self, filters: dict[str, list[str]] | None = None) -> list[dict[str, str]]:
        """As moto's; at once for the question that it asks itself most, the tags of given ids."""
        ids = (filters or {}).get("resource-id", [])
        if list(filters or {}) != ["resource-id"] or any("*" in each or "?" in each for each in ids):
            return super().describe_tags(filters)
        return [
            {
                "resource_id": each,
                "key": key,
                "value": value,
                "resource_type": EC2_PREFIX_TO_RESOURCE.get(get_prefix(each), ""),
            }
            for each in ids
            for key, value in self.tags.get(each, {}).items()
        ]

    def describe_images(self, *args: Any, **kwargs: Any) -> list[Ami]:
        """As moto's; RunInstances comes by here too."""
        if not self._has_images:
            self._has_images = True
            super()._load_amis()
        return super().describe_images(*args, **kwargs)

    def _load_amis(self) -> None:
        """Called by moto when a backend is made; `describe_images` does it."""
        self._has_images = False


def install() -> None:
    """Let moto make such backends from now on; those that exist stay as they are."""
    ec2_backends.backend = QuickBackend
