"""Legal holds, the only thing that keeps what came from a camera beyond its seven days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

LONGEST_POSTPONEMENT: Final = timedelta(days=1)
"""How long erasure waits for a registry that does not say what is held; after it, what was held last is all that is
kept. The same as the anonymizer's for the video."""


@dataclass(frozen=True, slots=True, order=True)
class HeldInterval:
    """What one optic saw and must not be erased.

    Attributes:
        optic: ``devices/{device}/optics/{optic}``.
        start_time: of the capture, in UTC.
        end_time: of the capture, in UTC.
        expire_time: when the hold is over, in UTC.
    """

    optic: str
    start_time: datetime
    end_time: datetime
    expire_time: datetime


def due_by(now: datetime, answered: datetime | None) -> datetime | None:
    """What has outlived its term by this time may go; none: nothing may.

    Args:
        now: in UTC.
        answered: when the registry last said what is held; none: never.
    """
    if answered is None:
        return None
    return now if answered >= now else now - LONGEST_POSTPONEMENT
