"""How AWS lists the resources of one kind: of one lab, of all labs, or by id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from privatelink_lab import tags
from privatelink_lab.errors import AwsError

if TYPE_CHECKING:
    from privatelink_lab.aws import Account

Row = dict[str, Any]
Rows = tuple[Row, ...]
MOST_VALUES = 200  # of one filter (DescribeVpcs and its like)
MOST_ARNS = 20  # of one DescribeTags


@dataclass(frozen=True)
class Kind:
    """How AWS lists the resources of one kind that bear the lab's tag.

    `name` is EC2's own word, as in TagSpecifications. `operation` is the describe call, `rows` where its answer has
    the rows, `nested` where each of these has the real ones, and `id` where these have their id. A kind with an ARN is
    ELBv2's, which has no tag filter: its rows are found by the lab's name. A consumer's account has nothing of a kind
    that is `provider_only`. `fixed` are the names in a row that AWS never changes, as far as a create knows them;
    `created` is where a row has the time of its creation. `delete` are the words of the AWS CLI that delete one, up to
    its id.
    """

    name: str
    operation: str
    rows: str
    id: str
    nested: str = ""
    provider_only: bool = False
    fixed: tuple[str, ...] = ()
    created: str = ""
    delete: str = ""

    @property
    def service(self) -> str:
        """The service as boto3 names it."""
        return "elbv2" if self.id.endswith("Arn") else "ec2"

    @property
    def reads(self) -> set[str]:
        """The IAM actions of a snapshot: the describe call, and ELBv2's second one for tags."""
        name = "".join(word.capitalize() for word in self.operation.split("_"))
        if self.service == "ec2":
            return {f"ec2:{name}"}
        return {f"elasticloadbalancing:{name}", "elasticloadbalancing:DescribeTags"}

    @property
    def tags(self) -> str:
        """The IAM action that a create with tags also takes; it is no call."""
        return "ec2:CreateTags" if self.service == "ec2" else "elasticloadbalancing:AddTags"

    def identity(self, lab: str, account: Account, row: Row) -> str:
        """What `plab:identity` says on a row that this lab has made under the key that the row's own tag names."""
        fixed = {name: row.get(name) for name in self.fixed}
        key = tags.of(row).get(tags.KEY, "")
        return tags.identity(lab, key, account=account.id, region=account.region, fixed=fixed)


def rows_of_lab(account: Account, kind: Kind, lab: str, name: str) -> Rows:
    """The rows that bear the lab's tag; of ELBv2, which has no tag filter, those of the lab's name. Raises AwsError."""
    if kind.service == "ec2":
        return _described(account, kind, Filters=[{"Name": f"tag:{tags.LAB}", "Values": [lab]}])
    return _with_tags(account, kind, Names=[name])


def rows_of_ids(account: Account, kind: Kind, ids: list[str]) -> Rows:
    """The rows of these ids or ARNs, also without tags. Raises AwsError."""
    if kind.service == "ec2":
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.id).lower()  # VpcId is the filter vpc-id
        filters = ([{"Name": name, "Values": chunk}] for chunk in _chunks(ids, MOST_VALUES))
        return tuple(row for asked in filters for row in _described(account, kind, Filters=asked))
    return _with_tags(account, kind, **{f"{kind.id}s": ids}) if ids else ()


def rows_of_labs(account: Account, kind: Kind) -> dict[str, Rows]:
    """By lab: the rows of a kind that bear the tag of any lab. Raises AwsError."""
    if kind.service == "ec2":
        rows = _described(account, kind, Filters=[{"Name": "tag-key", "Values": [tags.LAB]}])
    else:
        rows = _with_tags(account, kind)
    by_lab: dict[str, list[Row]] = {}
    for row in rows:
        if lab := tags.of(row).get(tags.LAB):
            by_lab.setdefault(lab, []).append(row)
    return {lab: tuple(of_lab) for lab, of_lab in by_lab.items()}


def _with_tags(account: Account, kind: Kind, **request: Any) -> Rows:
    """Rows of ELBv2, each with its tags; () where AWS knows none of what was asked for."""
    try:
        rows = _described(account, kind, **request)
        named = _tags_by_arn(account, [row[kind.id] for row in rows])
        return tuple(row | {"Tags": named.get(row[kind.id], [])} for row in rows)
    except AwsError as error:
        if error.code.endswith("NotFound"):
            return ()
        raise


def _tags_by_arn(account: Account, arns: list[str]) -> dict[str, Any]:
    answers = (account.elbv2.describe_tags(ResourceArns=chunk) for chunk in _chunks(arns, MOST_ARNS))
    return {about["ResourceArn"]: about["Tags"] for answer in answers for about in answer["TagDescriptions"]}


def _described(account: Account, kind: Kind, **request: Any) -> Rows:
    rows = account.pages(kind.service, kind.operation, kind.rows, **request)
    return tuple(row for outer in rows for row in outer[kind.nested]) if kind.nested else tuple(rows)


def _chunks(items: list[str], size: int) -> list[list[str]]:
    return [items[at : at + size] for at in range(0, len(items), size)]
