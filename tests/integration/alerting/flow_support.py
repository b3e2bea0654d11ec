"""Counts as a detector publishes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alerting.assembly import Parts
from argo.detector.v1 import bus_pb2
from argo.type.v1 import object_class_pb2
from tests.integration.alerting.support import OPTIC, delivery

SITE = "sites/alimonda"
GATE = f"{OPTIC}/lines/gate"
SQUARE = f"{OPTIC}/zones/square"
PERSON = object_class_pb2.OBJECT_CLASS_PERSON
CAR = object_class_pb2.OBJECT_CLASS_CAR
TEN_SECONDS = timedelta(seconds=10)
FIVE_MINUTES = timedelta(minutes=5)


def recent(minutes: float = 60.0) -> datetime:
    """The beginning of an hour's quarter at least so many minutes ago."""
    past = datetime.now(UTC) - timedelta(minutes=minutes)
    return past.replace(minute=past.minute // 15 * 15, second=0, microsecond=0)


def flow_batch(
    start: datetime,
    *lines: bus_pb2.FlowBatch.LineCount,
    zones: tuple[bus_pb2.FlowBatch.ZoneCount, ...] = (),
    analysed: float = 10.0,
    optic: str = OPTIC,
    site: str = SITE,
) -> bus_pb2.FlowBatch:
    """Ten seconds of one optic, analysed whole if not told otherwise."""
    batch = bus_pb2.FlowBatch(optic=optic, site=site, lines=lines, zones=zones, light_level=0.5)
    batch.start_time.FromDatetime(start)
    batch.interval.FromTimedelta(TEN_SECONDS)
    batch.analysed.FromMicroseconds(round(analysed * 1e6))
    return batch


def crossed(
    left_to_right: int = 0,
    right_to_left: int = 0,
    *,
    line: str = GATE,
    speed: float = 0.0,
    object_class: object_class_pb2.ObjectClass.ValueType = PERSON,
) -> bus_pb2.FlowBatch.LineCount:
    """Crossings of a line; all of them measured when there is a speed."""
    return bus_pb2.FlowBatch.LineCount(
        line=line,
        object_class=object_class,
        left_to_right=left_to_right,
        right_to_left=right_to_left,
        mean_speed=speed,
        measured=left_to_right + right_to_left if speed else 0,
    )


def present(
    mean: float, *, area: float = 0.0, maximum: int = 0, zone: str = SQUARE, densest: float = 0.0
) -> bus_pb2.FlowBatch.ZoneCount:
    """Persons in a zone; their density follows from its area, square metres, when there is one."""
    density = mean / area if area else 0.0
    return bus_pb2.FlowBatch.ZoneCount(
        zone=zone,
        object_class=PERSON,
        mean_occupancy=mean,
        maximum_occupancy=maximum or round(mean),
        mean_density=density,
        maximum_density=densest or density,
    )


async def take(parts: Parts, *batches: bus_pb2.FlowBatch) -> None:
    """As if the bus delivered them."""
    for batch in batches:
        await parts.flows.consumer.take(batch, delivery())


async def count_for(
    parts: Parts, start: datetime, minutes: int, *lines: bus_pb2.FlowBatch.LineCount, optic: str = OPTIC
) -> None:
    """The same crossings in the first ten seconds of every minute; the rest of each was analysed, and empty."""
    for minute in range(minutes):
        begin = start + timedelta(minutes=minute)
        await take(parts, flow_batch(begin, *lines, optic=optic))
        rest = flow_batch(begin + TEN_SECONDS, analysed=50.0, optic=optic)
        rest.interval.FromSeconds(50)
        await take(parts, rest)
