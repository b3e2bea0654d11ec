"""How a camera with a tracker would see a scripted crowd.

A camera projects people into boxes through a pinhole view, and knows the calibration that a city would have entered for
it. Watching a script gives either the scenes that rules take, with the faults of a tracker (boxes that tremble, people
who are missed or hidden, tracks that break), or the detections that a real tracker takes. No detector takes part.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bench.scripted.crowds import GIRTH, Floats, Script, known
from bench.scripted.flawed_detector import covered
from bench.scripted.views import SPREAD, ground_of, project, view
from detector.domain.calibration import Calibration
from detector.domain.detections import Detections, ObjectClass, ordered
from detector.domain.scene import Scene, presences
from detector.domain.scene_memory import SceneMemory
from detector.domain.tracking import Track

STATURE = 1.7
"""Of a person, metres."""


@dataclass(frozen=True)
class Camera:
    """A fixed camera over flat ground, with the calibration that somebody entered for it.

    Attributes:
        width: of the analysed picture, pixels.
        height: likewise.
        homography: from metres to normalised picture points.
        calibration: what the detector has of it.
    """

    width: int = 768
    height: int = 432
    homography: Floats = field(default_factory=view)
    calibration: Calibration = field(default_factory=lambda: Calibration.fit(SPREAD, ground_of(view(), SPREAD)))

    def zone(self, corners: Floats) -> tuple[tuple[float, float], ...]:
        """The zone, normalised, of a rectangle on the ground (opposite corners, 2 x 2)."""
        (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
        ground = np.array([[west, south], [east, south], [east, north], [west, north]])
        return tuple((float(x), float(y)) for x, y in project(self.homography, ground))

    def boxes(self, positions: Floats, lifts: Floats) -> Floats:
        """Boxes of people, n x 4, pixels; NaN for who is not there or whose feet are not in the picture."""
        there = known(positions)
        somewhere = np.where(there[:, None], positions, [0.0, 20.0])
        feet = project(self.homography, somewhere)
        metre = self.calibration.pixels_per_metre(feet, self.width, self.height)
        x, y = feet[:, 0] * self.width, feet[:, 1] * self.height - lifts * metre
        half, tall = GIRTH / 2 * metre, STATURE * metre
        seen = there & (feet > 0.0).all(axis=1) & (feet < 1.0).all(axis=1)
        return np.where(seen[:, None], np.stack([x - half, y - tall, x + half, y], axis=1), np.nan)


@dataclass(frozen=True)
class Faults:
    """What goes wrong between the street and the rules.

    Attributes:
        tremble: standard deviation of each side of a box, in its heights.
        missed: share of the people who are not found in a frame.
        broken: how often a track breaks and goes on under another id, per second and person.
        hidden: share of a box that somebody nearer covers from which on it is not found.
    """

    tremble: float = 0.03
    missed: float = 0.1
    broken: float = 0.1
    hidden: float = 0.7


PERFECT = Faults(0.0, 0.0, 0.0, 1.1)


def watch(
    script: Script, camera: Camera, rate: float, seed: int = 0, faults: Faults | None = None, *, calibrated: bool = True
) -> Iterator[Scene]:
    """The scenes of a script, as rules take them.

    Args:
        script: the people.
        camera: who sees them.
        rate: analysed frames per second: 25, 12.5, 5, 2.5 or 1.
        seed: of the faults.
        faults: what goes wrong; the default ones when None.
        calibrated: whether the optic has its calibration.
    """
    faults = faults or Faults()
    ids = itertools.count(1)
    tracks = [next(ids) for _ in range(script.positions.shape[1])]
    last: list[Track | None] = [None] * len(tracks)
    ended: list[int] = []
    random = np.random.default_rng(seed + 1000)
    calibration = camera.calibration if calibrated else None
    memory = SceneMemory(calibration)
    for (time, _, _), boxes in zip(script.frames(rate), _seen(script, camera, rate, seed, faults), strict=True):
        breaks = random.random(len(boxes)) < faults.broken / rate
        for person in np.flatnonzero(breaks).tolist():
            ended.append(tracks[person])
            tracks[person], last[person] = next(ids), None
        found = []
        for person in np.flatnonzero(known(boxes)).tolist():
            track = _track(tracks[person], boxes[person], last[person], time)
            last[person] = track
            found.append(track)
        seen = presences(found, calibration, camera.width, camera.height)
        yield memory.enter(Scene(time, camera.width, camera.height, seen, tuple(ended)))
        ended = []


def detections(
    script: Script, camera: Camera, rate: float, seed: int = 0, faults: Faults | None = None
) -> Iterator[tuple[float, Detections]]:
    """The detections of a script, as a tracker takes them: (time, detections). See `watch`."""
    random = np.random.default_rng(seed + 2000)
    for (time, _, _), boxes in zip(
        script.frames(rate), _seen(script, camera, rate, seed, faults or Faults()), strict=True
    ):
        found = boxes[known(boxes)].astype(np.float32)
        scores = random.normal(0.65, 0.1, len(found)).clip(0.3, 0.95).astype(np.float32)
        yield time, ordered(found, scores, [ObjectClass.PERSON] * len(found))


def _seen(script: Script, camera: Camera, rate: float, seed: int, faults: Faults) -> Iterator[Floats]:
    """Boxes of everybody by frame, people x 4; NaN: not found."""
    random = np.random.default_rng(seed)
    for _, positions, lifts in script.frames(rate):
        boxes = camera.boxes(positions, lifts)
        tall = boxes[:, 3:] - boxes[:, 1:2]
        boxes += random.normal(0.0, 1.0, boxes.shape) * faults.tremble * tall
        lost = (random.random(len(boxes)) < faults.missed) | (covered(boxes) >= faults.hidden)
        boxes[lost] = np.nan
        yield boxes


def _track(track: int, box: Floats, before: Track | None, time: float) -> Track:
    left, top, right, bottom = (float(part) for part in box)
    velocity = (0.0, 0.0)
    if before is not None and time > before.last_seen:
        passed = time - before.last_seen
        was_left, was_top, was_right, was_bottom = before.box
        velocity = (
            (left + right - was_left - was_right) / 2 / passed,
            (top + bottom - was_top - was_bottom) / 2 / passed,
        )
    first = before.first_seen if before else time
    return Track(track, ObjectClass.PERSON, (left, top, right, bottom), velocity, first, time, 0)
