"""Whether the plate is still a picture of what the camera looks at."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

import numpy as np

from anonymizer.domain.grid import Cells


class State(enum.Enum):
    """What is done with the plate."""

    SETTLED = "settled"
    """It is shown and learned."""
    DISTURBED = "disturbed"
    """Everything is masked; nothing is learned."""
    CALMING = "calming"
    """As DISTURBED, while the picture looks like the plate again."""
    LOST = "lost"
    """It is to be forgotten; for one frame only."""


class Event(enum.Enum):
    """What a frame shows."""

    CALM = "calm"
    """The picture is the plate's in most places."""
    DISTURBANCE = "disturbance"
    """The picture differs from the plate in most places: the camera moved, or the light jumped."""
    TIMEOUT = "timeout"
    """The state has lasted its time (`StabilityRules`)."""


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.SETTLED, Event.CALM): State.SETTLED,
    (State.SETTLED, Event.DISTURBANCE): State.DISTURBED,
    (State.SETTLED, Event.TIMEOUT): State.SETTLED,
    (State.DISTURBED, Event.CALM): State.CALMING,
    (State.DISTURBED, Event.DISTURBANCE): State.DISTURBED,
    (State.DISTURBED, Event.TIMEOUT): State.LOST,
    (State.CALMING, Event.CALM): State.CALMING,
    (State.CALMING, Event.DISTURBANCE): State.DISTURBED,
    (State.CALMING, Event.TIMEOUT): State.SETTLED,
    (State.LOST, Event.CALM): State.SETTLED,
    (State.LOST, Event.DISTURBANCE): State.SETTLED,
    (State.LOST, Event.TIMEOUT): State.SETTLED,
}


@dataclass(frozen=True, slots=True)
class StabilityRules:
    """When the plate is doubted and when it is given up.

    Attributes:
        disturbed_share: the share of known cells that differ at once, above which the picture as a whole has changed.
        enough_known: the share of cells that must be known before that can be said.
        patience_seconds: a disturbance that lasts longer costs the plate; a cloud's edge or a lightning does not.
        calm_seconds: how long the picture has to look like the plate again before it is shown.
    """

    disturbed_share: float = 0.5
    enough_known: float = 0.05
    patience_seconds: float = 4.0
    calm_seconds: float = 0.5


class Stability:
    """The state machine of one optic's plate."""

    def __init__(self, rules: StabilityRules | None = None) -> None:
        self.rules = rules or StabilityRules()
        self.state = State.SETTLED
        self._entered = -np.inf

    def update(self, known: Cells, changed: Cells, now: float) -> State:
        """Takes one frame: what the plate knows, which of that differs, and the capture time in seconds."""
        event = self._event(known, changed)
        after = TRANSITIONS[self.state, event]
        if after is self.state and now - self._entered >= self._lifetime():
            after = TRANSITIONS[self.state, Event.TIMEOUT]
        if after is not self.state:
            self.state, self._entered = after, now
        return self.state

    def _event(self, known: Cells, changed: Cells) -> Event:
        count = int(np.count_nonzero(known))
        if count < self.rules.enough_known * known.size:
            return Event.CALM
        share = np.count_nonzero(changed & known) / count
        return Event.DISTURBANCE if share >= self.rules.disturbed_share else Event.CALM

    def _lifetime(self) -> float:
        lifetimes = {State.DISTURBED: self.rules.patience_seconds, State.CALMING: self.rules.calm_seconds}
        return lifetimes.get(self.state, np.inf)
