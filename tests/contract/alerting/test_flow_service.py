"""Counts for the city's own systems: by place and interval, with coverage and error beside each number, on record."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from alerting.assembly import Parts
from argo.alerting.v1 import flow_service_pb2 as v1
from argo.alerting.v1.flow_service_pb2_grpc import FlowServiceStub
from mesh.errors import ArgoError
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error
from tests.integration.alerting.flow_support import (
    CAR,
    FIVE_MINUTES,
    GATE,
    PERSON,
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
    from argo.alerting.v1.flow_service_pb2_grpc import FlowServiceAsyncStub

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]

START = recent()


@pytest.fixture
async def stub(connect: Connect) -> FlowServiceAsyncStub:
    return FlowServiceStub(await connect("operator/rossi"))


def question(start: datetime = START, minutes: int = 15, granularity: timedelta = FIVE_MINUTES, **fields: Any) -> Any:
    fields.setdefault("reason", "signal plans of the ring")
    request = v1.ListFlowsRequest(**fields)
    request.interval.start_time.FromDatetime(start)
    request.interval.end_time.FromDatetime(start + timedelta(minutes=minutes))
    request.granularity.FromTimedelta(granularity)
    return request


def watching(**fields: Any) -> v1.WatchFlowsRequest:
    request = v1.WatchFlowsRequest(reason="signal plans of the ring", **fields)
    request.granularity.FromTimedelta(FIVE_MINUTES)
    return request


def minute(flow: v1.Flow) -> int:
    return round((flow.start_time.ToDatetime(tzinfo=UTC) - START) / timedelta(minutes=1))


async def refusal(call: Awaitable[object]) -> ArgoError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def test_crossings_are_listed_by_place_time_and_class(stub: FlowServiceAsyncStub, parts: Parts) -> None:
    await count_for(parts, START, 5, crossed(3, 1, speed=1.5), crossed(1, object_class=CAR))

    flows = (await stub.ListFlows(question(minutes=10, places=[GATE]))).flows

    assert [(minute(flow), flow.object_class) for flow in flows] == [(0, 0), (0, PERSON), (0, CAR), (5, 0)]
    together, persons, _cars, later = flows
    assert (together.figures.count, together.figures.count_uncertainty) == (25.0, 0.0)
    assert (persons.figures.left_to_right, persons.figures.right_to_left, persons.figures.counted) == (15, 5, 20)
    assert persons.figures.mean_speed == pytest.approx(1.5)
    assert [flow.coverage for flow in flows] == [1.0, 1.0, 1.0, 0.0]
    # Nobody looked: that is not a street without people.
    assert not later.HasField("figures")


async def test_a_place_that_was_seen_empty_has_a_count_of_nothing(stub: FlowServiceAsyncStub, parts: Parts) -> None:
    await take(parts, flow_batch(START - timedelta(minutes=5), crossed(1)))
    await count_for(parts, START, 5)

    (flow,) = (await stub.ListFlows(question(minutes=5, places=[GATE]))).flows

    assert flow.HasField("figures")
    assert (flow.figures.count, flow.coverage) == (0.0, 1.0)


async def test_a_count_is_allowed_for_what_was_not_analysed_and_says_how_far_it_may_be_off(
    stub: FlowServiceAsyncStub, parts: Parts
) -> None:
    for number in range(4):
        await take(parts, flow_batch(START + number * timedelta(minutes=1), crossed(25), analysed=60.0))

    persons = (await stub.ListFlows(question(minutes=5, places=[GATE]))).flows[1]

    assert persons.coverage == pytest.approx(0.8)
    assert persons.figures.counted == 100
    assert persons.figures.count == pytest.approx(125.0)
    assert persons.figures.count_uncertainty == pytest.approx(1.96 * math.sqrt(100.5 * 0.2) / 0.8, rel=1e-4)
    assert not persons.figures.detector_error_included


async def test_zones_have_presence_density_and_level_of_service(stub: FlowServiceAsyncStub, parts: Parts) -> None:
    for number in range(5):
        square = present(40.0, area=50.0, maximum=44, densest=1.2)
        batch = flow_batch(START + number * timedelta(minutes=1), zones=(square,), analysed=60.0)
        batch.near_misses.add(zone=SQUARE, time_to_collision=1, post_encroachment=2)
        await take(parts, batch)

    together, persons = (await stub.ListFlows(question(minutes=5, places=[SQUARE]))).flows

    figures = persons.figures
    assert [figures.count, figures.mean_present] == pytest.approx([40.0, 40.0])
    assert figures.maximum_present == 44
    assert [figures.density, figures.maximum_density] == pytest.approx([0.8, 1.2])
    assert figures.level_of_service == v1.LEVEL_OF_SERVICE_D
    conflicts = (together.figures.time_to_collision_conflicts, together.figures.post_encroachment_conflicts)
    assert conflicts == (5, 10)


async def test_turning_movements_are_flows_from_one_line_to_another(stub: FlowServiceAsyncStub, parts: Parts) -> None:
    batch = flow_batch(START, crossed(4, object_class=CAR), analysed=60.0)
    batch.turns.add(from_line=GATE, to_line=f"{OPTIC}/lines/left", object_class=CAR, count=3)
    batch.turns.add(from_line=GATE, to_line=f"{OPTIC}/lines/ahead", object_class=CAR, count=1)
    await take(parts, batch)

    flows = (await stub.ListFlows(question(minutes=5, places=[GATE]))).flows

    turns = [(flow.to_place.rsplit("/", 1)[-1], flow.figures.counted) for flow in flows if flow.to_place]
    assert turns == [("ahead", 1), ("left", 3)]


async def test_a_site_is_the_sum_of_its_lines_with_the_mean_coverage_of_its_optics(
    stub: FlowServiceAsyncStub, parts: Parts
) -> None:
    other = "devices/alimonda/optics/south"
    await count_for(parts, START, 5, crossed(2))
    await take(parts, flow_batch(START, crossed(5, line=f"{other}/lines/door"), optic=other, analysed=60.0))

    together, persons = (await stub.ListFlows(question(minutes=5, places=[SITE]))).flows

    assert together.place == SITE
    assert persons.figures.counted == 5 * 2 + 5
    assert persons.coverage == pytest.approx((1.0 + 0.2) / 2)
    each = (await stub.ListFlows(question(minutes=5, sites=[SITE]))).flows
    assert [flow.place for flow in each if not flow.object_class] == [GATE, f"{other}/lines/door"]


async def test_pages_hold_every_flow_once_whatever_their_size(stub: FlowServiceAsyncStub, parts: Parts) -> None:
    await count_for(parts, START, 15, crossed(1), crossed(1, object_class=CAR))
    await take(parts, flow_batch(START + timedelta(seconds=5), zones=(present(3.0),), analysed=1.0))
    whole = [flow.SerializeToString() for flow in (await stub.ListFlows(question(page_size=1000))).flows]

    listed: list[bytes] = []
    token, pages = "", 0
    while True:
        answer = await stub.ListFlows(question(page_size=2, page_token=token))
        listed += [flow.SerializeToString() for flow in answer.flows]
        token, pages = answer.next_page_token, pages + 1
        if not token:
            break

    assert len(whole) == 3 * 3 + 4
    assert listed == whole
    assert pages == 7


async def test_only_whole_cells_of_the_grid_are_given(stub: FlowServiceAsyncStub, parts: Parts) -> None:
    await count_for(parts, START, 15, crossed(1))

    inside = question(START + timedelta(minutes=1), minutes=13, places=[GATE])
    flows = (await stub.ListFlows(inside)).flows

    assert [minute(flow) for flow in flows if not flow.object_class] == [5]
    quarter = question(granularity=timedelta(minutes=15), places=[GATE])
    assert [flow.figures.counted for flow in (await stub.ListFlows(quarter)).flows] == [15, 15]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"granularity": timedelta(minutes=1)}, "granularity"),
        ({"granularity": timedelta(minutes=7)}, "granularity"),
        ({"minutes": 0}, "interval"),
        ({"minutes": 32 * 1440}, "interval"),
        ({"reason": ""}, "reason"),
        ({"places": ["devices/x"]}, "places"),
        ({"page_token": "bm9uc2Vuc2U"}, "page_token"),
        ({"page_size": -1}, "page_size"),
    ],
)
async def test_a_wrong_question_is_refused_and_says_where(
    stub: FlowServiceAsyncStub, fields: dict[str, Any], field: str
) -> None:
    assert (await refusal(stub.ListFlows(question(**fields)))).violations[0].field == field


async def test_a_place_that_nothing_is_counted_at_is_named(stub: FlowServiceAsyncStub) -> None:
    error = await refusal(stub.ListFlows(question(places=[GATE])))

    assert (error.code, error.reason, error.metadata["place"]) == ("NOT_FOUND", "FLOW_PLACE_NOT_FOUND", GATE)


async def test_a_token_is_good_for_its_question_alone(stub: FlowServiceAsyncStub, parts: Parts) -> None:
    await count_for(parts, START, 15, crossed(1))
    token = (await stub.ListFlows(question(page_size=1))).next_page_token

    error = await refusal(stub.ListFlows(question(page_token=token, granularity=timedelta(minutes=15))))

    assert error.violations[0].field == "page_token"


async def test_a_look_is_on_record_with_what_was_seen(stub: FlowServiceAsyncStub, parts: Parts, pool: Pool) -> None:
    await count_for(parts, START, 5, crossed(1))
    await stub.ListFlows(question(minutes=5, places=[GATE]))

    row = await pool.fetchrow("SELECT act, who, why, what FROM audit_entries ORDER BY sequence DESC LIMIT 1")
    assert (row["act"], row["who"], row["why"]) == ("consultation", "operator/rossi", "signal plans of the ring")
    assert row["what"].startswith(f"flows, 2, {GATE}, by 5 minutes, {START.isoformat()}")


@pytest.mark.parametrize("who", ["authority/questura", "investigator/verdi", "auditor/neri"])
async def test_who_is_not_there_for_traffic_is_refused(connect: Connect, who: str) -> None:
    error = await refusal(FlowServiceStub(await connect(who)).ListFlows(question()))

    assert error.code == "PERMISSION_DENIED"


async def test_a_watch_gives_each_interval_when_it_is_complete_and_goes_on_after_a_break(
    stub: FlowServiceAsyncStub, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = START + timedelta(seconds=31)
    monkeypatch.setattr(parts.flows.desk, "_clock", lambda: now)
    await count_for(parts, START, 10, crossed(1))
    watch = stub.WatchFlows(watching(places=[GATE]))
    first: Any = await watch.read()
    assert first.HasField("bookmark")

    now = START + timedelta(minutes=5, seconds=31)
    seen = [change.completed async for change in _until_bookmark(watch)]
    watch.cancel()
    now = START + timedelta(minutes=11)
    again = stub.WatchFlows(watching(places=[GATE], resume_token=first.resume_token))
    after_break = [change async for change in _until_bookmark(again)]
    again.cancel()
    last = stub.WatchFlows(watching(places=[GATE], resume_token=after_break[1].resume_token))
    rest = [change.completed async for change in _until_bookmark(last)]
    last.cancel()

    assert [(minute(flow), flow.object_class, flow.figures.counted) for flow in seen] == [(0, 0, 5), (0, PERSON, 5)]
    assert [minute(change.completed) for change in after_break] == [0, 0, 5, 5]
    assert [minute(flow) for flow in rest] == [5, 5]


async def _until_bookmark(watch: Any) -> Any:
    """What completes, until there is nothing more to tell."""
    told = False
    while True:
        change = await watch.read()
        if change.HasField("completed"):
            told = True
            yield change
        elif told:
            return


async def test_a_watch_is_on_record_once(stub: FlowServiceAsyncStub, parts: Parts, pool: Pool) -> None:
    await take(parts, flow_batch(START, crossed(1)))
    watch = stub.WatchFlows(watching(sites=[SITE]))
    for _ in range(3):
        await watch.read()
    watch.cancel()

    rows = await pool.fetch("SELECT what FROM audit_entries")
    assert [row["what"] for row in rows] == [f"flows, watch, {SITE}/-, by 5 minutes"]


async def test_a_resume_token_older_than_what_is_kept_is_refused(
    stub: FlowServiceAsyncStub, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take(parts, flow_batch(START, crossed(1)))
    watch = stub.WatchFlows(watching(places=[GATE]))
    first: Any = await watch.read()
    token = first.resume_token
    watch.cancel()
    monkeypatch.setattr(parts.flows.desk, "_clock", lambda: datetime.now(UTC) + timedelta(days=8))

    error = await refusal(stub.WatchFlows(watching(places=[GATE], resume_token=token)).read())

    assert (error.code, error.reason) == ("OUT_OF_RANGE", "RESUME_TOKEN_EXPIRED")
