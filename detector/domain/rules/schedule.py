"""When a rule runs: weekly stretches of time in the city's time zone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MINUTES_OF_A_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Schedule:
    """One stretch, repeated every week.

    Attributes:
        days: ISO weekdays on which it begins, 1 is Monday; none means every day.
        start_minute: minutes after midnight at which it begins.
        end_minute: minutes after midnight at which it ends, itself outside; not after `start_minute`: on the next day.
    """

    days: Collection[int] = field(default_factory=frozenset)
    start_minute: int = 0
    end_minute: int = MINUTES_OF_A_DAY

    def covers(self, local: datetime) -> bool:
        """Whether a moment, given in the city's time zone, lies in it."""
        minute = local.hour * 60 + local.minute
        if self.start_minute < self.end_minute:
            return self._begins_on(local) and self.start_minute <= minute < self.end_minute
        if minute >= self.start_minute:
            return self._begins_on(local)
        return minute < self.end_minute and self._begins_on(local - timedelta(days=1))

    def _begins_on(self, local: datetime) -> bool:
        return not self.days or local.isoweekday() in self.days


def runs(schedules: Sequence[Schedule], local: datetime) -> bool:
    """Whether a rule with these schedules runs; without any it always does."""
    return not schedules or any(schedule.covers(local) for schedule in schedules)
