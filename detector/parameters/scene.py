"""Rules about things, persons on the ground, and the picture itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.domain.rules import abandoned_object, flooding, lost_visibility, person_down, smoke_or_fire
from detector.domain.rules.abandoned_object import AbandonedObjectParameters
from detector.domain.rules.flooding import FloodingParameters
from detector.domain.rules.lost_visibility import LostVisibilityParameters
from detector.domain.rules.person_down import PersonDownParameters
from detector.domain.rules.smoke_or_fire import SmokeOrFireParameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detector.domain.rules import RuleParameters
    from detector.parameters.reader import ParameterReader


def _abandoned_object(reader: ParameterReader) -> AbandonedObjectParameters:
    return AbandonedObjectParameters(
        reader.zone(),
        reader.seconds("minimum_duration", abandoned_object.DEFAULT_SECONDS),
        reader.number("owner_distance_metres", abandoned_object.DEFAULT_DISTANCE_METRES),
        reader.seconds("owner_absence", abandoned_object.DEFAULT_ABSENCE_SECONDS),
    )


def _person_down(reader: ParameterReader) -> PersonDownParameters:
    return PersonDownParameters(reader.zone(), reader.seconds("minimum_duration", person_down.DEFAULT_SECONDS))


def _smoke_or_fire(reader: ParameterReader) -> SmokeOrFireParameters:
    return SmokeOrFireParameters(
        reader.zone(),
        reader.seconds("minimum_duration", smoke_or_fire.DEFAULT_SECONDS),
        reader.number("minimum_share", smoke_or_fire.DEFAULT_SHARE, most=1.0),
    )


def _flooding(reader: ParameterReader) -> FloodingParameters:
    return FloodingParameters(
        reader.zone(),
        reader.seconds("minimum_duration", flooding.DEFAULT_SECONDS),
        reader.number("minimum_share", flooding.DEFAULT_SHARE, most=1.0),
    )


def _lost_visibility(reader: ParameterReader) -> LostVisibilityParameters:
    return LostVisibilityParameters(
        reader.zone(),
        reader.seconds("minimum_duration", lost_visibility.DEFAULT_SECONDS),
        reader.number("maximum_share", lost_visibility.DEFAULT_SHARE, most=1.0),
    )


SCENE_RULES: Final[Mapping[str, Callable[[ParameterReader], RuleParameters]]] = {
    "abandoned_object": _abandoned_object,
    "person_down": _person_down,
    "smoke_or_fire": _smoke_or_fire,
    "flooding": _flooding,
    "lost_visibility": _lost_visibility,
}
