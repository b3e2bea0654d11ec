"""Checks of single fields. Each says in words what is wrong, or None; none repeats a value, which may be a secret."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import timedelta

from mesh.errors import FieldViolation

MAXIMUM_RETENTION = timedelta(days=7)
"""Art. 6 c. 8 DL 11/2009: at most seven days after collection; only a legal hold keeps longer."""

MAXIMUM_TEXT = 500
_SECRET_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?")
_CREDENTIAL_KEYS = re.compile(r"[?&](user(name)?|usr|login|pass(word|wd)?|pwd|token|auth|key|secret)=", re.IGNORECASE)


class Violations:
    """Collects what is wrong with a request, so that the caller learns of everything at once.

    Args:
        prefix: path of the message that is checked, for example ``"zone"``.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self.found: list[FieldViolation] = []

    def add(self, field: str, problem: str | None) -> None:
        """Notes a problem of ``field``, if there is one."""
        if problem is not None:
            path = ".".join(part for part in (self._prefix, field) if part)
            self.found.append(FieldViolation(path, problem))

    def require(self, field: str, *, given: bool) -> None:
        """Notes that a required field is not set."""
        self.add(field, None if given else "is required")

    def add_all(self, field: str, problems: Iterable[str]) -> None:
        """Notes several problems of one field."""
        for problem in problems:
            self.add(field, problem)


def text_problem(text: str, *, required: bool = False) -> str | None:
    """A text that people read: one line, at most 500 characters, not only blanks where it is required."""
    if required and not text.strip():
        return "is required"
    if len(text) > MAXIMUM_TEXT:
        return f"must not be longer than {MAXIMUM_TEXT} characters"
    if any(ord(character) < ord(" ") or character == "\x7f" for character in text):
        return "must not hold control characters"
    return None


def credentials_problem(text: str) -> str | None:
    """The name of a secret, never the secret."""
    if not text or _SECRET_NAME.fullmatch(text):
        return None
    return "must be the name of a secret (letters, digits, '.', '_', '-', '/'), never a user or password"


def stream_path_problem(text: str) -> str | None:
    """An RTSP path and query below the device's address, free of credentials."""
    if not text:
        return None
    if not text.startswith("/") or text.startswith("//") or "://" in text:
        return "must begin with one '/': the host is the device's address"
    if any(character.isspace() or not character.isprintable() for character in text) or len(text) > MAXIMUM_TEXT:
        return f"must be at most {MAXIMUM_TEXT} printable characters without blanks"
    if _CREDENTIAL_KEYS.search(text):
        return "must not carry credentials: name a secret in the device's credentials"
    return None


def range_problem(value: float, low: float, high: float, *, high_included: bool = True) -> str | None:
    """A number within bounds; NaN is outside."""
    inside = low <= value <= high if high_included else low <= value < high
    return None if inside else f"must be between {low:g} and {high:g}" + ("" if high_included else " (exclusive)")


def retention_problem(retention: timedelta) -> str | None:
    """How long masked video is kept."""
    if timedelta(0) <= retention <= MAXIMUM_RETENTION:
        return None
    return "must be between 0 and 7 days (604800s): only a legal hold keeps longer"


def reason_problem(text: str) -> str | None:
    """Why somebody changes a record: always said, for it goes on record."""
    return text_problem(text, required=True)


def request_id_problem(text: str) -> str | None:
    """A request id of AIP-155."""
    try:
        uuid.UUID(text)
    except ValueError:
        return "must be a UUID"
    return None


def schedule_problems(days: Iterable[int], start_minute: int, end_minute: int) -> list[str]:
    """A weekly stretch of time.

    Args:
        days: ISO 8601, 1 is Monday.
        start_minute: after midnight.
        end_minute: after midnight, up to 1440; before the start: on the next day.
    """
    problems = []
    if any(not 1 <= day <= 7 for day in days):  # noqa: PLR2004 - ISO 8601
        problems.append("days_of_week must be between 1 (Monday) and 7 (Sunday)")
    if not (0 <= start_minute < _MINUTES_PER_DAY and 0 <= end_minute <= _MINUTES_PER_DAY):
        problems.append("start_minute must be below 1440 and end_minute at most 1440")
    if start_minute == end_minute:
        problems.append("start_minute and end_minute must differ")
    return problems


_MINUTES_PER_DAY = 24 * 60
