"""The rules that watch a scene: one small class each, all with the same two methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from detector.domain.calibration import Calibration
    from detector.domain.detections import ObjectClass
    from detector.domain.scene import Places, Scene


class RuleCannotRunError(Exception):
    """A rule lacks what it measures with; the message says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Firing:
    """Why a rule fired. With the rule's identity beside it, it explains itself.

    Attributes:
        time: capture time of the deciding frame, seconds.
        start_time: when what it is about began, seconds.
        quantity: what was measured.
        unit: in which unit.
        value: how much.
        threshold: what it passed.
        uncertainty: `value` lies within this much on either side; 0 when not known.
        tracks: the tracks concerned.
        classes: their classes, in the same order.
        box: around them: left, top, right, bottom, pixels.
    """

    time: float
    start_time: float
    quantity: str
    unit: str
    value: float
    threshold: float
    uncertainty: float
    tracks: tuple[int, ...]
    classes: tuple[ObjectClass, ...]
    box: tuple[float, float, float, float]


class Rule(Protocol):
    """Something to watch for. Pure: time comes with the scene."""

    topic: str
    """Its kind, in ONVIF's words."""
    place: str
    """Resource name of the zone, line or lane that it watches."""

    def step(self, scene: Scene) -> list[Firing]:
        """Take one analysed frame; the firings of this frame."""

    def reset(self) -> None:
        """Forget everything, as when the rule's schedule ends."""


class PictureRule:
    """Marks a rule that looks at the picture itself."""

    __slots__ = ()


class RuleParameters(Protocol):
    """What a rule watches for, as the registry has it; a frozen dataclass, so that equal parameters compare equal."""

    def build(self, places: Places, classes: ClassFilter) -> Rule:
        """The rule, with an empty memory.

        Raises:
            KeyError: its place is not among the optic's places.
            RuleCannotRunError: the optic lacks what the rule measures with.
        """


@dataclass(frozen=True, slots=True)
class ClassFilter:
    """The classes that a rule looks at; none means all."""

    classes: frozenset[ObjectClass] = frozenset()

    def admits(self, object_class: ObjectClass) -> bool:
        """Whether the rule looks at this class."""
        return not self.classes or object_class in self.classes


def require_calibration(places: Places) -> Calibration:
    """The optic's calibration, for a rule that needs metres.

    Raises:
        RuleCannotRunError: there is none.
    """
    if places.calibration is None:
        why = places.calibration_problem or "give it four or more calibration points"
        message = f"it measures in metres and the optic is not calibrated: {why}"
        raise RuleCannotRunError(message)
    return places.calibration


def around(boxes: Collection[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """The smallest box around some boxes: left, top, right, bottom."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
