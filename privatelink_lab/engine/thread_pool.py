"""Several calls at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from privatelink_lab.errors import PlabError

Task = TypeVar("Task")
Result = TypeVar("Result")

WORKERS = 8


def in_parallel(tasks: Sequence[Task], call: Callable[[Task], Result]) -> list[Result | PlabError]:
    """`call` on every task at once, in order; a PlabError is that task's result."""

    def attempt(task: Task) -> Result | PlabError:
        try:
            return call(task)
        except PlabError as error:
            return error

    if len(tasks) <= 1:
        return [attempt(task) for task in tasks]
    return list(_pool().map(attempt, tasks))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """One pool for all snapshots: a new pool for each took longer than the calls. Not to be nested."""
    return ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="aws")
