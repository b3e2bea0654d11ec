"""Where scripted scenes are played: a square and a street before a camera, and what is drawn over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from bench.scripted import traffic
from bench.scripted.crowd_camera import Camera
from bench.scripted.crowds import SQUARE, TICK, Floats, Script
from bench.scripted.flawed_detector import Seen
from bench.scripted.takes import OPTIC
from bench.scripted.traffic import Actor, Pose
from bench.scripted.views import SPREAD, ground_of, project
from detector.domain.detections import ObjectClass

CAMERA: Final = Camera()
WHOLE: Final = SQUARE + np.array([[-1.0, -1.0], [1.0, 1.0]])
"""The square, opposite corners, metres."""
LAWN: Final = np.array([[-3.0, 15.0], [2.0, 20.0]])
"""A part of it of 25 m²."""
ACROSS: Final = np.array([[0.0, 12.0], [0.0, 24.0]])
"""A line across it; east of it is its right side."""
ROAD: Final = ((-4.0, 10.5), (4.0, 10.5), (4.0, 60.0), (-4.0, 60.0))
LANE: Final = ((0.0, 12.0), (4.0, 12.0), (4.0, 60.0), (0.0, 60.0))
COURSE: Final = ((2.0, 12.0), (2.0, 60.0))
"""Of the lane: away from the camera."""
PAVEMENT: Final = ((5.0, 12.0), (8.0, 12.0), (8.0, 40.0), (5.0, 40.0))


def place(kind: str, name: str) -> str:
    """Resource name of a zone, line, lane or rule of the optic."""
    return f"{OPTIC}/{kind}/{name}"


def square(rule: str, parameters: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    """Configuration of the square's optic with one rule.

    Args:
        rule: its kind, as the field of Rule.parameters is called.
        parameters: its parameters in their JSON form.
        rest: further fields of the rule.
    """
    homography = CAMERA.homography
    return {
        "optic": OPTIC,
        "site": "sites/scripted",
        "calibration_points": _calibration(homography),
        "zones": [_zone("square", CAMERA.zone(WHOLE)), _zone("lawn", CAMERA.zone(LAWN))],
        "lines": [{"name": place("lines", "across"), "polyline": _points(project(homography, ACROSS).tolist())}],
        "rules": [{"name": place("rules", rule), "mode": "MODE_LIVE", rule: dict(parameters), **rest}],
    }


def street(rule: str, parameters: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    """Configuration of the street's optic with one rule; see `square`."""
    return {
        "optic": OPTIC,
        "site": "sites/scripted",
        "calibration_points": _calibration(traffic.VIEW),
        "zones": [
            _zone("road", traffic.area(*ROAD), kind="KIND_CARRIAGEWAY"),
            _zone("pavement", traffic.area(*PAVEMENT), kind="KIND_WALKWAY"),
        ],
        "lanes": [
            {
                "name": place("lanes", "north"),
                "polygon": _points(traffic.area(*LANE)),
                "course": _points(traffic.area(*COURSE)),
            }
        ],
        "rules": [{"name": place("rules", rule), "mode": "MODE_LIVE", rule: dict(parameters), **rest}],
    }


def _zone(name: str, corners: Iterable[Sequence[float]], kind: str = "KIND_UNSPECIFIED") -> dict[str, Any]:
    return {"name": place("zones", name), "kind": kind, "polygon": _points(corners)}


def _points(points: Iterable[Sequence[float]]) -> dict[str, Any]:
    return {"points": [{"x": float(x), "y": float(y)} for x, y in points]}


def _calibration(homography: Floats) -> list[dict[str, Any]]:
    """Point pairs whose places on the ground were measured to a decimetre."""
    return [
        {"image": {"x": x, "y": y}, "ground": {"east_metres": round(east, 1), "north_metres": round(north, 1)}}
        for (x, y), (east, north) in zip(SPREAD.tolist(), ground_of(homography, SPREAD).tolist(), strict=True)
    ]


def crowd_seen(script: Script) -> Callable[[float], Sequence[Seen]]:
    """What the square's camera shows of a crowd."""

    def seen(time: float) -> Sequence[Seen]:
        moment = min(round((time - script.begin) / TICK), len(script.positions) - 1)
        boxes = CAMERA.boxes(script.positions[moment], script.lifts[moment]).tolist()
        return [
            (person, ObjectClass.PERSON, (left, top, right, bottom))
            for person, (left, top, right, bottom) in enumerate(boxes)
            if math.isfinite(left)
        ]

    return seen


Size = Callable[[float], tuple[float, float, float] | None]
"""Time -> length, width and height of an actor, metres; None: those of its kind."""


def actors_seen(actors: Sequence[Actor], sizes: Mapping[int, Size] | None = None) -> Callable[[float], Sequence[Seen]]:
    """What the street's camera shows of some actors.

    Args:
        actors: everybody.
        sizes: by number, of those who have a size of their own.
    """

    def seen(time: float) -> Sequence[Seen]:
        found = []
        for actor in actors:
            pose = actor.pose(time)
            size = (sizes or {}).get(actor.track)
            box = traffic.box_of(actor.kind, pose, size(time) if size else None) if pose else None
            if box is not None:
                found.append((actor.track, actor.kind, box))
        return found

    return seen


def stay(actor: Actor, corners: Sequence[tuple[float, float]], seconds: float) -> tuple[float, float] | None:
    """From when to when an actor is seen with its foot in a rectangle on the ground; None: never.

    Args:
        actor: who.
        corners: of the rectangle; its first and third are opposite.
        seconds: length of the take.
    """
    (west, south), (east, north) = corners[0], corners[2]
    times = [tick * TICK for tick in range(round(seconds / TICK))]
    inside = [time for time in times if _inside(actor, actor.pose(time), (west, south, east, north))]
    return (inside[0], inside[-1]) if inside else None


def _inside(actor: Actor, pose: Pose | None, sides: tuple[float, float, float, float]) -> bool:
    if pose is None:
        return False
    box = traffic.box_of(actor.kind, pose)
    if box is None:
        return False
    foot = np.array([[(box[0] + box[2]) / 2 / traffic.WIDTH, box[3] / traffic.HEIGHT]])
    ((x, y),) = ground_of(traffic.VIEW, foot).tolist()
    west, south, east, north = sides
    return bool(west <= x <= east and south <= y <= north)
