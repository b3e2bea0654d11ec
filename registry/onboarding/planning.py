"""What an import would do: rows against each other and against what is stored, without any I/O."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from argo.registry.v1 import site_pb2
from mesh.errors import FailedPrecondition
from registry.domain.names import ancestor
from registry.onboarding.rows import KINDS, Problem, Row
from registry.records import to_row
from registry.resources import Resource

MAXIMUM_OPTICS = 8


@dataclass(frozen=True)
class Stored:
    """What the database holds of everything that the rows name.

    Attributes:
        visible: records that are the importer's to see, by name.
        taken: names that belong to others; the importer may not learn more of them.
        addresses: the names of devices by the addresses that they have, of those addresses that the rows name.
    """

    visible: Mapping[str, Any]
    taken: frozenset[str]
    addresses: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes:
        problems: all of them, in the order of the rows.
        created: rows to insert, by kind.
        updated: rows to update, by kind.
        unchanged: how many rows say what is stored already.
    """

    problems: tuple[Problem, ...]
    created: Mapping[str, list[Row]]
    updated: Mapping[str, list[Row]]
    unchanged: int


@dataclass
class _Judge:
    """Goes through the rows kind by kind, so that what a row refers to has been judged before it."""

    stored: Stored
    problems: list[Problem]
    accepted: dict[str, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        stored = self.stored.visible.items()
        self._optics = [name for name, record in stored if isinstance(record, site_pb2.Optic)]
        self._deployments = [name for name, record in stored if isinstance(record, site_pb2.Deployment)]
        self._deployed = {ancestor(name, 1) for name in self._deployments}

    def judge(self, rows: Iterable[Row]) -> None:
        """Takes the rows in; those with problems are not accepted."""
        of_kind: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            of_kind[row.resource.kind].append(row)
        for kind in KINDS:
            together = self._problems_together(kind, of_kind[kind])
            for row in of_kind[kind]:
                found = [*self._problems_of(row), *together.get(row.name, ())]
                self.problems += found
                if not found:
                    self.accepted[row.name] = row

    def final(self, name: str) -> Any:
        """The record of that name as it will be; None: there will be none."""
        row = self.accepted.get(name)
        return row.record if row is not None else self.stored.visible.get(name)

    def _problems_of(self, row: Row) -> Iterator[Problem]:
        if row.name in self.stored.taken:
            yield row.problem("name", "is taken")
        yield from self._missing_references(row)
        before = self.stored.visible.get(row.name)
        if before is None:
            return
        try:
            row.resource.check_change(before, row.record)
        except FailedPrecondition as error:
            yield row.problem("", str(error))

    def _missing_references(self, row: Row) -> Iterator[Problem]:
        record = row.record
        if isinstance(record, site_pb2.Device | site_pb2.Deployment) and record.site:
            yield from self._missing(row, "site", record.site)
        if isinstance(record, site_pb2.Optic | site_pb2.Deployment):
            yield from self._missing(row, "name", ancestor(record.name, 1))

    def _missing(self, row: Row, at: str, reference: str) -> Iterator[Problem]:
        if self.final(reference) is None:
            yield row.problem(at, f"{reference} is neither stored nor a valid row of this import")

    def _problems_together(self, kind: str, rows: list[Row]) -> Mapping[str, list[Problem]]:
        """Problems that a row has only because of others, by the name of its record."""
        checks = {"device": self._addresses, "optic": self._too_many_optics, "deployment": self._stays}
        found: dict[str, list[Problem]] = defaultdict(list)
        if kind in checks:
            for problem in checks[kind](rows):
                found[problem.name].append(problem)
        return found

    def _addresses(self, rows: list[Row]) -> Iterator[Problem]:
        first_of: dict[str, Row] = {}
        changing = {row.name for row in rows}
        for row in rows:
            address = row.record.address
            holder = self.stored.addresses.get(address, row.name)
            first = first_of.setdefault(address, row)
            if first is not row:
                yield row.problem("address", f"stands twice: {first.name} has it in {first.source or 'another row'}")
            elif holder != row.name and holder not in changing:
                shown = holder if holder in self.stored.visible else "another device"
                yield row.problem("address", f"is that of {shown}")
            if row.record.mobility == site_pb2.Device.MOBILITY_FIXED and row.name in self._deployed:
                yield row.problem("mobility", "must stay mobile: the device has deployments")

    def _too_many_optics(self, rows: list[Row]) -> Iterator[Problem]:
        optics: dict[str, set[str]] = defaultdict(set)
        for name in (*(row.name for row in rows), *self._optics):
            optics[ancestor(name, 1)].add(name)
        for row in rows:
            if len(optics[ancestor(row.name, 1)]) > MAXIMUM_OPTICS and row.name not in self.stored.visible:
                yield row.problem("", f"a device has at most {MAXIMUM_OPTICS} optics")

    def _stays(self, rows: list[Row]) -> Iterator[Problem]:
        own = {row.name: row for row in rows}
        stays: dict[str, list[Any]] = defaultdict(list)
        unchanged = (name for name in self._deployments if name not in own)
        for name in (*own, *unchanged):
            record = own[name].record if name in own else self.stored.visible[name]
            stays[ancestor(name, 1)].append(record)
        for device, records in stays.items():
            yield from self._not_mobile(device, records, own)
            records.sort(key=lambda record: _instant(record.start_time))
            for earlier, later in itertools.pairwise(records):
                if _instant(earlier.end_time) > _instant(later.start_time):
                    row = own.get(later.name) or own.get(earlier.name)
                    other = earlier if row is not None and row.name == later.name else later
                    if row is not None:
                        yield row.problem("", f"overlaps {other.name} in time")

    def _not_mobile(self, device: str, records: list[Any], own: Mapping[str, Row]) -> Iterator[Problem]:
        record = self.final(device)
        if record is not None and record.mobility != site_pb2.Device.MOBILITY_MOBILE:
            for stay in records:
                if stay.name in own:
                    yield own[stay.name].problem("", "only a mobile device has deployments")


def plan(rows: list[Row], problems: list[Problem], stored: Stored) -> Plan:
    """Decides about every row that is valid in itself.

    Args:
        rows: valid in themselves, in any order.
        problems: of the other rows; what refers to those is refused too.
        stored: what the database holds.
    """
    judge = _Judge(stored, list(problems))
    judge.judge(rows)
    created: dict[str, list[Row]] = defaultdict(list)
    updated: dict[str, list[Row]] = defaultdict(list)
    unchanged = 0
    for row in judge.accepted.values():
        before = stored.visible.get(row.name)
        if before is None:
            created[row.resource.kind].append(row)
        elif says_the_same(row.resource, before, row.record):
            unchanged += 1
        else:
            updated[row.resource.kind].append(row)
    return Plan(tuple(sorted(judge.problems)), created, updated, unchanged)


def says_the_same(resource: Resource, one: Any, other: Any) -> bool:
    """Whether two records mean the same.

    The contract makes no difference between an unset field and its default, nor a spreadsheet between an empty cell and
    one of blanks.
    """
    return _essence(resource, one) == _essence(resource, other)


def _essence(resource: Resource, record: Any) -> Mapping[str, Any]:
    row = json.loads(to_row(resource, record))
    said = {column: value for column, value in row.items() if value and str(value).strip()}
    return {column: value for column, value in said.items() if not str(value).endswith("_UNSPECIFIED")}


def _instant(time: Any) -> tuple[int, int]:
    return time.seconds, time.nanos
