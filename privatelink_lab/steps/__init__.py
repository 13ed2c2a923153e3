"""STEPS: the tutorial, in order."""

from privatelink_lab.resource import Step
from privatelink_lab.steps import (
    acceptance,
    consumer_endpoint,
    endpoint_service,
    network,
    nlb,
    probe,
    target_group,
    web_server,
)

STEPS: tuple[Step, ...] = (
    network.STEP,  # VPCs, private subnets, security groups
    web_server.STEP,  # an EC2 instance that serves one page
    target_group.STEP,  # TCP, health-checked
    nlb.STEP,  # internal network load balancer and its listener
    endpoint_service.STEP,  # the service, which requires acceptance
    consumer_endpoint.STEP,  # an interface endpoint in each consumer's VPC
    acceptance.STEP,  # the provider admits its consumers
    probe.STEP,  # of `verify`: an instance in each consumer's VPC that requests the page
)
