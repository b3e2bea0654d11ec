"""A fleet as CSV: one row per optic, with the columns of its device, site and deployment repeated."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from argo.registry.v1 import fleet_service_pb2, site_pb2
from registry.domain.names import ancestor
from registry.onboarding.columns import COLUMNS, Column, columns_of
from registry.onboarding.files import FileError, FileProblem, FleetFile
from registry.onboarding.rows import KINDS
from registry.resources import RESOURCES

MAXIMUM_LINES = 10_000
_DELIMITERS = (",", ";", "\t")
# What spreadsheets take for the start of a formula; the wide forms are taken so by some East Asian editions.
_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")  # noqa: RUF001 - the wide forms are meant
_LONGEST_CELL = 100_000


@dataclass
class _Sheet:
    """What has been read so far: for each record, the line that said it first, and the cells of that line."""

    file: FleetFile
    first: dict[str, tuple[int, Mapping[str, str]]] = field(default_factory=dict)

    def take(self, line: int, cells: Mapping[str, str]) -> None:
        """Reads the records of one line."""
        ids = {kind: cells.get(kind, "").strip() for kind in KINDS}
        if not any(ids.values()):
            self._problem(line, "", "names no site, device, optic, deployment or controller")
            return
        for kind in KINDS:
            if ids[kind] and (name := self._name(line, kind, ids)):
                self._take_record(line, kind, name, ids["site"], cells)

    def _name(self, line: int, kind: str, ids: Mapping[str, str]) -> str:
        if kind not in ("optic", "deployment"):
            return f"{RESOURCES[kind].plural}/{ids[kind]}"
        if not ids["device"]:
            self._problem(line, "device", f"is required beside {kind}")
            return ""
        return f"devices/{ids['device']}/{RESOURCES[kind].plural}/{ids[kind]}"

    def _take_record(self, line: int, kind: str, name: str, site: str, cells: Mapping[str, str]) -> None:
        own = {column.title: cells.get(column.title, "") for column in columns_of(kind)}
        if not any(cell.strip() for cell in own.values()):
            # Only named, for what stands beside it.
            return
        if name in self.first:
            self._compare(line, name, own)
            return
        self.first[name] = line, own
        record: Any = RESOURCES[kind].message(name=name)
        if isinstance(record, site_pb2.Device | site_pb2.Deployment) and site:
            record.site = f"sites/{site}"
        # Every cell is read, so that every problem is told.
        read = [self._read(line, column, own[column.title], record) for column in columns_of(kind)]
        if isinstance(record, site_pb2.Device) and record.mobility == site_pb2.Device.MOBILITY_MOBILE:
            record.ClearField("site")
        if all(read):
            self.file.add(f"line {line}", kind, record)

    def _read(self, line: int, column: Column, cell: str, record: Any) -> bool:
        try:
            column.read(_raw(cell) if column.is_text else cell, record)
        except ValueError as error:
            self._problem(line, column.title, str(error))
            return False
        return True

    def _compare(self, line: int, name: str, cells: Mapping[str, str]) -> None:
        """A record that stands on several lines is one record: what is said again must be the same."""
        before, said = self.first[name]
        for title, cell in cells.items():
            if cell.strip() and cell != said[title]:
                self._problem(line, title, f"says something else of {name} than line {before}")

    def _problem(self, line: int, title: str, description: str) -> None:
        self.file.problems.append(FileProblem(f"line {line}", title, description))


def read(text: str) -> FleetFile:
    """Reads a fleet from CSV with a line of titles; comma, semicolon or tab between the cells.

    Raises:
        FileError: it cannot be read as CSV, has columns that do not exist, or too many lines.
    """
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines = _lines(reader)
    _, header = next(lines, (0, []))
    titles = [title.strip().lower() for title in header]
    _check_titles(titles)
    file = FleetFile()
    file.absent = {
        kind: [column for column in columns_of(kind) if column.title not in titles] for kind in KINDS if kind in titles
    }
    sheet = _Sheet(file)
    for number, (line, cells) in enumerate(lines):
        if number >= MAXIMUM_LINES:
            raise FileError(f"it has more than {MAXIMUM_LINES} lines: divide the file")
        if len(cells) > len(titles):
            file.problems.append(
                FileProblem(f"line {line}", "", f"has {len(cells)} cells, but there are {len(titles)} titles")
            )
        elif any(cell.strip() for cell in cells):
            sheet.take(line, dict(zip(titles, cells, strict=False)))
    return file


def write(records: Iterable[fleet_service_pb2.FleetRecord]) -> str:
    """A fleet as CSV, comma between the cells, that ``read`` reads back as it was."""
    output = io.StringIO(newline="")
    writer = csv.writer(output, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for parts in _lines_of(records):
        writer.writerow([_cell(column, title, parts) for title, column in COLUMNS.items()])
    return output.getvalue()


def _delimiter(text: str) -> str:
    """The one that makes the most known titles of the first line."""
    header = text.partition("\n")[0]

    def known(delimiter: str) -> int:
        return sum(title.strip(' "\r').lower() in COLUMNS for title in header.split(delimiter))

    return max(_DELIMITERS, key=known)


def _lines(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of its first line."""
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileError(f"line {line} is not valid CSV: {error}") from None
        if any(len(cell) > _LONGEST_CELL for cell in cells):
            raise FileError(f"line {line} holds a cell of more than {_LONGEST_CELL} characters")
        yield line, cells


def _check_titles(titles: list[str]) -> None:
    if not set(titles) & set(KINDS):
        raise FileError(f"its first line must hold the titles of columns, at least one of {', '.join(KINDS)}")
    wrong = []
    for title in titles:
        if title not in COLUMNS:
            close = difflib.get_close_matches(title, COLUMNS, n=1)
            wrong.append(f"{title[:60]!r}" + (f" (is {close[0]} meant?)" if close else ""))
    if wrong:
        raise FileError(f"its first line holds titles of columns that do not exist: {', '.join(wrong[:10])}")
    twice = {title for title in titles if titles.count(title) > 1}
    if twice:
        raise FileError(f"columns stand twice: {', '.join(sorted(twice))}")


def _lines_of(records: Iterable[fleet_service_pb2.FleetRecord]) -> Iterator[Mapping[str, Any]]:
    """What stands together on each line, by kind of record."""
    of_kind: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    for wrapped in records:
        kind = str(wrapped.WhichOneof("record"))
        record = getattr(wrapped, kind)
        of_kind[kind][record.name] = record
    for controller in of_kind["controller"].values():
        yield {"controller": controller}
    standing = _by(of_kind["device"].values(), lambda device: device.site)
    optics = _by(of_kind["optic"].values(), lambda optic: ancestor(optic.name, 1))
    stays = _by(of_kind["deployment"].values(), lambda stay: ancestor(stay.name, 1))
    visited = {stay.site for stay in of_kind["deployment"].values()}
    for name, place in of_kind["site"].items():
        if not standing.get(name) and name not in visited:
            yield {"site": place}
    for device in of_kind["device"].values():
        below, times = optics.get(device.name, []), stays.get(device.name, [])
        for number in range(max(len(below), len(times), 1)):
            stay = times[number] if number < len(times) else None
            site = stay.site if stay is not None else device.site
            yield {
                "device": device,
                "optic": below[number] if number < len(below) else None,
                "deployment": stay,
                # One that is not among the records is named all the same.
                "site": of_kind["site"].get(site, site_pb2.Site(name=site) if site else None),
            }


def _by(records: Iterable[Any], key: Any) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        found[key(record)].append(record)
    return found


def _cell(column: Column | None, title: str, parts: Mapping[str, Any]) -> str:
    record = parts.get(column.kind if column is not None else title)
    if record is None:
        return ""
    if column is None:
        return str(record.name.rpartition("/")[2])
    text = column.show(record)
    return f"'{text}" if column.is_text and _FORMULA.match(text) else text


def _raw(cell: str) -> str:
    """Undoes what ``_cell`` does to a text that a spreadsheet would take for a formula."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
