"""Erasure under legal holds, with a real store; only what the registry says is given by the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import prometheus_client
import pytest
from structlog.testing import capture_logs

from anonymizer.domain.holding import LONGEST_POSTPONEMENT, HeldInterval, Holds
from anonymizer.domain.segments import SegmentName
from anonymizer.erasure import Eraser
from anonymizer.metrics import AnonymizerMetrics
from anonymizer.store import RecordingStore, open_objects
from mesh.errors import NotFound, Unavailable

NORTH, SOUTH = "devices/piazza-1/optics/north", "devices/piazza-1/optics/south"
WEEK = timedelta(days=7)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LENGTH = timedelta(seconds=10)
MONTH = NOON + timedelta(days=30)


@dataclass
class Registry:
    """What the registry says, or that it says nothing."""

    holds: Holds = field(default_factory=Holds)
    away: bool = False

    async def read(self) -> Holds:
        if self.away:
            raise Unavailable("the registry is away", reason="HOLDS_UNKNOWN")
        return self.holds


@dataclass
class World:
    store: RecordingStore
    registry: Registry
    metrics: prometheus_client.CollectorRegistry
    now: datetime = NOON
    eraser: Eraser = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.metrics = prometheus_client.CollectorRegistry()
        self.eraser = Eraser(self.store, self.registry.read, AnonymizerMetrics(self.metrics), lambda: self.now)

    async def left_at(self, now: datetime) -> set[SegmentName]:
        self.now = now
        await self.eraser.once()
        return {segment async for segment in self.store.segments()}


def files_with(word: str, folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and word in path.name]


@pytest.fixture
def world(tmp_path: Path) -> World:
    store = RecordingStore(open_objects((tmp_path / "recordings").as_uri()), b"\1" * 32)
    return World(store, Registry(), prometheus_client.CollectorRegistry())


def hold(optic: str, start: datetime, end: datetime, *, expires: datetime = NOON + timedelta(days=60)) -> Holds:
    return Holds(frozenset({HeldInterval(optic, start, end, expires)}))


async def recorded(world: World, optic: str, start: datetime, retention: timedelta = WEEK) -> SegmentName:
    segment = SegmentName(optic, start, LENGTH, retention)
    await world.store.write(segment, f"{optic} {start}".encode())
    return segment


async def test_a_hold_and_only_a_hold_stops_erasure(world: World) -> None:
    held = await recorded(world, NORTH, NOON)
    before = await recorded(world, NORTH, NOON - timedelta(minutes=1))
    after = await recorded(world, NORTH, NOON + timedelta(minutes=1))
    elsewhere = await recorded(world, SOUTH, NOON)
    world.registry.holds = hold(NORTH, NOON, NOON + LENGTH)

    assert await world.left_at(NOON + timedelta(days=1)) == {held, before, after, elsewhere}
    assert await world.left_at(MONTH) == {held}
    assert await world.store.read(held) == f"{NORTH} {NOON}".encode()
    assert world.metrics.get_sample_value("argo_anonymizer_segments_held") == 1
    assert world.metrics.get_sample_value("argo_anonymizer_segments_erased_total") == 3


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        (-20, -1, False),
        (-20, 1, True),
        (5, 6, True),
        (10, 20, True),  # its last picture was captured in that instant
        (11, 20, False),
        (-20, 0, False),  # the end does not belong to the interval
    ],
)
async def test_a_segment_is_kept_if_any_of_its_pictures_is_held(world: World, start: int, end: int, kept: bool) -> None:  # noqa: FBT001 - a table
    await recorded(world, NORTH, NOON)
    world.registry.holds = hold(NORTH, NOON + timedelta(seconds=start), NOON + timedelta(seconds=end))

    assert bool(await world.left_at(MONTH)) is kept


async def test_what_was_held_dies_with_the_hold_and_so_does_its_key(world: World, tmp_path: Path) -> None:
    segment = await recorded(world, NORTH, NOON)
    world.registry.holds = hold(NORTH, NOON, NOON + LENGTH, expires=MONTH)
    assert await world.left_at(MONTH - timedelta(seconds=1)) == {segment}

    assert await world.left_at(MONTH) == set()

    with pytest.raises(NotFound):
        await world.store.read(segment)
    assert not any(path.suffix == ".key" for path in (tmp_path / "recordings").rglob("*"))


async def test_a_shorter_term_is_held_too(world: World) -> None:
    segment = await recorded(world, NORTH, NOON, timedelta(hours=1))
    world.registry.holds = hold(NORTH, NOON, NOON + LENGTH)

    assert await world.left_at(NOON + timedelta(hours=2)) == {segment}


async def test_without_the_registry_erasure_waits_a_day_and_no_longer(world: World) -> None:
    held = await recorded(world, NORTH, NOON)
    due = await recorded(world, SOUTH, NOON)
    world.registry.holds = hold(NORTH, NOON, NOON + LENGTH)
    await world.left_at(NOON)
    world.registry.away = True

    with capture_logs() as logs:
        assert await world.left_at(due.expires + LONGEST_POSTPONEMENT - timedelta(seconds=1)) == {held, due}
        assert world.metrics.get_sample_value("argo_anonymizer_holds_known") == 0
        assert await world.left_at(due.expires + LONGEST_POSTPONEMENT) == {held}
        world.registry.away = False
        await world.left_at(MONTH)

    told = [entry["event"] for entry in logs]
    assert told == ["recording.erasure_postponed", "recording.segments_erased", "recording.erasure_resumed"]
    assert world.metrics.get_sample_value("argo_anonymizer_holds_known") == 1


async def test_a_restart_without_the_registry_knows_what_was_held(world: World) -> None:
    held = await recorded(world, NORTH, NOON)
    await recorded(world, SOUTH, NOON)
    world.registry.holds = hold(NORTH, NOON, NOON + LENGTH)
    await world.left_at(NOON)

    world.registry.away = True
    world.restart()

    assert await world.left_at(MONTH) == {held}


async def test_what_is_held_can_be_read_by_nobody_else(world: World, tmp_path: Path) -> None:
    world.registry.holds = hold(NORTH, NOON, NOON + LENGTH)
    await world.left_at(NOON)

    (kept,) = files_with("holds", tmp_path)

    assert NORTH.encode() not in kept
    assert b"intervals" not in kept


async def test_if_nobody_knows_what_is_held_nothing_is_erased(world: World) -> None:
    segment = await recorded(world, NORTH, NOON)
    world.registry.away = True

    assert await world.left_at(MONTH) == {segment}


def test_holds_survive_being_kept() -> None:
    several = hold(NORTH, NOON, NOON + LENGTH), hold(SOUTH, NOON, MONTH), hold(NORTH, NOON, MONTH)
    holds = Holds(frozenset().union(*(each.intervals for each in several)))

    assert Holds.from_json(holds.to_json()) == holds
    for content in (b"", b"{}", b"[1]", b'{"intervals": [["a"]]}', b'{"intervals": [["a", "b", "c", "d"]]}', b"\xff"):
        with pytest.raises(ValueError):
            Holds.from_json(content)
