"""Rows of a fleet: each is judged by itself, as a single record would be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from argo.registry.v1 import fleet_service_pb2
from mesh.errors import FieldViolation
from mesh.identity import Identity
from registry import masks
from registry.domain.network import CameraNetworks
from registry.resources import RESOURCES, Resource
from registry.tenancy import controller_of, fill_owner, is_city_administrator

KINDS = ("controller", "site", "device", "optic", "deployment")
"""What a fleet is made of, in the order in which the records can be made."""

_LONGEST_SHOWN = 100


@dataclass(frozen=True)
class Row:
    """A row whose record is valid in itself.

    Attributes:
        number: place in the request, from 0.
        source: where it comes from, for people.
        resource: the kind of its record.
        record: in the form that is stored, under its full name.
    """

    number: int
    source: str
    resource: Resource
    record: Any

    @property
    def name(self) -> str:
        """Of the record."""
        return str(self.record.name)

    def problem(self, field: str, description: str) -> Problem:
        """Something that is wrong with this row.

        Args:
            field: of the record, for example ``"address"``; empty: the row as a whole.
            description: what is wrong and what to do.
        """
        return Problem(
            self.number, self.source, self.name, f"{self.resource.kind}.{field}" if field else "", description
        )


@dataclass(frozen=True, order=True)
class Problem:
    """What is wrong with a row; sorted, problems are in the order of the rows.

    Attributes:
        number: of the row.
        source: of the row.
        name: of the record.
        field: path of the field, or empty.
        description: what is wrong and what to do.
    """

    number: int
    source: str
    name: str
    field: str
    description: str


def read_rows(
    given: Iterable[fleet_service_pb2.ImportFleetRequest.Row], networks: CameraNetworks, importer: Identity
) -> tuple[list[Row], list[Problem]]:
    """Judges every row by itself: its name, its fields, whose record it is, and whether its name stands twice.

    Args:
        given: as they came; the records are brought into the form that is stored.
        networks: where cameras may be.
        importer: who imports; the records become those of its controller.

    Returns:
        The valid rows, and every problem of the others.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    first_of: dict[str, str] = {}
    for number, each in enumerate(given):
        kind = each.record.WhichOneof("record")
        if kind is None:
            problems.append(Problem(number, each.source, "", "", "holds no record"))
            continue
        row = Row(number, each.source, RESOURCES[kind], getattr(each.record, kind))
        found = list(_problems(row, networks, importer))
        if row.name and row.name in first_of:
            found.append(row.problem("name", f"stands twice: also in {first_of[row.name] or 'another row'}"))
        first_of.setdefault(row.name, row.source)
        problems += found
        if not found:
            row.resource.normalise(row.record)
            rows.append(row)
    return rows, problems


def _problems(row: Row, networks: CameraNetworks, importer: Identity) -> Iterator[Problem]:
    resource, record = row.resource, row.record
    if not resource.pattern.matches(row.name):
        yield row.problem("name", f"must be {resource.pattern}, not {row.name[:_LONGEST_SHOWN]!r}")
        return
    masks.clear_output_only(resource, record)
    if resource.kind == "controller" and not is_city_administrator(importer):
        yield row.problem("", "only administrators of the city write controllers")
        return
    violations = [
        *_encoding_violations(resource, record),
        *resource.check(record, networks),
        *fill_owner(resource, record, controller_of(importer)),
    ]
    for violation in violations:
        yield Problem(row.number, row.source, row.name, violation.field, violation.description)


def _encoding_violations(resource: Resource, record: Any) -> Iterator[FieldViolation]:
    try:
        json_format.MessageToDict(record)
    except (json_format.Error, ValueError, OverflowError):
        yield FieldViolation(resource.kind, "holds a time or duration outside the range of its type")
