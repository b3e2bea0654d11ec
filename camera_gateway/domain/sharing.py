"""Overload: who may have how many pictures analysed when there is not enough computing power for all.

How much there is shows in what becomes of the pictures that are offered: while they come late or find everybody busy,
the budget shrinks by a share; while they do not, it grows by a step (additive increase, multiplicative decrease, as
TCP does it: gateways that share a detector end up with fair parts without talking to each other). The budget is shared
out so that every optic keeps its minimum before any gets more, and urgent optics come first with what is left.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

UNLIMITED: Final = float("inf")
STRAINED_SHARE: Final = 0.1
"""A period is strained when more than this share of its pictures was."""
STRAINED_PERIODS: Final = 2
"""Strained periods in a row after which the load is shed: one alone is a hiccup."""
DECREASE: Final = 0.8
INCREASE: Final = 0.05
"""Share of what is wanted by which the budget grows in a calm period."""
RECOVERED_SECONDS: Final = 30.0
"""How long the budget must have covered everything before the overload is over."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """How often the policy of an optic wants it analysed.

    Attributes:
        rate: pictures per second of a moving scene.
        heartbeat: the same of a still one; at most ``rate``. It is also the guaranteed minimum.
        urgency: as in `Claim`.
    """

    rate: float
    heartbeat: float
    urgency: int = 0

    def claim(self, optic: str, *, moving: bool, arriving: float) -> Claim:
        """What the optic wants while ``arriving`` pictures per second come from its camera."""
        wanted = max(self.heartbeat, min(self.rate, arriving)) if moving else self.heartbeat
        return Claim(optic, wanted, self.heartbeat, self.urgency)


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """What one optic wants.

    Attributes:
        optic: resource name.
        wanted: analysed pictures per second; never more than its policy's rate.
        minimum: pictures per second that it gets before any other gets more than its own.
        urgency: who comes first; higher is more urgent.
    """

    optic: str
    wanted: float
    minimum: float
    urgency: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """What became of the pictures of one period.

    Attributes:
        offered: how many were to be analysed and masked.
        strained: how many of them came late, were superseded, or found a peer busy.
    """

    offered: int = 0
    strained: int = 0

    def __add__(self, other: Load) -> Load:
        return Load(self.offered + other.offered, self.strained + other.strained)

    @property
    def is_strained(self) -> bool:
        """Whether more was offered than could be done."""
        return self.strained > STRAINED_SHARE * max(1, self.offered)


def share(claims: Sequence[Claim], budget: float) -> dict[str, float]:
    """Pictures per second by optic; together no more than ``budget``, and none more than it wants."""
    shares = {claim.optic: 0.0 for claim in claims}
    left = _fill(shares, {claim.optic: min(claim.minimum, claim.wanted) for claim in claims}, max(0.0, budget))
    ranked = sorted(claims, key=lambda claim: -claim.urgency)
    for _, group in itertools.groupby(ranked, key=lambda claim: claim.urgency):
        left = _fill(shares, {claim.optic: claim.wanted for claim in group}, left)
    return shares


def _fill(shares: dict[str, float], wanted: Mapping[str, float], left: float) -> float:
    """Raises shares to what is wanted, all by the same amount while it lasts; what is left over."""
    open_ = sorted((wanted[optic] - shares[optic], optic) for optic in wanted if wanted[optic] > shares[optic])
    for index, (missing, optic) in enumerate(open_):
        part = min(missing, left / (len(open_) - index))
        shares[optic] += part
        left = max(0.0, left - part)
    return left


class State(enum.Enum):
    """Whether everybody gets what it wants."""

    ENOUGH = "enough"
    STRAINED = "strained"
    SHEDDING = "shedding"
    RECOVERING = "recovering"


class Event(enum.Enum):
    """What a period can bring."""

    STRAIN = "strain"
    LASTED = "lasted"
    CALM = "calm"
    COVERED = "covered"


TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.ENOUGH, Event.STRAIN): State.STRAINED,
        (State.STRAINED, Event.CALM): State.ENOUGH,
        (State.STRAINED, Event.COVERED): State.ENOUGH,
        (State.STRAINED, Event.LASTED): State.SHEDDING,
        (State.SHEDDING, Event.COVERED): State.RECOVERING,
        (State.RECOVERING, Event.STRAIN): State.SHEDDING,
        (State.RECOVERING, Event.CALM): State.SHEDDING,
        (State.RECOVERING, Event.LASTED): State.ENOUGH,
    }
)
"""A pair that is not listed changes nothing. CALM: no strain, but not everything is covered; COVERED: everything is."""

OVERLOADED: Final = frozenset({State.SHEDDING, State.RECOVERING})
"""The states in which pictures may be shed."""


class Budget:
    """How many pictures per second this process may have analysed. Times are monotonic seconds; they are arguments."""

    def __init__(self) -> None:
        self.state = State.ENOUGH
        self.rate = UNLIMITED
        """Pictures per second; unlimited while there is enough."""
        self._strained = 0
        self._covered_since = 0.0

    def on_period(self, load: Load, seconds: float, claims: Iterable[Claim], now: float) -> bool:
        """A period of ``seconds`` is over. Whether shedding began or ended."""
        before = self.state in OVERLOADED
        claims = list(claims)
        wanted, floor = sum(claim.wanted for claim in claims), sum(min(c.minimum, c.wanted) for c in claims)
        if load.is_strained:
            self._on_strain(load, seconds, floor)
        else:
            self._on_calm(wanted, now)
        if self.state not in OVERLOADED:
            self.rate = UNLIMITED
        return (self.state in OVERLOADED) is not before

    def _on_strain(self, load: Load, seconds: float, floor: float) -> None:
        self._strained += 1
        self._apply(Event.STRAIN)
        if self._strained >= STRAINED_PERIODS:
            self._apply(Event.LASTED)
        if self.state in OVERLOADED:
            # What was offered, not what was allowed: a budget that nobody uses up would never bite.
            self.rate = max(floor, DECREASE * min(self.rate, load.offered / seconds))

    def _on_calm(self, wanted: float, now: float) -> None:
        self._strained = 0
        if self.state in OVERLOADED:
            self.rate = min(wanted, self.rate + max(1.0, INCREASE * wanted))
        if self.rate < wanted:
            self._apply(Event.CALM)
            return
        if self.state is not State.RECOVERING:
            self._covered_since = now
        self._apply(Event.COVERED)
        if self.state is State.RECOVERING and now - self._covered_since >= RECOVERED_SECONDS:
            self._apply(Event.LASTED)

    def _apply(self, event: Event) -> None:
        self.state = TRANSITIONS.get((self.state, event), self.state)


class Allowance:
    """The pace that one optic is allowed. Times are monotonic seconds.

    One thread takes; another may set the rate meanwhile.
    """

    def __init__(self) -> None:
        self.rate = UNLIMITED
        """Pictures per second."""
        self._due = float("-inf")

    def take(self, now: float) -> bool:
        """Whether a picture may be analysed at ``now``; if so, it is counted."""
        rate = self.rate
        if rate == UNLIMITED:
            self._due = now
            return True
        # No picture is owed for long: a rate of next to nothing that was raised must not wait for its old turn.
        self._due = min(self._due, now + 1.0 / rate) if rate > 0 else float("inf")
        if now < self._due:
            return False
        # Steps of the interval keep the mean rate; a gap longer than one interval is not caught up.
        self._due = (self._due if now - self._due < 1.0 / rate else now) + 1.0 / rate
        return True
