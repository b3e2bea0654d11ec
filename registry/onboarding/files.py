"""Files of fleets: what is read of them, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from argo.registry.v1 import fleet_service_pb2
from registry.onboarding.columns import Column

MAXIMUM_BYTES = 32 * 2**20
MAXIMUM_RECORDS = 10_000
"""As many as one import takes."""


class FileError(Exception):
    """A file cannot be read as a fleet at all; says why, and what to do."""


@dataclass(frozen=True)
class FileProblem:
    """Something that is wrong at one place of a file.

    Attributes:
        source: where, for example ``"line 12"``.
        field: the column or property; empty: the place as a whole.
        description: what is wrong and what to do.
    """

    source: str
    field: str
    description: str


@dataclass
class FleetFile:
    """What a file says.

    Attributes:
        rows: records with the place that they come from, each record once.
        problems: of what could not be understood; nothing of that is among the rows.
        absent: columns that the file does not have, by kind of record: what is stored there is to stay.
    """

    rows: list[fleet_service_pb2.ImportFleetRequest.Row] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    absent: Mapping[str, Sequence[Column]] = field(default_factory=dict)

    def add(self, source: str, kind: str, record: Any) -> None:
        """Takes a record in.

        Raises:
            FileError: there are more than one import takes.
        """
        if len(self.rows) == MAXIMUM_RECORDS:
            raise FileError(
                f"it holds more than {MAXIMUM_RECORDS} records, as many as one import takes: divide the file"
            )
        wrapped = fleet_service_pb2.FleetRecord(**{kind: record})
        self.rows.append(fleet_service_pb2.ImportFleetRequest.Row(source=source, record=wrapped))

    def keep_absent(self, stored: Mapping[str, Any]) -> None:
        """Copies what the file has no column for from the stored records.

        Args:
            stored: records by name.
        """
        for row in self.rows:
            kind = str(row.record.WhichOneof("record"))
            record = getattr(row.record, kind)
            before = stored.get(record.name)
            for column in self.absent.get(kind, ()) if before is not None else ():
                column.copy(before, record)


def decode(content: bytes) -> str:
    """The text of a file.

    Raises:
        FileError: it is too large, or no UTF-8 text.
    """
    if len(content) > MAXIMUM_BYTES:
        raise FileError(f"it is larger than {MAXIMUM_BYTES // 2**20} MiB: divide the file")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileError("it is UTF-16: save it as UTF-8 (in a spreadsheet: CSV UTF-8)")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileError(
            f"it is not UTF-8: line {line} holds the byte 0x{content[error.start]:02X}; save it as UTF-8 (in a "
            "spreadsheet: CSV UTF-8)"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise FileError(f"line {line} holds a NUL character: the file is damaged, or no text")
    return text
