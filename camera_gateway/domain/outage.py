"""The outages of one device: its optics share a cable, a switch and a power supply, so they fall together.

Whatever falls within a few seconds is one incident, told once; so is its end.
"""

from __future__ import annotations

import dataclasses
import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from camera_gateway.domain.liveness import Reason


class State(enum.Enum):
    """Where the incident stands."""

    NONE = "none"
    GATHERING = "gathering"
    TOLD_IN_PART = "told_in_part"
    TOLD_WHOLE = "told_whole"


class Event(enum.Enum):
    """What can happen to it."""

    SOME_LOST = "some_lost"
    ALL_LOST = "all_lost"
    SETTLED = "settled"
    REMINDED = "reminded"
    SOME_BACK = "some_back"
    ALL_BACK = "all_back"


class News(enum.Enum):
    """What is to be told."""

    LOST = "lost"
    STILL_LOST = "still_lost"
    RESTORED = "restored"


# A pair that is not listed changes nothing and tells nothing: an optic that comes and goes while another stays lost is
# told by the reminders alone, or one bad plug would fill the log.
TRANSITIONS: Final[Mapping[tuple[State, Event], tuple[State, tuple[News, ...]]]] = MappingProxyType(
    {
        (State.NONE, Event.SOME_LOST): (State.GATHERING, ()),
        (State.NONE, Event.ALL_LOST): (State.TOLD_WHOLE, (News.LOST,)),
        (State.GATHERING, Event.ALL_LOST): (State.TOLD_WHOLE, (News.LOST,)),
        (State.GATHERING, Event.SETTLED): (State.TOLD_IN_PART, (News.LOST,)),
        (State.GATHERING, Event.ALL_BACK): (State.NONE, (News.LOST, News.RESTORED)),
        (State.TOLD_IN_PART, Event.ALL_LOST): (State.TOLD_WHOLE, (News.LOST,)),
        (State.TOLD_IN_PART, Event.REMINDED): (State.TOLD_IN_PART, (News.STILL_LOST,)),
        (State.TOLD_IN_PART, Event.ALL_BACK): (State.NONE, (News.RESTORED,)),
        (State.TOLD_WHOLE, Event.SOME_BACK): (State.TOLD_IN_PART, ()),
        (State.TOLD_WHOLE, Event.REMINDED): (State.TOLD_WHOLE, (News.STILL_LOST,)),
        (State.TOLD_WHOLE, Event.ALL_BACK): (State.NONE, (News.RESTORED,)),
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Incident:
    """An outage of one or more optics of a device.

    Attributes:
        name: unique; the same from its beginning to its end.
        since: when its first optic was lost, monotonic seconds.
        reasons: why each optic was lost that is or was part of it.
        whole: whether every optic of the device is lost.
    """

    name: str
    since: float
    reasons: Mapping[str, Reason]
    whole: bool


class DeviceOutage:
    """Gathers what happens to the optics of one device. Times are monotonic seconds given by the caller.

    Args:
        new_name: makes the name of an incident.
        gather: how long others are waited for once one optic is lost, seconds; longer than the difference between the
            stall timeouts of two optics that lost the same network.
        remind: how often an incident that lasts is told again, seconds.
    """

    def __init__(self, new_name: Callable[[], str], gather: float = 3.0, remind: float = 300.0) -> None:
        self._new_name = new_name
        self._gather = gather
        self._remind = remind
        self._optics: set[str] = set()
        self._lost: set[str] = set()
        self._incident: Incident | None = None
        self.state = State.NONE
        self.due_at: float | None = None
        """When `tick` has something to do, or None."""

    @property
    def lost(self) -> frozenset[str]:
        """The optics that are lost now."""
        return frozenset(self._lost)

    def incident_of(self, optic: str) -> str:
        """The name of the incident that ``optic`` is lost in; empty when it is not lost."""
        return self._incident.name if self._incident is not None and optic in self._lost else ""

    def on_optics(self, optics: set[str], now: float) -> list[tuple[News, Incident]]:
        """The device has these optics from now on."""
        self._optics = set(optics)
        had_lost = bool(self._lost)
        self._lost &= optics
        return self._apply(Event.ALL_BACK, now) if had_lost and not self._lost else []

    def on_lost(self, optic: str, reason: Reason, now: float) -> list[tuple[News, Incident]]:
        """``optic`` does not stream, for ``reason``."""
        self._lost.add(optic)
        if self._incident is None:
            self._incident = Incident(self._new_name(), now, {}, whole=False)
        reasons = {**self._incident.reasons, optic: reason}
        whole = self._lost >= self._optics
        self._incident = dataclasses.replace(self._incident, reasons=reasons, whole=whole)
        return self._apply(Event.ALL_LOST if whole else Event.SOME_LOST, now)

    def on_back(self, optic: str, now: float) -> list[tuple[News, Incident]]:
        """``optic`` streams again."""
        if optic not in self._lost:
            return []
        self._lost.discard(optic)
        return self._apply(Event.SOME_BACK if self._lost else Event.ALL_BACK, now)

    def tick(self, now: float) -> list[tuple[News, Incident]]:
        """Time has passed."""
        if self.due_at is None or now < self.due_at:
            return []
        return self._apply(Event.SETTLED if self.state is State.GATHERING else Event.REMINDED, now)

    def _apply(self, event: Event, now: float) -> list[tuple[News, Incident]]:
        entry = TRANSITIONS.get((self.state, event))
        if entry is None or self._incident is None:
            return []
        incident, (self.state, news) = self._incident, entry
        if self.state is State.NONE:
            self._incident = self.due_at = None
        elif self.state is State.GATHERING:
            self.due_at = now + self._gather
        elif news:
            self.due_at = now + self._remind
        return [(each, incident) for each in news]
