"""The process dies before and after each thing that erasure does to the store and the database, and begins anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import obstore
import pytest

from anonymizer import store as store_module
from anonymizer.database import Database
from anonymizer.domain.segments import SegmentName
from mesh.postgres import Pool
from tests.integration.anonymizer.erasing import LENGTH, MONTH, NOON, NORTH, SOUTH, World, hold, recorded

DAY = timedelta(days=1)
TABLES = "segments, data_keys, erasures, erasure_reports"


class Death(Exception):
    """The process is gone."""


class Fate:
    """Lets the process die at its n-th step; the dead do nothing any more.

    Attributes:
        steps: how many were taken.
    """

    def __init__(self, deadly: int | None = None) -> None:
        self.deadly = deadly
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.deadly is not None and self.steps >= self.deadly:
            raise Death

    async def around(self, work: Callable[[], Awaitable[Any]]) -> Any:
        self.step()
        answer = await work()
        self.step()
        return answer


class MortalDatabase(Database):
    """PostgreSQL for somebody who may die."""

    fate = Fate()

    async def fetch(self, query: str, *arguments: object) -> list[Any]:
        rows: list[Any] = await self.fate.around(lambda: super(MortalDatabase, self).fetch(query, *arguments))
        return rows

    async def execute(self, query: str, *arguments: object) -> str:
        return str(await self.fate.around(lambda: super(MortalDatabase, self).execute(query, *arguments)))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self.fate.step()
        async with super().transaction() as connection:
            yield connection
            # Dead before the commit: PostgreSQL takes it back.
            self.fate.step()
        self.fate.step()


class MortalStore:
    """obstore for somebody who may die."""

    def __init__(self) -> None:
        self.fate = Fate()

    def __getattr__(self, name: str) -> Any:
        function = getattr(obstore, name)
        if name == "list":
            return self._list
        return lambda *arguments, **options: self.fate.around(lambda: function(*arguments, **options))

    async def _list(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        self.fate.step()
        async for batch in obstore.list(*arguments, **options):
            yield batch
            self.fate.step()


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> MortalStore:
    mortal = MortalStore()
    monkeypatch.setattr(store_module, "obstore", mortal)
    return mortal


async def street(folder: Path, pool: Pool) -> tuple[World, set[SegmentName], int]:
    """A week later: what has to stay, and how many segments have to go."""
    await pool.execute(f"TRUNCATE {TABLES}")
    world = World.at(folder, MortalDatabase(pool))
    world.registry.holds = hold(SOUTH, NOON, NOON + LENGTH)
    world.now = NOON
    due = [await recorded(world, NORTH, NOON + timedelta(minutes=number)) for number in range(3)]
    due += [await recorded(world, SOUTH, NOON - DAY, timedelta(days=1)), await recorded(world, SOUTH, NOON - DAY / 2)]
    due.append(await recorded(world, NORTH, NOON - DAY, indexed=False))
    held = {
        await recorded(world, SOUTH, NOON - LENGTH / 2),
        await recorded(world, SOUTH, NOON + LENGTH / 2, indexed=False),
    }
    world.now = MONTH
    fresh = {
        await recorded(world, NORTH, MONTH - DAY),
        await recorded(world, NORTH, MONTH - DAY + LENGTH, indexed=False),
    }
    return world, held | fresh, len(due)


async def live_until_death(world: World, objects: MortalStore, fate: Fate) -> None:
    MortalDatabase.fate = objects.fate = fate
    with pytest.raises(Death):
        await world.left_at(MONTH)
    # What was under way when it died: the dead do nothing any more.
    strays = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    await asyncio.gather(*strays, return_exceptions=True)
    MortalDatabase.fate = objects.fate = Fate()


async def steps_of_a_turn(folder: Path, pool: Pool, objects: MortalStore) -> int:
    world, _, _ = await street(folder, pool)
    MortalDatabase.fate = objects.fate = fate = Fate()
    await world.left_at(MONTH)
    return fate.steps


async def test_at_whatever_step_it_dies_nothing_held_is_lost_and_nothing_due_is_left(
    tmp_path: Path, pool: Pool, objects: MortalStore
) -> None:
    steps = await steps_of_a_turn(tmp_path / "whole", pool, objects)
    wrong = {}
    for step in range(1, steps + 1):
        world, staying, due = await street(tmp_path / str(step), pool)
        await live_until_death(world, objects, Fate(step))
        world = World.at(tmp_path / str(step), world.database)
        world.registry.holds = hold(SOUTH, NOON, NOON + LENGTH)

        left = await world.left_at(MONTH + timedelta(minutes=1))
        readable = {segment for segment in left if await world.store.read(segment)}
        scopes = {scope async for _, keys in world.store.inventory() for scope in keys}
        await world.left_at(MONTH + DAY)
        erased = sum(entry["segments"] for report in await world.reported() for entry in report["erased"])

        found = SimpleNamespace(
            left=left == staying,
            readable=readable == staying,
            keys=scopes == {segment.scope for segment in staying},
            indexed=await world.indexed() == staying,
            counted=erased == due,
        )
        if not all(vars(found).values()):
            wrong[step] = found

    assert steps > 40
    assert wrong == {}
