"""All that is remembered of one optic while its stream lives: tracks, rules, counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from detector.domain.configuration import OpticConfiguration, RuleSpecification
from detector.domain.densities import ZoneDensities
from detector.domain.flows import Flow, FlowCounter
from detector.domain.observations import Observation, ObservationLog
from detector.domain.rules import PictureRule, RuleCannotRunError
from detector.domain.rules.line_crossing import LineWatch
from detector.domain.rules.near_miss import NearMiss
from detector.domain.rules.schedule import runs
from detector.domain.scene import Places, Scene, presences
from detector.domain.scene_memory import SceneMemory
from detector.domain.tracker_parameters import TrackerParameters
from detector.domain.tracking import Track, Tracker

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from detector.domain.detections import Detections
    from detector.domain.picture import Picture
    from detector.domain.rules import Firing, Rule

PICTURE_SECONDS: Final = 1.0
"""How often a picture is looked at when no rule looks at every one: for the light and the colours of vehicles."""


@dataclass(frozen=True, slots=True)
class FiredRule:
    """A rule and why it fired."""

    specification: RuleSpecification
    topic: str
    place: str
    firing: Firing


@dataclass(frozen=True, slots=True)
class FrameAnalysis:
    """What one frame said."""

    tracks: tuple[Track, ...]
    fired: tuple[FiredRule, ...]


class OpticAnalysis:
    """Follows the objects of one optic and applies its rules.

    Args:
        configuration: the first one.
        new_id: see Tracker.
        local_time: seconds since the epoch -> a moment in the city's time zone.
        parameters: of the tracker.
    """

    def __init__(
        self,
        configuration: OpticConfiguration,
        *,
        new_id: Callable[[], int],
        local_time: Callable[[float], datetime],
        parameters: TrackerParameters,
    ) -> None:
        self._new_id = new_id
        self._local_time = local_time
        self._parameters = parameters
        self._tracker = Tracker(new_id, parameters)
        self._size: tuple[int, int] | None = None
        self._living: tuple[int, ...] = ()
        self._observations = ObservationLog()
        self._flows = FlowCounter()
        self._rules: dict[str, tuple[RuleSpecification, Rule]] = {}
        self._lines: dict[str, LineWatch] = {}
        self._memory = SceneMemory(None)
        self._densities = ZoneDensities(Places())
        self._looks_at_pictures = False
        self._last_picture = -math.inf
        self.not_running: dict[str, str] = {}
        """Rules of the configuration that cannot run, and why."""
        self.configuration = OpticConfiguration(configuration.optic)
        self.configure(configuration)

    def configure(self, configuration: OpticConfiguration) -> None:
        """Use another configuration from the next frame on; rules and lines that stay the same keep their memory.

        Raises:
            KeyError: a rule names a place that the configuration lacks.
        """
        before = self.configuration
        rules: dict[str, tuple[RuleSpecification, Rule]] = {}
        self.not_running = {}
        for specification in configuration.rules:
            try:
                rule = specification.build(configuration.places)
            except RuleCannotRunError as error:
                self.not_running[specification.name] = str(error)
                continue
            known = self._rules.get(specification.name)
            if known and known[0] == specification and _same_place(rule.place, before, configuration):
                rule = known[1]
            rules[specification.name] = (specification, rule)
        self._lines = {
            name: self._lines[name] if before.places.lines.get(name) == line else LineWatch(line)
            for name, line in configuration.places.lines.items()
        }
        if before.places.calibration != configuration.places.calibration:
            self._memory = SceneMemory(configuration.places.calibration)
        if not _same_ground(before.places, configuration.places):
            self._densities = ZoneDensities(configuration.places)
        self._rules = rules
        self._looks_at_pictures = any(isinstance(rule, PictureRule) for _, rule in rules.values())
        self.configuration = configuration

    def step(
        self, time: float, width: int, height: int, detections: Detections, picture: Picture | None = None
    ) -> FrameAnalysis:
        """Take one analysed frame.

        Args:
            time: capture time, seconds since the epoch.
            width: of the frame, pixels.
            height: of the frame, pixels.
            detections: everything above the masking threshold, in pixels of the frame.
            picture: the frame, small, for the rules that look at the picture itself.
        """
        self._last_picture = self._last_picture if picture is None else time
        lost = self._resize(width, height)
        tracked = self._tracker.step(time, detections)
        found = [track for track in tracked.tracks if track.present]
        places = self.configuration.places
        seen = presences(found, places.calibration, width, height)
        self._living = tuple(track.track for track in tracked.tracks)
        scene = self._memory.enter(Scene(time, width, height, seen, lost + tracked.ended, picture))
        crossings = {name: watch.step(scene) for name, watch in self._lines.items()}
        inside = {name: scene.inside(zone) for name, zone in places.zones.items()}
        self._densities.step(scene, inside)
        self._observations.step(scene, crossings, inside)
        self._flows.step(scene, crossings, inside)
        return FrameAnalysis(tracked.tracks, tuple(self._apply(scene)))

    def wants_picture(self, time: float) -> bool:
        """Whether a frame of this capture time should come with its picture."""
        return self._looks_at_pictures or not 0.0 <= time - self._last_picture < PICTURE_SECONDS

    def believe(self, *, birth_score: float, strong_score: float) -> None:
        """Take the scores of the model that looks from the next frame on; see TrackerParameters."""
        if (self._parameters.birth_score, self._parameters.strong_score) != (birth_score, strong_score):
            self._parameters = replace(self._parameters, birth_score=birth_score, strong_score=strong_score)
            self._tracker.use(self._parameters)

    def observations(self) -> list[Observation]:
        """What the tracks did since the last call."""
        return self._observations.collect()

    def flow(self) -> Flow | None:
        """The counts since the last call."""
        near_misses = tuple(rule.collect() for _, rule in self._rules.values() if isinstance(rule, NearMiss))
        return self._flows.collect(near_misses, self._densities.collect())

    def finish(self) -> None:
        """End every track; call `observations` and `flow` once more afterwards."""
        self._observations.finish()
        self._flows.finish()

    def _resize(self, width: int, height: int) -> tuple[int, ...]:
        """Start anew when the picture changes its size; the tracks that end with that."""
        if self._size == (width, height):
            return ()
        ended = self._living if self._size else ()
        self._size = (width, height)
        self._tracker = Tracker(self._new_id, self._parameters)
        return ended

    def _apply(self, scene: Scene) -> list[FiredRule]:
        local = self._local_time(scene.time)
        fired: list[FiredRule] = []
        for specification, rule in self._rules.values():
            if not runs(specification.schedules, local):
                rule.reset()
                continue
            fired += [FiredRule(specification, rule.topic, rule.place, firing) for firing in rule.step(scene)]
        return fired


def _same_ground(before: Places, after: Places) -> bool:
    return before.zones == after.zones and before.calibration == after.calibration


def _same_place(place: str, before: OpticConfiguration, after: OpticConfiguration) -> bool:
    same_outline = before.places.outline(place) == after.places.outline(place)
    return same_outline and before.places.calibration == after.places.calibration
