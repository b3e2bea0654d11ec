"""The fixed grid of time on which counts are given: 5, 15 and 60 minutes, aligned to the clock.

Nobody can ask for another interval, so two answers never overlap by a part: their difference is always a whole cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from alerting.domain.tokens import invalid

GRANULARITIES: Final = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 60))
LONGEST: Final = timedelta(days=31)
"""Of one question."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""A line of every grid, long before anything was counted."""


def checked(granularity: timedelta) -> timedelta:
    """The granularity, if it is of the grid.

    Raises:
        InvalidArgument: it is not.
    """
    if granularity not in GRANULARITIES:
        raise invalid("granularity", "must be 5, 15 or 60 minutes: 300 s, 900 s or 3600 s")
    return granularity


def floor(time: datetime, step: timedelta) -> datetime:
    """The last line of the grid at ``time`` or before, in UTC."""
    return time - (time - EPOCH) % step


def ceiling(time: datetime, step: timedelta) -> datetime:
    """The first line of the grid at ``time`` or after, in UTC."""
    return time + (EPOCH - time) % step


def span(start: datetime, end: datetime, step: timedelta) -> tuple[datetime, datetime]:
    """The first and the last line of the grid inside ``[start, end]``: only whole cells are given.

    Raises:
        InvalidArgument: the time is empty, or longer than 31 days.
    """
    if end <= start:
        raise invalid("interval", "must end after it starts")
    if end - start > LONGEST:
        raise invalid("interval", f"must be {LONGEST.days} days at most")
    return ceiling(start, step), floor(end, step)


def cells(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    """The starts of the cells between two lines of the grid."""
    while first < last:
        yield first
        first += step
