"""What there is in front of an optic: its zones, lines and lanes, and what moves there in one frame."""

from __future__ import annotations

import enum
import itertools
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from detector.domain import geometry
from detector.domain.detections import ObjectClass, among
from detector.domain.riders import riders
from detector.domain.trails import Movement, Movements, Trails

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from detector.domain.calibration import Calibration
    from detector.domain.geometry import Flags, Floats, Point
    from detector.domain.picture import Picture
    from detector.domain.rules.line_crossing import Crossing
    from detector.domain.texture import Look, Texture
    from detector.domain.tracking import Track

_EDGE: Final = 0.5
"""Pixels from the edge of the picture: the middle of its outermost ones."""
_NOWHERE: Final = (math.nan, math.nan)


class ZoneKind(enum.IntEnum):
    """What a zone is; the numbers are those of argo.registry.v1.Zone.Kind."""

    UNSPECIFIED = 0
    WALKWAY = 1
    CARRIAGEWAY = 2
    RESTRICTED = 3
    IGNORED = 4


class Presence(NamedTuple):
    """One track in one frame, as rules see it.

    Attributes:
        track: its id.
        object_class: what it is.
        foot: the middle of its box's lower side: where it stands, within the picture; pixels.
        height: of its box, pixels; the only length of the picture that grows and shrinks with the object.
        box: left, top, right, bottom, pixels.
        velocity: of its foot, pixels per second, as the tracker has it in this frame. It trembles: how something moves
            over the ground is for the scene's trails to say.
        ground: where it stands, metres east and north of the calibration's origin; None: the optic is not calibrated,
            or the foot is at the horizon or above it.
    """

    track: int
    object_class: ObjectClass
    foot: Point
    height: float
    box: tuple[float, float, float, float]
    velocity: Point = (0.0, 0.0)
    ground: Point | None = None


@dataclass(frozen=True)
class Scene:
    """One analysed frame. What several rules ask of it is worked out once.

    Attributes:
        time: capture time, seconds since the epoch.
        width: of the frame, pixels.
        height: of the frame, pixels.
        present: the believed tracks that were seen in this frame.
        ended: ids of believed tracks that ended with it.
        picture: the frame, small; None: nothing of the optic looks at the picture itself.
        trails: how everybody moves, this frame included; None: the optic is not calibrated.
        texture: how the scene usually looks, this frame included; None: nothing looks at the picture itself.
    """

    time: float
    width: int
    height: int
    present: tuple[Presence, ...]
    ended: tuple[int, ...] = ()
    picture: Picture | None = None
    trails: Trails | None = None
    texture: Texture | None = None

    @cached_property
    def crossed(self) -> dict[tuple[Point, ...], list[Crossing]]:
        """The crossings that this frame completed, by line (vertices, normalised), as far as somebody has looked."""
        return {}

    @cached_property
    def tracks(self) -> list[int]:
        """Their ids."""
        return [item.track for item in self.present]

    @cached_property
    def feet(self) -> Floats:
        """Their feet, n x 2, pixels."""
        return np.array([item.foot for item in self.present], dtype=np.float64).reshape(-1, 2)

    @cached_property
    def heights(self) -> Floats:
        """Of their boxes, n, pixels."""
        return np.array([item.height for item in self.present], dtype=np.float64)

    @cached_property
    def ground(self) -> Floats:
        """Where they stand, n x 2, metres east and north; NaN: not known."""
        return np.array([item.ground or _NOWHERE for item in self.present], dtype=np.float64).reshape(-1, 2)

    @cached_property
    def boxes(self) -> Floats:
        """Left, top, right, bottom of each, n x 4, pixels."""
        return np.array([item.box for item in self.present], dtype=np.float64).reshape(-1, 4)

    @cached_property
    def classes(self) -> npt.NDArray[np.int16]:
        """Numbers of their classes, n."""
        return np.array([item.object_class for item in self.present], dtype=np.int16)

    @cached_property
    def riders(self) -> Flags:
        """Which of them are persons who ride or sit in something, n."""
        return riders(self.classes, self.feet, self.boxes)

    def inside(self, zone: tuple[Point, ...]) -> Flags:
        """Who stands in a zone (corners, normalised), n."""
        found = self._inside.get(zone)
        if found is None:
            corners = geometry.scaled(zone, self.width, self.height)
            found = self._inside[zone] = geometry.contains(corners, self.feet)
        return found

    def of(self, classes: frozenset[ObjectClass]) -> Flags:
        """Who is of one of these classes, n; none means all."""
        found = self._of.get(classes)
        if found is None:
            found = self._of[classes] = among(self.classes, classes or frozenset(ObjectClass))
        return found

    def occupying(self, zone: tuple[Point, ...], classes: frozenset[ObjectClass] = frozenset()) -> Flags:
        """Who of some classes, or of all, stands in a zone (corners, normalised), n."""
        return self.inside(zone) & self.of(classes)

    def occupants(self, zone: tuple[Point, ...], classes: frozenset[ObjectClass] = frozenset()) -> tuple[Presence, ...]:
        """See `occupying`."""
        found = self._occupants.get((zone, classes))
        if found is None:
            found = self._occupants[zone, classes] = self.those(self.occupying(zone, classes))
        return found

    def those(self, chosen: Flags) -> tuple[Presence, ...]:
        """Whom an answer of n names."""
        return tuple(itertools.compress(self.present, chosen.tolist()))

    @cached_property
    def look(self) -> Look | None:
        """What the picture shows beside what is usual; None: there is no picture."""
        if self.picture is None or self.texture is None:
            return None
        boxes = self.boxes / ([self.width, self.height] * 2)
        return self.texture.step(self.time, self.picture, boxes.tolist())

    def movements(self, window: float) -> Movements:
        """How everybody moved over the ground within so many seconds, n."""
        found = self._movements.get(window)
        if found is None:
            trails = self.trails
            found = trails.movements(self.tracks, window) if trails else Movements.unknown(len(self.present))
            self._movements[window] = found
        return found

    def movement(self, track: int, window: float) -> Movement | None:
        """How one object moved over the ground within so many seconds, present or not; None: not known."""
        return self.trails.movement(track, window) if self.trails else None

    @cached_property
    def _movements(self) -> dict[float, Movements]:
        return {}

    @cached_property
    def _inside(self) -> dict[tuple[Point, ...], Flags]:
        return {}

    @cached_property
    def _of(self) -> dict[frozenset[ObjectClass], Flags]:
        return {}

    @cached_property
    def _occupants(self) -> dict[tuple[tuple[Point, ...], frozenset[ObjectClass]], tuple[Presence, ...]]:
        return {}


@dataclass(frozen=True, slots=True)
class Lane:
    """A part of the carriageway with a direction of travel; normalised.

    Attributes:
        polygon: its corners, at least three.
        course: its vertices in the direction of travel, at least two.
    """

    polygon: tuple[Point, ...]
    course: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """The named places of an optic, in normalised coordinates (0..1 of the picture's width and height).

    Attributes:
        zones: resource name -> corners, at least three.
        lines: resource name -> vertices, at least two.
        display_names: resource name -> what people call it; a place without such a name may be missing.
        kinds: resource name of a zone -> what it is; a zone without a kind may be missing.
        lanes: resource name -> lane.
        calibration: picture to ground; None: not calibrated.
        calibration_problem: why the calibration that was given cannot be used; empty: none was given, or it can.
    """

    zones: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    lines: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    display_names: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, ZoneKind] = field(default_factory=dict)
    lanes: Mapping[str, Lane] = field(default_factory=dict)
    calibration: Calibration | None = None
    calibration_problem: str = ""

    def outline(self, place: str) -> object:
        """All that a rule which watches this place depends on; equal before and after: it may keep its memory."""
        return (self.zones.get(place), self.lines.get(place), self.lanes.get(place), self.kinds.get(place))


def presences(
    tracks: Sequence[Track], calibration: Calibration | None, width: int, height: int
) -> tuple[Presence, ...]:
    """Tracks as rules see them.

    Args:
        tracks: of one frame; boxes and velocities in its pixels.
        calibration: picture to ground; None: not calibrated.
        width: of the frame, pixels.
        height: of the frame, pixels.
    """
    if not tracks:
        return ()
    boxes = np.array([track.box for track in tracks], dtype=np.float64)
    heights = np.maximum(boxes[:, 3] - boxes[:, 1], 1.0)
    # Of what leaves the picture, where it was last seen in it: zones and lines are drawn up to the edge.
    feet = np.stack(
        [
            np.clip((boxes[:, 0] + boxes[:, 2]) / 2, _EDGE, width - _EDGE),
            np.clip(boxes[:, 3], _EDGE, height - _EDGE),
        ],
        axis=1,
    )
    grounds: list[Point | None] = [None] * len(tracks)
    if calibration is not None:
        places = calibration.to_ground(feet / (width, height))
        grounds = [(east, north) if math.isfinite(east + north) else None for east, north in places.tolist()]
    columns = (
        [track.track for track in tracks],
        [track.object_class for track in tracks],
        map(tuple, feet.tolist()),
        heights.tolist(),
        [track.box for track in tracks],
        [track.velocity for track in tracks],
        grounds,
    )
    return tuple(map(Presence._make, zip(*columns, strict=True)))
