"""The scene can hardly be seen: fog, heavy rain, a dirty lens. The contrast of a zone sinks far below its usual one.

The gateway tells of a camera that is blind (TamperingDetection); this rule is for a place where people rely on being
seen, and names a share of the contrast of their own zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain import geometry, texture
from detector.domain.picture import zone_mask
from detector.domain.rules import Firing, PictureRule, RuleCannotRunError
from detector.domain.rules.episode import Episode
from detector.domain.rules.scenery import usual_look

if TYPE_CHECKING:
    from detector.domain.geometry import Point
    from detector.domain.rules import ClassFilter
    from detector.domain.scene import Places, Scene

DEFAULT_SECONDS: Final = 20.0
DEFAULT_SHARE: Final = 0.3
HYSTERESIS: Final = 1.5
"""The sight is back above this times the threshold."""
RELEASE_SECONDS: Final = 10.0
LEAST_DETAIL: Final = 1.0
"""Levels per pixel: in a zone that shows less even on a clear day no loss could be seen."""


@dataclass(frozen=True, slots=True)
class LostVisibilityParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        minimum_duration: seconds.
        maximum_share: of the usual contrast that is left.
    """

    zone: str
    minimum_duration: float = DEFAULT_SECONDS
    maximum_share: float = DEFAULT_SHARE

    def build(self, places: Places, _classes: ClassFilter) -> LostVisibility:
        """See RuleParameters.build."""
        if HYSTERESIS * self.maximum_share >= 1.0:
            message = f"the sight could never count as back: ask for a share below {1 / HYSTERESIS:.2f}"
            raise RuleCannotRunError(message)
        return LostVisibility(self.zone, places.zones[self.zone], self)


class LostVisibility(PictureRule):
    """Fires once when a zone has shown too little of its usual contrast for long enough.

    Args:
        place: resource name of the zone.
        zone: its corners, normalised.
        parameters: how little for how long.
    """

    topic = "Argo/LostVisibility"

    def __init__(self, place: str, zone: tuple[Point, ...], parameters: LostVisibilityParameters) -> None:
        self.place = place
        self._zone = zone
        self._maximum_share = parameters.maximum_share
        self._episode = Episode(parameters.minimum_duration, RELEASE_SECONDS)

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step; a frame without a picture says nothing."""
        look = usual_look(scene, self._episode)
        if look is None or scene.picture is None:
            return []
        zone = texture.cells_of(zone_mask(self._zone, *scene.picture.size))
        if look.learned is None or not zone.any():
            return []
        usual = float(look.learned.detail[zone].mean())
        if usual < LEAST_DETAIL:
            return []
        share = float(look.detail[zone].mean()) / usual
        over = share > HYSTERESIS * self._maximum_share
        if not self._episode.step(scene.time, holds=share <= self._maximum_share, over=over):
            return []
        return [self._explain(scene, share)]

    def reset(self) -> None:
        """See Rule.reset; what is usual stays known."""
        self._episode.reset()

    def _explain(self, scene: Scene, share: float) -> Firing:
        corners = np.array(geometry.scaled(self._zone, scene.width, scene.height))
        (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return Firing(
            time=scene.time,
            start_time=self._episode.since,
            quantity="contrast that is left",
            unit="share of the usual contrast",
            value=share,
            threshold=self._maximum_share,
            uncertainty=0.0,
            tracks=(),
            classes=(),
            box=(left, top, right, bottom),
        )
