"""Takes of a scripted scene, played through the tracker and one rule of the detector, and scored by their labels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from bench.scripted.flawed_detector import Errors, FlawedDetector, Seen
from detector.domain.analysis import OpticAnalysis
from detector.domain.detections import ObjectClass
from detector.domain.flows import Flow
from detector.domain.picture import Picture
from detector.domain.rules import Firing
from detector.domain.tracker_parameters import TrackerParameters
from detector.unpacking import unpack_configuration
from mesh.local.scorecard.card import Replay, Scorecard, ZoneMean, score
from mesh.local.scorecard.matching import GRACE_SECONDS, Told
from mesh.local.scorecard.truth import Crossings, Episode, Occupancy, Truth, Unjudged

SCRIPT_RATE: Final = 25.0
"""Frames per second at which scripts count who is in a zone."""
OPTIC: Final = "devices/scripted/optics/o"
_BEGIN: Final = 1_000_000_000.0
_FLOW_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 2 * GRACE_SECONDS
"""Between two takes on the time line of a scorecard: no event of one belongs to an episode of another."""


@dataclass(frozen=True)
class Labels:
    """What truly happens in a take. Times are seconds from its first frame.

    Attributes:
        episodes: (start, due, end) of what the rule ought to tell.
        unjudged: (start, end) of what could be told or not.
        crossings: name of a line -> persons from left to right, and back.
        present: name of a zone -> persons in it, SCRIPT_RATE times a second.
    """

    episodes: tuple[tuple[float, float, float], ...] = ()
    unjudged: tuple[tuple[float, float], ...] = ()
    crossings: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    present: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def _nobody(_time: float) -> Sequence[Seen]:
    return ()


@dataclass(frozen=True)
class Take:
    """A scene as a script plays it.

    Attributes:
        name: what is played.
        seconds: for how long.
        labels: what truly happens.
        seen: time -> whom a camera shows.
        picture: time -> the picture itself, small; None: the rule does not look at it.
    """

    name: str
    seconds: float
    labels: Labels = field(default_factory=Labels)
    seen: Callable[[float], Sequence[Seen]] = _nobody
    picture: Callable[[float], Picture] | None = None


@dataclass(frozen=True)
class Study:
    """One rule, where it watches, and what is played before it.

    Attributes:
        configuration: an argo.registry.v1.OpticConfiguration in its JSON form with one rule.
        takes: all that is played.
        width: of the frames, pixels.
        height: of the frames, pixels.
        errors: of the detector.
    """

    configuration: Mapping[str, Any]
    takes: Sequence[Take]
    width: int
    height: int
    errors: Errors = field(default_factory=Errors)

    @property
    def rule(self) -> str:
        """Its name."""
        return str(self.configuration["rules"][0]["name"])


def play(study: Study, take: Take, rate: float, seed: int) -> tuple[list[Told], list[Flow]]:
    """One take through a new tracker and rule; events in seconds from its first frame, counts second by second.

    Args:
        study: with the rule.
        take: one of its takes.
        rate: analysed frames per second; divides SCRIPT_RATE.
        seed: of the detector's errors.
    """
    ids = itertools.count(1)
    analysis = OpticAnalysis(
        unpack_configuration(Truth(configuration=dict(study.configuration)).scene()),
        new_id=lambda: next(ids),
        local_time=lambda seconds: datetime.fromtimestamp(seconds, UTC),
        parameters=TrackerParameters(),
    )
    if analysis.not_running:
        raise ValueError(f"rules that cannot run: {analysis.not_running}")
    detector = FlawedDetector(study.errors, seed, study.width, study.height)
    told: list[Told] = []
    flows: list[Flow] = []
    for number in range(round(take.seconds * rate)):
        time = number / rate
        detections = detector.look(time, take.seen(time))
        picture = take.picture(time) if take.picture else None
        found = analysis.step(_BEGIN + time, study.width, study.height, detections, picture)
        told += [Told(item.specification.name, time, _explain(item.firing)) for item in found.fired]
        if number and number % round(_FLOW_SECONDS * rate) == 0:
            flow = analysis.flow()
            flows += [flow] if flow else []
    return told, flows


def _explain(firing: Firing) -> str:
    return f"{firing.quantity} {firing.value:.3g} {firing.unit} (threshold {firing.threshold:.3g})"


def measure(study: Study, rate: float) -> Scorecard:
    """The scorecard of a rule over all its takes, one after the other.

    Args:
        study: the rule and its takes.
        rate: analysed frames per second; divides SCRIPT_RATE.
    """
    line = _TimeLine(study, rate)
    for seed, take in enumerate(study.takes):
        line.add(take, *play(study, take, rate, seed))
    return score(line.truth(), line.replay(), rate)


class _TimeLine:
    """Takes one after the other, as if they were one video."""

    def __init__(self, study: Study, rate: float) -> None:
        self._study, self._rate = study, rate
        self._offset = self._seconds = 0.0
        self._episodes: list[Episode] = []
        self._unjudged: list[Unjudged] = []
        self._crossed: list[Crossings] = []
        self._present: dict[str, list[int]] = {}
        self._told: list[Told] = []
        self._counted: list[Crossings] = []
        self._occupancy: list[ZoneMean] = []
        self._intervals: list[tuple[float, float]] = []

    def add(self, take: Take, told: Sequence[Told], flows: Sequence[Flow]) -> None:
        """Take what was labelled and what was heard of a take."""
        at, labels, rule = self._offset, take.labels, self._study.rule
        self._episodes += [
            Episode(rule=rule, start=at + start, due=at + due, end=at + end, note=take.name)
            for start, due, end in labels.episodes
        ]
        self._unjudged += [
            Unjudged(rule=rule, start=at + start, end=at + end, note=take.name) for start, end in labels.unjudged
        ]
        self._crossed += [
            Crossings(line=line, object_class="person", left_to_right=there, right_to_left=back)
            for line, (there, back) in labels.crossings.items()
        ]
        for zone, present in labels.present.items():
            frames = self._present.setdefault(zone, [])
            frames += [0] * (round(at * self._rate) - len(frames))
            frames += present[:: round(SCRIPT_RATE / self._rate)]
        self._told += [Told(event.rule, at + event.time, f"{take.name}: {event.explanation}") for event in told]
        for flow in flows:
            self._hear(flow, at)
        self._seconds += take.seconds
        self._offset = at + take.seconds + _PAUSE_SECONDS

    def _hear(self, flow: Flow, at: float) -> None:
        start = at + flow.start_time - _BEGIN
        self._intervals.append((start, flow.interval))
        self._counted += [
            Crossings(
                line=line.line,
                object_class=line.object_class.name.lower(),
                left_to_right=line.left_to_right,
                right_to_left=line.right_to_left,
            )
            for line in flow.lines
        ]
        self._occupancy += [
            ZoneMean(zone.zone, zone.object_class.name.lower(), start, flow.interval, zone.mean_occupancy)
            for zone in flow.zones
        ]

    def truth(self) -> Truth:
        """The labels of all takes."""
        person = ObjectClass.PERSON.name.lower()
        return Truth(
            configuration=dict(self._study.configuration),
            frame_rate=self._rate,
            episodes=tuple(self._episodes),
            unjudged=tuple(self._unjudged),
            crossings=_summed(self._crossed),
            occupancy=tuple(
                Occupancy(zone=zone, object_class=person, present=tuple(present))
                for zone, present in self._present.items()
            ),
        )

    def replay(self) -> Replay:
        """What was heard of all takes; pauses do not count as watched time."""
        return Replay(
            frames=round(self._seconds * self._rate),
            seconds=self._seconds,
            told=tuple(self._told),
            crossings=tuple(self._counted),
            occupancy=tuple(self._occupancy),
            intervals=tuple(self._intervals),
        )


def _summed(crossed: Sequence[Crossings]) -> tuple[Crossings, ...]:
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    for each in crossed:
        there, back = totals.get((each.line, each.object_class), (0, 0))
        totals[each.line, each.object_class] = there + each.left_to_right, back + each.right_to_left
    return tuple(
        Crossings(line=line, object_class=kind, left_to_right=there, right_to_left=back)
        for (line, kind), (there, back) in totals.items()
    )
