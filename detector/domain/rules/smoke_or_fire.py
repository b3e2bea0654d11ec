"""Smoke or fire in a zone. Weak in the field (domain.md section 4): it runs in shadow until its scorecard is good.

Smoke veils: detail goes, colours turn towards grey, and what is left drifts. Fire is bright, warm in colour, and
flickers at a few hertz; at a few frames a second that shows as a brightness that is different in every frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.domain.rules.scenery import SceneryRule

if TYPE_CHECKING:
    from detector.domain.rules import ClassFilter
    from detector.domain.scene import Places
    from detector.domain.texture import Flags, Look, Usual

DEFAULT_SECONDS: Final = 10.0
DEFAULT_SHARE: Final = 0.03
VEILED_SHARE: Final = 0.5
"""Of its usual detail and of its usual colour: a veiled cell keeps no more."""
LEAST_DETAIL: Final = 2.0
"""Levels per pixel: a cell that is smooth anyway cannot be seen to be veiled."""
DRIFT: Final = 1.5
"""Levels: smoke is never quite still; fog and a dirty lens are."""
FIRE_BRIGHTNESS: Final = 150.0
FIRE_WARMTH: Final = 40.0
FIRE_FLICKER: Final = 8.0
"""Levels; a lamp, a sign or a red coat is bright or warm, but does not flicker."""


@dataclass(frozen=True, slots=True)
class SmokeOrFireParameters:
    """See RuleParameters.

    Attributes:
        zone: resource name.
        minimum_duration: seconds.
        minimum_share: of the zone.
    """

    zone: str
    minimum_duration: float = DEFAULT_SECONDS
    minimum_share: float = DEFAULT_SHARE

    def build(self, places: Places, _classes: ClassFilter) -> SmokeOrFire:
        """See RuleParameters.build."""
        return SmokeOrFire(self.zone, places.zones[self.zone], self.minimum_duration, self.minimum_share)


class SmokeOrFire(SceneryRule):
    """Fires once when smoke or fire has covered enough of a zone for long enough."""

    topic = "Argo/SmokeOrFire"
    quantity = "area of smoke or fire"

    def wrong(self, look: Look, usual: Usual, _zone: Flags) -> Flags:
        """The cells that look like smoke or fire."""
        veiled = (usual.detail >= LEAST_DETAIL) & (look.detail <= VEILED_SHARE * usual.detail)
        greyer = look.colour <= usual.colour + 1.0
        smoke = veiled & greyer & (look.flicker >= DRIFT)
        fire = (look.brightness >= FIRE_BRIGHTNESS) & (look.warmth >= FIRE_WARMTH) & (look.flicker >= FIRE_FLICKER)
        return smoke | fire
