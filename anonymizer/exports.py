"""Exports: the manifest of a clip that is handed over, and whether a clip is still what the manifest says."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from anonymizer.access import Reader

EXPORT: Final = "argo.export/1"
"""What kind of statement a manifest is, and its version."""

SOFTWARE: Final = f"argo {importlib.metadata.version('argo')}"
"""Who makes statements."""


class PieceHashes:
    """Hashes of a file that is made piece by piece.

    Attributes:
        pieces: length, digest and capture time of each.
        size: bytes so far.
    """

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self.pieces: list[dict[str, Any]] = []
        self.size = 0

    def add(self, content: bytes, captured: datetime) -> None:
        """Takes the next piece.

        Args:
            content: of the piece; an empty one is none.
            captured: up to which capture time the pictures in it and before it reach, roughly; names it to people.
        """
        if not content:
            return
        self._whole.update(content)
        self.size += len(content)
        digest = hashlib.sha256(content).hexdigest()
        self.pieces.append({"bytes": len(content), "captured": instant(captured), "sha256": digest})

    @property
    def digest(self) -> str:
        """SHA-256 of the whole file so far, hexadecimal."""
        return self._whole.hexdigest()


@dataclass(frozen=True, slots=True)
class Export:
    """What is said of a clip that is handed over.

    Attributes:
        optic: `devices/{device}/optics/{optic}`.
        asked: the interval that was asked for.
        covered: unbroken stretches of capture time that the clip shows.
        pictures: how many it shows.
        reader: who handed it over and why.
        recipient: to whom.
        audit_entry: number of the act in the audit log of the anonymizer.
        exported: when.
    """

    optic: str
    asked: tuple[datetime, datetime]
    covered: Sequence[tuple[datetime, datetime]]
    pictures: int
    reader: Reader
    recipient: str
    audit_entry: int
    exported: datetime

    def manifest(self, hashes: PieceHashes) -> dict[str, Any]:
        """The statement to be signed."""
        return {
            "type": EXPORT,
            "optic": self.optic,
            "asked": [instant(each) for each in self.asked],
            "covered": [[instant(start), instant(end)] for start, end in self.covered],
            "pictures": self.pictures,
            "media_type": "video/mp4",
            "masked": True,
            "bytes": hashes.size,
            "sha256": hashes.digest,
            "pieces": hashes.pieces,
            "who": self.reader.who,
            "through": self.reader.through,
            "purpose": self.reader.purpose,
            "reason": self.reader.reason,
            "case": self.reader.case,
            "recipient": self.recipient,
            "audit_entry": self.audit_entry,
            "exported": instant(self.exported),
            "software": SOFTWARE,
        }


def faults(manifest: Mapping[str, Any], content: BinaryIO) -> Iterator[str]:
    """What is wrong with a clip, piece by piece; nothing, when it is what the manifest says."""
    offset = 0
    for number, piece in enumerate(manifest["pieces"], 1):
        length = int(piece["bytes"])
        part = content.read(length)
        if hashlib.sha256(part).hexdigest() != piece["sha256"]:
            said = "is cut off" if len(part) < length else "was changed"
            yield (
                f"piece {number} of {len(manifest['pieces'])} {said}: bytes {offset} to {offset + length - 1},"
                f" captured up to {piece['captured']}"
            )
        offset += length
    if more := len(content.read()):
        yield f"{more} bytes were added after byte {offset - 1}"


def instant(time: datetime) -> str:
    """A time as it stands in statements: UTC, to the microsecond."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")
