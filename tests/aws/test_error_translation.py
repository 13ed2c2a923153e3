"""What a user reads when AWS refuses a call, does not answer, or cannot be called at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cloud import Cloud
from support.timeouts import PATIENCE

from privatelink_lab import aws
from privatelink_lab.aws import Account, Address
from privatelink_lab.errors import AccountError, AwsError, LostAnswer, PlabError, UsageError

ROLE = "arn:aws:iam::210987654321:role/plab"
HTML = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<p>Sorry.</p>"
CUT = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 500\r\n\r\n<CreateVpcResponse><vp"


class Breaker:
    """A server on 127.0.0.1 that reads one request per connection, gives the same bytes (or none), and hangs up."""

    def __init__(self, answer: bytes) -> None:
        self.requests: list[str] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def address(self) -> Address:
        """Where it breaks connections."""
        return Address(f"http://127.0.0.1:{self._listener.getsockname()[1]}", "AKIDEXAMPLE", "secret")

    def stop(self) -> None:
        """End the thread and close the port."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(PATIENCE)
                self.requests.append(self._read(connection))
                connection.sendall(self._answer)

    def _read(self, connection: socket.socket) -> str:
        with connection.makefile("rb") as file:
            length = 0
            while (line := file.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            return file.read(length).decode().partition("Action=")[2].partition("&")[0]


@pytest.fixture
def broken(request: pytest.FixtureRequest) -> Iterator[Breaker]:
    """A server that gives the bytes of the test's parameter (default: none) and hangs up."""
    server = Breaker(getattr(request, "param", b""))
    yield server
    server.stop()


def at(address: Address | None) -> Account:
    """The account that answers at an address; None: AWS itself, as far as the test's environment leads there."""
    return aws.connect(profile=None, role_arn=None, region="us-east-1", address=address)


def sentence(error: PlabError) -> str:
    """The error's message, which must be one line that ends once."""
    assert "\n" not in error.message
    assert not error.message.endswith("..")
    return error.message


# Before a call.


def test_no_credentials() -> None:
    """On a machine without credentials the first call ends with one sentence and the ways to log in."""
    with pytest.raises(AccountError) as caught:
        _ = at(None).id
    assert sentence(caught.value) == "There are no usable AWS credentials: Unable to locate credentials."
    assert "AWS_PROFILE" in caught.value.hint
    assert "aws sso login" in caught.value.hint
    assert caught.value.exit_code == 1


def test_no_credentials_to_assume_a_role_with() -> None:
    """To assume a role plab uses credentials; without them an error says so before any call."""
    with pytest.raises(AccountError, match="no usable AWS credentials"):
        aws.connect(profile=None, role_arn=ROLE, region="us-east-1")


def test_half_of_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forgotten secret is named."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    with pytest.raises(AccountError, match="missing: AWS_SECRET_ACCESS_KEY"):
        _ = at(None).id


def test_an_unknown_profile_of_the_config() -> None:
    """A profile that ~/.aws does not have is named at once."""
    with pytest.raises(AccountError) as caught:
        aws.connect(profile="nope", role_arn=None, region="us-east-1")
    assert "The config profile (nope) could not be found." in sentence(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 1


def test_an_unknown_profile_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for AWS_PROFILE."""
    monkeypatch.setenv("AWS_PROFILE", "nope")
    with pytest.raises(AccountError, match=r"profile \(nope\) could not be found"):
        at(None)


@pytest.mark.parametrize("text", ["[default\nrubbish", "[default]\nrole_arn = arn:x\nsource_profile = nope\n"])
def test_an_aws_config_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A broken ~/.aws/config is an error of the account, not a traceback."""
    path = tmp_path / "aws-config"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    with pytest.raises(AccountError) as caught:
        _ = aws.connect(profile="default", role_arn=None, region="us-east-1").id
    assert sentence(caught.value)


def test_no_region() -> None:
    """Without a region anywhere the error names the places for one; exit code 2, before any call."""
    with pytest.raises(UsageError) as caught:
        aws.connect(profile=None, role_arn=None, region=None)
    assert sentence(caught.value) == "There is no AWS region."
    assert "region:" in caught.value.hint
    assert "AWS_REGION" in caught.value.hint
    assert caught.value.exit_code == 2


def test_the_region_of_the_environment_or_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config without `region` takes AWS_REGION, else AWS_DEFAULT_REGION, else the profile's region."""
    path = tmp_path / "aws-config"
    path.write_text("[default]\nregion = eu-west-1\n", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    assert aws.connect(profile=None, role_arn=None, region=None).region == "eu-west-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    assert aws.connect(profile=None, role_arn=None, region=None).region == "eu-west-3"
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    assert aws.connect(profile=None, role_arn=None, region=None).region == "eu-west-2"
    assert aws.connect(profile=None, role_arn=None, region="us-east-1").region == "us-east-1"


def test_an_endpoint_url_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in AWS_ENDPOINT_URL is one sentence."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost")
    with pytest.raises(UsageError, match=r"Invalid endpoint: localhost\.") as caught:
        _ = at(None).id
    assert "AWS_ENDPOINT_URL" in caught.value.hint


def test_known_regions_are_those_of_every_partition() -> None:
    """`region:` may name any region of AWS, China and GovCloud."""
    assert {"us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"} <= set(aws.known_regions())
    assert "mars-north-1" not in aws.known_regions()


# What AWS refuses.


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_expired_credentials(cloud: Cloud, code: str) -> None:
    """The hint for an expired session says how to renew it, whatever the error code of AWS is."""
    cloud.fail("DescribeVpcs", 403, code)
    with pytest.raises(AccountError) as caught:
        cloud.account().ec2.describe_vpcs()
    said = "A fault that was asked for: DescribeVpcs"
    assert sentence(caught.value) == f"The AWS credentials have expired: {said} ({code})."
    assert "aws sso login" in caught.value.hint
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("code", ["AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch"])
def test_credentials_that_aws_does_not_know(cloud: Cloud, code: str) -> None:
    """The error for deleted or mistyped keys says that AWS does not know them."""
    cloud.fail("DescribeVpcs", 401, code)
    with pytest.raises(AccountError, match=rf"does not know these credentials: A fault .* \({code}\)"):
        cloud.account().ec2.describe_vpcs()


def test_a_denied_call_names_the_action_to_allow(cloud: Cloud) -> None:
    """UnauthorizedOperation carries AWS's code and request id, and the hint names the action for the policy."""
    cloud.fail("CreateVpc", 403, "UnauthorizedOperation")
    with pytest.raises(AwsError) as caught:
        cloud.account().ec2.create_vpc(CidrBlock="10.0.0.0/16")
    error = caught.value
    assert "ec2:CreateVpc" in error.hint
    assert (error.code, error.operation, error.status, error.exit_code) == (
        "UnauthorizedOperation",
        "CreateVpc",
        403,
        1,
    )
    assert error.request_id
    assert (
        str(error)
        == f"CreateVpc: A fault that was asked for: CreateVpc (UnauthorizedOperation, request {error.request_id})"
    )
    assert error.as_json() == {
        "code": "UnauthorizedOperation",
        "message": "A fault that was asked for: CreateVpc",
        "request_id": error.request_id,
        "hint": error.hint,
    }
    assert not isinstance(error, LostAnswer)


def test_a_denied_call_to_a_balancer_names_its_own_prefix(cloud: Cloud) -> None:
    """IAM calls ELBv2 `elasticloadbalancing`."""
    cloud.fail("DescribeLoadBalancers", 403, "AccessDenied")
    with pytest.raises(AwsError) as caught:
        cloud.account().pages("elbv2", "describe_load_balancers", "LoadBalancers")
    assert "elasticloadbalancing:DescribeLoadBalancers" in caught.value.hint


def test_any_other_refusal_is_awss_own_words(cloud: Cloud) -> None:
    """The user reads AWS's own sentence, with operation, code and request id."""
    with pytest.raises(AwsError) as caught:
        cloud.account().ec2.delete_vpc(VpcId="vpc-0123456789abcdef0")
    assert caught.value.code == "InvalidVpcID.NotFound"
    assert "vpc-0123456789abcdef0" in sentence(caught.value)
    assert caught.value.hint == ""


def test_a_parameter_that_the_api_does_not_have() -> None:
    """A mistake in a request never leaves the machine."""
    with pytest.raises(AwsError) as caught:
        at(Address("http://127.0.0.1:1", "AKIDEXAMPLE", "secret")).ec2.create_vpc(CidrBlock=5)  # type: ignore[arg-type]
    assert caught.value.code == "ParamValidationError"


# What AWS does not answer.


def test_an_endpoint_that_cannot_be_reached() -> None:
    """No server listens, so the call had no effect: an error with what to check, not a lost answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(AwsError) as caught:
        at(Address(f"http://127.0.0.1:{port}", "AKIDEXAMPLE", "secret")).ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert not isinstance(caught.value, LostAnswer)
    assert f"127.0.0.1:{port}" in sentence(caught.value)
    assert "A local AWS has stopped" in caught.value.hint


@pytest.mark.parametrize("broken", [b"", HTML, CUT], ids=["none", "a proxy's page", "cut short"], indirect=True)
def test_a_create_without_an_answer_goes_out_once(broken: Breaker) -> None:
    """CreateVpc takes no token: sent again after a lost answer it would make a second VPC."""
    with pytest.raises(LostAnswer) as caught:
        at(broken.address).ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert broken.requests == ["CreateVpc"]
    assert caught.value.operation == "CreateVpc"
    assert caught.value.hint == "Run the command again: it reads AWS first."
    assert sentence(caught.value)


@pytest.mark.parametrize("create", ["create_vpc", "create_subnet", "create_security_group"])
def test_what_takes_no_token_is_sent_once(broken: Breaker, create: str) -> None:
    """The same holds for every create that has neither a token nor a name of its own."""
    requests = {
        "create_vpc": {"CidrBlock": "10.0.0.0/16"},
        "create_subnet": {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24"},
        "create_security_group": {"GroupName": "g", "Description": "d"},
    }
    with pytest.raises(LostAnswer):
        getattr(at(broken.address).ec2, create)(**requests[create])
    assert len(broken.requests) == 1


def test_a_describe_without_an_answer_is_sent_again(broken: Breaker) -> None:
    """A describe changes nothing, so plab sends it again a few times when its answer is lost."""
    with pytest.raises(LostAnswer):
        at(broken.address).pages("ec2", "describe_vpcs", "Vpcs")
    assert broken.requests == ["DescribeVpcs"] * 4


# Failures inside a success.

MIXED = {
    "Unsuccessful": [
        {"ResourceId": "vpce-1", "Error": {"Code": "InvalidVpcEndpoint.NotFound", "Message": "Not there."}},
        {"ResourceId": "vpce-2", "Error": {"Code": "InvalidState"}},
        {"ResourceId": "vpce-3"},
    ],
    "ResponseMetadata": {"RequestId": "r-1"},
}


def test_unsuccessful_items_are_errors_by_id() -> None:
    """PrivateLink's bulk calls answer 200 with refusals inside; every refused id has its own error."""
    failures = aws.unsuccessful(MIXED, "DeleteVpcEndpoints")
    assert {id_: (error.code, error.message) for id_, error in failures.items()} == {
        "vpce-1": ("InvalidVpcEndpoint.NotFound", "Not there"),
        "vpce-2": ("InvalidState", "InvalidState"),
        "vpce-3": ("Unknown", "Unknown"),
    }
    assert {(error.operation, error.request_id) for error in failures.values()} == {("DeleteVpcEndpoints", "r-1")}


@pytest.mark.parametrize("answer", [{}, {"Unsuccessful": []}, {"Unsuccessful": None}])
def test_an_empty_list_of_failures_is_a_success(answer: dict[str, Any]) -> None:
    """A 200 is a success when `Unsuccessful` is empty or absent."""
    assert aws.unsuccessful(answer, "DeleteVpcEndpoints") == {}


def test_unsuccessful_items_of_a_real_call(cloud: Cloud) -> None:
    """DeleteVpcEndpoints of an unknown id answers 200; plab sees the failure."""
    answer = cloud.account().ec2.delete_vpc_endpoints(VpcEndpointIds=["vpce-0123456789abcdef0"])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    [error] = aws.unsuccessful(answer, "DeleteVpcEndpoints").values()
    assert "vpce-0123456789abcdef0" in str(error)


def test_one_refusal_does_not_stop_the_others() -> None:
    """`down` deletes what it can and reports the rest by id."""
    refusal = AwsError("No", code="DependencyViolation", operation="DeleteSubnet")
    tried: list[str] = []

    def delete(id_: str) -> None:
        tried.append(id_)
        if id_ == "b":
            raise refusal

    assert aws.errors_by_id(["a", "b", "c"], delete) == {"b": refusal}
    assert tried == ["a", "b", "c"]


def test_expired_credentials_stop_all_of_them() -> None:
    """What concerns the account is no refusal of one id."""

    def delete(_: str) -> None:
        raise AccountError("expired")

    with pytest.raises(AccountError):
        aws.errors_by_id(["a", "b"], delete)


# Whose account it is.


def test_sts_is_asked_once_who_we_are(cloud: Cloud) -> None:
    """The account id is learnt by one call and kept."""
    account = cloud.account()
    cloud.calls()
    assert (account.id, account.id, account.partition) == ("123456789012", "123456789012", "aws")
    assert account.arn.startswith("arn:aws:")
    assert cloud.calls() == ["GetCallerIdentity"]


def test_a_role_says_its_account_without_a_call(cloud: Cloud) -> None:
    """The role's ARN holds the account id; it is assumed only when it has something to do."""
    account = cloud.account(ROLE)
    assert (account.id, account.arn, account.partition) == ("210987654321", ROLE, "aws")
    assert cloud.calls() == []
    account.ec2.describe_vpcs()
    account.ec2.describe_vpcs()
    assert cloud.calls() == ["AssumeRole", "DescribeVpcs", "DescribeVpcs"]


def test_a_role_acts_in_its_own_account(cloud: Cloud) -> None:
    """What a role makes is not in the account that assumed it."""
    made = cloud.account(ROLE).ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]
    assert made["OwnerId"] == "210987654321"
    ids = [row["VpcId"] for row in cloud.account().pages("ec2", "describe_vpcs", "Vpcs")]
    assert made["VpcId"] not in ids


def test_a_role_that_may_not_be_assumed(cloud: Cloud) -> None:
    """The error of a refused AssumeRole names the action, at the first call that uses the role."""
    cloud.fail("AssumeRole", 403, "AccessDenied")
    account = cloud.account(ROLE)
    with pytest.raises(AwsError) as caught:
        account.ec2.describe_vpcs()
    assert caught.value.operation == "AssumeRole"
    assert "sts:AssumeRole" in caught.value.hint


def local(cloud: Cloud, profile: str, role_arn: str | None = None) -> Account:
    """The account that a profile stands for on the local AWS."""
    return aws.connect(profile=profile, role_arn=role_arn, region=None, address=cloud.address)


def test_a_profile_is_an_account_of_its_own_on_the_local_aws(cloud: Cloud) -> None:
    """A config with profiles runs with --local as it is: each profile is its own account, the same in every run."""
    alice, bob = local(cloud, "alice"), local(cloud, "bob")
    assert len({cloud.account().id, alice.id, bob.id}) == 3
    assert alice.id == local(cloud, "alice").id == "270224856720"
    assert len(alice.id) == 12
    assert alice.region == "us-east-1"
    assert alice.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["OwnerId"] == alice.id
    assert local(cloud, "my profile/with: all, sorts").sts.get_caller_identity()["Account"]


def test_a_role_counts_more_than_the_profile_on_the_local_aws(cloud: Cloud) -> None:
    """With both, the role's ARN says the account, as on AWS."""
    assert local(cloud, "alice", ROLE).id == "210987654321"


def test_the_environment_does_not_lead_away_from_an_address(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--local` works in a shell that is set up for AWS: profile, proxy, CA bundle and keys there do not count."""
    for name, value in {
        "AWS_PROFILE": "nope",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
        "AWS_CA_BUNDLE": "/nowhere/ca.pem",
        "REQUESTS_CA_BUNDLE": "/nowhere/ca.pem",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    account = aws.connect(profile=None, role_arn=None, region=None, address=cloud.address)
    assert (account.id, account.region) == ("123456789012", "us-east-1")
    assert account.ec2.describe_vpcs()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert cloud.account(ROLE).sts.get_caller_identity()["Account"] == "210987654321"


def test_all_pages_are_read(cloud: Cloud) -> None:
    """A describe of more than one page misses nothing."""
    account = cloud.account()
    made = {account.ec2.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"] for n in range(7)}
    cloud.let_new_ids_propagate()
    cloud.calls()
    rows = account.pages("ec2", "describe_vpcs", "Vpcs", PaginationConfig={"PageSize": 5})
    assert made <= {row["VpcId"] for row in rows}
    assert account.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints") == []
