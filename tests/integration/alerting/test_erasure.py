from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from alerting import contracts
from alerting.assembly import Parts
from alerting.dispatch_messages import rendered
from alerting.domain.alerts import Act, Step
from alerting.store.alerts import AlertStore, Request
from alerting.store.database import Database
from alerting.store.dispatches import Outbox
from alerting.store.erasure import ErasureStore
from argo.camera_gateway.v1 import coverage_pb2
from argo.detector.v1 import bus_pb2
from mesh.errors import Unavailable
from mesh.postgres import Pool
from tests.integration.alerting import flow_support, support
from tests.integration.alerting.support import OPTIC, batch, delivery, event

TABLES = (
    "alerts",
    "alert_transitions",
    "alert_requests",
    "events",
    "observation_days",
    "coverage_reports",
    "coverage_gaps",
    "flow_reports",
    "flow_coverage",
    "flow_minutes",
    "flow_turns",
    "flow_near_misses",
)


async def fill(parts: Parts, captured: datetime) -> str:
    """One of everything, captured at a time; the alert's id."""
    message = event(captured=captured)
    await parts.consumers.take_events(batch(message), delivery())
    track = bus_pb2.Observation(track=7, finished=True)
    track.start_time.FromDatetime(captured)
    track.end_time.FromDatetime(captured)
    await parts.consumers.take_observations(bus_pb2.ObservationBatch(optic=OPTIC, observations=[track]), delivery())
    report = coverage_pb2.HealthReport(report_id=str(uuid.uuid4()), optic=OPTIC)
    report.start_time.FromDatetime(captured)
    report.gaps.add(reason="STALLED").start_time.FromDatetime(captured)
    await parts.consumers.take_report(report, delivery())
    counts = flow_support.flow_batch(captured, flow_support.crossed(3))
    counts.turns.add(from_line=flow_support.GATE, to_line=flow_support.GATE, count=1)
    counts.near_misses.add(zone=flow_support.SQUARE, time_to_collision=1)
    await flow_support.take(parts, counts)
    alert_id = f"a-{message.event_id}"
    step = Step(Act.ACKNOWLEDGE, "operator/rossi")
    await parts.desk.act(Request(alert_id, step, uuid.uuid4()), contracts.alert_bytes)
    return alert_id


async def test_everything_goes_seven_days_after_capture_and_not_before(parts: Parts, pool: Pool) -> None:
    captured = datetime.now(UTC) - timedelta(days=3)
    await fill(parts, captured)
    store = ErasureStore(Database(pool))
    due = captured + timedelta(days=7)

    await store.erase(due - timedelta(minutes=1), parts.records.erasure)
    assert [await support.count(pool, table) for table in TABLES] == [
        2 if "transitions" in table else 1 for table in TABLES
    ]

    erased = await store.erase(due, parts.records.erasure)
    assert [await support.count(pool, table) for table in TABLES] == [0] * len(TABLES)
    erased = {kind: count for kind, count in erased.items() if not kind.startswith("search")}
    assert set(erased.values()) == {1}
    rows = await pool.fetch("SELECT what FROM audit_entries WHERE act = 'erasure' ORDER BY sequence")
    assert [row["what"] for row in rows] == [f"{kind}: 1" for kind in erased]


async def test_what_is_younger_stays(parts: Parts, pool: Pool) -> None:
    await fill(parts, support.days_ago(7.01))
    kept = await fill(parts, support.days_ago(6.9))
    await parts.upkeep.once()

    assert [row["alert_id"] for row in await pool.fetch("SELECT alert_id FROM alerts")] == [kept]
    assert await support.count(pool, "events") == 1


async def test_an_erasure_that_cannot_be_recorded_waits(parts: Parts, pool: Pool) -> None:
    await fill(parts, support.days_ago(8))
    await pool.execute("REVOKE INSERT ON audit_entries FROM CURRENT_USER")
    with pytest.raises(Unavailable):
        await parts.upkeep.once()
    assert await support.count(pool, "alerts") == 1

    await pool.execute("GRANT INSERT ON audit_entries TO CURRENT_USER")
    await parts.upkeep.once()
    assert await AlertStore(Database(pool), Outbox(rendered)).get_alert("a-gone") is None
    assert await support.count(pool, "alerts") == 0
