"""All that is remembered of one optic while its stream lives: tracks, rules, counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.domain.configuration import OpticConfiguration, RuleSpecification
from detector.domain.flows import Flow, FlowCounter
from detector.domain.observations import Observation, ObservationLog
from detector.domain.rules.line_crossing import LineWatch
from detector.domain.rules.schedule import runs
from detector.domain.scene import Presence, Scene
from detector.domain.tracking import Track, Tracker, TrackerParameters

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from detector.domain.detections import Detections
    from detector.domain.rules import Firing, Rule


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
        self.configuration = OpticConfiguration(configuration.optic)
        self.configure(configuration)

    def configure(self, configuration: OpticConfiguration) -> None:
        """Use another configuration from the next frame on; rules and lines that stay the same keep their memory.

        Raises:
            KeyError: a rule names a place that the configuration lacks.
        """
        before = self.configuration
        rules: dict[str, tuple[RuleSpecification, Rule]] = {}
        for specification in configuration.rules:
            rule = specification.build(configuration.places)
            known = self._rules.get(specification.name)
            if known and known[0] == specification and _same_place(rule.place, before, configuration):
                rule = known[1]
            rules[specification.name] = (specification, rule)
        self._lines = {
            name: self._lines[name] if before.places.lines.get(name) == line else LineWatch(line)
            for name, line in configuration.places.lines.items()
        }
        self._rules = rules
        self.configuration = configuration

    def step(self, time: float, width: int, height: int, detections: Detections) -> FrameAnalysis:
        """Take one analysed frame.

        Args:
            time: capture time, seconds since the epoch.
            width: of the frame, pixels.
            height: of the frame, pixels.
            detections: everything above the masking threshold, in pixels of the frame.
        """
        lost = self._resize(width, height)
        tracked = self._tracker.step(time, detections)
        seen = tuple(Presence.of(track) for track in tracked.tracks if track.detection is not None)
        self._living = tuple(track.track for track in tracked.tracks)
        scene = Scene(time, width, height, seen, lost + tracked.ended)
        crossings = {name: watch.step(scene) for name, watch in self._lines.items()}
        self._observations.step(scene, self.configuration.places, crossings)
        self._flows.step(scene, self.configuration.places, crossings)
        return FrameAnalysis(tracked.tracks, tuple(self._apply(scene)))

    def observations(self) -> list[Observation]:
        """What the tracks did since the last call."""
        return self._observations.collect()

    def flow(self) -> Flow | None:
        """The counts since the last call."""
        return self._flows.collect()

    def finish(self) -> None:
        """End every track; call `observations` and `flow` once more afterwards."""
        self._observations.finish()

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


def _same_place(place: str, before: OpticConfiguration, after: OpticConfiguration) -> bool:
    return (before.places.zones.get(place), before.places.lines.get(place)) == (
        after.places.zones.get(place),
        after.places.lines.get(place),
    )
