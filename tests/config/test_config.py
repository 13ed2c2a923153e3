"""The config file: what it may say, and every mistake in it at once, with file and line, before any AWS call."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path

import pydantic
import pytest
import yaml

from privatelink_lab import config
from privatelink_lab.config import Config, Vpc, models
from privatelink_lab.config.provider import LONGEST_MESSAGE, Provider, Service, WebServer
from privatelink_lab.errors import ConfigError, UsageError

REGIONS = ("eu-west-1", "us-east-1")
EXAMPLE = (Path(config.__file__).parent.parent / "config.example.yaml").read_text(encoding="utf-8")
LONG_NUMBER = "0x" + "f" * 5000
ZONES = "should be a number or a list of 1 to 6 zone IDs"
VALUES = (
    "[]",
    "{}",
    "null",
    "1e9",
    "-1",
    "true",
    "x" * 5000,
    "😀",
    "'*'",
    LONG_NUMBER,
    "!!int ''",
    "*a",
    "&a [*a]",
)


def load(folder: Path, text: str | bytes) -> Config:
    """The config of that text in a file."""
    path = folder / "plab.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config.load(path, REGIONS)


def mistakes(folder: Path, text: str) -> list[str]:
    """The mistakes in that text as `LINE: path: what`; the file's name is checked and cut off."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    assert caught.value.exit_code == 2
    prefix = f"{folder / 'plab.yaml'}:"
    mistakes = str(caught.value).split("\n")
    assert all(mistake.startswith(prefix) for mistake in mistakes)
    return [mistake.removeprefix(prefix) for mistake in mistakes]


def provider(text: str) -> str:
    """A config whose provider section is that flow mapping."""
    return f"lab: demo\nprovider: {text}\n"


def customer(text: str) -> str:
    """A config with one customer, acme."""
    return f"lab: demo\ncustomers: {{acme: {text}}}\n"


def consumer(text: str) -> str:
    """A config with one consumer of that flow mapping."""
    return f"lab: demo\nconsumers:\n  - {text}\n"


ONE_MISTAKE = {
    "unknown key": ("lab: demo\nregoin: us-east-1\n", "2: regoin: is not a known key; did you mean region?"),
    "unknown key like nothing": ("lab: demo\nzzz: 1\n", "2: zzz: is not a known key"),
    "unknown key deep inside": (
        consumer("{name: a, vpc: {cidrs: 10.0.0.0/16, cidr: 10.0.0.0/16}}"),
        "3: consumers[0].vpc.cidrs: is not a known key; did you mean cidr?",
    ),
    "unknown key of the service": (
        provider("{service: {acceptence_required: true}}"),
        "2: provider.service.acceptence_required: is not a known key; did you mean acceptance_required?",
    ),
    "key with a line break": ('lab: demo\n"a\\nb": 1\n', "2: 'a\\nb': is not a known key; did you mean lab?"),
    "repeated key": ("lab: demo\nregion: us-east-1\nlab: other\n", "3: lab: appears twice; keep one"),
    "repeated key deep inside": (
        "lab: demo\nprovider:\n  vpc:\n    cidr: 10.0.0.0/16\n    cidr: 10.1.0.0/16\n",
        "5: provider.vpc.cidr: appears twice; keep one",
    ),
    "text for a number": (
        provider("{zones: two}"),
        f"2: provider.zones: {ZONES}, not 'two'",
    ),
    "number for text": ("lab: 5\n", "1: lab: should be a valid string, not 5"),
    "fraction of a zone": (
        provider("{zones: 1.5}"),
        f"2: provider.zones: {ZONES}, not 1.5",
    ),
    "text for a truth": (
        provider("{service: {acceptance_required: 'no'}}"),
        "2: provider.service.acceptance_required: should be a valid boolean, not 'no'",
    ),
    "text for a list": (
        provider("{service: {allowed_principals: '*'}}"),
        "2: provider.service.allowed_principals: should be a list, not '*'",
    ),
    "mapping for a list": (
        "lab: demo\nconsumers:\n  name: a\n",
        "2: consumers: should be a list, not {'name': 'a'}",
    ),
    "text for a consumer": (consumer("acme"), "3: consumers[0]: should be a mapping, not 'acme'"),
    "no such zone count": (
        provider("{zones: 7}"),
        "2: provider.zones: should be 1 to 6, or a list of zone IDs",
    ),
    "the name of a zone": (
        provider("{zones: [us-east-1a]}"),
        (
            "2: provider.zones: 'us-east-1a' is not a zone ID such as use1-az1; the ID is the same in all accounts, "
            "and `aws ec2 describe-availability-zones` shows it"
        ),
    ),
    "a zone twice": (provider("{zones: [use1-az1, use1-az1]}"), "2: provider.zones: names the same zone twice"),
    "no such port": (
        provider("{web_server: {port: 65536}}"),
        "2: provider.web_server.port: should be less than or equal to 65535",
    ),
    "no such acceptance": (
        consumer("{name: a, accept: maybe}"),
        "3: consumers[0].accept: should be 'auto' or 'manual', not 'maybe'",
    ),
    "a grace period that is not a number": (
        "lab: demo\ncreation_grace_period: .nan\n",
        "2: creation_grace_period: should be less than or equal to 600",
    ),
    "no CIDR": (
        provider("{vpc: {cidr: everything}}"),
        "2: provider.vpc.cidr: 'everything' is not a CIDR block such as 10.0.0.0/16",
    ),
    "CIDR without prefix": (
        provider("{vpc: {cidr: 10.0.0.0}}"),
        "2: provider.vpc.cidr: has host bits or no prefix length; did you mean 10.0.0.0/32?",
    ),
    "CIDR with host bits": (
        provider("{vpc: {cidr: 10.0.0.5/16}}"),
        "2: provider.vpc.cidr: has host bits or no prefix length; did you mean 10.0.0.0/16?",
    ),
    "CIDR too large": (
        provider("{vpc: {cidr: 10.0.0.0/15}}"),
        "2: provider.vpc.cidr: is a /15; AWS accepts /16 to /28",
    ),
    "CIDR too small": (
        provider("{vpc: {cidr: 10.0.0.0/29}}"),
        "2: provider.vpc.cidr: is a /29; AWS accepts /16 to /28",
    ),
    "CIDR too small for its zones": (
        provider("{vpc: {cidr: 10.0.0.0/28}, zones: 2}"),
        "2: provider.zones: vpc 10.0.0.0/28 is too small for 2 zones: a subnet must be at least a /28",
    ),
    "consumer too small for the zones": (
        "lab: demo\nprovider: {zones: 3}\nconsumers: [{name: a, vpc: {cidr: 10.1.0.0/27}}]\n",
        "3: consumers: the VPC of a is too small for 3 zones: a subnet must be at least a /28",
    ),
    "IPv6": (provider("{vpc: {cidr: 'fd00::/56'}}"), "2: provider.vpc.cidr: is IPv6; the lab's VPCs use IPv4"),
    "unknown region": (
        "lab: demo\nregion: us-east1\n",
        "2: region: 'us-east1' is not an AWS region; did you mean us-east-1?",
    ),
    "lab name too long": (
        "lab: abcdefghijklmnopqrstu\n",
        "1: lab: is 21 characters long; AWS's names leave room for 20",
    ),
    "lab name with bad letters": ("lab: Demo_Lab\n", "1: lab: may only have a-z, 0-9 and inner hyphens"),
    "lab name with outer hyphen": ("lab: -demo\n", "1: lab: may only have a-z, 0-9 and inner hyphens"),
    "lab name empty": ("lab: ''\n", "1: lab: may only have a-z, 0-9 and inner hyphens"),
    "lab called local": ("lab: local\n", "1: lab: 'local' is reserved for the local AWS; choose another name"),
    "consumer name too long": (
        consumer("{name: abcdefghijklmnopqrstu}"),
        "3: consumers[0].name: is 21 characters long; AWS's names leave room for 20",
    ),
    "consumer name with bad letters": (
        consumer("{name: a b}"),
        "3: consumers[0].name: may only have a-z, 0-9 and inner hyphens",
    ),
    "consumer called provider": (
        consumer("{name: provider}"),
        "3: consumers[0].name: 'provider' is reserved for the provider; choose another name",
    ),
    "consumer without name": (consumer("{accept: auto}"), "3: consumers[0].name: is missing"),
    "two consumers of one name": (
        "lab: demo\nconsumers:\n- name: a\n- name: b\n- name: a\n",
        "5: consumers[2].name: 'a' is the name of another consumer; choose another name",
    ),
    "a customer without accounts": (customer("{note: x}"), "2: customers.acme.accounts: is missing"),
    "a customer with no account": (
        customer("{accounts: []}"),
        "2: customers.acme.accounts: names no account",
    ),
    "an account that is none": (
        customer("{accounts: ['12']}"),
        "2: customers.acme.accounts[0]: '12' does not look like 222222222222",
    ),
    "a customer's unknown key": (
        customer("{accounts: ['222222222222'], endpoint: 2}"),
        "2: customers.acme.endpoint: is not a known key; did you mean endpoints?",
    ),
    "both admit and endpoints": (
        customer("{accounts: ['222222222222'], endpoints: 2, admit: [vpce-0123456789abcdef0]}"),
        "2: customers.acme: has both admit and endpoints: name the endpoints, or say how many",
    ),
    "an account under two customers": (
        "lab: demo\ncustomers:\n  acme: {accounts: ['222222222222']}\n  beta: {accounts: ['222222222222']}\n",
        (
            "4: customers.beta.accounts: account 222222222222 stands here twice, or in allowed_principals, "
            "or under another customer"
        ),
    ),
    "an account in allowed_principals as well": (
        (
            "lab: demo\nprovider: {service: {allowed_principals: ['arn:aws:iam::222222222222:root']}}\n"
            "customers: {acme: {accounts: ['222222222222']}}\n"
        ),
        (
            "3: customers.acme.accounts: account 222222222222 stands here twice, or in allowed_principals, "
            "or under another customer"
        ),
    ),
    "a customer's Region": (
        customer("{accounts: ['222222222222'], regions: [eu-west1]}"),
        "2: customers.acme.regions[0]: 'eu-west1' is not an AWS region; did you mean eu-west-1?",
    ),
    "a customer called as a consumer": (
        "lab: demo\nconsumers: [{name: acme}]\ncustomers: {acme: {accounts: ['222222222222']}}\n",
        "3: customers: 'acme' is the name of another consumer; choose another name",
    ),
    "a customer called as an account": (
        "lab: demo\ncustomers: {'222222222222': {accounts: ['222222222222']}}\n",
        "2: customers: '222222222222' looks like an id of AWS; choose another name",
    ),
    "a consumer called as an endpoint": (
        consumer("{name: vpce-1}"),
        "3: consumers[0].name: 'vpce-1' looks like an id of AWS; choose another name",
    ),
    "customers where nothing is required": (
        (
            "lab: demo\nprovider: {service: {acceptance_required: false}}\n"
            "customers: {acme: {accounts: ['222222222222']}}\n"
        ),
        "3: customers: stand beside acceptance_required: false, with which AWS admits every allowed account",
    ),
    "both id and cidr": (
        provider("{vpc: {id: vpc-12345678, cidr: 10.0.0.0/16, subnet_ids: [subnet-12345678]}}"),
        "2: provider.vpc: has both id and cidr: use cidr to make a VPC, or id and subnet_ids to reuse one",
    ),
    "neither id nor cidr": (
        provider("{vpc: {}}"),
        "2: provider.vpc: requires a cidr (to make a VPC), or id and subnet_ids (to reuse one)",
    ),
    "subnet_ids without id": (
        provider("{vpc: {subnet_ids: [subnet-12345678]}}"),
        "2: provider.vpc: has subnet_ids without id: subnets can only be reused together with their VPC",
    ),
    "id without subnet_ids": (
        provider("{vpc: {id: vpc-12345678}}"),
        "2: provider.vpc: has id without subnet_ids: a reused VPC also requires its subnets, one per zone",
    ),
    "a subnet twice": (
        provider("{vpc: {id: vpc-12345678, subnet_ids: [subnet-12345678, subnet-12345678]}}"),
        "2: provider.vpc: names the same subnet twice",
    ),
    "zones that are not the subnets": (
        provider("{zones: 2, vpc: {id: vpc-12345678, subnet_ids: [subnet-12345678]}}"),
        "2: provider: has zones: 2, but 1 subnet_ids; remove zones",
    ),
    "a VPC id that is none": (
        provider("{vpc: {id: my-vpc, subnet_ids: [subnet-12345678]}}"),
        "2: provider.vpc.id: 'my-vpc' does not look like vpc-0123456789abcdef0",
    ),
    "an instance type that is none": (
        provider("{web_server: {instance_type: micro}}"),
        "2: provider.web_server.instance_type: 'micro' does not look like t3.micro",
    ),
    "bad role ARN": (
        provider("{role_arn: 'arn:aws:iam::12:role/x'}"),
        "2: provider.role_arn: 'arn:aws:iam::12:role/x' is not a role ARN such as arn:aws:iam::123456789012:role/NAME",
    ),
    "a user for a role": (
        consumer("{name: a, role_arn: 'arn:aws:iam::123456789012:user/x'}"),
        (
            "3: consumers[0].role_arn: 'arn:aws:iam::123456789012:user/x' is not a role ARN such as "
            "arn:aws:iam::123456789012:role/NAME"
        ),
    ),
    "an open service without saying so": (
        provider("{service: {acceptance_required: false, allowed_principals: ['*']}}"),
        (
            "2: provider.service: is open to every AWS account: '*' may connect and acceptance_required is false; "
            "require acceptance, name principals, or set allow_public: true"
        ),
    ),
    "empty profile": (provider("{profile: ''}"), "2: provider.profile: should have at least 1 character"),
    "empty message": (
        provider("{web_server: {message: ''}}"),
        "2: provider.web_server.message: should have at least 1 character",
    ),
    "null section": ("lab: demo\nprovider:\n", "2: provider: should be a mapping, not empty"),
    "null list": ("lab: demo\nconsumers:\n", "2: consumers: should be a list, not empty"),
    "null consumer": (consumer("null"), "3: consumers[0]: should be a mapping, not empty"),
    "lab missing": (
        "region: us-east-1\n",
        "1: lab: is missing; plab uses it in the names and tags of all that it makes",
    ),
    "a date that is none": (
        "lab: 2026-99-99\n",
        "1: '2026-99-99' is not a valid timestamp; put it in quotes if it is text",
    ),
    "a number too long to write": (
        f"lab: {LONG_NUMBER}\n",
        "1: lab: should be a valid string, not a very long number",
    ),
    "a merge key": (
        "lab: demo\nconsumers:\n  - &a {name: a}\n  - {<<: *a, name: b}\n",
        "4: consumers[1].<<: is not a known key",
    ),
    "a list for a key": ("lab: demo\n? [a, b]\n: c\n", "2: config: has a key that is not a plain word"),
    "empty file": ("", "1: the config is empty; it must be a mapping such as `lab: demo`"),
    "only a comment": ("# lab: demo\n", "1: the config is empty; it must be a mapping such as `lab: demo`"),
    "a list": ("- lab: demo\n", "1: the config is a list; it must be a mapping such as `lab: demo`"),
    "a word": ("demo\n", "1: the config is a str; it must be a mapping such as `lab: demo`"),
    "not YAML": (
        "lab: demo\nprovider: {zones: 1\n",
        "3: is not YAML: while parsing a flow mapping, expected ',' or '}', but got '<stream end>'",
    ),
    "a tab": (
        "lab: demo\nprovider:\n\tzones: 1\n",
        "3: is not YAML: while scanning for the next token, found character '\\t' that cannot start any token",
    ),
    "a NUL byte": ("lab: demo\nregion: \0\n", "2: is not YAML: the character '\\x00' is not allowed"),
    "two documents": (
        "lab: demo\n---\nlab: other\n",
        "2: is not YAML: expected a single document in the stream, but found another document",
    ),
    "a character beyond Unicode": ('lab: "\\U00110000"\n', "1: is not YAML: chr() arg not in range(0x110000)"),
    "a list that contains itself": ("lab: &a [*a]\n", "1: is not YAML: it is nested too deeply, or contains itself"),
    "a tag of plab": (
        "lab: demo\ntags: {'plab:lab': x}\n",
        "2: tags.plab:lab: 'plab:lab' is a tag that AWS or plab sets; choose another key",
    ),
    "a tag of AWS": (
        "lab: demo\ntags:\n  aws:x: y\n",
        "3: tags.aws:x: 'aws:x' is a tag that AWS or plab sets; choose another key",
    ),
    "a tag that AWS refuses": (
        "lab: demo\ntags: {a: snow \u2603}\n",
        "2: tags.a: 'snow \u2603' is not a tag value: up to 256 letters, digits, spaces and _.:/=+-@",
    ),
    "a tag without text": ("lab: demo\ntags: {a: 5}\n", "2: tags.a: should be a valid string, not 5"),
    "a list of tags": ("lab: demo\ntags: [a]\n", "2: tags: should be a mapping, not ['a']"),
    "too many tags": (
        f"lab: demo\ntags: {{{', '.join(f'k{number}: v' for number in range(41))}}}\n",
        "2: tags: has more than 40 entries",
    ),
    "10,000 brackets": ("[" * 10_000, "1: is not YAML: it is nested too deeply, or contains itself"),
}


@pytest.mark.parametrize(("text", "mistake"), ONE_MISTAKE.values(), ids=ONE_MISTAKE.keys())
def test_a_mistake_is_reported_with_file_line_and_key(tmp_path: Path, text: str, mistake: str) -> None:
    """The user reads one line per mistake: file, line, key, and what is wrong with it."""
    assert mistakes(tmp_path, text) == [mistake]


@pytest.mark.parametrize(
    "principal",
    [
        "12345678901",
        "1234567890123",
        "arn:aws:iam::123456789012:group/x",
        "arn:aws:iam::123456789012:role/path/x",
        "arn:aws:sts::123456789012:assumed-role/x/y",
        "arn:gcp:iam::123456789012:root",
        "\u0661" * 12,
        "**",
        "",
    ],
)
def test_a_bad_principal_is_refused(tmp_path: Path, principal: str) -> None:
    """CreateVpcEndpointServicePermissions would take none of these; plab refuses them before any call."""
    [mistake] = mistakes(tmp_path, provider(f"{{service: {{allowed_principals: ['{principal}']}}}}"))
    assert mistake.startswith("2: provider.service.allowed_principals[0]: ")
    assert "is not a principal" in mistake


MANY_MISTAKES = """\
lab: Demo_Lab
regoin: us-east-1
region: mars-north-1
provider:
  role_arn: me
  vpc:
    cidr: 10.0.0.0/27
  zones: 6
  zones: 5
  web_server:
    port: http
    message: []
  service:
    acceptance_required: false
    allowed_principals: ["*"]
consumers:
  - name: provider
  - name: consumer-with-a-long-name
    vpc: {id: vpc-12345678}
  - acept: auto
  - {name: acme, vpc: {cidr: 10.1.0.5/16}}
  - {name: acme}
creation_grace_period: soon
"""


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """The user reads all mistakes of a file at once, with their lines, in the order of the file."""
    assert [mistake.split(": ")[:2] for mistake in mistakes(tmp_path, MANY_MISTAKES)] == [
        ["1", "lab"],
        ["2", "regoin"],
        ["3", "region"],
        ["5", "provider.role_arn"],
        ["9", "provider.zones"],
        ["9", "provider.zones"],
        ["11", "provider.web_server.port"],
        ["12", "provider.web_server.message"],
        ["13", "provider.service"],
        ["17", "consumers[0].name"],
        ["18", "consumers[1].name"],
        ["19", "consumers[1].vpc"],
        ["20", "consumers[2].name"],
        ["20", "consumers[2].acept"],
        ["21", "consumers[3].vpc.cidr"],
        ["22", "consumers[4].name"],
        ["23", "creation_grace_period"],
    ]


def test_a_missing_file_names_plab_init(tmp_path: Path) -> None:
    """Without the file the hint names `plab init`; exit code 2."""
    with pytest.raises(UsageError, match=r"There is no config file .*plab\.yaml") as caught:
        config.load(tmp_path / "plab.yaml")
    assert caught.value.exit_code == 2
    assert "plab init" in caught.value.hint


def test_a_directory_is_no_config(tmp_path: Path) -> None:
    """A directory in the file's place is one sentence and exit code 2."""
    with pytest.raises(UsageError, match=r"cannot be read: .*Is a directory") as caught:
        config.load(tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["lab: \u00fc".encode("latin-1"), "lab: demo".encode("utf-16")])
def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path, text: bytes) -> None:
    """An editor's other encoding is one sentence and exit code 2."""
    with pytest.raises(UsageError, match=r"cannot be read: it is .*; save it as UTF-8") as caught:
        load(tmp_path, text)
    assert caught.value.exit_code == 2


def test_a_long_value_is_not_repeated_in_full(tmp_path: Path) -> None:
    """A pasted megabyte does not scroll the other mistakes away."""
    [mistake] = mistakes(tmp_path, provider("{vpc: {cidr: " + "x" * 100_000 + "}}"))
    assert len(mistake) < 200


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    """Six lines of aliases that mean half a million values end quickly with one sentence."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 7)]
    [mistake] = mistakes(tmp_path, "\n".join(lines))
    assert mistake.endswith("the config has more than 100000 values")


# Files that are good.


def test_the_example_is_the_defaults(tmp_path: Path) -> None:
    """`plab init` writes what runs without it: only the comments and the region are new."""
    example = load(tmp_path, EXAMPLE)
    assert example == config.default_config().model_copy(update={"region": "us-east-1"})
    assert example.lab == config.DEFAULT_LAB


CANNOT_BE_READ = "plab.yaml:3: customers: the file theirs/customers.yaml cannot be read"
IN_A_FILE: dict[str, tuple[str | None, str]] = {
    "no such file": (None, f"{CANNOT_BE_READ}: No such file or directory"),
    "not UTF-8": ("\udcff", f"{CANNOT_BE_READ}: it is not UTF-8 (byte 0); save it as UTF-8"),
    "an empty file": ("# none yet\n", "theirs/customers.yaml:1: customers: should be a mapping, not empty"),
    "a list": ("\n- acme\n", "theirs/customers.yaml:2: customers: should be a mapping, not ['acme']"),
    "one more path": ("more.yaml\n", "theirs/customers.yaml:1: customers: should be a mapping, not 'more.yaml'"),
    "a customer twice": (
        "acme: {accounts: ['222222222222']}\nacme: {accounts: ['333333333333']}\n",
        "theirs/customers.yaml:2: customers.acme: appears twice; keep one",
    ),
    "a customer's unknown key": (
        "# ours\nacme:\n  accounts: ['222222222222']\n  endpoint: 2\n",
        "theirs/customers.yaml:4: customers.acme.endpoint: is not a known key; did you mean endpoints?",
    ),
    "a customer called as a consumer": (
        "beta: {accounts: ['222222222222']}\n",
        "theirs/customers.yaml:1: customers: 'beta' is the name of another consumer; choose another name",
    ),
}


@pytest.mark.parametrize(("text", "mistake"), IN_A_FILE.values(), ids=IN_A_FILE.keys())
def test_mistakes_in_a_file_of_customers(tmp_path: Path, text: str | None, mistake: str) -> None:
    """`customers: PATH`: the mistakes of both files at once, each with the name and the line of its file."""
    (tmp_path / "theirs").mkdir()
    if text is not None:
        (tmp_path / "theirs" / "customers.yaml").write_text(text, errors="surrogateescape")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "lab: demo\nregoin: us-east-1\ncustomers: theirs/customers.yaml\nconsumers: [{name: beta}]\n")
    assert str(caught.value).replace(f"{tmp_path}/", "").split("\n") == [
        "plab.yaml:2: regoin: is not a known key; did you mean region?",
        mistake,
    ]


def test_customers_of_a_file(tmp_path: Path) -> None:
    """A file, relative to the config, says the same as the mapping in the config."""
    acme = "acme: {accounts: [012345678901], endpoints: 4}"
    (tmp_path / "customers.yaml").write_text(acme)
    assert load(tmp_path, "lab: demo\ncustomers: customers.yaml") == load(tmp_path, f"lab: demo\ncustomers: {{{acme}}}")


def test_the_example_names_every_key() -> None:
    """Every key of the config can be read in the example."""
    for section in (
        models.Config,
        Provider,
        models.Consumer,
        models.Customer,
        Vpc,
        WebServer,
        Service,
    ):
        for key in section.model_fields:
            assert f"{key}:" in EXAMPLE, f"{section.__name__}.{key}"


def test_a_config_never_changes() -> None:
    """What was checked is what runs."""
    loaded = config.default_config()
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        loaded.provider.vpc.cidr = "10.9.0.0/16"


def test_the_least_config_is_a_lab(tmp_path: Path) -> None:
    """One line is enough; it builds the service alone."""
    loaded = load(tmp_path, "lab: demo\n")
    assert (loaded.lab, loaded.region, loaded.consumers) == ("demo", None, ())
    assert loaded.provider == config.default_config().provider


def test_an_account_id_keeps_its_leading_zero(tmp_path: Path) -> None:
    """012345678901 without quotes is an account id, not the octal number that YAML reads."""
    loaded = load(tmp_path, provider("{service: {allowed_principals: [012345678901, 123456789012]}}"))
    assert loaded.provider.service.allowed_principals == ("012345678901", "123456789012")


def test_principals_of_every_kind(tmp_path: Path) -> None:
    """Account ids, `*` with acceptance, accounts, roles and users of any partition."""
    principals = (
        "*",
        "arn:aws:iam::123456789012:root",
        "arn:aws-cn:iam::123456789012:role/x.y@z",
        "arn:aws-us-gov:iam::123456789012:user/u",
    )
    loaded = load(tmp_path, provider(f"{{service: {{allowed_principals: {list(principals)}}}}}"))
    assert loaded.provider.service.allowed_principals == principals


def test_an_open_service_that_says_so(tmp_path: Path) -> None:
    """Who says that it is public may open the service to the world."""
    text = "{service: {acceptance_required: false, allowed_principals: ['*'], allow_public: true}}"
    assert load(tmp_path, provider(text)).provider.service.allow_public


def test_reused_vpcs_count_their_subnets(tmp_path: Path) -> None:
    """In a given VPC the service runs in the zones of the given subnets."""
    loaded = load(tmp_path, provider("{vpc: {id: vpc-12345678, subnet_ids: [subnet-12345678, subnet-12345679]}}"))
    assert loaded.provider.vpc.reused
    assert loaded.provider.zone_count == 2


def test_consumers_may_share_by_alias(tmp_path: Path) -> None:
    """A YAML alias spares the typing; overlapping CIDRs are the lesson."""
    loaded = load(tmp_path, "lab: demo\nconsumers:\n- {name: a, vpc: &v {cidr: 10.0.0.0/24}}\n- {name: b, vpc: *v}\n")
    assert {c.vpc.cidr for c in loaded.consumers} == {"10.0.0.0/24"}
    assert loaded.consumer("b") == loaded.consumers[1]
    assert loaded.consumer("c") is None


@pytest.mark.parametrize("text", ["\ufefflab: demo\n", "lab: demo\r\nregion: us-east-1\r\n", "---\nlab: demo\n...\n"])
def test_what_editors_add_does_not_matter(tmp_path: Path, text: str) -> None:
    """A byte order mark, Windows line ends and document marks load."""
    assert load(tmp_path, text).lab == "demo"


def test_any_region_counts_where_none_are_known(tmp_path: Path) -> None:
    """A region that botocore does not know yet is refused only by a list of regions."""
    path = tmp_path / "plab.yaml"
    path.write_text("lab: demo\nregion: eu-moon-1\n", encoding="utf-8")
    assert config.load(path).region == "eu-moon-1"


def test_the_longest_message(tmp_path: Path) -> None:
    """A message may have 8192 bytes in UTF-8, so that the user data stays below EC2's 16 KiB; one more is refused."""
    fits = "😀" * (LONGEST_MESSAGE // 4)
    text = provider(f"{{web_server: {{message: '{fits}'}}}}")
    assert load(tmp_path, text).provider.web_server.message == fits
    [mistake] = mistakes(tmp_path, text.replace("'}", "x'}"))
    assert mistake.endswith("has 8193 bytes; an instance's user data has room for 8192")


SUBNETS = {
    ("10.0.0.0/16", 1): ["10.0.0.0/24"],
    ("10.0.0.0/16", 2): ["10.0.0.0/24", "10.0.1.0/24"],
    ("10.0.0.0/16", 6): [f"10.0.{n}.0/24" for n in range(6)],
    ("10.0.0.0/24", 1): ["10.0.0.0/24"],
    ("10.0.0.0/24", 2): ["10.0.0.0/25", "10.0.0.128/25"],
    ("10.0.0.0/24", 3): ["10.0.0.0/26", "10.0.0.64/26", "10.0.0.128/26"],
    ("10.0.0.0/24", 6): [f"10.0.0.{32 * n}/27" for n in range(6)],
    ("10.0.0.0/26", 1): ["10.0.0.0/26"],
    ("10.0.0.0/26", 4): [f"10.0.0.{16 * n}/28" for n in range(4)],
    ("10.0.0.0/28", 1): ["10.0.0.0/28"],
}


@pytest.mark.parametrize(("vpc", "cidrs"), SUBNETS.items(), ids=lambda value: str(value)[:20])
def test_subnets_are_cut_out_in_order(vpc: tuple[str, int], cidrs: list[str]) -> None:
    """The VPC's subnets are /24, smaller where the VPC is small, in the order of the zones."""
    cidr, zones = vpc
    assert Vpc(cidr=cidr).subnet_cidrs(zones) == cidrs


@pytest.mark.parametrize("prefix", range(16, 29))
def test_a_vpc_fits_its_zones_or_is_refused(prefix: int) -> None:
    """CreateSubnet never gets a CIDR below /28: a VPC is too small, or has a subnet of its own for each zone."""
    vpc = Vpc(cidr=f"10.0.0.0/{prefix}")
    for zones in range(1, 7):
        if not vpc.too_small_for(zones):
            cidrs = vpc.subnet_cidrs(zones)
            assert len(set(cidrs)) == zones
            assert all(int(cidr.split("/")[1]) <= 28 for cidr in cidrs)
    assert vpc.too_small_for(6) == (prefix > 25)


# Unexpected files: every one loads or is refused with a sentence.

LINES = EXAMPLE.splitlines(keepends=True)
KEYS = [number for number, line in enumerate(LINES) if ": " in line.split("#")[0]]
HOSTILE = {
    "an anchor at the top": "&a\nlab: *a\n",
    "a recursive alias for a key": "? &k [*k]\n: c\nlab: a\n",
    "an alias of nothing": "lab: *nothing\n",
    "10,000 closed brackets": "lab: " + "[" * 10_000 + "]" * 10_000,
    "1,500 mappings": "".join(f"{' ' * depth}a:\n" for depth in range(1500)),
    "a Python object": "lab: !!python/object/apply:os.system [ls]\n",
    "a set": "lab: a\nconsumers: !!set {a}\n",
    "no truth": "lab: !!bool maybe\n",
    "no integer": "lab: !!int ''\n",
    "no time": "lab: !!timestamp soon\n",
    "no zone of time": "lab: 2001-01-01T00:00:00+99:99\n",
    "no base64": "lab: !!binary zzz\n",
    "the default value": "lab: =\n",
    "an own tag": "lab: !mine x\n",
    "half a character": 'lab: a\nprovider: {web_server: {message: "\\ud800"}}\n',
    "half a character for a key": 'lab: a\n"\\ud800": 1\n"\\ud800": 2\n',
    "a character beyond C": 'lab: "\\Uffffffff"\n',
    "a version beyond int": "%YAML 1." + "1" * 5000 + "\n---\nlab: a\n",
    "a number of 5,000 digits": "lab: " + "9" * 5000,
    "a base-60 float beyond float": "lab: a\ncreation_grace_period: 1" + ":00" * 300 + ".0\n",
    "infinity": "lab: a\ncreation_grace_period: .inf\nprovider: {zones: -.inf}\n",
    "a merge of a merge": "a: &a {lab: x}\n<<: [*a, *a]\n",
    "a key of every kind": "null: 1\ntrue: 2\n1.5: 3\n2001-01-01: 4\n'': 5\nlab: a\n",
}


def loads_or_says_why(folder: Path, text: str) -> None:
    """Load the text; a UsageError (exit code 2) is an answer too, anything else fails the test."""
    with suppress(UsageError):
        load(folder, text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_yaml_is_refused_in_words(tmp_path: Path, text: str) -> None:
    """Whatever YAML can say, the user sees a config or a sentence, never a traceback."""
    loads_or_says_why(tmp_path, text)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:8])
def test_the_example_with_another_value_in_any_line(tmp_path: Path, value: str) -> None:
    """Any value under any key loads or is refused in words."""
    for number in KEYS:
        key = LINES[number].partition(": ")[0]
        loads_or_says_why(tmp_path, "".join([*LINES[:number], f"{key}: {value}\n", *LINES[number + 1 :]]))


def test_the_example_with_a_line_less_or_twice(tmp_path: Path) -> None:
    """A line lost or pasted twice loads or is refused in words."""
    for number, line in enumerate(LINES):
        loads_or_says_why(tmp_path, "".join([*LINES[:number], *LINES[number + 1 :]]))
        loads_or_says_why(tmp_path, "".join([*LINES[:number], line, *LINES[number:]]))


def test_the_example_cut_short(tmp_path: Path) -> None:
    """A file that is still being written loads or is refused in words."""
    plain = "".join(line.split("#")[0].rstrip() + "\n" for line in LINES)
    for end in range(0, len(plain), 3):
        loads_or_says_why(tmp_path, plain[:end])


def test_the_example_with_a_strange_character_anywhere(tmp_path: Path) -> None:
    """A file with a mistyped character loads or is refused with a sentence."""
    plain = yaml.safe_dump(yaml.safe_load(EXAMPLE))
    slips = itertools.cycle("\0\t\x1b{}[]&*!|>%@`'\"-?:,#\ufffe\n")
    for position, slip in zip(range(0, len(plain), 2), slips, strict=False):
        loads_or_says_why(tmp_path, plain[:position] + slip + plain[position:])
