"""Alarms: a storm of 500 events in a second, and three minutes of kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from argo.alerting.v1 import alert_service_pb2 as v1
from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceStub
from argo.registry.v1 import scene_pb2
from bench.alarm_world import AlarmWorld, alarm_world, event
from bench.results import Result
from mesh.rpc.channel import open_channel
from mesh.settings import ServiceSettings
from mesh.testing import settings_of

STORM = 500
BUDGET = 10
VISIBLE_BOUND_SECONDS = 2.0
STALL_BOUND_SECONDS = 10.0
KILLING_SECONDS = 180.0
_KILL_EVERY_SECONDS = 5.0
_EVENTS_PER_SECOND = 20
_LOOK_SECONDS = 0.1


def measure(seconds: float = KILLING_SECONDS) -> list[Result]:
    """The storm, then so many seconds of kills."""
    print(f"bench: {STORM} events in a second, then {seconds:g} s of kill -9", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder), seconds))


async def _measure(folder: Path, seconds: float) -> list[Result]:
    async with alarm_world(folder / "storm") as world:
        results = await _storm(world)
    killing = await kill_at_random(folder / "kills", seconds)
    return [*results, *killing.results()]


@dataclass
class Watching:
    """What an operator's watch has shown: alerts by name, and when the first one of high priority came."""

    alerts: dict[str, v1.Alert]
    urgent_at: float | None = None

    async def follow(self, responses: AsyncIterator[v1.WatchAlertsResponse]) -> None:
        """Takes what comes, for ever."""
        async for response in responses:
            if response.HasField("updated"):
                alert = response.updated
                self.alerts[alert.name] = alert
                if alert.priority == scene_pb2.PRIORITY_HIGH and alert.kind == v1.Alert.KIND_SINGLE:
                    self.urgent_at = self.urgent_at or time.monotonic()


async def _storm(world: AlarmWorld) -> list[Result]:
    urgent = random.Random(7).randrange(STORM // 2, STORM)
    messages = [
        event(number, scene_pb2.PRIORITY_HIGH if number == urgent else scene_pb2.PRIORITY_MEDIUM)
        for number in range(STORM)
    ]
    operator = settings_of(world.authority, "operator/rossi", ServiceSettings)
    async with open_channel(world.target, operator, peer="service/alerting") as channel:
        watching = Watching({})
        call = AlertServiceStub(channel).WatchAlerts(v1.WatchAlertsRequest(reason="benchmark"))
        task = asyncio.create_task(watching.follow(aiter(call)))
        begun = time.monotonic()
        published_at: dict[int, float] = {}

        async def publish(number: int) -> None:
            await asyncio.sleep(begun + number / STORM - time.monotonic())
            published_at[number] = time.monotonic()
            await world.publish(messages[number])

        await asyncio.gather(*(publish(number) for number in range(STORM)))
        span = time.monotonic() - begun
        stored = await _settled(world, STORM)
        while watching.urgent_at is None:
            await asyncio.sleep(_LOOK_SECONDS)
        whole = time.monotonic() - begun
        call.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return [
        *await _completeness(world, stored, span, whole),
        _visible(watching, published_at[urgent]),
        _bearable(watching),
    ]


async def _completeness(world: AlarmWorld, stored: int, span: float, whole: float) -> list[Result]:
    linked, counted = await linked_and_counted(world)
    return [
        Result(
            "storm: events that are stored, linked to one alarm, and counted there",
            f"{stored}, {linked}, {counted}",
            f"{STORM} published in {span:.2f} s; all stored after {whole:.2f} s",
            bound="all, once",
            holds=(stored, linked, counted) == (STORM, STORM, STORM),
        )
    ]


def _visible(watching: Watching, published: float) -> Result:
    seconds = (watching.urgent_at or float("inf")) - published
    return Result(
        "storm: the most urgent alarm, from its event's publication to the operator's watch",
        f"{seconds:.2f} s",
        bound=f"< {VISIBLE_BOUND_SECONDS:g} s",
        holds=seconds < VISIBLE_BOUND_SECONDS,
    )


def _bearable(watching: Watching) -> Result:
    shown = [alert for alert in watching.alerts.values() if alert.state == v1.Alert.STATE_RAISED]
    return Result(
        "storm: alarms that are shown to one operator",
        str(len(shown)),
        f"{STORM} events",
        bound=f"<= {BUDGET}",
        holds=len(shown) <= BUDGET,
    )


async def linked_and_counted(world: AlarmWorld) -> tuple[int, int]:
    """Events that belong to an alarm that stands, and the sum of what those alarms count."""
    linked = await world.pool.fetchval(
        "SELECT count(*) FROM events AS e JOIN alerts AS a USING (alert_id)"
        " WHERE NOT EXISTS (SELECT FROM alert_transitions AS t WHERE t.alert_id = a.alert_id AND t.act = 'fold')"
    )
    counted = await world.pool.fetchval(
        "SELECT coalesce(sum(event_count), 0) FROM alerts AS a"
        " WHERE NOT EXISTS (SELECT FROM alert_transitions AS t WHERE t.alert_id = a.alert_id AND t.act = 'fold')"
    )
    return int(linked), int(counted)


async def _settled(world: AlarmWorld, wanted: int) -> int:
    """Waits until so many events are stored; how many there are."""
    while True:
        with contextlib.suppress(Exception):
            stored: int = await world.pool.fetchval("SELECT count(*) FROM events")
            if stored >= wanted:
                return stored
        await asyncio.sleep(_LOOK_SECONDS)


@dataclass(frozen=True)
class Killing:
    """What came of a time of kills.

    Attributes:
        kills: how many there were.
        published: events that the stream acknowledged.
        stored: of these, how many are stored.
        linked: events that belong to one alarm that stands.
        counted: sum of what those alarms count.
        stall: the longest time from a recovery to the next event that is stored, seconds.
    """

    kills: int
    published: int
    stored: int
    linked: int
    counted: int
    stall: float

    @property
    def is_whole(self) -> bool:
        """Whether every event is an alarm's exactly once."""
        return self.published == self.stored == self.linked == self.counted

    def results(self) -> list[Result]:
        """For the table."""
        return [
            Result(
                f"{self.kills} kills: events acknowledged to the detector that are stored, linked, counted",
                f"{self.stored}, {self.linked}, {self.counted}",
                f"{self.published} acknowledged",
                bound="all, once",
                holds=self.is_whole,
            ),
            Result(
                "kills: the longest time from a recovery to the next event stored",
                f"{self.stall:.1f} s",
                bound=f"<= {STALL_BOUND_SECONDS:g} s",
                holds=self.stall <= STALL_BOUND_SECONDS,
            ),
        ]


async def kill_at_random(folder: Path, seconds: float) -> Killing:
    """Kills alerting, NATS or PostgreSQL every five seconds while events come."""
    dice = random.Random(11)
    async with alarm_world(folder) as world:
        acknowledged: list[str] = []
        stop = asyncio.Event()
        load = asyncio.create_task(_load(world, acknowledged, stop))
        kills, stall, end = 0, 0.0, time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(_KILL_EVERY_SECONDS)
            await _kill(world, dice.choice(("alerting", "nats", "postgres")))
            kills += 1
            stall = max(stall, await _until_progress(world))
        stop.set()
        await load
        await _settled(world, len(acknowledged))
        rows = await world.pool.fetch("SELECT event_id::text FROM events")
        stored = len({row["event_id"] for row in rows} & set(acknowledged))
        return Killing(kills, len(acknowledged), stored, *await linked_and_counted(world), stall)


async def _load(world: AlarmWorld, acknowledged: list[str], stop: asyncio.Event) -> None:
    number = 0
    while not stop.is_set():
        message = event(number % 200, scene_pb2.PRIORITY_LOW)
        await world.publish(message)
        acknowledged.append(message.event_id)
        number += 1
        await asyncio.sleep(1 / _EVENTS_PER_SECOND)


async def _kill(world: AlarmWorld, victim: str) -> None:
    """Kills and starts again at once, as a cluster would."""
    if victim == "alerting":
        await world.kill_alerting()
        await world.start_alerting()
        return
    server = world.nats if victim == "nats" else world.postgres
    server.kill()
    await server.start()


async def _until_progress(world: AlarmWorld) -> float:
    """Seconds from now, when everything is up again, until one more event is stored."""
    begun, before = time.monotonic(), None
    while True:
        with contextlib.suppress(Exception):
            stored = await world.pool.fetchval("SELECT count(*) FROM events")
            before = stored if before is None else before
            if stored > before:
                return time.monotonic() - begun
        await asyncio.sleep(_LOOK_SECONDS)
