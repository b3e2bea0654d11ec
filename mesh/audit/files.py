"""The log as a file: JSON lines, one entry each, that can be verified without the database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

_TEXTS = ("act", "who", "why", "what", "to_whom", "case_reference")
_HASHES = ("previous_hash", "hash")


def to_line(row: Mapping[str, Any]) -> str:
    """One row of the table as a line, without the newline."""
    values: dict[str, Any] = {"sequence": row["sequence"], "recorded_at": row["recorded_at"].isoformat()}
    values |= {name: row[name] for name in _TEXTS} | {name: bytes(row[name]).hex() for name in _HASHES}
    return json.dumps(values, ensure_ascii=False)


def from_lines(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """The rows of a file.

    Raises:
        ValueError: a line is not an entry; it is named by its number.
    """
    for number, line in enumerate(lines, 1):
        try:
            yield _row(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"line {number} is not an entry of an audit log") from error


def _row(values: Mapping[str, Any]) -> Mapping[str, Any]:
    recorded_at = datetime.fromisoformat(values["recorded_at"])
    if recorded_at.tzinfo is None or not isinstance(values["sequence"], int):
        raise ValueError("no time zone, or no number")
    texts = {name: str(values[name]) for name in _TEXTS}
    hashes = {name: bytes.fromhex(values[name]) for name in _HASHES}
    return {"sequence": values["sequence"], "recorded_at": recorded_at} | texts | hashes
