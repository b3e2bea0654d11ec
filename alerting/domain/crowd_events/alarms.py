"""When somebody has to act: the colours of a sector, and its alarms, each with a hysteresis, as tables."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from alerting.domain.alerts import Priority
from alerting.domain.crowd_events.measures import SectorStatus


class Colour(enum.IntEnum):
    """How full a sector is. The numbers are those of ``argo.alerting.v1.SectorStatus.Colour``."""

    UNKNOWN = 0
    GREEN = 1
    AMBER = 2
    RED = 3


class Band(enum.Enum):
    """Shares of the capacity: up to 0.75, to 0.80, to 0.90, to 0.95, and above."""

    LOW = enum.auto()
    BELOW_AMBER = enum.auto()
    AMBER = enum.auto()
    BELOW_RED = enum.auto()
    RED = enum.auto()

    @classmethod
    def of(cls, share: float) -> Band:
        """The band of a share."""
        return list(cls)[sum(share >= limit for limit in (0.75, AMBER_FROM, 0.90, RED_FROM))]


AMBER_FROM: Final = 0.80
RED_FROM: Final = 0.95

COLOURS: Final[Mapping[tuple[Colour, Band], Colour]] = MappingProxyType(
    {
        (Colour.GREEN, Band.LOW): Colour.GREEN,
        (Colour.GREEN, Band.BELOW_AMBER): Colour.GREEN,
        (Colour.GREEN, Band.AMBER): Colour.AMBER,
        (Colour.GREEN, Band.BELOW_RED): Colour.AMBER,
        (Colour.GREEN, Band.RED): Colour.RED,
        (Colour.AMBER, Band.LOW): Colour.GREEN,
        (Colour.AMBER, Band.BELOW_AMBER): Colour.AMBER,
        (Colour.AMBER, Band.AMBER): Colour.AMBER,
        (Colour.AMBER, Band.BELOW_RED): Colour.AMBER,
        (Colour.AMBER, Band.RED): Colour.RED,
        (Colour.RED, Band.LOW): Colour.GREEN,
        (Colour.RED, Band.BELOW_AMBER): Colour.AMBER,
        (Colour.RED, Band.AMBER): Colour.AMBER,
        (Colour.RED, Band.BELOW_RED): Colour.RED,
        (Colour.RED, Band.RED): Colour.RED,
    }
)
"""The colour that follows; a sector of which nothing was known yet begins as green."""


class Kind(enum.Enum):
    """What an alarm is about; the value is its topic."""

    FILLING = "Argo/SectorFilling"
    FULL = "Argo/SectorFull"
    FULL_SOON = "Argo/SectorFullSoon"
    DENSE = "Argo/SectorDense"
    COUNTER_FLOW = "Argo/GateCounterFlow"
    EXITS_SHORT = "Argo/ExitsTooFew"
    BLIND = "Argo/SectorBlind"


@dataclass(frozen=True)
class Threshold:
    """From when an alarm is told, and until when it lasts.

    Attributes:
        quantity: what is measured.
        unit: of it.
        told_at: the value at which it is told.
        over_at: the value at which it is over; beyond ``told_at`` on the quiet side.
        priority: how urgent it is.
    """

    quantity: str
    unit: str
    told_at: float
    over_at: float
    priority: Priority

    @property
    def rises(self) -> bool:
        """Whether large values are the bad ones."""
        return self.told_at > self.over_at


THRESHOLDS: Final[Mapping[Kind, Threshold]] = MappingProxyType(
    {
        Kind.FILLING: Threshold("share of capacity", "%", 80.0, 75.0, Priority.MEDIUM),
        Kind.FULL: Threshold("share of capacity", "%", 95.0, 90.0, Priority.HIGH),
        Kind.FULL_SOON: Threshold("time to full", "min", 10.0, 15.0, Priority.HIGH),
        # Still: a moving crowd is critical at about four persons per square metre; the count is a lower bound.
        Kind.DENSE: Threshold("peak density", "persons/m²", 4.0, 3.2, Priority.HIGH),
        Kind.COUNTER_FLOW: Threshold("share of the smaller direction", "%", 35.0, 25.0, Priority.MEDIUM),
        Kind.EXITS_SHORT: Threshold("occupancy by exit modules", "%", 100.0, 95.0, Priority.HIGH),
        Kind.BLIND: Threshold("time without a count", "min", 3.0, 0.5, Priority.MEDIUM),
    }
)
"""Amber and red of domain practice [80 %, 95 %]; the others are proposals to be tuned at rehearsals."""


@dataclass(frozen=True)
class Memory:
    """What a sector was before.

    Attributes:
        colour: its last known colour.
        told: alarms that were told and are not over, and since when.
    """

    colour: Colour = Colour.GREEN
    told: Mapping[Kind, datetime] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Finding:
    """An alarm to be told.

    Attributes:
        kind: what it is about.
        status: of the sector.
        value: what was measured, in the unit of its threshold.
        place: ``.../zones/{zone}`` or ``.../lines/{line}`` to look at.
    """

    kind: Kind
    status: SectorStatus
    value: float
    place: str


def judge(memory: Memory, status: SectorStatus) -> tuple[Memory, Colour, list[Finding]]:
    """What follows from how a sector is now: what to remember, its colour, and what to tell.

    What is not known changes nothing but the colour, which is unknown then: an alarm is over only when it clearly is.
    """
    share = status.share
    colour = memory.colour if share is None else COLOURS[memory.colour, Band.of(share)]
    told, findings = dict(memory.told), []
    for kind, (value, place) in measured(status).items():
        threshold = THRESHOLDS[kind]
        if kind not in told and _reaches(threshold, value):
            told[kind] = status.time
            findings.append(Finding(kind, status, value, place))
        elif kind in told and _is_over(threshold, value):
            del told[kind]
    if Kind.FULL in told:
        # One alarm for one thing: whoever was told that it is full need not hear that it fills.
        findings = [finding for finding in findings if finding.kind not in (Kind.FILLING, Kind.FULL_SOON)]
    return replace(memory, colour=colour, told=told), Colour.UNKNOWN if share is None else colour, findings


def measured(status: SectorStatus) -> dict[Kind, tuple[float, str]]:
    """By kind of alarm, what is measured against its threshold, and where; what is not known is left out."""
    sector = status.sector
    somewhere = (*sector.zones, *(gate.line for gate in sector.gates))[0]
    values: dict[Kind, tuple[float, str]] = {Kind.BLIND: (float(status.blind_minutes), somewhere)}
    if status.share is not None:
        values[Kind.FILLING] = values[Kind.FULL] = 100.0 * status.share, somewhere
        soon = status.minutes_to_full if status.share >= _SHARE_TO_FORECAST else None
        values[Kind.FULL_SOON] = (soon if soon is not None else _NEVER), somewhere
    if status.peak_density is not None:
        values[Kind.DENSE] = status.peak_density, somewhere
    if status.exit_share is not None:
        values[Kind.EXITS_SHORT] = 100.0 * status.exit_share, somewhere
    # At a gate that is seen, too few people are no counter-flow.
    counter = [
        (100.0 * (gate.counter_flow_share or 0.0), gate.gate.line) for gate in status.gates if gate.inflow is not None
    ]
    if counter:
        values[Kind.COUNTER_FLOW] = max(counter)
    return values


_NEVER: Final = 1e6
"""Minutes to full of what does not fill."""

_SHARE_TO_FORECAST: Final = 0.5
"""A place that is less than half full and fills fast has time."""


def _reaches(threshold: Threshold, value: float) -> bool:
    return value >= threshold.told_at if threshold.rises else value <= threshold.told_at


def _is_over(threshold: Threshold, value: float) -> bool:
    return value < threshold.over_at if threshold.rises else value > threshold.over_at
