from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

from alerting.assembly import Parts
from argo.camera_gateway.v1 import coverage_pb2
from argo.detector.v1 import bus_pb2
from mesh.postgres import Pool
from tests.integration.alerting import support
from tests.integration.alerting.support import OPTIC, batch, delivery, event


async def test_an_event_of_a_live_rule_raises_an_alert_that_explains_itself(parts: Parts, pool: Pool) -> None:
    await parts.consumers.take_events(batch(event()), delivery())

    row = await pool.fetchrow("SELECT * FROM alerts")
    assert row["summary"] == (
        'Person inside zone "flower-bed" of alimonda/north: dwell 4.25 s, threshold 1 s (rule "no-entry").'
    )
    assert row["state"] == 1
    assert bus_pb2.Event.FromString(row["event"]).model_digest == "ab" * 32


async def test_a_redelivered_message_changes_nothing(parts: Parts, pool: Pool) -> None:
    message = batch(event(), event(rule="other"))
    await parts.consumers.take_events(message, delivery())
    before = await pool.fetch("SELECT * FROM alerts ORDER BY alert_id")

    await parts.consumers.take_events(message, delivery(attempt=2))

    assert await pool.fetch("SELECT * FROM alerts ORDER BY alert_id") == before
    assert await support.count(pool, "events") == 2


async def test_the_same_event_twice_in_one_message_counts_once(parts: Parts, pool: Pool) -> None:
    one = event()
    await parts.consumers.take_events(batch(one, one), delivery())

    assert await pool.fetchval("SELECT event_count FROM alerts") == 1


async def test_two_replicas_that_get_the_same_events_at_once_make_one_alert(parts: Parts, pool: Pool) -> None:
    messages = [batch(event(event_id=str(uuid.UUID(int=number)))) for number in range(10)]
    await asyncio.gather(
        *(parts.consumers.take_events(message, delivery()) for message in messages for _replica in range(2))
    )

    assert await support.count(pool, "alerts") == 1
    assert await pool.fetchval("SELECT event_count FROM alerts") == 10


async def test_a_shadow_event_is_kept_and_raises_nothing(parts: Parts, pool: Pool) -> None:
    await parts.consumers.take_events(batch(event(mode=support.SHADOW)), delivery())

    assert await support.count(pool, "events") == 1
    assert await support.count(pool, "alerts") == 0


async def test_events_of_one_rule_and_place_join_until_the_window_is_over(parts: Parts, pool: Pool) -> None:
    start = datetime.now(UTC) - timedelta(minutes=5)
    for seconds in (0, 20, 45, 90):
        await parts.consumers.take_events(batch(event(captured=start + timedelta(seconds=seconds))), delivery())

    rows = await pool.fetch("SELECT event_count FROM alerts ORDER BY capture_time")
    assert [row["event_count"] for row in rows] == [3, 1]


async def test_a_bad_event_does_not_hold_back_its_neighbours(parts: Parts, pool: Pool) -> None:
    bad = event()
    bad.optic = "devices/../optics/\x00"
    await parts.consumers.take_events(batch(bad, event(rule="other")), delivery())

    assert await support.count(pool, "events") == 1
    assert parts.metrics.rejected.labels("event")._value.get() == 1


async def test_a_growing_track_is_one_row_and_never_goes_back(parts: Parts, pool: Pool) -> None:
    start = datetime.now(UTC) - timedelta(minutes=1)

    def seen(seconds: int, *, finished: bool) -> bus_pb2.ObservationBatch:
        item = bus_pb2.Observation(track=2**64 - 1, finished=finished)
        item.start_time.FromDatetime(start)
        item.end_time.FromDatetime(start + timedelta(seconds=seconds))
        return bus_pb2.ObservationBatch(optic=OPTIC, site="sites/alimonda", observations=[item])

    for message in (seen(5, finished=False), seen(20, finished=True), seen(5, finished=False)):
        await parts.consumers.take_observations(message, delivery())

    row = await pool.fetchrow("SELECT * FROM observation_days")
    assert row["track"] == -1
    assert row["end_time"] == start + timedelta(seconds=20)
    assert row["finished"]


async def test_an_observation_that_is_not_valid_leaves_the_others_of_its_message(parts: Parts, pool: Pool) -> None:
    start = datetime.now(UTC) - timedelta(minutes=1)
    message = bus_pb2.ObservationBatch(optic=OPTIC, site="sites/alimonda")
    for track, begun in ((1, start), (2, start + timedelta(days=3)), (3, start)):
        item = message.observations.add(track=track, finished=True)
        item.start_time.FromDatetime(begun)
        item.end_time.FromDatetime(begun)
    message.observations.add(track=4, finished=True)

    await parts.consumers.take_observations(message, delivery())

    assert [row["track"] for row in await pool.fetch("SELECT track FROM observation_days ORDER BY track")] == [1, 3]
    assert parts.metrics.rejected.labels("observations")._value.get() == 2


async def test_the_ledger_sums_reports_once_and_joins_their_gaps(parts: Parts) -> None:
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    for index in range(3):
        report = coverage_pb2.HealthReport(
            report_id=str(uuid.uuid4()),
            optic=OPTIC,
            site="sites/alimonda",
            coverage=coverage_pb2.Coverage(received_seconds=6, analysed_seconds=4, lost_seconds=4, elapsed_seconds=10),
            impairments=[coverage_pb2.HealthReport.IMPAIRMENT_FROZEN],
        )
        report.start_time.FromDatetime(start + timedelta(seconds=10 * index))
        report.interval.FromSeconds(10)
        gap = report.gaps.add(kind=coverage_pb2.Gap.KIND_NOT_ANALYSED, reason="OVERLOAD")
        gap.start_time.FromDatetime(start + timedelta(seconds=10 * index))
        gap.duration.FromSeconds(10)
        for attempt in (1, 2):
            await parts.consumers.take_report(report, delivery(attempt))

    (ledger,) = await parts.coverage.list_coverage(start, start + timedelta(minutes=1), limit=10)
    assert (ledger.seconds.received, ledger.seconds.analysed, ledger.seconds.elapsed) == (18, 12, 30)
    assert [gap.duration for gap in ledger.gaps] == [timedelta(seconds=30)]
    assert ledger.impairments == (coverage_pb2.HealthReport.IMPAIRMENT_FROZEN,)
