"""Tracks and sightings of a made-up square."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from alerting.domain.search.atlas import Atlas, Point, View, moved
from alerting.domain.search.memberships import CAR
from alerting.domain.search.query import Sighting, Track

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NORTH = "devices/alimonda/optics/north"
SQUARE = Point(45.0781, 7.7012)
ATLAS = Atlas(
    sites={
        "sites/alimonda": SQUARE,
        "sites/corso": moved(SQUARE, 0.0, 1000.0),
        "sites/borgo": moved(SQUARE, 90.0, 6000.0),
    },
    views={
        NORTH: View("sites/alimonda", heading=0.0, field_of_view=60.0, reach=70.0),
        "devices/corso/optics/a": View("sites/corso", heading=None, field_of_view=0.0, reach=70.0),
        "devices/borgo/optics/a": View("sites/borgo", heading=None, field_of_view=0.0, reach=70.0),
    },
)


def track(number: int = 1, seconds: float = 0.0, stay: float = 20.0, **fields: Any) -> Track:
    """A car that comes ``seconds`` after noon, moves north at 8 m/s and is blue."""
    start = NOON + timedelta(seconds=seconds)
    values: dict[str, Any] = {
        "optic": NORTH,
        "site": "sites/alimonda",
        "object_class": CAR,
        "colour": 8,
        "colour_confidence": 1.0,
        "still_seconds": 2.0,
        "heading": 0.0,
        "leaving": 0.0,
        "speed_low": 6.0,
        "speed_high": 8.0,
        "from_x": 0.5,
        "from_y": 0.9,
        "to_x": 0.5,
        "to_y": 0.3,
        "places": (),
    }
    values |= {"end_time": start + timedelta(seconds=stay), "expire_time": start + timedelta(days=7)}
    return Track(track=number, start_time=start, **(values | fields))


def sighting(**fields: Any) -> Sighting:
    """Between noon and one, give or take ten minutes."""
    values: dict[str, Any] = {
        "start_time": NOON,
        "end_time": NOON + timedelta(hours=1),
        "tolerance": timedelta(minutes=10),
    }
    return Sighting(**(values | fields))
