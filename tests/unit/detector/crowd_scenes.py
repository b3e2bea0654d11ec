"""A square, a line across it, and people who stand in it: what the tests of rules about many people share."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from bench.scripted.crowd_camera import Camera
from bench.scripted.crowds import SQUARE
from bench.scripted.views import project
from detector.domain.detections import ObjectClass
from detector.domain.rules import ClassFilter, Firing, Rule
from detector.domain.scene import Places, Scene, presences
from detector.domain.scene_memory import SceneMemory
from detector.domain.tracking import Track

CAMERA = Camera()
ZONE, LINE, SMALL = "zones/square", "lines/middle", "zones/corner"
WHOLE = SQUARE + np.array([[-1.0, -1.0], [1.0, 1.0]])
CORNER = np.array([[-3.0, 15.0], [2.0, 20.0]])
ACROSS = project(CAMERA.homography, np.array([[0.0, 12.0], [0.0, 24.0]]))
PLACES = Places(
    zones={ZONE: CAMERA.zone(WHOLE), SMALL: CAMERA.zone(CORNER)},
    # Away from the camera: to the right is east.
    lines={LINE: tuple((x, y) for x, y in ACROSS.tolist())},
    calibration=CAMERA.calibration,
)
UNCALIBRATED = replace(PLACES, calibration=None)
EVERYBODY = ClassFilter()

SLOW = pytest.mark.slow
RATES = [5.0, pytest.param(25.0, marks=SLOW)]

Places2D = Iterable[tuple[float, float]]


def scene(
    time: float, people: Places2D, *, kind: ObjectClass = ObjectClass.PERSON, ended: tuple[int, ...] = ()
) -> Scene:
    """People at places on the ground (metres); the first one is track 1."""
    places = np.array(list(people), dtype=np.float64).reshape(-1, 2)
    boxes = CAMERA.boxes(places, np.zeros(len(places)))
    tracks = [
        Track(number + 1, kind, (left, top, right, bottom), (0.0, 0.0), time, time, 0)
        for number, (left, top, right, bottom) in enumerate(boxes.tolist())
        if math.isfinite(left)
    ]
    return Scene(time, 768, 432, presences(tracks, CAMERA.calibration, 768, 432), ended)


def standing(number: int) -> list[tuple[float, float]]:
    """Places in the square, a metre apart."""
    return [(-5.5 + place % 12, 12.5 + place // 12) for place in range(number)]


@functools.cache
def square(number: int) -> Scene:
    """So many people who stand in the square."""
    return scene(0.0, standing(number))


def run(rule: Rule, scenes: Iterable[Scene]) -> list[Firing]:
    memory = SceneMemory(CAMERA.calibration)
    return [firing for item in scenes for firing in rule.step(memory.enter(item))]


def counts(rule: Rule, *numbers: int, rate: float = 5.0, each: float = 1.0, begin: float = 0.0) -> list[Firing]:
    """Firings while so many people stand in the square, each number for some seconds."""
    people = [number for number in numbers for _ in range(round(each * rate))]
    return run(rule, (replace(square(number), time=begin + frame / rate) for frame, number in enumerate(people)))
