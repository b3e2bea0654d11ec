"""How recordings are called and how long they live: the names alone say it, so that erasure needs nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

LONGEST_RETENTION: Final = timedelta(days=7)
"""Masked video is erased seven days after capture, or earlier; never later."""
SEGMENT_SECONDS: Final = 10.0
"""Capture time in one segment; it ends at the first key frame after that."""
UNBROKEN: Final = timedelta(seconds=5)
"""Pictures further apart are two recordings: by default a quiet optic is sent every other second."""
SEGMENTS: Final = "segments"
KEYS: Final = "keys"
REPORTS: Final = "reports/erasure"

_ID: Final = "[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_OPTIC: Final = re.compile(rf"devices/({_ID})/optics/({_ID})")
_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_SEGMENT: Final = re.compile(
    rf"{SEGMENTS}/(?P<device>{_ID})/(?P<optic>{_ID})/\d{{8}}/(?P<start>\d{{8}}T\d{{6}}\.\d{{6}}Z)"
    r"_(?P<milliseconds>\d{1,9})_(?P<retention>\d{1,6})\.mp4\.aesgcm"
)
_REPORT: Final = re.compile(rf"{REPORTS}/(\d{{4}}-\d{{2}}-\d{{2}})\.json")
_KEY: Final = re.compile(rf"{KEYS}/(?P<device>{_ID})/(?P<optic>{_ID})/(?P<day>\d{{8}})\.key")


@dataclass(frozen=True, slots=True)
class KeyScope:
    """What one data key is for: an optic and a day (UTC) of capture.

    Raises:
        ValueError: the optic is no resource name.
    """

    optic: str
    day: date

    def __post_init__(self) -> None:
        _ids(self.optic)

    @property
    def name(self) -> str:
        """The object that holds the wrapped key."""
        device, optic = _ids(self.optic)
        return f"{KEYS}/{device}/{optic}/{self.day:%Y%m%d}.key"

    @property
    def folder(self) -> str:
        """Where the segments lie that it seals."""
        device, optic = _ids(self.optic)
        return f"{SEGMENTS}/{device}/{optic}/{self.day:%Y%m%d}"


@dataclass(frozen=True, slots=True)
class SegmentName:
    """One recorded segment.

    Attributes:
        optic: `devices/{device}/optics/{optic}`.
        start: capture time of its first picture, UTC.
        duration: until the capture time of its last picture.
        retention: how long after capture it lives.

    Raises:
        ValueError: the optic is no resource name, or the retention is longer than the law allows.
    """

    optic: str
    start: datetime
    duration: timedelta
    retention: timedelta

    def __post_init__(self) -> None:
        _ids(self.optic)
        if not timedelta(0) < self.retention <= LONGEST_RETENTION:
            raise ValueError(f"a retention of {self.retention} is not within seven days")

    @property
    def scope(self) -> KeyScope:
        """The data key that seals it."""
        return KeyScope(self.optic, self.start.date())

    @property
    def expires(self) -> datetime:
        """When it must be gone: reckoned from its first picture, so that no picture outlives its term."""
        return self.start + self.retention

    @property
    def name(self) -> str:
        """The object that holds it."""
        device, optic = _ids(self.optic)
        length, term = round(self.duration / timedelta(milliseconds=1)), round(self.retention / timedelta(seconds=1))
        start = self.start.astimezone(UTC)
        return f"{SEGMENTS}/{device}/{optic}/{start:%Y%m%d}/{start.strftime(_TIME)}_{length}_{term}.mp4.aesgcm"

    @classmethod
    def parse(cls, name: str) -> SegmentName:
        """The reverse of `name`.

        Raises:
            ValueError: it is no segment's name.
        """
        match = _SEGMENT.fullmatch(name)
        if match is None:
            raise ValueError(f"{name} is no segment")
        return cls(
            f"devices/{match['device']}/optics/{match['optic']}",
            datetime.strptime(match["start"], _TIME).replace(tzinfo=UTC),
            timedelta(milliseconds=int(match["milliseconds"])),
            timedelta(seconds=int(match["retention"])),
        )


def parse_segment(name: str) -> SegmentName | None:
    """The segment that an object of the store is, or None."""
    try:
        return SegmentName.parse(name)
    except ValueError:
        return None


def parse_key(name: str) -> KeyScope | None:
    """What the key is for that an object of the store is, or None."""
    match = _KEY.fullmatch(name)
    if match is None:
        return None
    day = datetime.strptime(match["day"], "%Y%m%d").replace(tzinfo=UTC).date()
    return KeyScope(f"devices/{match['device']}/optics/{match['optic']}", day)


def report_name(day: date) -> str:
    """The object that holds the signed report of erasure of a day (UTC)."""
    return f"{REPORTS}/{day:%Y-%m-%d}.json"


def parse_report(name: str) -> date | None:
    """The reverse of `report_name`, or None."""
    match = _REPORT.fullmatch(name)
    return None if match is None else date.fromisoformat(match[1])


def is_due(name: str, now: datetime) -> bool:
    """Whether an object of the store has outlived its term.

    A day's key is due when the last picture of its day is: without it, copies of the segments in a backup are
    worthless. What is neither a segment nor a key is not ours to erase.
    """
    key = _KEY.fullmatch(name)
    if key is not None:
        day = datetime.strptime(key["day"], "%Y%m%d").replace(tzinfo=UTC)
        return now >= day + timedelta(days=1) + LONGEST_RETENTION
    try:
        return now >= SegmentName.parse(name).expires
    except ValueError:
        return False


def _ids(optic: str) -> tuple[str, str]:
    match = _OPTIC.fullmatch(optic)
    if match is None:
        raise ValueError(f"{optic!r} is no optic")
    return match[1], match[2]
