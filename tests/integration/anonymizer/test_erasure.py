"""Erasure under legal holds, with a real store and a real database; what the registry says is given by the test."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from anonymizer import cli
from anonymizer.database import Database
from anonymizer.domain.holding import LONGEST_POSTPONEMENT, Holds
from anonymizer.domain.segments import SegmentName
from anonymizer.sealing import Seal
from anonymizer.store import RecordingStore, open_objects
from anonymizer.wrapping import FileWrapping
from mesh.errors import NotFound, Unavailable
from mesh.postgres import Pool
from tests.integration.anonymizer.erasing import (
    LENGTH,
    MONTH,
    NOON,
    NORTH,
    SOUTH,
    WEEK,
    World,
    files_with,
    hold,
    recorded,
)


@pytest.fixture
def world(tmp_path: Path, pool: Pool) -> World:
    return World.at(tmp_path / "recordings", Database(pool))


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
    assert [event for event in told if event != "recording.erasure_reported"] == [
        "recording.erasure_postponed", "recording.segments_erased", "recording.erasure_resumed",
    ]  # fmt: skip
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


async def test_a_key_dies_with_the_longest_term_of_its_day_not_a_week_later(world: World, tmp_path: Path) -> None:
    await recorded(world, NORTH, NOON, timedelta(hours=1))
    await recorded(world, NORTH, NOON + timedelta(hours=2), timedelta(days=2))
    midnight = datetime(2026, 11, 23, tzinfo=UTC)

    before = await world.left_at(midnight + timedelta(days=2) - timedelta(seconds=1)), files_with(".key", tmp_path)
    await world.left_at(midnight + timedelta(days=2))

    assert (before[0], len(before[1])) == (set(), 1)
    assert files_with(".key", tmp_path) == []


async def test_a_key_that_seals_what_the_index_does_not_know_stays(world: World, tmp_path: Path) -> None:
    await recorded(world, NORTH, NOON, timedelta(hours=1))
    await world.left_at(MONTH)
    late = await recorded(world, NORTH, NOON, indexed=False)
    world.registry.holds = hold(NORTH, NOON, NOON + LENGTH)

    # The same day: it was compared already, so the index learns of the late segment only tomorrow.
    assert await world.left_at(MONTH + timedelta(minutes=1)) == {late}
    assert len(files_with(".key", tmp_path)) == 1
    assert await world.left_at(MONTH + timedelta(days=1)) == {late}
    assert await world.indexed() == {late}


def replica(folder: Path) -> RecordingStore:
    """What another replica knows of the same store, a month later."""
    return RecordingStore(open_objects((folder / "recordings").as_uri()), FileWrapping(b"\1" * 32), lambda: MONTH)


async def test_what_a_hold_keeps_can_be_read_though_another_replica_erased_the_key_of_its_day(
    world: World, tmp_path: Path
) -> None:
    """A segment that waited for the store until the key that its replica knew was gone."""
    late = replica(tmp_path)
    await late.read(await recorded(world, NORTH, NOON))
    assert await world.left_at(MONTH) == set()

    held = SegmentName(NORTH, NOON + LENGTH, LENGTH, WEEK)
    await late.write(held, b"held")

    assert await replica(tmp_path).read(held) == b"held"


async def test_a_key_that_goes_while_a_held_segment_is_written_lets_it_be_written_anew(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = replica(tmp_path)
    await late.read(await recorded(world, NORTH, NOON, timedelta(hours=1)))
    held = SegmentName(NORTH, NOON + LENGTH, LENGTH, WEEK)
    close = Seal.close

    def slowly(seal: Seal, name: str, content: bytes) -> bytes:
        for key in tmp_path.rglob("*.key"):
            key.unlink()
        return close(seal, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(Seal, "close", slowly)
        with pytest.raises(Unavailable):
            await late.write(held, b"held")
    await late.write(held, b"held")

    assert await replica(tmp_path).read(held) == b"held"


async def test_a_key_that_another_replica_erased_is_forgotten_here_too(world: World, tmp_path: Path) -> None:
    segment = await recorded(world, NORTH, NOON)
    path = tmp_path / "recordings" / segment.name
    backup = path.read_bytes()
    other = World.of(replica(tmp_path), world.database)
    await other.store.read(segment)
    await world.left_at(MONTH)
    path.write_bytes(backup)

    other.now = NOON
    await other.eraser.once()

    with pytest.raises(NotFound):
        await other.store.read(segment)


async def test_what_only_the_store_knows_is_erased_too(world: World) -> None:
    unknown = await recorded(world, NORTH, NOON, indexed=False)
    assert await world.left_at(NOON + LENGTH) == {unknown}

    assert await world.left_at(MONTH) == set()
    assert await world.indexed() == set()


async def test_without_the_database_what_is_a_day_overdue_goes_all_the_same_and_is_counted_later(world: World) -> None:
    segment = await recorded(world, NORTH, NOON)
    held = await recorded(world, SOUTH, NOON)
    world.registry.holds = hold(SOUTH, NOON, NOON + LENGTH)
    working, world.database = world.database, Database()
    world.restart()

    with capture_logs() as logs:
        early = await world.left_at(segment.expires + timedelta(hours=23))
        late = await world.left_at(segment.expires + LONGEST_POSTPONEMENT)
    world.database = working
    world.restart()
    await world.left_at(MONTH)
    await world.left_at(MONTH + timedelta(days=1))

    assert (early, late) == ({segment, held}, {held})
    assert [entry["event"] for entry in logs] == ["recording.erasure_failed"]
    assert [erased["segments"] for erased in (await world.reported())[-1]["erased"]] == [1]
    assert await world.indexed() == {held}


async def test_a_clock_that_was_set_ahead_erases_nothing_before_its_time(world: World) -> None:
    segment = await recorded(world, NORTH, NOON)
    world.ahead = timedelta(days=365)

    with capture_logs() as logs:
        wrong = await world.left_at(NOON + timedelta(days=366))
        again = await world.left_at(NOON + timedelta(days=367))
    world.ahead = -timedelta(days=365)
    behind = await world.left_at(segment.expires - timedelta(seconds=1))
    world.ahead = timedelta(0)

    assert wrong == again == behind == {segment}
    assert [entry["event"] for entry in logs].count("recording.clocks_disagreed") == 1
    assert await world.left_at(segment.expires) == set()


async def test_a_capture_time_that_lies_ahead_lets_nothing_live_longer(world: World) -> None:
    await recorded(world, NORTH, NOON + timedelta(days=1000))

    assert await world.left_at(NOON + WEEK) == set()


async def test_the_daily_report_says_what_was_erased_and_what_a_hold_kept(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for minute in range(3):
        await recorded(world, NORTH, NOON + timedelta(minutes=minute))
    held = await recorded(world, SOUTH, NOON)
    world.registry.holds = hold(SOUTH, NOON, NOON + LENGTH, name="holds/one")
    await world.left_at(NOON + WEEK - timedelta(days=1))
    await world.left_at(NOON + WEEK + timedelta(hours=1))

    # Ten minutes after midnight the day is over for every replica.
    await world.left_at(datetime(2026, 11, 30, 0, 9, tzinfo=UTC))
    early = len(await world.reported())
    await world.left_at(datetime(2026, 11, 30, 0, 11, tzinfo=UTC))
    (_, _, report) = await world.reported()

    assert early == 2
    assert report == {
        "type": "argo.erasure/1",
        "period": ["2026-11-29T00:00:00.000000+00:00", "2026-11-30T00:00:00.000000+00:00"],
        "erased": [
            {
                "optic": NORTH,
                "segments": 3,
                "bytes": 3 * len(f"{NORTH} {NOON}"),
                "keys": 0,
                "captured": ["2026-11-22T12:00:00.000000+00:00", "2026-11-22T12:02:10.000000+00:00"],
            }
        ],
        "held": [
            {
                "optic": SOUTH,
                "segments": 1,
                "captured": ["2026-11-22T12:00:00.000000+00:00", "2026-11-22T12:00:10.000000+00:00"],
                "holds": ["holds/one"],
            }
        ],
        "holds_known": True,
        "software": "argo test",
    }
    assert cli.main(["verify", str(tmp_path / "recordings/reports/erasure/2026-11-29.json")]) == cli.WHOLE
    assert "argo.erasure/1" in capsys.readouterr().out
    assert {segment async for segment in world.store.segments()} == {held}


async def test_the_acts_of_erasure_and_the_report_are_on_record(world: World) -> None:
    await recorded(world, NORTH, NOON)
    await world.left_at(NOON + WEEK)
    await world.left_at(NOON + WEEK + timedelta(days=1))

    rows = await world.database.fetch("SELECT act, who, what FROM audit_entries ORDER BY sequence")

    assert {(row["act"], row["who"]) for row in rows} == {("erasure", "service/anonymizer")}
    assert "masked recordings: 1 segments of 1 optics" in [row["what"] for row in rows]
    assert [row["what"][:28] for row in rows if "report" in row["what"]] == [
        "report of erasure 2026-11-28", "report of erasure 2026-11-29",
    ]  # fmt: skip


async def test_days_without_a_process_stand_in_the_report_after_them(world: World) -> None:
    await recorded(world, NORTH, NOON)
    await world.left_at(NOON)
    await world.left_at(NOON + WEEK)
    world.restart()

    await world.left_at(MONTH)

    (_, _, last) = await world.reported()
    assert last["period"] == ["2026-11-29T00:00:00.000000+00:00", "2026-12-22T00:00:00.000000+00:00"]
    assert [erased["segments"] for erased in last["erased"]] == [1]


async def test_a_database_that_was_restored_learns_of_the_reports_from_the_store(world: World) -> None:
    await world.left_at(NOON)
    await world.database.execute("DELETE FROM erasure_reports")
    world.restart()

    await world.left_at(NOON + timedelta(minutes=1))

    assert [day for day, _ in await world.due.reports(date.min, 10)] == [date(2026, 11, 21)]
