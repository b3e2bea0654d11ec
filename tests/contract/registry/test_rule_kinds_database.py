"""What the database refuses of rules, kind by kind, whoever asks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from mesh.embedded import EmbeddedPostgres
from mesh.postgres import Pool
from registry.domain.rule_kinds import RULE_KINDS, Reach
from registry.records import columns, to_row
from registry.resources import RESOURCES
from tests.contract.registry.support import fresh_database, migrated_pool
from tests.unit.registry import lawful

pytestmark = pytest.mark.asyncio(loop_scope="module")

Wrong = asyncpg.IntegrityConstraintViolationError
OPTIC = "devices/d/optics/o"
_CORNERS = '{"points": [{"x": 0.1}, {"x": 0.2}, {"x": 0.2, "y": 0.2}]}'
_POINTS = json.dumps([{"image": {}, "ground": {}}] * 4)
SCENE = f"""
INSERT INTO sites (name, display_name, location_latitude, location_longitude) VALUES ('sites/a', 'A', 45, 7);
INSERT INTO devices (name, site, address, view, mobility)
    VALUES ('devices/d', 'sites/a', '10.0.0.1', 'VIEW_CONTEXT', 'MOBILITY_FIXED');
INSERT INTO optics (name, main_stream_path, calibration_points)
    VALUES ('{OPTIC}', '/1', '{_POINTS}'), ('devices/d/optics/other', '/2', NULL);
INSERT INTO zones (name, polygon, kind)
    SELECT o.name || '/zones/giochi', '{_CORNERS}', 'KIND_CARRIAGEWAY' FROM optics AS o;
INSERT INTO lines (name, polyline) SELECT o.name || '/lines/varco', '{_CORNERS}' FROM optics AS o;
INSERT INTO lanes (name, polygon, course) SELECT o.name || '/lanes/corsia', '{_CORNERS}', '{_CORNERS}' FROM optics AS o;
"""  # noqa: S608
each_kind = pytest.mark.parametrize("kind", lawful.RULE_KINDS)
LIVE_KINDS = [kind for kind, known in RULE_KINDS.items() if known.reach is Reach.ALERTS]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool(postgres_server: EmbeddedPostgres) -> AsyncIterator[Pool]:
    async with migrated_pool(await fresh_database(postgres_server)) as pool:
        await pool.execute(SCENE)
        yield pool


@contextlib.asynccontextmanager
async def undone(pool: Pool) -> AsyncIterator[Any]:
    """A connection on which whatever is done is undone."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            yield connection
        finally:
            await transaction.rollback()


def row_of(kind: str, optic: str = OPTIC, **changes: Any) -> dict[str, Any]:
    rule = lawful.rule_of(kind, optic, name=f"{optic}/rules/r")
    return {**json.loads(to_row(RESOURCES["rule"], rule)), **changes}


async def store(connection: Any, row: dict[str, Any]) -> None:
    fields = ", ".join(("name", *columns(RESOURCES["rule"])))
    await connection.execute(
        f"INSERT INTO rules ({fields}) SELECT {fields} FROM jsonb_populate_record(NULL::rules, $1)",  # noqa: S608
        json.dumps(row),
    )


def place_of(row: dict[str, Any], kind: str, name: str | None) -> dict[str, Any]:
    """The row, watching something else."""
    place = RULE_KINDS[kind].place
    if kind in row:
        rest = {key: value for key, value in row[kind].items() if key != place}
        return row | {kind: rest | ({} if name is None else {place: name})}
    return row | {f"{kind}_{place}": name}


@each_kind
async def test_a_lawful_rule_is_kept_with_what_it_watches(pool: Pool, kind: str) -> None:
    place = RULE_KINDS[kind].place
    async with undone(pool) as connection:
        await store(connection, row_of(kind))
        kept = await connection.fetchrow("SELECT watched_zone, watched_line, watched_lane FROM rules")

    expected = dict.fromkeys(("watched_zone", "watched_line", "watched_lane"))
    assert dict(kept) == expected | {f"watched_{place}": f"{OPTIC}/{place}s/{lawful.PLACES[place]}"}


@each_kind
@pytest.mark.parametrize("watched", [None, f"{OPTIC}/{{}}s/none", "devices/d/optics/other/{}s/{}"])
async def test_what_a_rule_watches_is_there_and_of_its_optic(pool: Pool, kind: str, watched: str | None) -> None:
    place = RULE_KINDS[kind].place
    name = None if watched is None else watched.format(place, lawful.PLACES[place])
    async with undone(pool) as connection:
        with pytest.raises(Wrong):
            await store(connection, place_of(row_of(kind), kind, name))


@each_kind
async def test_what_a_rule_watches_cannot_go_away(pool: Pool, kind: str) -> None:
    place = RULE_KINDS[kind].place
    async with undone(pool) as connection:
        await store(connection, row_of(kind))
        with pytest.raises(Wrong):
            await connection.execute(f"DELETE FROM {place}s WHERE parent = $1", OPTIC)  # noqa: S608


@each_kind
async def test_a_rule_is_of_one_kind(pool: Pool, kind: str) -> None:
    other = "near_miss" if kind != "near_miss" else "flooding"
    async with undone(pool) as connection:
        with pytest.raises(Wrong):
            await store(connection, row_of(other) | row_of(kind))


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, known in RULE_KINDS.items() for field in known.bounds]
)
async def test_no_number_is_negative(pool: Pool, kind: str, field: str) -> None:
    row = row_of(kind)
    wrong = {kind: row[kind] | {field: -0.5}} if kind in row else {f"{kind}_{field}": -0.5}
    async with undone(pool) as connection:
        with pytest.raises(Wrong):
            await store(connection, row | wrong)


@each_kind
async def test_what_never_goes_live_cannot_be_live(pool: Pool, kind: str) -> None:
    async with undone(pool) as connection:
        # Without the guards of the second person, which would refuse it first.
        await connection.execute("SET LOCAL session_replication_role = replica")
        if RULE_KINDS[kind].reach is Reach.ALERTS:
            await store(connection, row_of(kind, mode="MODE_LIVE"))
        else:
            with pytest.raises(asyncpg.CheckViolationError, match="rule_never_live"):
                await store(connection, row_of(kind, mode="MODE_LIVE"))


@pytest.mark.parametrize("kind", LIVE_KINDS)
async def test_what_measures_in_metres_and_nothing_else_is_live_only_on_a_calibrated_optic(
    pool: Pool, kind: str
) -> None:
    async with undone(pool) as connection:
        await connection.execute("ALTER TABLE rules DISABLE TRIGGER guard_live_rule")
        await store(connection, row_of(kind, "devices/d/optics/other"))
        await store(connection, row_of(kind, mode="MODE_LIVE"))
        for statement in (
            "UPDATE rules SET mode = 'MODE_LIVE' WHERE parent = 'devices/d/optics/other'",
            "UPDATE optics SET calibration_points = NULL WHERE name = 'devices/d/optics/o'",
        ):
            with _refused_for_calibration(needed=RULE_KINDS[kind].needs_calibration):
                async with connection.transaction():
                    await connection.execute(statement)
        await connection.execute("UPDATE rules SET mode = 'MODE_SHADOW'")
        await connection.execute("UPDATE optics SET calibration_points = NULL")


def _refused_for_calibration(*, needed: bool) -> contextlib.AbstractContextManager[Any]:
    if not needed:
        return contextlib.nullcontext()
    return pytest.raises(asyncpg.ForeignKeyViolationError, match="rule_calibration_exists")


@pytest.mark.parametrize("kind", ["KIND_WALKWAY", None])
async def test_a_zone_where_pedestrians_are_watched_stays_a_carriageway(pool: Pool, kind: str | None) -> None:
    async with undone(pool) as connection:
        await store(connection, row_of("pedestrian_on_carriageway"))
        with pytest.raises(asyncpg.ForeignKeyViolationError, match="rule_zone_is_carriageway"):
            await connection.execute("UPDATE zones SET kind = $1 WHERE parent = $2", kind, OPTIC)


@pytest.mark.parametrize("kind", LIVE_KINDS)
async def test_nobody_changes_what_a_live_rule_watches_alone(pool: Pool, kind: str) -> None:
    place = RULE_KINDS[kind].place
    shape = "polyline" if place == "line" else "polygon"
    async with undone(pool) as connection:
        await connection.execute("ALTER TABLE rules DISABLE TRIGGER guard_live_rule")
        await store(connection, row_of(kind, mode="MODE_LIVE"))
        await connection.execute("ALTER TABLE rules ENABLE TRIGGER guard_live_rule")
        moved = f"UPDATE {place}s SET {shape} = replace({shape}::text, '0.1', '0.15')::jsonb WHERE parent = '{OPTIC}'"  # noqa: S608
        for statement in (moved, "UPDATE rules SET priority = 'PRIORITY_HIGH'", "DELETE FROM rules"):
            with pytest.raises(asyncpg.CheckViolationError, match="second person"):
                async with connection.transaction():
                    await connection.execute(statement)
        # A name is for people, and changes nothing of what is watched.
        await connection.execute("UPDATE rules SET display_name = 'altro'")
