"""Rules about vehicles, lanes and the carriageway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.domain.rules import near_miss, pedestrian_on_carriageway, slow_traffic, stopped_vehicle, wrong_way
from detector.domain.rules.near_miss import NearMissParameters
from detector.domain.rules.pedestrian_on_carriageway import PedestrianOnCarriagewayParameters
from detector.domain.rules.slow_traffic import KMH, SlowTrafficParameters
from detector.domain.rules.stopped_vehicle import StoppedVehicleParameters
from detector.domain.rules.wrong_way import WrongWayParameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detector.domain.rules import RuleParameters
    from detector.parameters.reader import ParameterReader

_HALF_TURN: Final = 180.0


def _wrong_way(reader: ParameterReader) -> WrongWayParameters:
    return WrongWayParameters(
        reader.lane(),
        reader.number("minimum_angle_degrees", wrong_way.DEFAULT_ANGLE_DEGREES, most=_HALF_TURN),
        reader.seconds("minimum_duration", wrong_way.DEFAULT_SECONDS),
        reader.number("minimum_distance_metres", wrong_way.DEFAULT_METRES),
    )


def _stopped_vehicle(reader: ParameterReader) -> StoppedVehicleParameters:
    return StoppedVehicleParameters(
        reader.zone(),
        reader.seconds("minimum_duration", stopped_vehicle.DEFAULT_SECONDS),
        reader.number("maximum_speed_kmh", stopped_vehicle.DEFAULT_SPEED * KMH) / KMH,
    )


def _pedestrian_on_carriageway(reader: ParameterReader) -> PedestrianOnCarriagewayParameters:
    return PedestrianOnCarriagewayParameters(
        reader.zone(), reader.seconds("minimum_duration", pedestrian_on_carriageway.DEFAULT_SECONDS)
    )


def _slow_traffic(reader: ParameterReader) -> SlowTrafficParameters:
    return SlowTrafficParameters(
        reader.lane(),
        reader.number("free_flow_kmh", 0.0) / KMH,
        reader.number("maximum_share", slow_traffic.DEFAULT_SHARE, most=1.0),
        reader.seconds("minimum_duration", slow_traffic.DEFAULT_SECONDS),
    )


def _near_miss(reader: ParameterReader) -> NearMissParameters:
    return NearMissParameters(
        reader.zone(),
        reader.number("maximum_time_to_collision", near_miss.DEFAULT_TIME_TO_COLLISION),
        reader.number("maximum_post_encroachment_time", near_miss.DEFAULT_POST_ENCROACHMENT_TIME),
    )


TRAFFIC_RULES: Final[Mapping[str, Callable[[ParameterReader], RuleParameters]]] = {
    "wrong_way": _wrong_way,
    "stopped_vehicle": _stopped_vehicle,
    "pedestrian_on_carriageway": _pedestrian_on_carriageway,
    "slow_traffic": _slow_traffic,
    "near_miss": _near_miss,
}
