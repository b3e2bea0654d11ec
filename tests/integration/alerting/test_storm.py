"""Chattering and floods through the database: what the pure step decides is what is stored."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from alerting.assembly import Parts
from alerting.domain.alerts import Act, Kind, Priority, State, Step
from alerting.store.alerts import Request
from argo.detector.v1 import bus_pb2
from argo.registry.v1 import scene_pb2
from mesh.authority import CertificateAuthority
from mesh.postgres import Pool
from tests.integration.alerting import support
from tests.integration.alerting.support import batch, delivery, event


@pytest.fixture
def parts(pool: Pool, authority: CertificateAuthority) -> Parts:
    return support.parts(pool, support.settings(authority, alarm_budget=10))


def elsewhere(number: int, priority: scene_pb2.Priority.ValueType = scene_pb2.PRIORITY_LOW) -> bus_pb2.EventBatch:
    """One event at a place of its own."""
    message = event(priority=priority)
    optic = f"devices/d{number}/optics/main"
    message.optic, message.site = optic, f"sites/s{number}"
    message.rule, message.place = f"{optic}/rules/r", f"{optic}/zones/z"
    return bus_pb2.EventBatch(optic=optic, events=[message])


async def test_a_storm_is_stored_whole_and_shows_what_one_can_bear(parts: Parts, pool: Pool) -> None:
    batches = [elsewhere(number) for number in range(120)] + [elsewhere(999, scene_pb2.PRIORITY_HIGH)]
    # Twice each: the bus delivers again.
    await asyncio.gather(*(parts.consumers.take_events(one, delivery()) for one in (*batches, *batches)))

    alerts = await pool.fetch("SELECT * FROM alerts WHERE state <> $1", int(State.CLOSED))
    assert len(alerts) <= 10
    assert [row["kind"] for row in alerts if row["priority"] == Priority.HIGH] == [Kind.SINGLE]
    assert sum(row["event_count"] for row in alerts) == 121
    standing = {row["alert_id"] for row in alerts}
    linked = await pool.fetch("SELECT alert_id FROM events")
    assert len(linked) == 121
    assert {row["alert_id"] for row in linked} == standing


async def test_a_chattering_rule_is_one_alarm_and_its_former_ones_point_to_it(parts: Parts, pool: Pool) -> None:
    begin = datetime.now(UTC) - timedelta(minutes=9)
    for minute in range(9):
        await parts.consumers.take_events(batch(event(captured=begin + timedelta(minutes=minute))), delivery())

    (row,) = await pool.fetch("SELECT * FROM alerts WHERE state <> $1", int(State.CLOSED))
    assert (row["kind"], row["event_count"]) == (Kind.CHATTERING, 9)
    folded = await pool.fetch("SELECT object FROM alert_transitions WHERE act = $1", Act.FOLD.value)
    assert {one["object"] for one in folded} == {f"alerts/{row['alert_id']}"}
    assert await pool.fetchval("SELECT count(*) FROM events WHERE alert_id = $1", row["alert_id"]) == 9


async def test_more_operators_bear_more(parts: Parts, pool: Pool) -> None:
    shift = await parts.alarms.duty.open("operator/rossi", (), None)
    await parts.alarms.duty.join(shift.shift_id, "operator/bianchi")
    for number in range(40):
        await parts.consumers.take_events(elsewhere(number), delivery())

    assert await pool.fetchval("SELECT count(*) FROM alerts WHERE state = 1") == 20


async def test_what_people_do_and_what_comes_meanwhile_lose_nothing(parts: Parts, pool: Pool) -> None:
    async def operate(number: int) -> None:
        alert_id = f"a-{batches[number].events[0].event_id}"
        for step in (Step(Act.ACKNOWLEDGE, "operator/rossi"), Step(Act.CLOSE, "operator/rossi", "over")):
            while await parts.alarms.store.get_alert(alert_id) is None:
                await asyncio.sleep(0.01)
            await parts.desk.act(Request(alert_id, step), lambda _alert: b"")

    batches = [elsewhere(number) for number in range(60)]
    takes = (parts.consumers.take_events(one, delivery()) for one in batches)
    await asyncio.gather(*takes, *(operate(number) for number in range(4)))

    standing = await pool.fetch(
        "SELECT a.alert_id, a.event_count, count(e.event_id) AS linked FROM alerts AS a"
        " LEFT JOIN events AS e USING (alert_id)"
        " WHERE NOT EXISTS (SELECT FROM alert_transitions AS t WHERE t.alert_id = a.alert_id AND t.act = 'fold')"
        " GROUP BY a.alert_id"
    )
    assert [row["event_count"] for row in standing] == [row["linked"] for row in standing]
    assert sum(row["linked"] for row in standing) == 60
