"""Answers that are fetched once and shared: the memory of one snapshot, or of one run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from privatelink_lab.errors import PlabError

Answer = TypeVar("Answer")


class Memo:
    """Answers by question: the first caller fetches, all others wait for that answer. Thread-safe.

    An error is an answer too, unless `keep_errors` is False: then the next caller tries again.
    """

    def __init__(self, *, keep_errors: bool = True) -> None:
        self._keep_errors = keep_errors
        self._lock = threading.Lock()
        self._answers: dict[Hashable, Future[Any]] = {}

    def get(self, question: Hashable, fetch: Callable[[], Answer]) -> Answer:
        """The answer to `question`; an error is raised for every caller that waits for it."""
        with self._lock:
            future, first = self._answers.get(question), False
            if future is None:
                future, first = self._answers.setdefault(question, Future()), True
        if first:
            try:
                future.set_result(fetch())
            except PlabError as error:
                if not self._keep_errors:
                    self._answers.pop(question, None)
                future.set_exception(error)
            except BaseException as error:
                future.set_exception(error)
                raise
        return cast("Answer", future.result())

    def answers(self, subject: str) -> Iterator[Any]:
        """Every good answer so far to a question that is a tuple and begins with `subject`."""
        for question, future in list(self._answers.items()):
            if isinstance(question, tuple) and question[0] == subject and future.done() and not future.exception():
                yield future.result()
