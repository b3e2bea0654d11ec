"""Observations by day: written once however often they come, gone after seven days, kept by a hold alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from alerting import arrivals
from alerting.assembly import Parts
from alerting.domain.holds import HeldInterval
from alerting.store.database import Database
from alerting.store.erasure import ErasureStore
from alerting.store.observations import QUERIES, ObservationStore
from alerting.upkeep import HoldWatch, Upkeep
from argo.detector.v1 import bus_pb2
from argo.type.v1 import object_class_pb2 as classes
from mesh.errors import Unavailable
from mesh.postgres import Pool
from tests.integration.alerting import support
from tests.integration.alerting.support import OPTIC

WEEK = timedelta(days=7)
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
SITE = "sites/alimonda"


def at(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def track(number: int, start: datetime, seconds: float = 20.0, *, finished: bool = True) -> bus_pb2.Observation:
    return bus_pb2.Observation(
        track=number,
        object_class=classes.OBJECT_CLASS_CAR,
        start_time=at(start),
        end_time=at(start + timedelta(seconds=seconds)),
        finished=finished,
    )


async def write(
    store: ObservationStore, tracks: Iterable[bus_pb2.Observation], now: datetime, optic: str = OPTIC
) -> tuple[int, int]:
    message = bus_pb2.ObservationBatch(optic=optic, site=SITE, observations=tracks)
    written = await store.write(arrivals.observations(message, now, support.refuse), now)
    return written.kept, written.late


async def days(pool: Pool) -> list[date]:
    return [row["day"] for row in await pool.fetch(QUERIES["list_days"])]


class Registry:
    """What the registry says is held, or that it says nothing."""

    def __init__(self) -> None:
        self.held: list[HeldInterval] = []
        self.away = False

    async def read(self) -> list[HeldInterval]:
        if self.away:
            raise Unavailable("away", reason="HOLDS_UNKNOWN")
        return self.held


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def store(pool: Pool) -> ObservationStore:
    return ObservationStore(Database(pool))


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def upkeep(pool: Pool, parts: Parts, store: ObservationStore, registry: Registry, clock: Clock) -> Upkeep:
    database = Database(pool)
    watch = HoldWatch(support.hold_store(pool), registry.read, parts.metrics)
    return Upkeep(ErasureStore(database), store, watch, support.alert_store(pool), parts.records, parts.metrics, clock)


async def test_many_tracks_are_copied_and_a_redelivery_changes_nothing(pool: Pool, store: ObservationStore) -> None:
    tracks = [track(number, NOON + timedelta(seconds=number)) for number in range(1, 300)]
    assert await write(store, tracks, NOON) == (299, 0)
    before = await pool.fetch("SELECT * FROM observation_days ORDER BY start_time")

    # Some have come, some are new.
    more = [track(number, NOON + timedelta(seconds=number)) for number in range(200, 400)]
    await write(store, more, NOON)
    await write(store, tracks, NOON)

    assert await support.count(pool, "observation_days") == 399
    assert await pool.fetch("SELECT * FROM observation_days ORDER BY start_time LIMIT 299") == before


async def test_a_running_track_moves_to_its_day_when_it_ends(pool: Pool, store: ObservationStore) -> None:
    await write(store, [track(1, NOON, 5, finished=False)], NOON)
    await write(store, [track(1, NOON, 9, finished=False)], NOON)
    assert await pool.fetchval("SELECT end_time FROM running_observations") == NOON + timedelta(seconds=9)

    await write(store, [track(1, NOON, 30)], NOON)
    await write(store, [track(1, NOON, 9, finished=False)], NOON)

    assert await support.count(pool, "running_observations") == 0
    assert await pool.fetchval("SELECT end_time FROM observation_days") == NOON + timedelta(seconds=30)


async def test_a_track_whose_stream_broke_off_is_settled_and_may_still_end(pool: Pool, store: ObservationStore) -> None:
    await write(store, [track(1, NOON, 5, finished=False)], NOON)
    assert await store.settle(NOON + timedelta(minutes=14)) == 0
    assert await store.settle(NOON + timedelta(minutes=16)) == 1
    assert await pool.fetchrow("SELECT finished FROM observation_days") == (False,)
    assert await support.count(pool, "running_observations") == 0

    await write(store, [track(1, NOON, 60)], NOON)
    assert await pool.fetchrow("SELECT finished, end_time FROM observation_days") == (True, NOON + timedelta(minutes=1))


async def test_replicas_that_write_the_same_at_once_write_it_once(pool: Pool) -> None:
    tracks = [track(number, NOON + timedelta(seconds=number)) for number in range(1, 200)]
    await asyncio.gather(*(write(ObservationStore(Database(pool)), tracks, NOON) for _replica in range(4)))

    assert await support.count(pool, "observation_days") == 199
    assert await days(pool) == [NOON.date()]


async def test_what_is_over_seven_days_old_when_it_comes_is_not_kept(pool: Pool, store: ObservationStore) -> None:
    tracks = [track(1, NOON - WEEK), track(2, NOON - WEEK + timedelta(minutes=1))]
    assert await write(store, tracks, NOON) == (1, 1)
    assert await support.count(pool, "observation_days") == 1


async def test_tracks_go_one_by_one_at_seven_days_and_their_day_when_it_is_over(
    pool: Pool, store: ObservationStore, upkeep: Upkeep, clock: Clock
) -> None:
    later = NOON + timedelta(hours=11)
    await write(store, [track(1, NOON), track(3, NOON, 5, finished=False)], NOON)
    await write(store, [track(2, later)], later)

    clock.now = NOON + WEEK - timedelta(minutes=1)
    await upkeep.once()
    # Silent for long, so among the ended ones.
    assert await support.count(pool, "observation_days") == 3

    clock.now = NOON + WEEK + timedelta(microseconds=1)
    await upkeep.once()
    assert [row["track"] for row in await pool.fetch("SELECT track FROM observation_days")] == [2]
    assert NOON.date() in await days(pool)

    clock.now = NOON.replace(hour=0) + WEEK + timedelta(days=1)
    await upkeep.once()
    assert NOON.date() not in await days(pool)
    said = await pool.fetch("SELECT what FROM audit_entries WHERE act = 'erasure' ORDER BY sequence")
    assert [row["what"] for row in said] == ["observations: 2", f"observations of {NOON.date()}: 1"]


async def test_a_hold_keeps_its_optic_and_time_when_the_day_goes_and_no_longer_than_it_lasts(
    pool: Pool, store: ObservationStore, upkeep: Upkeep, clock: Clock, registry: Registry
) -> None:
    hour = timedelta(hours=1)
    other = "devices/alimonda/optics/south"
    await write(store, [track(1, NOON), track(2, NOON + 2 * hour)], NOON)
    await write(store, [track(3, NOON)], NOON, other)
    released = NOON + timedelta(days=30)
    registry.held = [HeldInterval(OPTIC, NOON, NOON + hour, released)]

    clock.now = NOON + timedelta(days=9)
    await upkeep.once()
    assert NOON.date() not in await days(pool)
    assert [row["track"] for row in await pool.fetch("SELECT track FROM held_observations")] == [1]

    clock.now = released - timedelta(minutes=1)
    await upkeep.once()
    assert await support.count(pool, "held_observations") == 1
    clock.now = released
    await upkeep.once()
    assert await support.count(pool, "held_observations") == 0
    said = await pool.fetch("SELECT what FROM audit_entries WHERE act = 'erasure' ORDER BY sequence")
    assert [row["what"] for row in said] == [f"observations of {NOON.date()}: 2", "observations that were held: 1"]


async def test_a_running_track_that_is_due_is_held_or_erased_on_record(
    pool: Pool, store: ObservationStore, upkeep: Upkeep, clock: Clock, registry: Registry
) -> None:
    await write(store, [track(1, NOON, 5, finished=False)], NOON)
    await write(store, [track(2, NOON, 5, finished=False)], NOON, "devices/alimonda/optics/south")
    registry.held = [HeldInterval(OPTIC, NOON, NOON + timedelta(seconds=1), NOON + timedelta(days=20))]

    # Nobody kept house meanwhile.
    clock.now = NOON + WEEK
    await upkeep.once()
    assert await support.count(pool, "running_observations") == 0
    assert await support.count(pool, "observation_days") == 0
    assert [row["track"] for row in await pool.fetch("SELECT track FROM held_observations")] == [1]
    said = await pool.fetch("SELECT what FROM audit_entries WHERE act = 'erasure' ORDER BY sequence")
    assert [row["what"] for row in said] == ["observations: 1"]


async def test_a_hold_keeps_the_alert_and_the_event_too(
    pool: Pool, parts: Parts, upkeep: Upkeep, clock: Clock, registry: Registry
) -> None:
    await parts.consumers.take_events(support.batch(support.event(captured=NOON)), support.delivery())
    registry.held = [HeldInterval(OPTIC, NOON, NOON + timedelta(seconds=1), NOON + timedelta(days=20))]

    clock.now = NOON + timedelta(days=19)
    await upkeep.once()
    assert [await support.count(pool, table) for table in ("alerts", "events")] == [1, 1]
    clock.now = NOON + timedelta(days=20)
    await upkeep.once()
    assert [await support.count(pool, table) for table in ("alerts", "events")] == [0, 0]


async def test_a_registry_that_is_silent_postpones_erasure_by_a_day_and_forgets_no_hold(
    pool: Pool, store: ObservationStore, upkeep: Upkeep, clock: Clock, registry: Registry
) -> None:
    await write(store, [track(1, NOON), track(2, NOON + timedelta(minutes=5))], NOON)
    registry.away = True
    clock.now = NOON + WEEK + timedelta(hours=30)
    await upkeep.once()
    assert await support.count(pool, "observation_days") == 2, "nobody ever said what is held"

    registry.away = False
    registry.held = [HeldInterval(OPTIC, NOON, NOON + timedelta(seconds=1), NOON + timedelta(days=20))]
    clock.now = NOON + timedelta(days=1)
    await upkeep.once()
    registry.away = True
    clock.now = NOON + WEEK + timedelta(hours=23)
    await upkeep.once()
    assert await support.count(pool, "observation_days") == 2
    clock.now = NOON + WEEK + timedelta(hours=25)
    await upkeep.once()
    assert await support.count(pool, "observation_days") == 0
    assert [row["track"] for row in await pool.fetch("SELECT track FROM held_observations")] == [1]


async def test_a_day_that_cannot_be_recorded_as_erased_stays(
    pool: Pool, store: ObservationStore, upkeep: Upkeep, clock: Clock
) -> None:
    await write(store, [track(1, NOON)], NOON)
    clock.now = NOON + timedelta(days=9)
    await pool.execute("REVOKE INSERT ON audit_entries FROM CURRENT_USER")
    with pytest.raises(Unavailable):
        await upkeep.once()
    assert NOON.date() in await days(pool)

    await pool.execute("GRANT INSERT ON audit_entries TO CURRENT_USER")
    await upkeep.once()
    assert NOON.date() not in await days(pool)


async def test_the_migration_takes_what_was_there_along(pool: Pool) -> None:
    old = "00.01.00_02_pre_observations_and_coverage.sql"
    text = (support.MIGRATIONS / old).read_text()
    create = text[text.index("CREATE TABLE observations") : text.index("-- The coverage ledger")]
    await pool.execute(create)
    payload = track(9, NOON).SerializeToString()
    for number, age in ((9, timedelta(days=1)), (10, timedelta(days=8))):
        start = datetime.now(UTC) - age
        await pool.execute(
            "INSERT INTO observations VALUES ($1, $2, $3, $4, 3, $3, true, $5, $6)",
            OPTIC, number, start, SITE, start + WEEK, payload,
        )  # fmt: skip
    await pool.execute((support.MIGRATIONS / "00.02.00_30_post_observation_days.sql").read_text())

    rows = await pool.fetch("SELECT o.*, optic FROM observation_days AS o JOIN observers USING (observer)")
    assert [(row["optic"], row["track"], bytes(row["payload"]), row["heading"]) for row in rows] == [
        (OPTIC, 9, payload, None)
    ]
    assert await pool.fetchval("SELECT to_regclass('observations')") is None


async def test_today_and_tomorrow_are_there_before_anything_comes(pool: Pool, upkeep: Upkeep, clock: Clock) -> None:
    clock.now = datetime.now(UTC)
    await upkeep.once()
    assert await days(pool) == [clock.now.date(), clock.now.date() + timedelta(days=1)]
