"""The history against a model in memory: whatever is changed in whatever order, every instant is told as it was."""

from __future__ import annotations

import asyncio
import tempfile
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argo.registry.v1 import history_service_pb2 as pb
from argo.registry.v1 import history_service_pb2_grpc
from mesh.embedded import EmbeddedPostgres
from tests.contract.registry.support import Administrator, fresh_database, running_registry
from tests.unit.registry.lawful import device, line, optic, site, zone

NORD = "devices/palo-12/optics/nord"
WORDS = st.sampled_from(["uno", "due", "tre", "quattro"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["zone", "line"]), st.sampled_from(["a", "b"]), st.none() | WORDS),
        st.tuples(st.sampled_from(["optic", "device", "site", "other"]), st.just(""), WORDS),
    ),
    min_size=3,
    max_size=14,
)
Step = tuple[str, str, str | None]
PLURALS = {"zone": "zones", "line": "lines"}


@dataclass
class Street:
    """What somebody who wrote everything down would have: names people gave, by kind and id."""

    optic: str = "verso nord"
    device: str = "Palo 12"
    site: str = "Giardini Alimonda"
    zone: dict[str, str] = field(default_factory=dict)
    line: dict[str, str] = field(default_factory=dict)


async def take(administrator: Administrator, street: Street, kind: str, key: str, word: str | None) -> None:
    """Makes a step in the registry and in the model."""
    if kind == "other":
        await administrator.UpdateOptic(optic=optic(name="devices/palo-12/optics/sud", display_name=word))
    elif kind in PLURALS:
        await _draw(administrator, getattr(street, kind), kind, key, word)
    else:
        setattr(street, kind, word)
        name = {"optic": NORD, "device": "devices/palo-12", "site": "sites/alimonda"}[kind]
        record = {"optic": optic, "device": device, "site": site}[kind](name=name, display_name=word)
        await getattr(administrator, f"Update{kind.capitalize()}")(**{kind: record})


async def _draw(administrator: Administrator, drawn: dict[str, str], kind: str, key: str, word: str | None) -> None:
    name, make = f"{NORD}/{PLURALS[kind]}/{key}", {"zone": zone, "line": line}[kind]
    if word is None:
        if drawn.pop(key, None) is not None:
            await getattr(administrator, f"Delete{kind.capitalize()}")(name=name)
    elif key in drawn:
        drawn[key] = word
        await getattr(administrator, f"Update{kind.capitalize()}")(**{kind: make(name=name, display_name=word)})
    else:
        drawn[key] = word
        arguments: dict[str, Any] = {f"{kind}_id": key, kind: make(display_name=word)}
        await getattr(administrator, f"Create{kind.capitalize()}")(parent=NORD, **arguments)


def told(record: pb.OpticRecord) -> Street:
    return Street(
        optic=record.optic.display_name,
        device=record.device.display_name,
        site=record.site.display_name,
        zone={each.name.rpartition("/")[2]: each.display_name for each in record.zones},
        line={each.name.rpartition("/")[2]: each.display_name for each in record.lines},
    )


async def scenario(postgres: EmbeddedPostgres, steps: list[Step]) -> None:
    dsn = await fresh_database(postgres)
    with tempfile.TemporaryDirectory() as folder:
        async with running_registry(dsn, Path(folder)) as registry, registry.channel("administrator/mrossi") as channel:
            administrator, street = Administrator(channel), Street()
            await administrator.build(optics=("nord", "sud"))
            past: list[tuple[int, datetime, Street]] = []
            for step in steps:
                await take(administrator, street, *step)
                past.append((*await _position(registry.pool), deepcopy(street)))
            historian: Any = history_service_pb2_grpc.HistoryServiceStub(channel)
            for sequence, time, expected in past:
                by_version = await historian.GetOpticRecord(pb.GetOpticRecordRequest(name=NORD, version=sequence))
                asked: dict[str, Any] = {"name": NORD, "time": time}
                by_time = await historian.GetOpticRecord(pb.GetOpticRecordRequest(**asked))
                assert told(by_version) == told(by_time) == expected
                assert by_version.version <= sequence


async def _position(pool: asyncpg.Pool) -> tuple[int, datetime]:
    row = await pool.fetchrow("SELECT sequence, clock_timestamp() AS now FROM change_clock")
    return row["sequence"], row["now"]


@given(steps=STEPS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_instant_is_told_as_it_was(
    steps: list[tuple[str, str, str | None]], postgres_server: EmbeddedPostgres
) -> None:
    asyncio.run(scenario(postgres_server, steps))
