"""A made-up week of the full fleet: 150 devices of four optics and 107 of one at 123 sites, and what was seen there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from alerting.domain.observations import Observation
from alerting.domain.search.atlas import Atlas, Point, View, distance, moved
from alerting.domain.search.features import Features
from argo.alerting.v1.search_service_pb2 import SearchObservationsRequest as Request
from argo.detector.v1 import bus_pb2
from argo.type.v1 import object_class_pb2 as classes
from mesh.postgres import Pool

SITES: Final = 123
_CITY: Final = Point(45.07, 7.68)
_WEEK: Final = timedelta(days=7)
_CHUNK: Final = 500_000
_PAYLOADS: Final = 64


def _optics() -> list[tuple[str, str]]:
    many = [(f"devices/m{device}/optics/o{optic}", f"sites/s{device % SITES}") for device in range(150)
            for optic in range(4)]  # fmt: skip
    return many + [(f"devices/s{device}/optics/o", f"sites/s{device * 7 % SITES}") for device in range(107)]


OPTICS: Final = _optics()
_POINTS: Final = {
    f"sites/s{number}": moved(moved(_CITY, 0.0, 900.0 * (number // 11 - 5)), 90.0, 1000.0 * (number % 11 - 5))
    for number in range(SITES)
}
ATLAS: Final = Atlas(
    _POINTS,
    {
        optic: View(site, heading=float(90 * (number % 4)), field_of_view=80.0, reach=70.0)
        for number, (optic, site) in enumerate(OPTICS)
    },
)


async def read_atlas() -> Atlas:
    """What the registry says."""
    return ATLAS


FILL: Final = """
INSERT INTO observation_days (
    start_time, end_time, expire_time, track, observer, still_seconds, heading, leaving, speed_low, speed_high,
    colour_confidence, from_x, from_y, to_x, to_y, object_class, colour, finished, places, payload
)
SELECT
    start_time, start_time + stay * interval '1 second', start_time + interval '7 days', hashint8extended(i, 1),
    observer, stay * random(), random() * 360, random() * 360, CASE WHEN vehicle THEN random() * 4 END,
    CASE WHEN vehicle THEN 4 + random() * 12 END, random(), random(), random(), random(), random(), object_class,
    CASE WHEN vehicle THEN 1 + floor(random() * 11)::integer ELSE 0 END, true,
    ARRAY['zones/z' || i % 5, 'lines/l' || i % 3], ($5::bytea[])[1 + i % cardinality($5::bytea[])]
FROM (
    SELECT
        i, observer, object_class, object_class IN (3, 4, 5, 6, 7) AS vehicle,
        -- In the order of their arrival, nearly. Few stay for long; a parked car stays for hours.
        $3::timestamptz + ((i - $1 + random() * 20) * $4::float8) * interval '1 second' AS start_time,
        CASE WHEN random() < 0.01 THEN random() * 7200 ELSE -25 * ln(1 - random()) END AS stay
    FROM (
        SELECT
            i, 1 + floor(707 * power(random(), 1.3))::integer AS observer,
            (ARRAY[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 2, 4, 7, 5])[1 + floor(random() * 20)::integer]
                AS object_class
        FROM generate_series($1::bigint, $2::bigint) AS i
    ) AS drawn
) AS seen
"""


async def fill(pool: Pool, rows: int, now: datetime) -> None:
    """Makes the week before ``now``, by the server itself."""
    await pool.execute("SELECT setseed(0.5)")
    columns = [[optic for optic, _ in OPTICS], [site for _, site in OPTICS]]
    await pool.execute("INSERT INTO observers (optic, site) SELECT * FROM unnest($1::text[], $2::text[])", *columns)
    start = now - _WEEK + timedelta(hours=1)
    for day in range(9):
        await pool.execute("SELECT ensure_observation_day($1::date)", (start + timedelta(days=day)).date())
    step = (now - start - timedelta(minutes=5)).total_seconds() / rows
    for first in range(0, rows, _CHUNK):
        last = min(first + _CHUNK, rows) - 1
        await pool.execute(FILL, first, last, start + timedelta(seconds=first * step), step, _payloads())
    await pool.execute("VACUUM (ANALYZE) observation_days")


def observations(seed: int, count: int, now: datetime) -> Iterator[Observation]:
    """What comes in the last minutes."""
    chance, payloads = random.Random(seed), _payloads()
    start = now - timedelta(minutes=10)
    for number in range(count):
        optic, site = OPTICS[number % len(OPTICS)]
        begun = start + timedelta(seconds=600.0 * number / count)
        yield Observation(
            optic=optic, site=site, track=chance.getrandbits(63), object_class=3, start_time=begun,
            end_time=begun + timedelta(seconds=20), finished=True, expire_time=begun + _WEEK,
            payload=payloads[number % _PAYLOADS],
            features=Features(4.0, 90.0, 80.0, 2.0, 9.0, (0.2, 0.8), (0.7, 0.4)), colour=3, colour_confidence=0.8,
            places=("lines/l1", "zones/z1"),
        )  # fmt: skip


def _payloads() -> list[bytes]:
    """Observations as a detector packs them, with four to twenty points."""
    chance, made = random.Random(1), []
    for _ in range(_PAYLOADS):
        item = bus_pb2.Observation(track=chance.getrandbits(63), object_class=classes.OBJECT_CLASS_CAR, finished=True)
        for number in range(chance.randint(4, 20)):
            point = item.path.add()
            point.time.seconds, point.time.nanos = 1_790_000_000 + number, chance.randrange(10**9)
            point.image.x, point.image.y = chance.random(), chance.random()
            point.ground.east_metres, point.ground.north_metres = chance.uniform(-50, 50), chance.uniform(-50, 50)
        made.append(item.SerializeToString())
    return made


def _asked(chance: random.Random, now: datetime, hours: float) -> Request:
    start = now - timedelta(hours=chance.uniform(hours + 1.0, 160.0))
    request = Request(purpose="robbery", case_reference="RGNR 1/2026", reason="bench")
    request.interval.start_time.FromDatetime(start)
    request.interval.end_time.FromDatetime(start + timedelta(hours=hours))
    request.interval_tolerance.FromTimedelta(timedelta(minutes=15))
    return request


def _around(chance: random.Random, circle: Request.Circle, radius: float) -> Point:
    point = moved(chance.choice(list(_POINTS.values())), chance.uniform(0, 360), chance.uniform(0, 200))
    circle.center.latitude, circle.center.longitude = point.latitude, point.longitude
    circle.radius_metres = radius
    return point


def van(chance: random.Random, now: datetime) -> Request:
    """A white van stopped near the gardens between two and four, then left northwards."""
    request = _asked(chance, now, 2.0)
    _around(chance, request.circle, 400.0)
    request.vehicle.types.extend([Request.VEHICLE_TYPE_CAR, Request.VEHICLE_TYPE_TRUCK])
    request.vehicle.colours.append(bus_pb2.VehicleColour.ValueType(chance.randint(1, 11)))
    request.movement.heading_degrees = chance.uniform(0, 360)
    request.movement.minimum_stop.FromSeconds(10)
    return request


def group(chance: random.Random, now: datetime) -> Request:
    """At least three people together at a site within half an hour."""
    request = _asked(chance, now, 0.5)
    request.sites.names.append(chance.choice(OPTICS)[1])
    request.classes.append(classes.OBJECT_CLASS_PERSON)
    request.minimum_count = 3
    return request


def line(chance: random.Random, now: datetime) -> Request:
    """A fast car across a line of one optic within six hours."""
    request = _asked(chance, now, 6.0)
    request.vehicle.types.append(Request.VEHICLE_TYPE_CAR)
    request.movement.places.append(f"{chance.choice(OPTICS)[0]}/lines/l{chance.randrange(3)}")
    request.movement.minimum_speed = 10.0
    return request


def bicycle(chance: random.Random, now: datetime) -> Request:
    """A bicycle at one of three sites within three hours, in a direction."""
    request = _asked(chance, now, 3.0)
    request.sites.names.extend({chance.choice(OPTICS)[1] for _ in range(3)})
    request.classes.append(classes.OBJECT_CLASS_BICYCLE)
    request.movement.heading_degrees = chance.uniform(0, 360)
    return request


def chain(chance: random.Random, now: datetime) -> Request:
    """A vehicle at a place within an hour, and then within the next half hour at another one a kilometre or two off."""
    request = _asked(chance, now, 1.0)
    point = _around(chance, request.circle, 300.0)
    request.vehicle.types.append(Request.VEHICLE_TYPE_CAR)
    request.vehicle.colours.append(bus_pb2.VEHICLE_COLOUR_RED)
    then = request.vehicle.then.add()
    then.interval.CopyFrom(request.interval)
    then.interval.end_time.seconds += 1800
    target = min(_POINTS.values(), key=lambda each: abs(distance(each, point) - 1500.0))
    then.circle.center.latitude, then.circle.center.longitude = target.latitude, target.longitude
    then.circle.radius_metres = 300.0
    return request


TESTIMONIES: Mapping[str, Callable[[random.Random, datetime], Request]] = MappingProxyType(
    {
        "a vehicle of a colour near a point, two hours": van,
        "a group of people at a site, half an hour": group,
        "a fast car across a line, six hours": line,
        "a bicycle at three sites, three hours": bicycle,
        "a vehicle here and then there": chain,
    }
)
"""The five kinds of typical searches."""
