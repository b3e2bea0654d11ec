"""What a track did, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from alerting.domain.retention import RETENTION
from alerting.domain.search.features import Features

MOST_AHEAD: Final = timedelta(days=1)
"""A track that began later than this after its arrival comes of a clock that says nothing."""
SILENCE: Final = timedelta(minutes=15)
"""A running track that is not heard of for so long has lost its stream: it counts as ended."""


@dataclass(frozen=True)
class Observation:
    """One track of one optic. The number means nothing elsewhere and dies with the track.

    Attributes:
        optic: ``devices/{device}/optics/{optic}``.
        site: ``sites/{site}``.
        track: the track's 64 random bits, as a signed number.
        object_class: a number of ``argo.type.v1.ObjectClass``.
        start_time: first seen, in UTC.
        end_time: last seen, in UTC.
        finished: whether it has ended.
        expire_time: when it is erased.
        payload: the serialised ``argo.detector.v1.Observation``; opaque here.
        features: of its way.
        colour: of a vehicle, a number of ``argo.detector.v1.VehicleColour``.
        colour_confidence: how sure that is, 0 to 1.
        places: ``zones/{zone}`` that it was in, ``lines/{line}`` that it crossed, of its optic.
    """

    optic: str
    site: str
    track: int
    object_class: int
    start_time: datetime
    end_time: datetime
    finished: bool
    expire_time: datetime
    payload: bytes
    features: Features = field(default_factory=Features)
    colour: int = 0
    colour_confidence: float = 0.0
    places: tuple[str, ...] = ()

    @property
    def day(self) -> date:
        """The day, in UTC, with which it is kept."""
        return self.start_time.astimezone(UTC).date()


def signed(track: int) -> int:
    """Sixty-four bits as PostgreSQL's ``bigint`` holds them."""
    return track - (1 << 64) if track >= 1 << 63 else track


def last_day_gone(due_by: datetime) -> date:
    """The last day of which nothing is younger than seven days at ``due_by``."""
    return (due_by.astimezone(UTC) - RETENTION).date() - timedelta(days=1)


def days_to_make(now: datetime) -> tuple[date, date]:
    """The days whose partitions must be there: today's and tomorrow's."""
    today = now.astimezone(UTC).date()
    return today, today + timedelta(days=1)
