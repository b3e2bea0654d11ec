"""How good alarms are, and whether people can bear them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

TEN_MINUTES = timedelta(minutes=10)
TARGET = 1.0
"""Alarms per operator and ten minutes that are acceptable on average (EEMUA 191)."""
FLOOD = 10
"""More alarms per operator in ten minutes are a flood (ISA-18.2)."""
STALE = timedelta(days=1)
"""An alarm that is open for longer is stale (ISA-18.2)."""

_Z = 1.959963984540054
"""The two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Load:
    """What the operators had to bear between two times.

    Attributes:
        start: in UTC.
        end: in UTC.
        operators: on duty at the end.
        alarms: that were put before them.
        recent: of these, in the last ten minutes.
        floods: ten-minute periods with more than ``FLOOD`` alarms per operator.
        events: that the alarms stand for.
        verdicts: alarms found true, false, neither.
        priorities: alarms of high, medium, low priority.
        chattering: alarms of rules that chatter.
        stale: alarms that are open for longer than ``STALE``.
        escalated: alarms for which somebody else had to be called.
        acknowledgement: from raising to acknowledgement: the median and the 95th percentile; none: nobody did.
    """

    start: datetime
    end: datetime
    operators: int
    alarms: int
    recent: int
    floods: int
    events: int
    verdicts: tuple[int, int, int]
    priorities: tuple[int, int, int]
    chattering: int
    stale: int
    escalated: int
    acknowledgement: tuple[timedelta, timedelta] | None

    @property
    def periods(self) -> int:
        """Ten-minute periods, a part of one counted whole."""
        return max(1, math.ceil((self.end - self.start) / TEN_MINUTES))

    @property
    def rate(self) -> float:
        """Alarms per operator and ten minutes, on average."""
        return self.alarms / self.operators / max(1.0, (self.end - self.start) / TEN_MINUTES)

    @property
    def current_rate(self) -> float:
        """Alarms per operator in the last ten minutes."""
        return self.recent / self.operators

    @property
    def flood_share(self) -> float:
        """Share of the time in flood."""
        return self.floods / self.periods


@dataclass(frozen=True)
class Verdicts:
    """What people said of what a rule raised.

    Attributes:
        raised: how many there were.
        true_count: found true.
        false_count: found false.
        cannot_tell_count: nobody could tell.
    """

    raised: int = 0
    true_count: int = 0
    false_count: int = 0
    cannot_tell_count: int = 0

    @property
    def precision(self) -> tuple[float, float, float] | None:
        """Share of the true among those that could be told, with its 95 % interval; none: there are none."""
        told = self.true_count + self.false_count
        return (self.true_count / told, *wilson(self.true_count, told)) if told else None


@dataclass(frozen=True)
class Scorecard:
    """A rule in the field.

    Attributes:
        rule: ``.../rules/{rule}``.
        live: of what it raised as alarms.
        shadow: of what it said in shadow.
    """

    rule: str
    live: Verdicts
    shadow: Verdicts


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share (E. B. Wilson, JASA 22, 1927).

    Args:
        successes: at most ``trials``.
        trials: at least 1.
    """
    share, square = successes / trials, _Z**2
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    half = _Z / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)
