"""Scripted traffic: road users of three dimensions before a pinhole camera, each where its script says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.scripted.views import SPREAD, ground_of, view
from detector.domain.calibration import Calibration
from detector.domain.detections import ObjectClass
from detector.domain.geometry import Point

WIDTH, HEIGHT = 1280, 720
CAMERA_METRES, PITCH_DEGREES, FIELD_DEGREES = 8.0, 20.0, 70.0
SIZES = {
    ObjectClass.PERSON: (0.4, 0.5, 1.7),
    ObjectClass.BICYCLE: (1.8, 0.6, 1.1),
    ObjectClass.MOTORCYCLE: (2.1, 0.8, 1.2),
    ObjectClass.CAR: (4.4, 1.8, 1.5),
    ObjectClass.BUS: (12.0, 2.55, 3.0),
    ObjectClass.LUGGAGE: (0.6, 0.4, 0.5),
}
"""Length, width, height, metres."""

VIEW = view(CAMERA_METRES, PITCH_DEGREES, FIELD_DEGREES)
_VIEW_ROWS = VIEW.tolist()
CALIBRATION = Calibration.fit(SPREAD, ground_of(VIEW, SPREAD))

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, pixels."""
Pose = tuple[float, float, float]
"""East, north (metres), and heading (degrees clockwise from north)."""


@dataclass(frozen=True)
class Actor:
    """A road user, or a thing.

    Attributes:
        track: its number.
        kind: its class.
        pose: where it is at a time in seconds; None: nowhere.
    """

    track: int
    kind: ObjectClass
    pose: Callable[[float], Pose | None]


def drive(
    track: int,
    start: Point,
    end: Point,
    speed: float,
    *,
    begin: float = 0.0,
    kind: ObjectClass = ObjectClass.CAR,
) -> Actor:
    """Straight from one place on the ground to another, metres per second; there it vanishes."""
    way = np.subtract(end, start)
    length = float(np.hypot(*way))
    heading = float(np.degrees(np.arctan2(way[0], way[1])))

    def pose(time: float) -> Pose | None:
        gone = (time - begin) * speed
        if not 0.0 <= gone <= length:
            return None
        return start[0] + way[0] * gone / length, start[1] + way[1] * gone / length, heading

    return Actor(track, kind, pose)


def halt(
    track: int,
    place: Point,
    *,
    arrives: float,
    leaves: float = 1e9,
    speed: float = 10.0,
    heading: float = 0.0,
    kind: ObjectClass = ObjectClass.CAR,
) -> Actor:
    """Comes to a place at constant speed, stands there, and goes on."""
    ahead = np.sin(np.radians(heading)), np.cos(np.radians(heading))

    def pose(time: float) -> Pose:
        off = speed * (min(0.0, time - arrives) + max(0.0, time - leaves))
        return place[0] + off * ahead[0], place[1] + off * ahead[1], heading

    return Actor(track, kind, pose)


def away(actor: Actor, start: float, end: float = 1e9) -> Actor:
    """The same, but not there for a while."""
    return Actor(actor.track, actor.kind, lambda time: None if start <= time < end else actor.pose(time))


def box_of(kind: ObjectClass, pose: Pose, size: tuple[float, float, float] | None = None) -> Box | None:
    """What a detector would see of it, pixels; None: not, or only in part, in the picture.

    Args:
        kind: of which it is.
        pose: where it is.
        size: length, width, height in metres; None: that of its kind.
    """
    length, width, height = size or SIZES[kind]
    east, north, angle = pose[0], pose[1], math.radians(pose[2])
    sine, cosine = math.sin(angle), math.cos(angle)
    corners = [
        in_picture(east + along * sine + across * cosine, north + along * cosine - across * sine, above)
        for along in (-length / 2, length / 2)
        for across in (-width / 2, width / 2)
        for above in (0.0, height)
    ]
    (left, right), (top, bottom) = ((min(values), max(values)) for values in zip(*corners, strict=True))
    inside = left >= 0 and top >= 0 and right <= WIDTH and bottom <= HEIGHT
    return (left, top, right, bottom) if inside else None


def in_picture(east: float, north: float, up: float = 0.0) -> Point:
    """Pixels of a point in space, metres; infinite behind the camera."""
    # A point above the ground is seen where the ray through it meets the ground.
    share = CAMERA_METRES / (CAMERA_METRES - up)
    x, y, depth = (row[0] * east * share + row[1] * north * share + row[2] for row in _VIEW_ROWS)
    return (x / depth * WIDTH, y / depth * HEIGHT) if depth > 0 else (math.inf, math.inf)


def area(*corners: Point) -> tuple[Point, ...]:
    """Places on the ground as normalised places of the picture."""
    pixels = [in_picture(east, north) for east, north in corners]
    return tuple((x / WIDTH, y / HEIGHT) for x, y in pixels)
