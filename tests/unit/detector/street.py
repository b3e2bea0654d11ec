"""A simulated street: road users of three dimensions before a pinhole camera, seen as boxes that tremble."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from bench.scripted.traffic import CALIBRATION, HEIGHT, WIDTH, Actor, Box, area, box_of, drive
from detector.domain.analysis import OpticAnalysis
from detector.domain.configuration import OpticConfiguration, RuleSpecification
from detector.domain.detections import Detections, ObjectClass, ordered
from detector.domain.rules import ClassFilter, Firing, Rule, RuleParameters
from detector.domain.scene import Lane, Places, Presence, Scene, ZoneKind
from detector.domain.scene_memory import SceneMemory
from detector.domain.tracker_parameters import TrackerParameters


@dataclass
class Film:
    """What a camera sees of some actors.

    Attributes:
        actors: who is there.
        rate: frames per second.
        noise: standard deviation of every side of a box, in heights of the box.
        missed: share of detections that fail.
        seed: of the randomness.
        begin: when it begins, seconds since the epoch; actors count from there.
    """

    actors: Sequence[Actor]
    rate: float = 10.0
    noise: float = 0.02
    missed: float = 0.0
    seed: int = 1
    begin: float = 1000.0

    def boxes(self, seconds: float) -> Iterator[tuple[float, list[tuple[Actor, Box]]]]:
        """Frame by frame: the time, and who is seen where, pixels."""
        random = np.random.default_rng(self.seed)
        for number in range(round(seconds * self.rate)):
            time = number / self.rate
            found = []
            for actor in self.actors:
                pose = actor.pose(time)
                box = box_of(actor.kind, pose) if pose else None
                if box is None or random.random() < self.missed:
                    continue
                a, b, c, d = (random.normal(0.0, self.noise, 4) * (box[3] - box[1])).tolist()
                found.append((actor, (box[0] + a, box[1] + b, box[2] + c, box[3] + d)))
            yield self.begin + time, found

    def scenes(self, seconds: float) -> Iterator[Scene]:
        """The frames as rules see them, when the tracker makes no mistake."""
        seen: set[int] = set()
        memory = SceneMemory(CALIBRATION)
        for time, found in self.boxes(seconds):
            present = presences([(actor.track, actor.kind, box) for actor, box in found])
            alive = {actor.track for actor in self.actors if actor.pose(time - self.begin) is not None}
            ended = tuple(sorted(seen - alive))
            seen = (seen | {item.track for item in present}) & alive
            yield memory.enter(Scene(time, WIDTH, HEIGHT, present, ended))

    def detections(self, seconds: float) -> Iterator[tuple[float, Detections]]:
        """The frames as a detector sees them."""
        for time, found in self.boxes(seconds):
            boxes = np.array([box for _, box in found], np.float32).reshape(-1, 4)
            scores = np.full(len(found), 0.8, np.float32)
            yield time, ordered(boxes, scores, [int(actor.kind) for actor, _ in found])


def presence(track: int, kind: ObjectClass, box: Box) -> Presence:
    """One road user as rules see it."""
    return presences([(track, kind, box)])[0]


def presences(seen: Sequence[tuple[int, ObjectClass, Box]]) -> tuple[Presence, ...]:
    """Road users as rules see them, of track, class and box."""
    feet = [((left + right) / 2, bottom) for _, _, (left, _, right, bottom) in seen]
    ground = CALIBRATION.to_ground(np.array(feet).reshape(-1, 2) / (WIDTH, HEIGHT)).tolist()
    return tuple(
        Presence(track, kind, foot, box[3] - box[1], box, ground=(east, north))
        for (track, kind, box), foot, (east, north) in zip(seen, feet, ground, strict=True)
    )


def fires(rule: Rule, film: Film, seconds: float) -> list[Firing]:
    """What a rule says of a film."""
    return [firing for scene in film.scenes(seconds) for firing in rule.step(scene)]


def analyse(places: Places, film: Film, seconds: float, **rules: RuleParameters) -> tuple[OpticAnalysis, list[Firing]]:
    """A film through the tracker and the rules, as in service."""
    ids = itertools.count(100)
    specifications = tuple(
        RuleSpecification(name, 1, 3, 2, frozenset(), (), parameters) for name, parameters in rules.items()
    )
    analysis = OpticAnalysis(
        OpticConfiguration("devices/d/optics/o", "sites/s", 1, places, specifications),
        new_id=lambda: next(ids),
        local_time=lambda seconds: datetime.fromtimestamp(seconds, UTC),
        parameters=TrackerParameters(),
    )
    fired = []
    for time, detections in film.detections(seconds):
        found = analysis.step(time, WIDTH, HEIGHT, detections)
        fired += [item.firing for item in found.fired]
    return analysis, fired


LANE, ZONE, WALK = "lanes/north", "zones/road", "zones/pavement"
PLACES = Places(
    zones={ZONE: area((-4, 10.5), (4, 10.5), (4, 60), (-4, 60)), WALK: area((5, 12), (8, 12), (8, 40), (5, 40))},
    kinds={ZONE: ZoneKind.CARRIAGEWAY, WALK: ZoneKind.WALKWAY},
    lanes={LANE: Lane(area((0, 12), (4, 12), (4, 60), (0, 60)), area((2, 12), (2, 60)))},
    calibration=CALIBRATION,
)
START, END = (2.0, 12.0), (2.0, 58.0)
"""Of a drive along the lane."""
OTHER_TRAFFIC = [drive(10 + number, (-2, 60), (-2, 10.5), 12.0, begin=4.0 * number) for number in range(8)]
"""Forty-three kilometres an hour, in the other lane."""


def stream(kmh: float, gap: float, number: int, *, first: int = 0) -> list[Actor]:
    """Vehicles along the lane, one every `gap` seconds."""
    return [drive(first + index, START, END, kmh / 3.6, begin=gap * index) for index in range(number)]


def build(parameters: RuleParameters, *classes: ObjectClass) -> Rule:
    """A rule of this street."""
    return parameters.build(PLACES, ClassFilter(frozenset(classes)))


def seconds(firings: Iterable[Firing]) -> list[float]:
    """When rules fired, seconds after the film began."""
    return [firing.time - 1000.0 for firing in firings]
