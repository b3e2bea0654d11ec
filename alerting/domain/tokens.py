"""Opaque tokens of the contract: where a page ends, where a watch goes on."""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass
from datetime import datetime

from mesh.errors import FieldViolation, InvalidArgument, OutOfRange

DEFAULT_PAGE_SIZE = 50
MAXIMUM_PAGE_SIZE = 1000


def page_size(requested: int) -> int:
    """The size of a page (AIP-158): 0 means the default, more than the maximum means the maximum.

    Raises:
        InvalidArgument: it is negative.
    """
    if requested < 0:
        raise invalid("page_size", "must not be negative")
    return min(requested or DEFAULT_PAGE_SIZE, MAXIMUM_PAGE_SIZE)


def encode_token(*parts: str) -> str:
    """An opaque token of some parts, none of which holds a line break."""
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode().rstrip("=")


def decode_token(token: str, parts: int, field: str) -> list[str]:
    """The parts of a token.

    Raises:
        InvalidArgument: it is not a token of so many parts; names ``field``.
    """
    try:
        decoded = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode().split("\n")
    except (binascii.Error, ValueError):
        raise invalid(field, "is not one that this service gave out") from None
    if len(decoded) != parts:
        raise invalid(field, "is not one that this service gave out")
    return decoded


def encode_place(time: datetime, name: str) -> str:
    """The page token after the row of this time and id."""
    return encode_token(time.isoformat(), name)


def decode_place(token: str) -> tuple[datetime, str] | None:
    """Where a page begins; none: at the start.

    Raises:
        InvalidArgument: it is not a page token.
    """
    if not token:
        return None
    time, name = decode_token(token, 2, "page_token")
    return page_time(time), name


def page_time(text: str) -> datetime:
    """The time in a page token.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise invalid("page_token", "is not one that this service gave out")
    return time


@dataclass(frozen=True)
class Position:
    """A place in the sequence of all changes.

    Attributes:
        epoch: names the sequence; a new database begins a new one.
        change: everything up to this one has been seen.
    """

    epoch: uuid.UUID
    change: int

    @property
    def token(self) -> str:
        """The resume token."""
        return encode_token(self.epoch.hex, str(self.change))


@dataclass(frozen=True)
class Sequence:
    """How far the sequence of changes reaches.

    Attributes:
        epoch: see ``Position``.
        floor: changes up to this one are erased; a reader who stopped before it has missed something for good.
        head: the latest change.
    """

    epoch: uuid.UUID
    floor: int
    head: int


def resume(token: str, sequence: Sequence) -> Position:
    """Where a watch goes on.

    Raises:
        InvalidArgument: it is not a resume token.
        OutOfRange: it is too old, or of another database (``RESUME_TOKEN_EXPIRED``).
    """
    epoch, change = decode_token(token, 2, "resume_token")
    try:
        position = Position(uuid.UUID(epoch), int(change))
    except ValueError:
        raise invalid("resume_token", "is not one that this service gave out") from None
    if position.epoch != sequence.epoch or not sequence.floor <= position.change <= sequence.head:
        raise OutOfRange("the resume token is too old: begin again without one", reason="RESUME_TOKEN_EXPIRED")
    return position


def invalid(field: str, description: str) -> InvalidArgument:
    """A request with one wrong field."""
    return InvalidArgument(
        f"{field} {description}",
        reason="INVALID_FIELD",
        metadata={"field": field},
        violations=[FieldViolation(field=field, description=description)],
    )
