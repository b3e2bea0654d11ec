"""Who is in a zone, for the rules that look at many at once."""

from __future__ import annotations

import statistics
from collections import deque
from typing import TYPE_CHECKING, Final

from detector.domain import geometry
from detector.domain.detections import ObjectClass
from detector.domain.rules import ClassFilter, Firing, around

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.domain.geometry import Point
    from detector.domain.scene import Presence, Scene

PEOPLE: Final = ClassFilter(frozenset({ObjectClass.PERSON}))


def people_unless_said(classes: ClassFilter) -> ClassFilter:
    """A rule about people looks at persons, and at something else only when its class filter says so."""
    return classes if classes.classes else PEOPLE


def occupants(scene: Scene, zone: tuple[Point, ...], classes: ClassFilter) -> tuple[Presence, ...]:
    """Those of the right class who stand in a zone (corners, normalised)."""
    return scene.occupants(zone, classes.classes)


def explain(
    scene: Scene,
    zone: Sequence[Point],
    concerned: Sequence[Presence],
    measured: tuple[str, str, float, float],
    *,
    start_time: float,
    uncertainty: float = 0.0,
) -> Firing:
    """A firing of a rule about a whole zone.

    Args:
        scene: the deciding frame.
        zone: corners, normalised; its box stands for the place when nobody is seen in this very frame.
        concerned: the objects that it is about.
        measured: quantity, unit, value, threshold.
        start_time: when it began, seconds.
        uncertainty: of the value; 0 when not known.
    """
    quantity, unit, value, threshold = measured
    corners = geometry.scaled(zone, scene.width, scene.height)
    return Firing(
        time=scene.time,
        start_time=start_time,
        quantity=quantity,
        unit=unit,
        value=value,
        threshold=threshold,
        uncertainty=uncertainty,
        tracks=tuple(presence.track for presence in concerned),
        classes=tuple(presence.object_class for presence in concerned),
        box=around([presence.box for presence in concerned] or [(x, y, x, y) for x, y in corners]),
    )


class SteadyCount:
    """The median of a count over the last moments: a frame in which somebody is missed or doubled does not change it.

    Args:
        window: seconds.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._counts: deque[tuple[float, int]] = deque()

    def step(self, time: float, count: int) -> int:
        """Take the count of one frame; the steady one. A clock that was set back begins anew."""
        if self._counts and time < self._counts[-1][0]:
            self._counts.clear()
        self._counts.append((time, count))
        while time - self._counts[0][0] > self._window:
            self._counts.popleft()
        return statistics.median_low(count for _, count in self._counts)

    def clear(self) -> None:
        """Forget them."""
        self._counts.clear()
