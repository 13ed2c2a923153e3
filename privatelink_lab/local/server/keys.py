"""The access keys of one local AWS: its own, and those that AssumeRole has given out."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from moto.core.utils import utcnow
from moto.iam import utils as iam_random
from moto.sts.models import sts_backends

_LETTERS = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class AccessKey:
    """One key: what signs with it, the token that has to come with it, and when it ends (None: with the server)."""

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    ends: datetime | None = None

    def has_ended(self) -> bool:
        """Whether the session is over."""
        return self.ends is not None and utcnow() > self.ends


class Keys:
    """All keys of one local AWS."""

    def __init__(self) -> None:
        iam_random.random = secrets.SystemRandom()  # type: ignore[assignment,attr-defined]  # moto's own can be seeded
        self.own = AccessKey("AKIA" + "".join(secrets.choice(_LETTERS) for _ in range(16)), secrets.token_urlsafe(30))
        self._known = {self.own.id: self.own}

    def find(self, id_: str) -> AccessKey | None:
        """The key of that id; None for one that this local AWS does not know."""
        if id_ not in self._known:
            self._known |= {key.id: key for key in _assumed()}
        return self._known.get(id_)


def _assumed() -> Iterator[AccessKey]:
    for account in list(sts_backends.values()):
        for backend in list(account.values()):
            for role in list(backend.assumed_roles):
                yield AccessKey(role.access_key_id, role.secret_access_key, role.session_token, role.expiration)
