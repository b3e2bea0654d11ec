"""Water stands where none should. Weak in the field (domain.md section 4): in shadow until its scorecard is good.

Standing water hides the detail of the ground, lies still, and shows the sky instead: another brightness than usual.
When the detail goes in all of the picture, it is the air or the lens, not the ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.domain.rules.scenery import SceneryRule

if TYPE_CHECKING:
    from detector.domain.rules import ClassFilter
    from detector.domain.scene import Places
    from detector.domain.texture import Flags, Look, Usual

DEFAULT_SECONDS: Final = 60.0
DEFAULT_SHARE: Final = 0.2
SMOOTH_SHARE: Final = 0.5
"""Of its usual detail: a cell under water keeps no more."""
LEAST_DETAIL: Final = 2.0
"""Levels per pixel: a cell that is smooth anyway cannot be seen to be flooded."""
CALM: Final = 1.5
"""Levels: the flicker of standing water stays below."""
CHANGED: Final = 10.0
"""Levels by which the brightness of a flooded cell differs from the usual one."""
CLEAR_SHARE: Final = 0.7
"""Of the usual detail that the rest of the picture keeps while the air is clear."""
LEAST_ELSEWHERE: Final = 0.05
"""Of the picture: with less of it outside the zone fog could not be told from water, and nothing is said."""


@dataclass(frozen=True, slots=True)
class FloodingParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        minimum_duration: seconds.
        minimum_share: of the zone.
    """

    zone: str
    minimum_duration: float = DEFAULT_SECONDS
    minimum_share: float = DEFAULT_SHARE

    def build(self, places: Places, _classes: ClassFilter) -> Flooding:
        """See RuleParameters.build."""
        return Flooding(self.zone, places.zones[self.zone], self.minimum_duration, self.minimum_share)


class Flooding(SceneryRule):
    """Fires once when water has covered enough of a zone for long enough."""

    topic = "Argo/Flooding"
    quantity = "area under water"

    def wrong(self, look: Look, usual: Usual, zone: Flags) -> Flags:
        """The cells that look like standing water."""
        elsewhere = ~zone & ~look.covered & (usual.detail >= LEAST_DETAIL)
        if elsewhere.mean() < LEAST_ELSEWHERE:
            return np.zeros_like(zone)
        if look.detail[elsewhere].mean() < CLEAR_SHARE * usual.detail[elsewhere].mean():
            return np.zeros_like(zone)
        smooth = (usual.detail >= LEAST_DETAIL) & (look.detail <= SMOOTH_SHARE * usual.detail)
        changed = np.abs(look.brightness - usual.brightness) >= CHANGED
        return smooth & changed & (look.flicker < CALM)
