"""What there is in front of an optic: its zones and lines, and what moves there in one frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.domain.detections import ObjectClass
    from detector.domain.geometry import Point
    from detector.domain.tracking import Track


@dataclass(frozen=True, slots=True)
class Presence:
    """One track in one frame, as rules see it.

    Attributes:
        track: its id.
        object_class: what it is.
        foot: the middle of its box's lower side: where it stands; pixels.
        height: of its box, pixels; the only length of the picture that grows and shrinks with the object.
        box: left, top, right, bottom, pixels.
    """

    track: int
    object_class: ObjectClass
    foot: Point
    height: float
    box: tuple[float, float, float, float]

    @classmethod
    def of(cls, track: Track) -> Presence:
        """A track as rules see it."""
        left, top, right, bottom = track.box
        return cls(track.track, track.object_class, ((left + right) / 2, bottom), max(bottom - top, 1.0), track.box)


@dataclass(frozen=True, slots=True)
class Scene:
    """One analysed frame.

    Attributes:
        time: capture time, seconds since the epoch.
        width: of the frame, pixels.
        height: of the frame, pixels.
        present: the believed tracks that were seen in this frame.
        ended: ids of believed tracks that ended with it.
    """

    time: float
    width: int
    height: int
    present: tuple[Presence, ...]
    ended: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Places:
    """The named places of an optic, in normalised coordinates (0..1 of the picture's width and height).

    Attributes:
        zones: resource name -> corners, at least three.
        lines: resource name -> vertices, at least two.
        display_names: resource name -> what people call it; a place without such a name may be missing.
    """

    zones: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    lines: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    display_names: Mapping[str, str] = field(default_factory=dict)
