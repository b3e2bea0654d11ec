"""Checks of parts of messages that several kinds of record have."""

from __future__ import annotations

from collections.abc import Iterable

from argo.type.v1 import geometry_pb2
from registry.domain import fields
from registry.domain.fields import Violations
from registry.domain.geometry import Point

MAXIMUM_PARTS = 64
"""Of what a record has several of."""


def check_texts(found: Violations, message: object, names: Iterable[str], prefix: str = "") -> None:
    """Texts that people read."""
    for name in names:
        found.add(prefix + name, fields.text_problem(getattr(message, name)))


def check_enum(found: Violations, field: str, value: int, known: frozenset[int]) -> None:
    """A value of an enum; 0 is not said."""
    if value and value not in known:
        found.add(field, "must be a value of the contract")


def known_values(enum: object) -> frozenset[int]:
    """The values of an enum without its UNSPECIFIED; proto3 lets unknown numbers through."""
    return frozenset(enum.values()) - {0}  # type: ignore[attr-defined] # the wrapper's type differs per enum


def points_of(shape: geometry_pb2.Polygon | geometry_pb2.Polyline) -> list[Point]:
    """The corners of a shape."""
    return [(point.x, point.y) for point in shape.points]
