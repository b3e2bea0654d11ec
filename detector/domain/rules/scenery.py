"""What the rules about the picture itself share: a texture of the optic, a zone on its cells, one episode.

Each names the share of its zone that looks wrong and for how long; see smoke_or_fire, flooding and lost_visibility.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain import texture
from detector.domain.picture import zone_mask
from detector.domain.rules import Firing, PictureRule
from detector.domain.rules.episode import Episode, Phase

if TYPE_CHECKING:
    from detector.domain.geometry import Point
    from detector.domain.scene import Scene
    from detector.domain.texture import Flags, Look, Usual

HYSTERESIS: Final = 0.6
"""It is over below this share of the threshold,"""
RELEASE_SECONDS: Final = 5.0
"""for this long."""


def usual_look(scene: Scene, episode: Episode) -> Look | None:
    """What the picture shows beside what is usual; None: there is no picture.

    While something goes on it must not become what is usual: a frame in whose course the episode is not quiet teaches
    nothing.
    """
    look = scene.look
    if scene.texture is not None and episode.phase is not Phase.QUIET:
        scene.texture.ignore()
    return look


class SceneryRule(PictureRule, abc.ABC):
    """Fires when enough of a zone looks wrong for long enough.

    Args:
        place: resource name of the zone.
        zone: its corners, normalised.
        duration: seconds.
        minimum_share: of the zone's cells.
    """

    topic: str
    quantity: str
    """What the share is of."""

    def __init__(self, place: str, zone: tuple[Point, ...], duration: float, minimum_share: float) -> None:
        self.place = place
        self._zone = zone
        self._minimum_share = minimum_share
        self._episode = Episode(duration, RELEASE_SECONDS)

    @abc.abstractmethod
    def wrong(self, look: Look, usual: Usual, zone: Flags) -> Flags:
        """Which cells look wrong, of a look, what is usual, and the zone's cells."""

    def step(self, scene: Scene) -> list[Firing]:
        """See Rule.step; a frame without a picture says nothing."""
        look = usual_look(scene, self._episode)
        if look is None or scene.picture is None:
            return []
        zone = texture.cells_of(zone_mask(self._zone, *scene.picture.size))
        free = zone & ~look.covered
        if look.learned is None or not free.any():
            return []
        wrong = self.wrong(look, look.learned, zone) & free
        share = float(wrong.sum() / zone.sum())
        over = share < HYSTERESIS * self._minimum_share
        if not self._episode.step(scene.time, holds=share >= self._minimum_share, over=over):
            return []
        return [self._explain(scene, share, wrong)]

    def reset(self) -> None:
        """See Rule.reset; what is usual stays known."""
        self._episode.reset()

    def _explain(self, scene: Scene, share: float, wrong: Flags) -> Firing:
        rows, columns = np.nonzero(wrong)
        across, down = scene.width / wrong.shape[1], scene.height / wrong.shape[0]
        return Firing(
            time=scene.time,
            start_time=self._episode.since,
            quantity=self.quantity,
            unit="share of the zone",
            value=share,
            threshold=self._minimum_share,
            uncertainty=0.0,
            tracks=(),
            classes=(),
            box=(
                float(columns.min() * across),
                float(rows.min() * down),
                float((columns.max() + 1) * across),
                float((rows.max() + 1) * down),
            ),
        )
