"""A large event from its plan to its end, as the control room sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from alerting.assembly import Parts
from argo.alerting.v1 import alert_service_pb2 as alerts_v1
from argo.alerting.v1 import crowd_event_service_pb2 as v1
from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceStub
from argo.alerting.v1.crowd_event_service_pb2_grpc import CrowdEventServiceStub
from argo.detector.v1 import bus_pb2
from argo.registry.v1 import scene_pb2
from mesh.errors import ArgoError
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error
from tests.integration.alerting.flow_support import GATE, SITE, SQUARE, crossed, flow_batch, present, recent, take
from tests.integration.alerting.support import OPTIC

if TYPE_CHECKING:
    from argo.alerting.v1.crowd_event_service_pb2_grpc import CrowdEventServiceAsyncStub

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]

START = recent(120)
MINUTE = timedelta(minutes=1)
NAME = "crowdEvents/finale"
Status = v1.SectorStatus


@pytest.fixture
async def stub(connect: Connect) -> CrowdEventServiceAsyncStub:
    return CrowdEventServiceStub(await connect("supervisor/ferri"))


def plan(**fields: Any) -> v1.CrowdEvent:
    """A square of 600 square metres with one gate of four modules."""
    gate = v1.Gate(line=GATE, inward=scene_pb2.LineCrossing.DIRECTION_LEFT_TO_RIGHT, exit_modules=4)
    sector = v1.Sector(id="square", display_name="Square", zones=[SQUARE], gates=[gate], area_square_metres=600)
    fields.setdefault("sectors", [sector])
    event = v1.CrowdEvent(display_name="Final on the screen", **fields)
    event.start_time.FromDatetime(START)
    return event


async def create(stub: CrowdEventServiceAsyncStub, **fields: Any) -> v1.CrowdEvent:
    request = v1.CreateCrowdEventRequest(
        crowd_event_id="finale", crowd_event=plan(**fields), reason="order 12 of the prefect"
    )
    created: v1.CrowdEvent = await stub.CreateCrowdEvent(request)
    return created


async def refusal(call: Awaitable[object]) -> ArgoError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


class Evening:
    """Plays an evening minute by minute, and looks at it as often."""

    def __init__(self, parts: Parts, pool: Pool) -> None:
        self.parts = parts
        self.pool = pool
        self.minute = 0

    async def pass_minute(
        self, people: float | None, *crossings: bus_pb2.FlowBatch.LineCount, densest: float = 0.0
    ) -> None:
        """A minute with so many people in the square; None: the camera is blind."""
        begin = START + self.minute * MINUTE
        if people is not None:
            square = present(people, area=600.0, densest=densest)
            await take(self.parts, flow_batch(begin, *crossings, zones=(square,), analysed=60.0))
        self.parts.crowds.watch._clock = lambda: begin + timedelta(seconds=59)
        await self.parts.crowds.watch.once()
        self.minute += 1

    async def status(self) -> v1.SectorStatus:
        content = await self.pool.fetchval("SELECT status FROM crowd_event_sectors")
        return v1.SectorStatus.FromString(content)

    async def told(self) -> list[tuple[int, str]]:
        """What the control room was told: at which minute, about what."""
        rows = await self.pool.fetch("SELECT capture_time, payload FROM events ORDER BY capture_time, rule")
        return [
            (
                (row["capture_time"] - START) // MINUTE,
                bus_pb2.Event.FromString(row["payload"]).topic.removeprefix("Argo/"),
            )
            for row in rows
        ]


@pytest.fixture
def evening(parts: Parts, pool: Pool) -> Evening:
    return Evening(parts, pool)


async def test_a_square_fills_is_full_panics_goes_blind_and_empties(
    stub: CrowdEventServiceAsyncStub, evening: Evening, connect: Connect
) -> None:
    await create(stub)
    # Sixteen minutes of people coming, forty a minute, from 520 to 1120; the square holds 1200.
    for minute in range(16):
        await evening.pass_minute(520 + 40 * minute, crossed(44, 4), densest=2.1)
    filling = await evening.status()
    # Nobody can get in any more, and it wavers about the edge of red.
    for people in (1150, 1135, 1150, 1120, 1145):
        await evening.pass_minute(people, crossed(8, 8), densest=3.1)
    full = await evening.status()
    # Something bangs: they run, in both directions, and crush at the gate.
    for people in (1000, 700, 300):
        await evening.pass_minute(people, crossed(60, 90), densest=5.2)
    # The mast is pushed over: for five minutes nothing is seen.
    for _ in range(5):
        await evening.pass_minute(None)
    blind = await evening.status()
    for people in (60, 50):
        await evening.pass_minute(people, crossed(1, 3), densest=0.2)
    empty = await evening.status()

    assert await evening.told() == [
        # 760 and forty a minute: eleven minutes; 800: ten.
        (7, "SectorFullSoon"),
        (11, "SectorFilling"),
        (12, "ExitsTooFew"),
        (16, "SectorFull"),
        (20, "GateCounterFlow"),
        (21, "SectorDense"),
        (26, "SectorBlind"),
    ]
    assert (filling.colour, filling.method) == (Status.COLOUR_AMBER, Status.METHOD_ZONES)
    assert filling.capacity == 1200
    assert filling.minutes_to_full == pytest.approx(2.0)
    assert filling.net_inflow_per_minute == pytest.approx(40)
    assert full.colour == Status.COLOUR_RED
    assert full.exit_share == pytest.approx(1.145)
    assert (blind.colour, blind.HasField("occupancy"), blind.blind_minutes) == (Status.COLOUR_UNSPECIFIED, False, 5)
    assert (empty.colour, list(empty.alarms)) == (Status.COLOUR_GREEN, [])
    await _is_an_alarm_that_explains_itself(connect)


async def _is_an_alarm_that_explains_itself(connect: Connect) -> None:
    operator = AlertServiceStub(await connect("operator/rossi"))
    alerts = (await operator.ListAlerts(alerts_v1.ListAlertsRequest(reason="shift"))).alerts
    first = min(alerts, key=lambda alert: alert.capture_time.ToDatetime())
    assert first.site == SITE
    assert first.summary == (
        'People will soon fill sector "Square" of alimonda/north: time to full 10 min, threshold 10 min '
        '(rule "Final on the screen").'
    )
    assert first.priority == scene_pb2.PRIORITY_HIGH


async def test_two_looks_at_the_same_minute_tell_once(stub: CrowdEventServiceAsyncStub, evening: Evening) -> None:
    await create(stub)
    await evening.pass_minute(1190)
    await evening.parts.crowds.watch.once()

    assert await evening.told() == [(0, "ExitsTooFew"), (0, "SectorFull")]


async def test_a_gate_alone_keeps_a_balance(stub: CrowdEventServiceAsyncStub, evening: Evening) -> None:
    gate = v1.Gate(line=GATE, inward=scene_pb2.LineCrossing.DIRECTION_RIGHT_TO_LEFT)
    await create(stub, sectors=[v1.Sector(id="street", gates=[gate], capacity=500, initial_occupancy=50)])
    for _ in range(10):
        await evening.pass_minute(0, crossed(10, 45))

    status = await evening.status()
    assert status.method == Status.METHOD_BALANCE
    assert status.occupancy == pytest.approx(50 + 350, rel=0.01)
    assert status.occupancy_uncertainty > 0
    assert status.colour == Status.COLOUR_AMBER
    assert [(topic) for _, topic in await evening.told()] == ["SectorFullSoon", "SectorFilling"]


async def test_a_watch_gives_the_newest_at_once_and_ends_with_the_event(
    stub: CrowdEventServiceAsyncStub, evening: Evening
) -> None:
    await create(stub)
    watch = stub.WatchCrowdEvent(v1.WatchCrowdEventRequest(name=NAME, reason="control room"))
    first: Any = await watch.read()
    assert [(sector.sector, sector.colour) for sector in first.sectors] == [("square", Status.COLOUR_UNSPECIFIED)]

    await evening.pass_minute(1000)
    second: Any = await watch.read()
    assert second.sectors[0].occupancy == pytest.approx(1000)
    await stub.CloseCrowdEvent(v1.CloseCrowdEventRequest(name=NAME, reason="over"))
    last: Any = await watch.read()

    assert last.crowd_event.state == v1.CrowdEvent.STATE_CLOSED
    assert await watch.read() is grpc.aio.EOF


async def test_an_event_is_planned_changed_listed_and_closed_on_record(
    stub: CrowdEventServiceAsyncStub, pool: Pool
) -> None:
    created = await create(stub)
    assert created.name == NAME
    changed = plan(name=NAME, etag=created.etag)
    changed.sectors[0].capacity = 900
    updated = await stub.UpdateCrowdEvent(v1.UpdateCrowdEventRequest(crowd_event=changed, reason="fewer stewards"))
    stale = await refusal(stub.UpdateCrowdEvent(v1.UpdateCrowdEventRequest(crowd_event=changed, reason="again")))
    read = await stub.GetCrowdEvent(v1.GetCrowdEventRequest(name=NAME, reason="look"))
    listed = await stub.ListCrowdEvents(v1.ListCrowdEventsRequest(reason="look"))
    closed = await stub.CloseCrowdEvent(v1.CloseCrowdEventRequest(name=NAME, reason="over"))
    again = await stub.CloseCrowdEvent(v1.CloseCrowdEventRequest(name=NAME, reason="over"))
    late = await refusal(
        stub.UpdateCrowdEvent(v1.UpdateCrowdEventRequest(crowd_event=plan(name=NAME), reason="too late"))
    )

    assert updated.sectors[0].capacity == 900
    assert (stale.reason, late.reason) == ("CROWD_EVENT_CHANGED", "CROWD_EVENT_CLOSED")
    assert read == updated
    assert list(listed.crowd_events) == [updated]
    assert closed.HasField("close_time")
    assert again == closed
    rows = await pool.fetch("SELECT act, what, why FROM audit_entries WHERE who = 'supervisor/ferri' ORDER BY sequence")
    assert [tuple(row) for row in rows] == [
        ("alteration", f"{NAME}, opened", "order 12 of the prefect"),
        ("alteration", f"{NAME}, changed", "fewer stewards"),
        ("consultation", NAME, "look"),
        ("consultation", "crowdEvents/-, 1", "look"),
        ("alteration", f"{NAME}, closed", "over"),
    ]


async def test_an_id_is_used_once(stub: CrowdEventServiceAsyncStub) -> None:
    await create(stub)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await create(stub)
    assert from_rpc_error(caught.value).reason == "CROWD_EVENT_EXISTS"


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda event: event.sectors[0].ClearField("id"), "name"),
        (lambda event: event.sectors[0].gates[0].ClearField("inward"), "sectors.gates.inward"),
        (lambda event: event.sectors[0].zones.append(GATE), "sectors.zones"),
        (lambda event: event.ClearField("sectors"), "sectors"),
        (lambda event: event.ClearField("display_name"), "display_name"),
        (lambda event: event.start_time.FromDatetime(datetime(2020, 1, 1)), "start_time"),  # noqa: DTZ001
    ],
)
async def test_a_wrong_plan_is_refused_and_says_where(
    stub: CrowdEventServiceAsyncStub, spoil: Callable[[v1.CrowdEvent], None], field: str
) -> None:
    event = plan()
    spoil(event)
    request = v1.CreateCrowdEventRequest(crowd_event_id="finale", crowd_event=event, reason="test")

    assert (await refusal(stub.CreateCrowdEvent(request))).violations[0].field == field


async def test_an_operator_follows_and_does_not_plan(connect: Connect, stub: CrowdEventServiceAsyncStub) -> None:
    await create(stub)
    operator = CrowdEventServiceStub(await connect("operator/rossi"))

    assert (await operator.GetCrowdEvent(v1.GetCrowdEventRequest(name=NAME, reason="look"))).name == NAME
    error = await refusal(operator.CloseCrowdEvent(v1.CloseCrowdEventRequest(name=NAME, reason="over")))
    assert error.code == "PERMISSION_DENIED"
    assert OPTIC in SQUARE
