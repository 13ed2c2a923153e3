"""The memo: each question is asked once, and its answer is shared."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.timeouts import PATIENCE

from privatelink_lab.errors import AwsError
from privatelink_lab.memo import Memo

DENIED = AwsError("No", code="UnauthorizedOperation", operation="DescribeVpcs")


def test_two_askers_at_once_cost_one_call() -> None:
    """While one worker waits for AWS, the next one with the same question waits for that answer."""
    memo, asking, answer = Memo(), threading.Event(), threading.Event()
    calls: list[int] = []

    def ask() -> str:
        calls.append(1)
        asking.set()
        assert answer.wait(PATIENCE)
        return "rows"

    with ThreadPoolExecutor() as pool:
        first = pool.submit(memo.get, "vpcs", ask)
        assert asking.wait(PATIENCE)
        others = [pool.submit(memo.get, "vpcs", ask) for _ in range(3)]
        answer.set()
        assert [future.result(PATIENCE) for future in (first, *others)] == ["rows"] * 4
    assert len(calls) == 1


def test_different_questions_do_not_wait_for_each_other() -> None:
    """A slow account does not hold up the others, and a question may ask another one."""
    memo = Memo()
    assert memo.get("endpoints", lambda: memo.get("vpcs", lambda: "vpc") + " endpoint") == "vpc endpoint"
    assert memo.get("vpcs", lambda: "another") == "vpc"


def test_nothing_is_an_answer_too() -> None:
    """An empty or missing answer is not asked for again."""
    memo = Memo()
    assert memo.get("vpcs", lambda: None) is None
    assert memo.get("vpcs", lambda: "late") is None


@pytest.mark.parametrize("error", [DENIED, KeyError("a bug"), KeyboardInterrupt()])
def test_an_error_is_raised_for_every_asker(error: BaseException) -> None:
    """A denied describe costs one call; every thread that asked gets its error, and none waits for ever."""
    memo, calls = Memo(), []

    def ask() -> str:
        calls.append(1)
        raise error

    for _ in range(3):
        with pytest.raises(type(error)) as caught:
            memo.get("vpcs", ask)
        assert caught.value is error
    assert len(calls) == 1


def test_answers_are_the_good_ones_of_a_kind() -> None:
    """Who made the lab is read from what was seen, without another call and without the errors."""
    memo = Memo()
    memo.get(("rows", "1"), lambda: "a")
    memo.get(("found", "1"), lambda: "b")
    memo.get("rows", lambda: "no tuple")
    with pytest.raises(AwsError):
        memo.get(("rows", "2"), lambda: (_ for _ in ()).throw(DENIED))
    assert list(memo.answers("rows")) == ["a"]
    assert list(memo.answers("found")) == ["b"]
