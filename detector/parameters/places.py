"""Rules about single objects and a place: crossing a line, being in a zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from argo.registry.v1 import scene_pb2
from detector.domain.rules.line_crossing import Direction, LineCrossingParameters
from detector.domain.rules.zone_intrusion import DEFAULT_DWELL_SECONDS, ZoneIntrusionParameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detector.domain.rules import RuleParameters
    from detector.parameters.reader import ParameterReader

_DIRECTIONS: Final[Mapping[int, Direction]] = {
    scene_pb2.LineCrossing.DIRECTION_UNSPECIFIED: Direction.ANY,
    scene_pb2.LineCrossing.DIRECTION_ANY: Direction.ANY,
    scene_pb2.LineCrossing.DIRECTION_LEFT_TO_RIGHT: Direction.LEFT_TO_RIGHT,
    scene_pb2.LineCrossing.DIRECTION_RIGHT_TO_LEFT: Direction.RIGHT_TO_LEFT,
}


def _line_crossing(reader: ParameterReader) -> LineCrossingParameters:
    line, direction = reader.line(), _DIRECTIONS.get(reader.message.direction)
    if direction is None:
        reader.wrong("direction", "is not a direction")
    return LineCrossingParameters(line, direction or Direction.ANY)


def _zone_intrusion(reader: ParameterReader) -> ZoneIntrusionParameters:
    return ZoneIntrusionParameters(reader.zone(), reader.seconds("minimum_dwell", DEFAULT_DWELL_SECONDS))


PLACE_RULES: Final[Mapping[str, Callable[[ParameterReader], RuleParameters]]] = {
    "line_crossing": _line_crossing,
    "zone_intrusion": _zone_intrusion,
}
