"""What a track did, as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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


def signed(track: int) -> int:
    """Sixty-four bits as PostgreSQL's ``bigint`` holds them."""
    return track - (1 << 64) if track >= 1 << 63 else track
