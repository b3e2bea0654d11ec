"""What there is in front of an optic: its zones, lines and lanes, and what moves there in one frame."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from detector.domain.ground_motion import ground_motion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.domain.calibration import Calibration
    from detector.domain.detections import ObjectClass
    from detector.domain.geometry import Point
    from detector.domain.picture import Picture
    from detector.domain.tracking import Track

_EDGE: Final = 0.5
"""Pixels from the edge of the picture: the middle of its outermost ones."""


class ZoneKind(enum.IntEnum):
    """What a zone is; the numbers are those of argo.registry.v1.Zone.Kind."""

    UNSPECIFIED = 0
    WALKWAY = 1
    CARRIAGEWAY = 2
    RESTRICTED = 3
    IGNORED = 4


@dataclass(frozen=True, slots=True)
class OnGround:
    """Where something stands and goes on the ground of a calibrated optic.

    Attributes:
        position: metres east and north of the calibration's origin.
        velocity: metres per second, east and north.
        speed_error: one standard error of the speed, metres per second; infinite: not known.
    """

    position: Point
    velocity: Point
    speed_error: float = math.inf

    @property
    def speed(self) -> float:
        """Metres per second."""
        return math.hypot(*self.velocity)


@dataclass(frozen=True, slots=True)
class Presence:
    """One track in one frame, as rules see it.

    Attributes:
        track: its id.
        object_class: what it is.
        foot: the middle of its box's lower side: where it stands, within the picture; pixels.
        height: of its box, pixels; the only length of the picture that grows and shrinks with the object.
        box: left, top, right, bottom, pixels.
        velocity: of its foot, pixels per second.
        ground: the same in metres; None: the optic is not calibrated, or the foot is at the horizon or above it.
    """

    track: int
    object_class: ObjectClass
    foot: Point
    height: float
    box: tuple[float, float, float, float]
    velocity: Point = (0.0, 0.0)
    ground: OnGround | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """One analysed frame.

    Attributes:
        time: capture time, seconds since the epoch.
        width: of the frame, pixels.
        height: of the frame, pixels.
        present: the believed tracks that were seen in this frame.
        ended: ids of believed tracks that ended with it.
        picture: the frame, small; None: nothing of the optic looks at the picture itself.
    """

    time: float
    width: int
    height: int
    present: tuple[Presence, ...]
    ended: tuple[int, ...] = ()
    picture: Picture | None = None


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
    grounds = _on_ground(tracks, calibration, width, height) if calibration and tracks else [None] * len(tracks)
    return tuple(_presence(track, ground, width, height) for track, ground in zip(tracks, grounds, strict=True))


def _presence(track: Track, ground: OnGround | None, width: int, height: int) -> Presence:
    top, bottom = track.box[1], track.box[3]
    return Presence(
        track=track.track,
        object_class=track.object_class,
        foot=_foot(track, width, height),
        height=max(bottom - top, 1.0),
        box=track.box,
        velocity=track.velocity,
        ground=ground,
    )


def _foot(track: Track, width: int, height: int) -> Point:
    """Of what leaves the picture, where it was last seen in it: zones and lines are drawn up to the edge."""
    left, _, right, bottom = track.box
    return min(max((left + right) / 2, _EDGE), width - _EDGE), min(max(bottom, _EDGE), height - _EDGE)


def _on_ground(tracks: Sequence[Track], calibration: Calibration, width: int, height: int) -> list[OnGround | None]:
    motion = ground_motion(tracks, calibration, width, height)
    return [
        OnGround((east, north), (speed_east, speed_north), error)
        if math.isfinite(east) and math.isfinite(north)
        else None
        for (east, north), (speed_east, speed_north), error in zip(
            motion.position.tolist(), motion.velocity.tolist(), motion.speed_error.tolist(), strict=True
        )
    ]
