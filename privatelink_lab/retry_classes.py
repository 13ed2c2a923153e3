"""What each refusal of AWS means for the next call: send it again, wait, take the resource for gone, or give up."""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus

from privatelink_lab.errors import AwsError, LostAnswer

UNSENT = frozenset({"EndpointConnectionError", "ConnectTimeoutError"})  # botocore's: no connection was made
READS = ("Describe", "Get", "List")  # they change nothing, whatever became of the answer
THROTTLES = frozenset(
    {"RequestLimitExceeded", "EC2ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException"}
)
# What EC2 says of an id that one of our own calls has just returned (AWS facts 1, 5, 7).
NOT_FOUND_YET = frozenset(
    {
        "InvalidVpcID.NotFound",
        "InvalidSubnetID.NotFound",
        "InvalidSubnetId.NotFound",
        "InvalidGroup.NotFound",
        "InvalidSecurityGroupID.NotFound",
        "InvalidSecurityGroupId.NotFound",
        "InvalidInstanceID.NotFound",
        "InvalidNetworkLoadBalancerArn.NotFound",
        "InvalidVpcEndpointServiceId.NotFound",
        "InvalidVpcEndpointId.NotFound",
        "InvalidVpcEndpoint.NotFound",
    }
)
# What a create meets when another call was faster, or its own first attempt: a snapshot may show that it is already so.
ALREADY = frozenset(
    {"InvalidState", "InvalidPermission.Duplicate", "InvalidGroup.Duplicate", "DuplicateListener", "DuplicateName"}
)
PROPAGATION_TIMEOUT = 300.0  # seconds after which a new id is known everywhere (AWS facts 1)
# What a delete meets while something in the resource, or something that uses it, is not gone yet.
IN_USE = frozenset(
    {"DependencyViolation", "ResourceInUse", "InvalidGroup.InUse", "ExistingVpcEndpointConnections", "IncorrectState"}
)


class ErrorClass(Enum):
    """What a failed call means for the next one."""

    NO_EFFECT = "no effect"  # a throttle, a 503, no connection: it may go again as it is
    UNKNOWN_EFFECT = "unknown effect"  # the answer was lost: only a snapshot can tell
    NOT_YET = "not yet"  # something that we just made is not known everywhere
    IN_USE = "in use"  # a delete has to wait for what still uses the resource
    GONE = "gone"  # there is nothing under that id (any more, or yet)
    FINAL = "final"


TRANSIENT = frozenset({ErrorClass.NO_EFFECT, ErrorClass.UNKNOWN_EFFECT})


def classify(error: object, retryable: frozenset[str] = frozenset()) -> ErrorClass:
    """The class of what a call raised; `retryable` are the codes that mean NOT_YET to this caller.

    EC2 says `Invalid...NotFound` and ELBv2 `...NotFound` of an id that is gone, and of one that is new: only the
    caller knows which, so a create passes NOT_FOUND_YET and the codes of its resource.
    """
    if not isinstance(error, AwsError):
        return ErrorClass.FINAL
    if error.code in THROTTLES or error.status == HTTPStatus.SERVICE_UNAVAILABLE or is_unsent(error):
        return ErrorClass.NO_EFFECT
    if isinstance(error, LostAnswer):
        return ErrorClass.NO_EFFECT if error.operation.startswith(READS) else ErrorClass.UNKNOWN_EFFECT
    if error.code in retryable:
        return ErrorClass.NOT_YET
    if error.code in IN_USE:
        return ErrorClass.IN_USE
    return ErrorClass.GONE if error.code.endswith("NotFound") else ErrorClass.FINAL


def is_unsent(error: object) -> bool:
    """Whether the call was never sent: there was no connection."""
    return isinstance(error, AwsError) and error.code in UNSENT
