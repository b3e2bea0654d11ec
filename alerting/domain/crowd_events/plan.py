"""What an event is: its sectors, how many people they may hold, and the gates between them and the street."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from alerting.domain.flows.service_levels import Scale
from alerting.domain.tokens import invalid

PERSONS_PER_SQUARE_METRE: Final = 2.0
"""Of open ground (Ministry of the Interior, directive 11001/1/110/(10) of 18 July 2018)."""
PERSONS_PER_MODULE: Final = 250
"""That one module of an exit in the open lets out."""
MOST_SECTORS: Final = 50
MOST_PLACES: Final = 50
"""Zones, and gates, of a sector."""


class Inward(enum.IntEnum):
    """Which crossings of a gate's line lead into the sector. The numbers are those of ``LineCrossing.Direction``."""

    LEFT_TO_RIGHT = 2
    RIGHT_TO_LEFT = 3


class State(enum.IntEnum):
    """Whether an event is watched. The numbers are those of ``argo.alerting.v1.CrowdEvent.State``."""

    OPEN = 1
    CLOSED = 2


@dataclass(frozen=True)
class Gate:
    """A line that people cross on their way into a sector, or out of it.

    Attributes:
        line: ``.../lines/{line}``.
        inward: which crossings lead in.
        exit_modules: modules of 250 persons, when it is an exit in case of danger; 0: it is none.
    """

    line: str
    inward: Inward
    exit_modules: int = 0


@dataclass(frozen=True)
class Sector:
    """A part of the place with a number of people that it may hold.

    Attributes:
        sector_id: within the event.
        display_name: what people call it.
        zones: ``.../zones/{zone}`` that cover it; they must not overlap, or people are counted twice.
        gates: to it.
        stated_capacity: how many it may hold; 0: two for each square metre.
        stated_area: square metres; 0: that of the zones, as their calibration gives it.
        scale: which of Fruin's scales it is read on.
        initial_occupancy: how many were in it at the start; for the balance of the gates.
    """

    sector_id: str
    display_name: str
    zones: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    stated_capacity: int = 0
    stated_area: float = 0.0
    scale: Scale = Scale.WALKWAY
    initial_occupancy: int = 0

    @property
    def exit_modules(self) -> int:
        """Of all of its gates."""
        return sum(gate.exit_modules for gate in self.gates)

    def capacity(self, areas: Mapping[str, float]) -> int | None:
        """How many it may hold; none when nobody says so and its ground is not known.

        Args:
            areas: square metres of the zones whose optics are calibrated.
        """
        if self.stated_capacity:
            return self.stated_capacity
        if self.stated_area:
            return math.floor(self.stated_area * PERSONS_PER_SQUARE_METRE)
        if not self.zones or any(zone not in areas for zone in self.zones):
            return None
        return math.floor(math.fsum(areas[zone] for zone in self.zones) * PERSONS_PER_SQUARE_METRE)


@dataclass(frozen=True)
class CrowdEvent:
    """An event.

    Attributes:
        event_id: the last segment of its name ``crowdEvents/{event_id}``.
        display_name: what people call it.
        sectors: its parts.
        start_time: from when its gates are counted, in UTC.
        state: whether it is watched.
        version: grows by one with every change.
    """

    event_id: str
    display_name: str
    sectors: tuple[Sector, ...]
    start_time: datetime
    state: State = State.OPEN
    version: int = 1

    @property
    def name(self) -> str:
        """Resource name."""
        return f"crowdEvents/{self.event_id}"

    def check(self) -> None:
        """Raises ``InvalidArgument`` when it cannot be watched; says which field and why."""
        if not 1 <= len(self.sectors) <= MOST_SECTORS:
            raise invalid("sectors", f"must be 1 to {MOST_SECTORS}")
        if len({sector.sector_id for sector in self.sectors}) != len(self.sectors):
            raise invalid("sectors", "must have different ids")
        for sector in self.sectors:
            _check_sector(sector)
        zones = [zone for sector in self.sectors for zone in sector.zones]
        if len(set(zones)) != len(zones):
            raise invalid("sectors.zones", "must each be of one sector only: people would be counted twice")


def _check_sector(sector: Sector) -> None:
    if not sector.zones and not sector.gates:
        raise invalid("sectors", f"{sector.sector_id}: needs zones or gates, or nobody is counted")
    if max(len(sector.zones), len(sector.gates)) > MOST_PLACES:
        raise invalid("sectors", f"{sector.sector_id}: must have at most {MOST_PLACES} zones and gates")
    lines = [gate.line for gate in sector.gates]
    if len(set(lines)) != len(lines):
        raise invalid("sectors.gates", f"{sector.sector_id}: must have different lines")
    if not sector.zones and not sector.stated_capacity and not sector.stated_area:
        raise invalid("sectors.capacity", f"{sector.sector_id}: is required where there is no zone to measure")
