"""Where a list or a watch of counts goes on: opaque tokens, each good for one question."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.domain.flows.cells import Key
from alerting.domain.tokens import decode_token, encode_token, invalid
from mesh.errors import OutOfRange


def question_of(names: Iterable[str], granularity: timedelta) -> str:
    """The same for the same question."""
    text = "\n".join((*names, str(granularity.total_seconds())))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Mark:
    """Everything up to and with ``key`` was given; a key without a place means: nothing of its interval was."""

    question: str
    key: Key

    @property
    def token(self) -> str:
        """The opaque token."""
        key = self.key
        return encode_token(self.question, key.place, key.start.isoformat(), str(key.object_class), key.to_place)

    @classmethod
    def read(cls, token: str, question: str, field: str) -> Mark:
        """A token as a mark.

        Raises:
            InvalidArgument: it is not one of this question; names ``field``.
        """
        given, place, start, object_class, to_place = decode_token(token, 5, field)
        if given != question:
            raise invalid(field, "is of a request with other places or another granularity")
        try:
            time, number = datetime.fromisoformat(start), int(object_class)
        except ValueError:
            raise invalid(field, "is not one that this service gave out") from None
        if time.tzinfo is None or not 0 <= number < 2**15:
            raise invalid(field, "is not one that this service gave out")
        return cls(question, Key(place, time, number, to_place))

    def check_kept(self, since: datetime, now: datetime) -> None:
        """Raises ``OutOfRange`` (``RESUME_TOKEN_EXPIRED``) when what comes after the mark is no longer kept."""
        if not since <= self.key.start <= now:
            raise OutOfRange("the resume token is too old: begin again without one", reason="RESUME_TOKEN_EXPIRED")
