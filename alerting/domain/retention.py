"""How long what came from a camera is kept."""

from __future__ import annotations

from datetime import datetime, timedelta

RETENTION = timedelta(days=7)
"""Italian decree-law 11/2009, art. 6 c. 8: at most seven days after the images were taken."""


def expiry(capture_time: datetime, received: datetime, *, arbitrary_origin: bool = False) -> datetime:
    """When something is erased: seven days after its capture, and never later than seven days after it came.

    Args:
        capture_time: when it was captured, in UTC, by a clock that may be wrong.
        received: when it reached us, in UTC.
        arbitrary_origin: the capture time is the presentation time of a file and says nothing about the calendar.
    """
    return (received if arbitrary_origin else min(capture_time, received)) + RETENTION
