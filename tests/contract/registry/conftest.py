from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mesh.embedded import EmbeddedPostgres
from tests.contract.registry.proposals import Person, acting
from tests.contract.registry.records import OPTIC, build_scene
from tests.contract.registry.support import (
    Administrator,
    Registry,
    drop_database,
    empty_database,
    fresh_database,
    quick_folder,
    running_registry,
)
from tests.unit.registry import lawful


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    with quick_folder() as folder:
        server = EmbeddedPostgres(folder)
        asyncio.run(server.start())
        yield server
        asyncio.run(server.stop())


@pytest.fixture
async def dsn(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    name = await fresh_database(postgres_server)
    yield name
    await drop_database(postgres_server, name)


@pytest.fixture
async def empty_dsn(postgres_server: EmbeddedPostgres) -> AsyncIterator[str]:
    name = await empty_database(postgres_server)
    yield name
    await drop_database(postgres_server, name)


@pytest.fixture
async def registry(dsn: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with running_registry(dsn, tmp_path) as running:
        yield running


@pytest.fixture
async def administrator(registry: Registry) -> AsyncIterator[Administrator]:
    async with registry.channel("administrator/mrossi") as channel:
        yield Administrator(channel)


@pytest.fixture
async def scene(administrator: Administrator) -> Administrator:
    """A site, a fixed device with one optic, a mobile one, and what a rule refers to."""
    await build_scene(administrator)
    return administrator


@pytest.fixture
async def rossi(registry: Registry) -> AsyncIterator[Person]:
    async with acting(registry, "administrator/mrossi") as person:
        yield person


@pytest.fixture
async def bianchi(registry: Registry) -> AsyncIterator[Person]:
    async with acting(registry, "supervisor/lbianchi") as person:
        yield person


@pytest.fixture
async def shadow(scene: Administrator) -> Administrator:
    """The scene with a rule in shadow that watches the line."""
    await scene.CreateRule(parent=OPTIC, rule_id="r", rule=lawful.rule(OPTIC))
    return scene


@pytest.fixture
async def live(shadow: Administrator, rossi: Person, bianchi: Person) -> Administrator:
    """The scene with that rule live, as two people made it."""
    await rossi.go_live("first")
    await bianchi.ApproveProposal(name=f"{OPTIC}/proposals/first")
    return shadow
