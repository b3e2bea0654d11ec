"""Reads the fields of a rule's parameters: a default where nothing was said, a violation where it cannot be used."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from google.protobuf.duration_pb2 import Duration

    from detector.domain.scene import Places


class ParameterReader:
    """One rule's parameters.

    Args:
        kind: name of the field in `Rule.parameters`.
        message: its value, a message of argo.registry.v1.
        places: of the rule's optic.

    Attributes:
        message: as given, for fields of a form of their own.
        violations: what is wrong so far, as (field of the rule, description).
    """

    def __init__(self, kind: str, message: Any, places: Places) -> None:
        self.message = message
        self.violations: list[tuple[str, str]] = []
        self._kind = kind
        self._places = places

    def zone(self, field: str = "zone") -> str:
        """Resource name of a zone of this optic."""
        return self._place(field, self._places.zones, "zone")

    def line(self, field: str = "line") -> str:
        """Resource name of a line of this optic."""
        return self._place(field, self._places.lines, "line")

    def lane(self, field: str = "lane") -> str:
        """Resource name of a lane of this optic."""
        return self._place(field, self._places.lanes, "lane")

    def seconds(self, field: str, default: float) -> float:
        """A duration; `default` when it is not set."""
        if not self.message.HasField(field):
            return default
        duration: Duration = getattr(self.message, field)
        found = duration.seconds + duration.nanos / 1e9
        if found < 0.0:
            self.wrong(field, "must not be negative")
        return found

    def number(self, field: str, default: float, *, most: float = math.inf) -> float:
        """A number from 0 to `most`; `default` when it is 0."""
        found = float(getattr(self.message, field))
        if not 0.0 <= found <= most:
            self.wrong(field, "must not be negative" if most == math.inf else f"must lie between 0 and {most:g}")
        return found or default

    def count(self, field: str, default: int) -> int:
        """A count; `default` when it is 0."""
        return int(getattr(self.message, field)) or default

    def wrong(self, field: str, description: str) -> None:
        """Note what cannot be used."""
        self.violations.append((f"{self._kind}.{field}", description))

    def _place(self, field: str, known: Collection[str], noun: str) -> str:
        name = str(getattr(self.message, field))
        if name not in known:
            self.wrong(field, f"is not a {noun} of this optic")
        return name
