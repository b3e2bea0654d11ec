"""From the counts of the last minutes to what a control room has to know of a sector."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from alerting.domain.crowd_events.plan import PERSONS_PER_MODULE, Gate, Inward, Sector
from alerting.domain.flows import estimates
from alerting.domain.flows.estimates import Estimate
from alerting.domain.flows.service_levels import Level, level_of_service

MINUTE: Final = timedelta(minutes=1)
WINDOW: Final = 10
"""Minutes that a trend is read from."""
FLOW_WINDOW: Final = 5
"""Minutes that a flow is the mean of."""
LEAST_POINTS: Final = 4
"""Minutes without which there is no trend."""
FRESH: Final = 3
"""Minutes that an occupancy may be old."""
LEAST_COVERAGE: Final = 0.3
"""Of a minute: what was seen of less is not taken for the whole."""
ASSUMED_ERROR: Final = 0.05
"""Relative standard error of counts where no scorecard says one; see docs/scorecard.md."""
LEAST_CROSSINGS: Final = 20
"""Without so many in the window there is no counter-flow to speak of."""
_SURE: Final = 1.645
"""Standard errors above which a slope is upwards in 95 of 100 cases."""


class Method(enum.IntEnum):
    """How people were counted. The numbers are those of ``argo.alerting.v1.SectorStatus.Method``."""

    UNKNOWN = 0
    ZONES = 1
    BALANCE = 2


@dataclass(frozen=True)
class Crossings:
    """Of a line in some time: how many were seen each way, and how much of the time was analysed."""

    left_to_right: int = 0
    right_to_left: int = 0
    coverage: float = 0.0

    def inwards(self, gate: Gate) -> int:
        """How many came in."""
        return self.left_to_right if gate.inward is Inward.LEFT_TO_RIGHT else self.right_to_left

    def outwards(self, gate: Gate) -> int:
        """How many went out."""
        return self.right_to_left if gate.inward is Inward.LEFT_TO_RIGHT else self.left_to_right


@dataclass(frozen=True)
class Presence:
    """In a zone in one minute: mean number of persons, largest density over ten seconds, share analysed."""

    mean: float
    maximum_density: float
    coverage: float


@dataclass(frozen=True)
class Readings:
    """What was counted for one sector.

    Attributes:
        end: of the last minute of the window, in UTC.
        presence: by zone and number of the minute in the window, 0 the oldest; a minute not analysed is missing.
        crossings: by line and number of the minute, likewise.
        since_start: by line, from the start of the event to ``end``.
        areas: square metres of the zones whose optics are calibrated.
    """

    end: datetime
    presence: Mapping[tuple[str, int], Presence]
    crossings: Mapping[tuple[str, int], Crossings]
    since_start: Mapping[str, Crossings]
    areas: Mapping[str, float]


@dataclass(frozen=True)
class GateStatus:
    """What passes a gate, persons per minute, mean of the last five minutes.

    Attributes:
        gate: which.
        inflow: into the sector; none: not analysed.
        outflow: out of it.
        counter_flow_share: of the smaller direction, 0 to 0.5; none: too few cross.
        coverage: the share of those minutes that was analysed.
    """

    gate: Gate
    inflow: float | None
    outflow: float | None
    counter_flow_share: float | None
    coverage: float


@dataclass(frozen=True)
class SectorStatus:
    """How a sector is.

    Attributes:
        sector: which.
        time: as of when, in UTC.
        method: how people were counted.
        occupancy: how many are in it, and how far that may be off; none: not known.
        capacity: how many it may hold; none: not known.
        trend: persons per minute; none: not known.
        minutes_to_full: until the capacity is reached at that trend; none: it is not surely filling.
        peak_density: the largest over ten seconds anywhere in it, in the last minute seen; none: not calibrated.
        level: of service, at the peak density.
        gates: what passes them.
        blind_minutes: how long nothing is known of its occupancy.
    """

    sector: Sector
    time: datetime
    method: Method
    occupancy: Estimate | None
    capacity: int | None
    trend: float | None
    minutes_to_full: float | None
    peak_density: float | None
    level: Level | None
    gates: tuple[GateStatus, ...]
    blind_minutes: int

    @property
    def share(self) -> float | None:
        """Occupancy over capacity."""
        if self.occupancy is None or not self.capacity:
            return None
        return self.occupancy.value / self.capacity

    @property
    def exit_share(self) -> float | None:
        """Occupancy over what the modules of its exits let out; above 1 they are too few. None: it has no exits."""
        modules = self.sector.exit_modules
        if self.occupancy is None or not modules:
            return None
        return self.occupancy.value / (modules * PERSONS_PER_MODULE)

    @property
    def net_inflow(self) -> float | None:
        """Persons per minute through all gates; none where one is not known."""
        flows = [(gate.inflow, gate.outflow) for gate in self.gates]
        known = [inflow - outflow for inflow, outflow in flows if inflow is not None and outflow is not None]
        return math.fsum(known) if known and len(known) == len(flows) else None


def assess(sector: Sector, readings: Readings, relative_error: float | None = None) -> SectorStatus:
    """How a sector is, by what was counted.

    Zones tell how many are there; where there are none, or they are not seen, the balance of the gates does, with the
    drift that it has. Where neither is known, nothing is: that is no empty sector.

    Args:
        sector: which.
        readings: of it.
        relative_error: of the detector's counts, one standard error; none: not known, and taken as five per cent.
    """
    error = ASSUMED_ERROR if relative_error is None else relative_error
    series = _present(sector, readings)
    newest = max(series, default=None)
    gates = tuple(_gate(gate, readings) for gate in sector.gates)
    capacity = sector.capacity(readings.areas)
    if newest is not None and WINDOW - 1 - newest < FRESH:
        method = Method.ZONES
        occupancy: Estimate | None = _of_zones(series[newest], error)
        trend, surely = _slope(series)
    else:
        occupancy = _balance(sector, readings, error)
        method = Method.UNKNOWN if occupancy is None else Method.BALANCE
        trend, surely = (None, False) if occupancy is None else _net(gates)
    density = _peak(sector, readings)
    blind = 0 if occupancy is not None else WINDOW if newest is None else WINDOW - 1 - newest
    return SectorStatus(
        sector=sector,
        time=readings.end,
        method=method,
        occupancy=occupancy,
        capacity=capacity,
        trend=trend,
        minutes_to_full=_to_full(occupancy, capacity, trend) if surely else None,
        peak_density=density,
        level=level_of_service(density, sector.scale) if density is not None else None,
        gates=gates,
        blind_minutes=blind,
    )


def _present(sector: Sector, readings: Readings) -> dict[int, float]:
    """By minute, how many are in all zones; only minutes in which every zone was seen."""
    series = {}
    for minute in range(WINDOW) if sector.zones else ():
        seen = [readings.presence.get((zone, minute)) for zone in sector.zones]
        known = [item.mean for item in seen if item is not None and item.coverage >= LEAST_COVERAGE]
        if len(known) == len(sector.zones):
            series[minute] = math.fsum(known)
    return series


def _of_zones(mean: float, error: float) -> Estimate:
    return Estimate(mean, estimates.Z_95 * error * mean)


def _balance(sector: Sector, readings: Readings, error: float) -> Estimate | None:
    """The initial number and all who came in, less all who went out; the errors of both add up."""
    value, variance = float(sector.initial_occupancy), 0.0
    for gate in sector.gates:
        if not _is_seen(gate, readings):
            return None
        passed = readings.since_start.get(gate.line, Crossings())
        for sign, counted in ((1.0, passed.inwards(gate)), (-1.0, passed.outwards(gate))):
            estimate = estimates.crossings(counted, passed.coverage, error)
            if estimate is None:
                return None
            value += sign * estimate.value
            variance += estimate.uncertainty**2
    return Estimate(max(0.0, value), math.sqrt(variance)) if sector.gates else None


def _is_seen(gate: Gate, readings: Readings) -> bool:
    """Whether a gate was seen in the last minutes: who passed it since then would be missing from a balance."""
    recent = [readings.crossings.get((gate.line, minute)) for minute in range(WINDOW - FRESH, WINDOW)]
    return any(item is not None and item.coverage >= LEAST_COVERAGE for item in recent)


def _gate(gate: Gate, readings: Readings) -> GateStatus:
    recent = [readings.crossings.get((gate.line, minute)) for minute in range(WINDOW - FLOW_WINDOW, WINDOW)]
    seen = [item for item in recent if item is not None]
    analysed = math.fsum(item.coverage for item in seen)
    inwards = sum(item.inwards(gate) for item in seen)
    outwards = sum(item.outwards(gate) for item in seen)
    total = inwards + outwards
    known = analysed >= LEAST_COVERAGE
    return GateStatus(
        gate=gate,
        inflow=inwards / analysed if known else None,
        outflow=outwards / analysed if known else None,
        counter_flow_share=min(inwards, outwards) / total if total >= LEAST_CROSSINGS else None,
        coverage=min(1.0, analysed / FLOW_WINDOW),
    )


def _slope(series: Mapping[int, float]) -> tuple[float | None, bool]:
    """Persons per minute by least squares, and whether it surely goes up."""
    if len(series) < LEAST_POINTS:
        return None, False
    minutes, values = list(series), list(series.values())
    middle, mean = math.fsum(minutes) / len(minutes), math.fsum(values) / len(values)
    spread = math.fsum((minute - middle) ** 2 for minute in minutes)
    slope = math.fsum((minute - middle) * (value - mean) for minute, value in series.items()) / spread
    residual = math.fsum((value - mean - slope * (minute - middle)) ** 2 for minute, value in series.items())
    error = math.sqrt(residual / (len(series) - 2) / spread)
    return slope, slope > _SURE * error and slope > 0.0


def _net(gates: Sequence[GateStatus]) -> tuple[float | None, bool]:
    """Persons per minute through the gates, and whether they surely come: crossings are a Poisson number."""
    known = [(gate.inflow, gate.outflow, gate.coverage) for gate in gates]
    if any(inflow is None or outflow is None for inflow, outflow, _ in known):
        return None, False
    net = math.fsum((inflow or 0.0) - (outflow or 0.0) for inflow, outflow, _ in known)
    variance = math.fsum(
        ((inflow or 0.0) + (outflow or 0.0)) / (FLOW_WINDOW * coverage) for inflow, outflow, coverage in known
    )
    return net, net > _SURE * math.sqrt(variance) and net > 0.0


def _to_full(occupancy: Estimate | None, capacity: int | None, trend: float | None) -> float | None:
    if occupancy is None or capacity is None or trend is None:
        return None
    return max(0.0, capacity - occupancy.value) / trend


def _peak(sector: Sector, readings: Readings) -> float | None:
    """The densest spot of the newest minute in which one was measured."""
    for minute in range(WINDOW - 1, WINDOW - 1 - FRESH, -1):
        seen = [readings.presence.get((zone, minute)) for zone in sector.zones]
        known = [item.maximum_density for item in seen if item is not None and item.maximum_density > 0.0]
        if known:
            return max(known)
    return None
