"""Walking the hash chain: finds the first entry that was changed, removed or moved; also offline, from a file."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mesh.audit.entries import GENESIS, Act, AuditEntry, hash_entry

_SEARCHED_PLACES = 1000
"""How far to either side the true place of a moved entry is looked for."""


class Fault(enum.Enum):
    """What is wrong with a place in the chain."""

    CHANGED = "changed"
    MISSING = "missing"
    OUT_OF_PLACE = "out of place"


@dataclass(frozen=True)
class Place:
    """An entry, by its number and time."""

    sequence: int
    recorded_at: datetime


@dataclass(frozen=True)
class Finding:
    """The first place where the chain does not hold.

    Attributes:
        sequence: the number that the entry has, or would have.
        fault: what is wrong.
        explanation: the same in words.
        recorded_at: the time that the entry states; None: it is missing.
        before: the entry before it; None: it is the first.
        after: the entry after it; None: it is the last.
    """

    sequence: int
    fault: Fault
    explanation: str
    recorded_at: datetime | None
    before: Place | None
    after: Place | None = None


@dataclass(frozen=True)
class Anchor:
    """The head of the log at some time, kept outside the database.

    Attributes:
        sequence: number of the entry that was the newest.
        hash: its hash, 32 bytes.
    """

    sequence: int
    hash: bytes

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        return f"{self.sequence}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """Reads ``SEQUENCE:HASH``, the hash in hexadecimal.

        Raises:
            ValueError: it is not of that form.
        """
        sequence, _, digest = text.strip().partition(":")
        anchor = cls(int(sequence), bytes.fromhex(digest))
        if anchor.sequence < 0 or len(anchor.hash) != len(GENESIS):
            raise ValueError("an anchor is SEQUENCE:HASH with 64 hexadecimal digits")
        return anchor


def expiry_of(last: Anchor) -> str:
    """What an entry says of those that were cut off at the end of their term."""
    return f"audit entries up to {last}"


class ChainWalk:
    """Takes the rows of the log in their order and remembers the first fault.

    A log may begin later than with its first entry, if one of its own entries says that those before were cut off.

    Attributes:
        head: the newest entry that was found whole; number 0 of an empty log.
    """

    def __init__(self, *anchors: Anchor | None) -> None:
        """Begins before the first entry.

        Args:
            anchors: earlier heads, kept elsewhere; the log must still hold them.
        """
        self.head = Anchor(0, GENESIS)
        self._anchors = {anchor.sequence: anchor.hash for anchor in anchors if anchor is not None}
        self._held = 0
        self._last: Place | None = None
        self._finding: Finding | None = None
        self._cut: Finding | None = None
        self._cut_said = ""

    def take(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Looks at the next rows.

        Args:
            rows: with the columns of the table as keys.

        Returns:
            Whether enough has been seen: a fault, and the entry after it.
        """
        for row in rows:
            if self._finding is not None:
                self._finding = replace(self._finding, after=Place(row["sequence"], row["recorded_at"]))
                return True
            self._finding = self._look(row)
            if self._finding is None:
                self.head = Anchor(row["sequence"], bytes(row["hash"]))
                self._last = Place(row["sequence"], row["recorded_at"])
            elif self._finding.after is not None:
                return True
        return False

    def finish(self) -> Finding | None:
        """The first fault, after the last row: none if the chain is whole and holds the anchor."""
        if self._cut is not None:
            return self._cut
        newest = max(self._anchors, default=0)
        if self._finding is None and self.head.sequence < newest:
            said = f"the log ends before entry {newest}, which the anchor names"
            return self._found(self.head.sequence + 1, Fault.MISSING, said)
        return self._finding

    def _look(self, row: Mapping[str, Any]) -> Finding | None:
        sequence, expected = row["sequence"], self.head.sequence + 1
        if self._last is None and sequence > 1:
            return self._begin_late(row)
        if sequence > expected:
            gap = "it is" if sequence == expected + 1 else f"it and those up to {sequence - 1} are"
            after = Place(sequence, row["recorded_at"])
            return replace(self._found(expected, Fault.MISSING, f"{gap} not there"), after=after)
        if sequence < expected:
            return self._found(expected, Fault.OUT_OF_PLACE, f"entry {sequence} stands in its place", row)
        problem = self._problem(row)
        return self._found(sequence, *problem, row) if problem is not None else None

    def _begin_late(self, row: Mapping[str, Any]) -> Finding | None:
        """The first rows are gone: for now believed to have been cut off, if a later entry says so."""
        sequence = row["sequence"]
        gap = f"it and those up to {sequence - 1} are" if sequence - 1 > 1 else "it is"
        said = f"{gap} not there, and no entry says that the term was over"
        after = Place(sequence, row["recorded_at"])
        self._cut = replace(self._found(1, Fault.MISSING, said), after=after)
        self.head = Anchor(sequence - 1, bytes(row["previous_hash"]))
        self._cut_said = expiry_of(self.head)
        problem = self._problem(row)
        return self._found(sequence, *problem, row) if problem is not None else None

    def _problem(self, row: Mapping[str, Any]) -> tuple[Fault, str] | None:
        entry = _entry(row)
        if entry is None:
            return Fault.CHANGED, "its act is none of the seven"
        previous, own = bytes(row["previous_hash"]), bytes(row["hash"])
        if hash_entry(entry, row["sequence"], row["recorded_at"], previous) != own:
            origin = next((place for place in _nearby(row["sequence"]) if _fits(row, entry, place)), None)
            if origin is not None:
                return Fault.OUT_OF_PLACE, f"it was written as entry {origin}"
            return Fault.CHANGED, "its content does not give its hash"
        if previous != self.head.hash:
            return Fault.OUT_OF_PLACE, "it does not follow the entry before it: one of the two was put in later"
        anchored = self._anchors.get(row["sequence"], own)
        if own != anchored:
            since = f"after entry {self._held}, up to here" if self._held else "up to here"
            return Fault.CHANGED, f"its hash is not that of the anchor: the chain {since} was written anew"
        if row["sequence"] in self._anchors:
            self._held = row["sequence"]
        if entry.act is Act.ERASURE and entry.what == self._cut_said:
            self._cut = None
        return None

    def _found(self, sequence: int, fault: Fault, explanation: str, row: Mapping[str, Any] | None = None) -> Finding:
        return Finding(sequence, fault, explanation, row["recorded_at"] if row is not None else None, self._last)


def _entry(row: Mapping[str, Any]) -> AuditEntry | None:
    try:
        act = Act(row["act"])
    except ValueError:
        return None
    return AuditEntry(act, row["who"], row["why"], row["what"], row["to_whom"], row["case_reference"])


def _fits(row: Mapping[str, Any], entry: AuditEntry, sequence: int) -> bool:
    return hash_entry(entry, sequence, row["recorded_at"], bytes(row["previous_hash"])) == bytes(row["hash"])


def _nearby(sequence: int) -> Iterator[int]:
    for distance in range(1, _SEARCHED_PLACES + 1):
        yield sequence + distance
        if sequence > distance:
            yield sequence - distance
