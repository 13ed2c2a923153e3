"""EC2 and ELBv2 as this fake answers them: moto's, with PrivateLink, time and refusals added."""

from __future__ import annotations

from privatelink_lab.local.ec2.instances import Instances
from privatelink_lab.local.ec2.interfaces import NetworkInterfaces
from privatelink_lab.local.ec2.security_groups import SecurityGroups
from privatelink_lab.local.ec2.vpcs import Vpcs
from privatelink_lab.local.elbv2.listeners import Listeners
from privatelink_lab.local.elbv2.load_balancers import Balancers
from privatelink_lab.local.elbv2.target_groups import Targets
from privatelink_lab.local.privatelink.connections import Connections
from privatelink_lab.local.privatelink.discovery import Catalogue
from privatelink_lab.local.privatelink.endpoints import Consumer
from privatelink_lab.local.privatelink.notifications import Notifications
from privatelink_lab.local.privatelink.permissions import Permissions
from privatelink_lab.local.privatelink.services import Services

# moto finds the method of an action by its name among the methods of the class. Whatever the model
# of the service does not know is refused before that, so no other method can be reached.


class LocalEc2(
    Vpcs,
    SecurityGroups,
    NetworkInterfaces,
    Instances,
    Services,
    Permissions,
    Catalogue,
    Consumer,
    Connections,
    Notifications,
):
    """All of EC2; made anew for each request with the World it works on."""


class LocalElb(Balancers, Listeners, Targets):
    """All of ELBv2; made anew for each request with the World it works on."""
