"""Rules about many people in a place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from argo.registry.v1 import scene_pb2
from detector.domain.crowd import Scale
from detector.domain.rules import counter_flow, crowd_density, crowd_forming, dispersal, loitering
from detector.domain.rules import running_against_flow as running
from detector.domain.rules import zone_occupancy as occupancy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detector.domain.rules import RuleParameters
    from detector.parameters.reader import ParameterReader

_MOST_SHARE: Final = 0.5
"""The smaller of two directions has no more."""
_SCALES: Final[Mapping[int, Scale]] = {
    scene_pb2.CrowdDensity.SCALE_UNSPECIFIED: Scale.WALKWAY,
    scene_pb2.CrowdDensity.SCALE_WALKWAY: Scale.WALKWAY,
    scene_pb2.CrowdDensity.SCALE_QUEUE: Scale.QUEUE,
}


def _zone_occupancy(reader: ParameterReader) -> occupancy.ZoneOccupancyParameters:
    threshold = reader.count("threshold", 0)
    if not threshold:
        reader.wrong("threshold", "is required, from 1 on")
    duration = reader.seconds("minimum_duration", occupancy.DEFAULT_DURATION_SECONDS)
    return occupancy.ZoneOccupancyParameters(reader.zone(), threshold, duration)


def _loitering(reader: ParameterReader) -> loitering.LoiteringParameters:
    return loitering.LoiteringParameters(
        reader.zone(),
        reader.seconds("time_threshold", loitering.DEFAULT_THRESHOLD_SECONDS),
        reader.count("maximum_occupancy", loitering.DEFAULT_OCCUPANCY),
    )


def _crowd_density(reader: ParameterReader) -> crowd_density.CrowdDensityParameters:
    scale = _SCALES.get(reader.message.scale)
    if scale is None:
        reader.wrong("scale", "is not one of Fruin's scales")
    return crowd_density.CrowdDensityParameters(
        reader.zone(),
        reader.number("threshold", crowd_density.DEFAULT_THRESHOLD),
        reader.seconds("minimum_duration", crowd_density.DEFAULT_DURATION_SECONDS),
        scale or Scale.WALKWAY,
    )


def _crowd_forming(reader: ParameterReader) -> crowd_forming.CrowdFormingParameters:
    return crowd_forming.CrowdFormingParameters(
        reader.zone(),
        reader.count("minimum_people", crowd_forming.DEFAULT_PEOPLE),
        reader.seconds("within", crowd_forming.DEFAULT_WITHIN_SECONDS),
    )


def _dispersal(reader: ParameterReader) -> dispersal.DispersalParameters:
    return dispersal.DispersalParameters(
        reader.zone(),
        reader.count("minimum_people", dispersal.DEFAULT_PEOPLE),
        reader.number("minimum_speed", dispersal.DEFAULT_SPEED),
        reader.seconds("within", dispersal.DEFAULT_WITHIN_SECONDS),
    )


def _counter_flow(reader: ParameterReader) -> counter_flow.CounterFlowParameters:
    return counter_flow.CounterFlowParameters(
        reader.line(),
        reader.seconds("interval", counter_flow.DEFAULT_INTERVAL_SECONDS),
        reader.count("minimum_crossings", counter_flow.DEFAULT_CROSSINGS),
        reader.number("minimum_share", counter_flow.DEFAULT_SHARE, most=_MOST_SHARE),
    )


def _running_against_flow(reader: ParameterReader) -> running.RunningAgainstFlowParameters:
    return running.RunningAgainstFlowParameters(
        reader.zone(),
        reader.number("minimum_speed", running.DEFAULT_SPEED),
        reader.seconds("minimum_duration", running.DEFAULT_DURATION_SECONDS),
    )


CROWD_RULES: Final[Mapping[str, Callable[[ParameterReader], RuleParameters]]] = {
    "zone_occupancy": _zone_occupancy,
    "loitering": _loitering,
    "crowd_density": _crowd_density,
    "crowd_forming": _crowd_forming,
    "dispersal": _dispersal,
    "counter_flow": _counter_flow,
    "running_against_flow": _running_against_flow,
}
