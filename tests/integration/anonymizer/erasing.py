"""A store, an index and an eraser with a clock that a test sets; only what the registry says is given by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import prometheus_client
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from anonymizer.database import Database
from anonymizer.domain.holding import HeldInterval, Holds
from anonymizer.domain.segments import SegmentName
from anonymizer.erasure import Eraser, Premises
from anonymizer.erasure_index import ErasureIndex
from anonymizer.index import SegmentIndex, segment_of
from anonymizer.metrics import AnonymizerMetrics
from anonymizer.reports import ErasureReports
from anonymizer.store import RecordingStore, open_objects
from anonymizer.wrapping import FileWrapping
from mesh.errors import Unavailable
from mesh.signing import Signer, verify

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
    database: Database
    registry: Registry
    metrics: prometheus_client.CollectorRegistry
    now: datetime = NOON
    ahead: timedelta = timedelta(0)
    eraser: Eraser = field(init=False)

    def __post_init__(self) -> None:
        self.signer = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
        self.restart()

    @classmethod
    def at(cls, folder: Path, database: Database) -> World:
        store = RecordingStore(open_objects(folder.as_uri()), FileWrapping(b"\1" * 32))
        return cls.of(store, database)

    @classmethod
    def of(cls, store: RecordingStore, database: Database) -> World:
        return cls(store, database, Registry(), prometheus_client.CollectorRegistry())

    def restart(self) -> None:
        self.metrics = prometheus_client.CollectorRegistry()
        self.index, self.due = SegmentIndex(self.database), ErasureIndex(self.database)
        reports = ErasureReports(self.store, self.due, self.signer, "argo test")
        metrics = AnonymizerMetrics(self.metrics)
        premises = Premises(self.store, self.index, self.due, reports)
        self.eraser = Eraser(premises, self.registry.read, metrics, lambda: self.now, self.other_clock)

    async def other_clock(self) -> datetime:
        return self.now - self.ahead

    async def left_at(self, now: datetime) -> set[SegmentName]:
        self.now = now
        await self.eraser.once()
        return {segment async for segment in self.store.segments()}

    async def indexed(self) -> set[SegmentName]:
        rows = await self.database.fetch("SELECT * FROM segments")
        return {segment_of(row) for row in rows}

    async def reported(self) -> list[Any]:
        return [verify(await self.store.report(day)).payload for day in await self.store.report_days()]


def files_with(word: str, folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and word in path.name]


def hold(
    optic: str, start: datetime, end: datetime, *, expires: datetime = NOON + timedelta(days=60), name: str = ""
) -> Holds:
    return Holds(frozenset({HeldInterval(optic, start, end, expires, name)}))


async def recorded(
    world: World, optic: str, start: datetime, retention: timedelta = WEEK, *, indexed: bool = True
) -> SegmentName:
    segment = SegmentName(optic, start, LENGTH, retention)
    content = f"{optic} {start}".encode()
    await world.store.write(segment, content)
    if indexed:
        await world.index.add([(segment, len(content))], world.now)
    return segment
