"""EC2 as this fake answers it: moto's, with PrivateLink added and instances that take time."""

from __future__ import annotations

from privatelink_lab.local.connections import Connections
from privatelink_lab.local.consumer import Consumer
from privatelink_lab.local.instances import Instances
from privatelink_lab.local.services import Services


class LocalEc2(Instances, Services, Consumer, Connections):
    """All of it; made anew for each request with the World it works on.

    moto finds the method of an action by its name among the methods of the class. Whatever the
    model of EC2 does not know is refused before that, so no other method can be reached.
    """
