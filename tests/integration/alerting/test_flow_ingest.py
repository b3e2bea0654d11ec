"""Counts on their way from the bus into the minutes that are kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alerting.assembly import Parts
from argo.detector.v1 import bus_pb2
from mesh.bus import Bus, StreamSpec
from mesh.embedded import EmbeddedNats
from mesh.postgres import Pool
from tests.integration.alerting.flow_support import (
    CAR,
    GATE,
    PERSON,
    SQUARE,
    TEN_SECONDS,
    crossed,
    flow_batch,
    present,
    recent,
    take,
)
from tests.integration.alerting.support import OPTIC, count, delivery

FLOWS = StreamSpec("ARGO_FLOWS", ("argo.v1.flow.>",))


async def test_reports_add_up_to_a_minute_with_what_was_analysed(parts: Parts, pool: Pool) -> None:
    start = recent()
    await take(
        parts,
        flow_batch(start, crossed(3, 1, speed=1.5), crossed(1, object_class=CAR), zones=(present(4.0, area=50.0),)),
        flow_batch(
            start + TEN_SECONDS, crossed(2, speed=1.0), zones=(present(8.0, area=50.0, densest=0.3),), analysed=5
        ),
        flow_batch(start + timedelta(seconds=60), crossed(1)),
    )

    rows = await pool.fetch("SELECT * FROM flow_minutes WHERE minute = $1 ORDER BY place, object_class", start)
    persons, cars, square = rows
    assert [(row["place"], row["object_class"]) for row in rows] == [(GATE, PERSON), (GATE, CAR), (SQUARE, PERSON)]
    assert (persons["left_to_right"], persons["right_to_left"], persons["measured"]) == (5, 1, 6)
    assert persons["speed_sum"] == pytest.approx(4 * 1.5 + 2 * 1.0)
    assert (cars["left_to_right"], cars["measured"]) == (1, 0)
    assert square["present_seconds"] == pytest.approx(4 * 10 + 8 * 5)
    assert (square["maximum_present"], square["maximum_density"]) == (8, pytest.approx(0.3))
    coverage = await pool.fetch("SELECT minute, analysed_seconds FROM flow_coverage ORDER BY minute")
    assert [tuple(row) for row in coverage] == [(start, 15.0), (start + timedelta(minutes=1), 10.0)]
    area = await pool.fetchval("SELECT area_square_metres FROM flow_places WHERE place = $1", SQUARE)
    assert area == pytest.approx(50.0)


async def test_turns_and_near_misses_are_kept(parts: Parts, pool: Pool) -> None:
    batch = flow_batch(recent())
    batch.turns.add(from_line=GATE, to_line=f"{OPTIC}/lines/exit", object_class=CAR, count=4)
    batch.near_misses.add(zone=SQUARE, time_to_collision=2, post_encroachment=1)
    batch.near_misses.add(zone=SQUARE, time_to_collision=1, post_encroachment=3)
    await take(parts, batch)

    assert await pool.fetchval("SELECT turned FROM flow_turns WHERE from_line = $1", GATE) == 4
    missed = await pool.fetchrow("SELECT time_to_collision, post_encroachment FROM flow_near_misses")
    assert tuple(missed) == (2, 3)


async def test_a_report_that_comes_again_changes_nothing(parts: Parts, pool: Pool) -> None:
    batch = flow_batch(recent(), crossed(3))
    await take(parts, batch, batch)
    await parts.flows.consumer.take(batch, delivery(attempt=2))

    assert await pool.fetchval("SELECT sum(left_to_right) FROM flow_minutes") == 3
    assert await pool.fetchval("SELECT analysed_seconds FROM flow_coverage") == 10.0


def _longer(batch: bus_pb2.FlowBatch) -> None:
    batch.analysed.FromSeconds(120)


def _of_another_optic(batch: bus_pb2.FlowBatch) -> None:
    batch.lines[0].line = "devices/other/optics/north/lines/gate"


def _twice(batch: bus_pb2.FlowBatch) -> None:
    batch.lines.add().CopyFrom(batch.lines[0])


def _not_a_number(batch: bus_pb2.FlowBatch) -> None:
    batch.lines[0].mean_speed = float("nan")


@pytest.mark.parametrize("spoil", [_longer, _of_another_optic, _twice, _not_a_number])
async def test_what_cannot_be_is_left_out_and_counted(
    parts: Parts, pool: Pool, spoil: Callable[[bus_pb2.FlowBatch], None]
) -> None:
    batch = flow_batch(recent(), crossed(3))
    spoil(batch)
    await take(parts, batch, flow_batch(recent() + TEN_SECONDS, crossed(1)))

    assert await pool.fetchval("SELECT sum(left_to_right) FROM flow_minutes") == 1
    assert parts.metrics.rejected.labels("flow")._value.get() == 1


async def test_counts_come_over_the_bus_once_although_they_are_published_twice(
    parts: Parts, pool: Pool, folder: Path
) -> None:
    async with EmbeddedNats(folder) as server, Bus.connect(server.url, name="test") as bus:
        await bus.wait_connected(30)
        await bus.declare(FLOWS)
        for number in range(20):
            batch = flow_batch(recent() + number * TEN_SECONDS, crossed(1))
            for copy in range(2):
                await bus.publish("argo.v1.flow.alimonda.north", batch, message_id=f"{number}/{copy}")
        task = asyncio.create_task(parts.flows.consumer.consume(bus))
        await _until(pool, reports=20)
        while parts.metrics.flow_reports.labels("duplicate")._value.get() < 20:
            await asyncio.sleep(0.02)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    assert await pool.fetchval("SELECT sum(left_to_right) FROM flow_minutes") == 20


async def _until(pool: Any, *, reports: int) -> None:
    while await count(pool, "flow_reports") < reports:
        await asyncio.sleep(0.02)
