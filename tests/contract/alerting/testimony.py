"""A city with two optics, what they saw, and what an investigator asks about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from alerting.assembly import Parts
from alerting.domain.search.atlas import Atlas, Point, View, moved
from alerting.settings import AlertingSettings
from argo.alerting.v1 import search_service_pb2 as v1
from argo.alerting.v1.search_service_pb2_grpc import SearchServiceStub
from argo.detector.v1 import bus_pb2
from argo.type.v1 import object_class_pb2 as classes
from mesh.authority import CertificateAuthority
from mesh.errors import ArgoError
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error
from tests.integration.alerting import support
from tests.integration.alerting.support import OPTIC, delivery

if TYPE_CHECKING:
    from argo.alerting.v1.search_service_pb2_grpc import SearchServiceAsyncStub

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]
Request = v1.SearchObservationsRequest

TWO = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=26)
MINUTE = timedelta(minutes=1)
GARDENS, CORSO = Point(45.0781, 7.7012), "devices/corso/optics/a"
ATLAS = Atlas(
    sites={"sites/alimonda": GARDENS, "sites/corso": moved(GARDENS, 0.0, 1000.0)},
    views={
        OPTIC: View("sites/alimonda", heading=0.0, field_of_view=60.0, reach=70.0),
        CORSO: View("sites/corso", heading=None, field_of_view=0.0, reach=70.0),
    },
)


@pytest.fixture
def service_settings(authority: CertificateAuthority) -> AlertingSettings:
    return support.settings(
        authority, search_optic_hours=20, search_matches=60, search_matches_approved=80, searches_per_hour=6
    )


@pytest.fixture
def parts(pool: Pool, service_settings: AlertingSettings) -> Parts:
    async def atlas() -> Atlas:
        return ATLAS

    return support.parts(pool, service_settings, read_atlas=atlas)


@pytest.fixture
async def investigator(connect: Connect) -> SearchServiceAsyncStub:
    return SearchServiceStub(await connect("investigator/verdi"))


def seen(number: int, start: datetime, *, seconds: float = 30.0, **fields: Any) -> bus_pb2.Observation:
    """A white car that stops for a minute and leaves northwards."""
    values = {
        "object_class": classes.OBJECT_CLASS_CAR,
        "vehicle_colour": bus_pb2.VEHICLE_COLOUR_WHITE,
        "vehicle_colour_confidence": 0.9,
        "finished": True,
    }
    observation = bus_pb2.Observation(track=number, **(values | fields))
    observation.start_time.FromDatetime(start)
    observation.end_time.FromDatetime(start + timedelta(seconds=seconds))
    for after, east, north in ((0.0, -20.0, 0.0), (2.0, 0.0, 0.0), (seconds - 4.0, 0.5, 0.0), (seconds, 0.5, 30.0)):
        point = observation.path.add()
        point.time.FromDatetime(start + timedelta(seconds=after))
        point.image.x, point.image.y = 0.5, 0.5 - north / 100
        point.ground.east_metres, point.ground.north_metres = east, north
    return observation


async def keep(
    parts: Parts, observations: Sequence[bus_pb2.Observation], optic: str = OPTIC, site: str = "sites/alimonda"
) -> None:
    message = bus_pb2.ObservationBatch(optic=optic, site=site, observations=observations)
    await parts.consumers.take_observations(message, delivery())


def request(start: datetime = TWO, hours: float = 2.0, **fields: Any) -> Request:
    """Between two and four, give or take ten minutes."""
    asked = Request(
        **{"purpose": "robbery", "case_reference": "RGNR 7/2026", "reason": "a witness saw a van", **fields}
    )
    asked.interval.start_time.FromDatetime(start)
    asked.interval.end_time.FromDatetime(start + timedelta(hours=hours))
    asked.interval_tolerance.FromTimedelta(10 * MINUTE)
    return asked


def van(**fields: Any) -> Request:
    asked = request(**fields)
    asked.vehicle.types.extend([Request.VEHICLE_TYPE_CAR, Request.VEHICLE_TYPE_TRUCK])
    asked.vehicle.colours.append(bus_pb2.VEHICLE_COLOUR_WHITE)
    asked.circle.center.latitude, asked.circle.center.longitude = GARDENS.latitude, GARDENS.longitude
    asked.circle.radius_metres = 200
    asked.movement.heading_degrees = 0
    asked.movement.minimum_stop.FromSeconds(15)
    return asked


async def refusal(call: Awaitable[object]) -> ArgoError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def on_record(pool: Pool) -> list[tuple[str, str, str, str]]:
    rows = await pool.fetch("SELECT act, who, case_reference, what FROM audit_entries ORDER BY sequence")
    return [(row["act"], row["who"], row["case_reference"], row["what"]) for row in rows]
