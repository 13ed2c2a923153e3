"""What each refusal of AWS means: sent again, waited for, taken for gone, or a failure."""

from __future__ import annotations

import pytest
from support.cloud import Cloud

from privatelink_lab.engine import planned
from privatelink_lab.errors import AccountError, AwsError, LostAnswer
from privatelink_lab.retry_classes import NOT_FOUND_YET, ErrorClass, classify
from privatelink_lab.steps import STEPS


def refusal(operation: str, code: str, status: int = 400) -> AwsError:
    """What AWS answered to an operation."""
    return AwsError("No", code=code, operation=operation, status=status)


NEW = NOT_FOUND_YET | {"InvalidServiceName"}  # what the create of an endpoint passes
CLASSES = [  # operation, code, HTTP status, the codes that the caller may see again later -> what it means
    ("DescribeVpcs", "RequestLimitExceeded", 503, NEW, ErrorClass.NO_EFFECT),
    ("DescribeVpcs", "EC2ThrottledException", 400, (), ErrorClass.NO_EFFECT),
    ("DescribeLoadBalancers", "Throttling", 400, (), ErrorClass.NO_EFFECT),
    ("GetParameter", "ThrottlingException", 400, (), ErrorClass.NO_EFFECT),
    ("GetParameter", "TooManyRequestsException", 429, (), ErrorClass.NO_EFFECT),
    ("CreateVpc", "Unavailable", 503, (), ErrorClass.NO_EFFECT),
    ("CreateVpcEndpoint", "Unavailable", 503, NEW, ErrorClass.NO_EFFECT),
    ("CreateVpc", "EndpointConnectionError", 0, (), ErrorClass.NO_EFFECT),
    ("CreateVpc", "ConnectTimeoutError", 0, (), ErrorClass.NO_EFFECT),
    ("CreateVpcEndpoint", "InvalidServiceName", 400, NEW, ErrorClass.NOT_YET),
    ("CreateVpcEndpoint", "InvalidSubnetID.NotFound", 400, NEW, ErrorClass.NOT_YET),
    ("RunInstances", "InvalidGroup.NotFound", 400, NEW, ErrorClass.NOT_YET),
    ("CreateVpcEndpoint", "InvalidParameter", 400, NEW, ErrorClass.FINAL),
    ("RunInstances", "InvalidServiceName", 400, NOT_FOUND_YET, ErrorClass.FINAL),
    ("RunInstances", "InvalidAMIID.NotFound", 400, NEW, ErrorClass.GONE),
    ("DeleteSubnet", "DependencyViolation", 400, (), ErrorClass.IN_USE),
    ("DeleteTargetGroup", "ResourceInUse", 400, (), ErrorClass.IN_USE),
    ("DeleteSecurityGroup", "InvalidGroup.InUse", 400, (), ErrorClass.IN_USE),
    ("DeleteVpcEndpointServiceConfigurations", "ExistingVpcEndpointConnections", 200, (), ErrorClass.IN_USE),
    ("TerminateInstances", "IncorrectState", 400, (), ErrorClass.IN_USE),
    ("DeleteVpc", "InvalidVpcID.NotFound", 400, (), ErrorClass.GONE),
    ("DeleteLoadBalancer", "LoadBalancerNotFound", 400, (), ErrorClass.GONE),
    ("DeleteVpcEndpoints", "InvalidVpcEndpointId.NotFound", 200, (), ErrorClass.GONE),
    ("DeleteVpc", "NotFoundYet", 400, (), ErrorClass.FINAL),
    ("CreateVpc", "VpcLimitExceeded", 400, NEW, ErrorClass.FINAL),
    ("CreateVpc", "UnauthorizedOperation", 403, NEW, ErrorClass.FINAL),
    ("CreateVpc", "InternalError", 500, NEW, ErrorClass.FINAL),
]


@pytest.mark.parametrize(("operation", "code", "status", "retryable", "meaning"), CLASSES)
def test_each_refusal_has_one_class(
    operation: str, code: str, status: int, retryable: frozenset[str], meaning: ErrorClass
) -> None:
    """What AWS answered decides whether plab sends it again, waits, takes it for gone, or says that it failed."""
    assert classify(refusal(operation, code, status), frozenset(retryable)) is meaning


def test_a_lost_answer_proves_nothing() -> None:
    """The call may have had its effect, whatever its code is: only a snapshot can tell."""
    error = LostAnswer("Read timeout", code="ReadTimeoutError", operation="CreateVpc")
    assert classify(error) is ErrorClass.UNKNOWN_EFFECT
    assert classify(error, NEW) is ErrorClass.UNKNOWN_EFFECT


def test_what_is_no_answer_of_aws_is_final() -> None:
    """No usable credentials, or a mistake in the config: waiting does not help."""
    assert classify(AccountError("No such profile.")) is ErrorClass.FINAL


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("acme/endpoint", "InvalidServiceName"),
        ("acme/endpoint", "Unavailable"),
        ("provider/endpoint-service", "LoadBalancerNotFound"),
        ("provider/endpoint-service", "InvalidParameter"),
        ("provider/nlb", "SubnetNotFound"),
        ("provider/nlb", "LoadBalancerNotFound"),
        ("provider/target-group/registration", "InvalidTarget"),
        ("provider/target-group/registration", "TargetGroupNotFound"),
        ("provider/nlb/listener", "LoadBalancerNotFound"),
        ("provider/nlb/listener", "TargetGroupNotFound"),
    ],
)
def test_a_resource_names_what_its_create_may_meet(cloud: Cloud, key: str, code: str) -> None:
    """AWS is eventually consistent: what we just made may be unknown to the next call (AWS facts 1, 4, 5)."""
    resources = planned(cloud.lab(), STEPS)
    assert code in resources[key].type.retryable
    assert code not in resources["provider/vpc"].type.retryable
