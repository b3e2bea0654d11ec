"""The open side over a real database and the contract: frozen, complete, and blind to fewer than ten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc
import pytest

from alerting.assembly import Parts
from alerting.domain.audience import Audience
from alerting.domain.flows.places import Site
from alerting.flow_desk import Question
from alerting.service.open_flows import open_flow_message
from alerting.settings import AlertingSettings
from argo.alerting.v1 import flow_service_pb2 as v1
from argo.alerting.v1.flow_service_pb2_grpc import OpenFlowServiceStub
from argo.detector.v1 import bus_pb2
from mesh.embedded import EmbeddedPostgres
from mesh.errors import ArgoError
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error
from tests.integration.alerting import support
from tests.integration.alerting.flow_support import (
    CAR,
    FIVE_MINUTES,
    GATE,
    SITE,
    SQUARE,
    count_for,
    crossed,
    flow_batch,
    present,
    recent,
    take,
)
from tests.integration.alerting.support import OPTIC

if TYPE_CHECKING:
    from argo.alerting.v1.flow_service_pb2_grpc import OpenFlowServiceAsyncStub

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]

HOUR = timedelta(hours=1)
START = recent(150).replace(minute=0)
DOOR = f"{OPTIC}/lines/door"
WALKERS = v1.Flow.CATEGORY_PEDESTRIANS
PLACES = tuple(
    Site(place, OPTIC, SITE, site_display_name="Alimonda", controller="controllers/city", law_enforcement=False)
    for place in (DOOR, GATE, SQUARE)
)
EVERYWHERE = ((), (GATE,), (DOOR,), (SQUARE,), (SITE,))


async def release(parts: Parts, start: datetime = START, until: datetime | None = None) -> None:
    """Publishes the intervals from ``start`` on, as if the time were ``until``: an hour later if not told otherwise."""
    await parts.flows.store.register_places(PLACES)
    now = (until or start + HOUR) + timedelta(minutes=5)
    for clock in (start, now):
        parts.flows.release._clock = partial(_same, clock)
        parts.flows.consumer.progress.note(clock, clock)
        await parts.flows.release.once(connected=True)


def _same(time: datetime) -> datetime:
    return time


@pytest.fixture
async def stub(connect: Connect) -> OpenFlowServiceAsyncStub:
    return OpenFlowServiceStub(await connect("system/anybody"))


def question(
    granularity: timedelta = FIVE_MINUTES, start: datetime = START, length: timedelta = HOUR, **fields: Any
) -> Any:
    request = v1.ListFlowsRequest(**fields)
    request.interval.start_time.FromDatetime(start)
    request.interval.end_time.FromDatetime(start + length)
    request.granularity.FromTimedelta(granularity)
    return request


def shown(flows: Any) -> list[tuple[str, int, float]]:
    """What has figures: place, minute, count; of pedestrians."""
    return [
        (
            flow.place.rsplit("/", 1)[-1],
            round((flow.start_time.ToDatetime(tzinfo=UTC) - START) / timedelta(minutes=1)),
            flow.figures.count,
        )
        for flow in flows
        if flow.HasField("figures") and flow.category == WALKERS
    ]


class Attacker:
    """Asks for everything that there is, in every way that there is."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def learn(self) -> list[bytes]:
        """Every answer, as bytes."""
        learned = []
        for granularity in (5, 15, 60):
            for places in EVERYWHERE:
                for shift in range(0, 60, 5):
                    learned += await self._ask(granularity, places, shift)
        return learned

    async def _ask(self, granularity: int, places: tuple[str, ...], shift: int) -> list[bytes]:
        start = START + timedelta(minutes=shift)
        cells, token = await self._parts.flows.open_desk.list_cells(
            Audience("system/attacker"),
            Question(places, (), timedelta(minutes=granularity), ""),
            (start, start + HOUR),
            (1000, ""),
        )
        assert not token
        return [open_flow_message(cell).SerializeToString(deterministic=True) for cell in cells]


async def _city(parts: Parts, alone: bus_pb2.FlowBatch.LineCount) -> None:
    """An hour at a square, with one gate hardly anybody uses."""
    for minute in range(60):
        begin = START + timedelta(minutes=minute)
        people = crossed(4 + minute % 3, 1, speed=1.4)
        batch = flow_batch(
            begin, people, crossed(1, object_class=CAR), zones=(present(12.0, area=90.0),), analysed=60.0
        )
        if minute == 23:
            batch.lines.append(alone)
        await take(parts, batch)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (crossed(1, line=DOOR), crossed(2, line=DOOR)),
        (crossed(1, line=DOOR), crossed(9, line=DOOR, speed=7.0)),
        (crossed(0, 8, line=DOOR), crossed(9, 0, line=DOOR)),
    ],
)
async def test_an_attacker_who_asks_for_everything_cannot_tell_one_from_another(
    database: EmbeddedPostgres, service_settings: AlertingSettings, one: Any, other: Any
) -> None:
    learned = []
    for alone in (one, other):
        async with support.fresh_pool(database) as pool:
            parts = support.parts(pool, service_settings)
            await _city(parts, alone)
            await release(parts)
            learned.append(await Attacker(parts).learn())

    assert learned[0] == learned[1]
    assert any(len(answer) > 60 for answer in learned[0])


async def test_small_cells_are_withheld_and_hours_are_sums_of_what_is_shown(
    stub: OpenFlowServiceAsyncStub, parts: Parts
) -> None:
    await count_for(parts, START, 5, crossed(4))
    await count_for(parts, START + FIVE_MINUTES, 5, crossed(1))
    await count_for(parts, START + 2 * FIVE_MINUTES, 5, crossed(8))
    await release(parts)

    by_five = (await stub.ListFlows(question(places=[GATE], page_size=1000))).flows
    by_hour = (await stub.ListFlows(question(HOUR, places=[GATE]))).flows

    assert len(by_five) == 12 * 3
    assert shown(by_five) == [("gate", 0, 25), ("gate", 10, 45)]
    assert shown(by_hour) == [("gate", 0, 70)]
    (walkers,) = [flow for flow in by_hour if flow.category == WALKERS]
    assert walkers.withheld_cells == 10
    assert walkers.coverage == pytest.approx(2 / 12)
    assert not walkers.figures.counted


async def test_what_was_published_does_not_change_with_what_comes_later(
    stub: OpenFlowServiceAsyncStub, parts: Parts, pool: Pool
) -> None:
    await count_for(parts, START, 5, crossed(4))
    await release(parts)
    before = (await stub.ListFlows(question(page_size=1000))).SerializeToString()

    late = flow_batch(START + timedelta(seconds=55), crossed(100))
    small = flow_batch(START + FIVE_MINUTES, crossed(100))
    await take(parts, late, small)
    await release(parts)

    assert (await stub.ListFlows(question(page_size=1000))).SerializeToString() == before
    with pytest.raises(asyncpg.RaiseError, match="never changed"):
        await pool.execute("UPDATE open_flows SET counted = counted + 10")


async def test_the_database_itself_refuses_a_small_figure(parts: Parts, pool: Pool) -> None:
    await count_for(parts, START, 5, crossed(4))
    await release(parts)
    columns = "place, start_time, 2, length, $1, 0, NULL, NULL, NULL, NULL, 1"
    row = f"INSERT INTO open_flows SELECT {columns} FROM open_flows LIMIT 1"  # noqa: S608 - a literal of the test

    for counted in (1, 5, 9, 10, 27):
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(row, counted)


async def test_a_watch_and_a_list_say_the_same(
    stub: OpenFlowServiceAsyncStub, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await count_for(parts, START, 10, crossed(4))
    await release(parts, until=START + FIVE_MINUTES)
    request = v1.WatchFlowsRequest(places=[GATE])
    request.granularity.FromTimedelta(FIVE_MINUTES)
    watch = stub.WatchFlows(request)
    first: Any = await watch.read()
    assert first.HasField("bookmark")
    await release(parts, until=START + 2 * FIVE_MINUTES)
    seen: list[Any] = []
    while len(seen) < 3:
        change: Any = await watch.read()
        if change.HasField("completed"):
            seen.append(change.completed)
    watch.cancel()

    listed = (await stub.ListFlows(question(start=START + FIVE_MINUTES, length=FIVE_MINUTES, places=[GATE]))).flows
    assert seen == list(listed)
    assert shown(seen) == [("gate", 5, 25)]


async def test_replicas_that_publish_at_once_publish_each_interval_once(
    parts: Parts, pool: Pool, service_settings: AlertingSettings
) -> None:
    await count_for(parts, START, 60, crossed(4))
    await release(parts, until=START)
    replicas = [parts, *(support.parts(pool, service_settings) for _ in range(3))]
    now = START + HOUR + timedelta(minutes=5)
    for replica in replicas:
        replica.flows.release._clock = partial(_same, now)
        replica.flows.consumer.progress.note(now, now)

    await asyncio.gather(*(replica.flows.release.once(connected=True) for replica in replicas))

    published = await pool.fetch("SELECT start_time FROM open_flow_releases ORDER BY start_time")
    assert [row["start_time"] for row in published] == [START + number * FIVE_MINUTES for number in range(12)]
    assert await support.count(pool, "open_flows") == 12


async def test_a_place_that_the_registry_does_not_know_does_not_exist(
    stub: OpenFlowServiceAsyncStub, parts: Parts
) -> None:
    # Whether it is in the list would tell that somebody was there.
    hidden = f"{OPTIC}/lines/hidden"
    await count_for(parts, START, 5, crossed(1, line=hidden))
    await release(parts)

    assert {flow.place for flow in (await stub.ListFlows(question(page_size=1000))).flows} == {DOOR, GATE, SQUARE}
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListFlows(question(places=[hidden]))
    assert from_rpc_error(caught.value).reason == "FLOW_PLACE_NOT_FOUND"


async def test_pages_hold_every_cell_once(stub: OpenFlowServiceAsyncStub, parts: Parts) -> None:
    await count_for(parts, START, 60, crossed(4))
    await release(parts)
    whole = list((await stub.ListFlows(question(page_size=1000))).flows)

    listed: list[Any] = []
    token = ""
    while True:
        answer = await stub.ListFlows(question(page_size=17, page_token=token))
        listed += answer.flows
        token = answer.next_page_token
        if not token:
            break

    assert len(whole) == 3 * 12 * 3
    assert listed == whole


@pytest.mark.parametrize("minutes", [1, 3, 10, 30])
async def test_no_other_grid_can_be_asked_for(stub: OpenFlowServiceAsyncStub, minutes: int) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListFlows(question(timedelta(minutes=minutes)))
    error: ArgoError = from_rpc_error(caught.value)
    assert error.violations[0].field == "granularity"


async def test_nothing_is_published_while_the_bus_is_away_or_behind(parts: Parts, pool: Pool) -> None:
    await release(parts, until=START)
    now = START + HOUR
    parts.flows.release._clock = lambda: now
    await parts.flows.release.once(connected=False)
    assert await support.count(pool, "open_flow_releases") == 0

    parts.flows.consumer.progress.note(START + timedelta(minutes=13), now)
    await parts.flows.release.once(connected=True)
    assert await support.count(pool, "open_flow_releases") == 2


async def test_published_figures_stay_when_the_minutes_they_are_of_are_erased(
    stub: OpenFlowServiceAsyncStub, parts: Parts, pool: Pool
) -> None:
    await count_for(parts, START, 5, crossed(4))
    await release(parts)
    await pool.execute("UPDATE flow_minutes SET expire_time = now()")
    await parts.upkeep.once()

    assert await support.count(pool, "flow_minutes") == 0
    assert shown((await stub.ListFlows(question(places=[GATE], page_size=1000))).flows) == [("gate", 0, 25)]
