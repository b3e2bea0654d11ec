"""What the tables of legal holds and of requests for cameras cannot hold, whoever writes to them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from mesh.embedded import EmbeddedPostgres
from registry.domain import placing
from registry.domain.holding import State
from tests.contract.registry.support import fresh_database, migrated_pool

# Far ahead of the database's own clock, which says when a row was made.
LATER = datetime(2100, 1, 1, tzinfo=UTC)
PAST = datetime(2000, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TIMES = ("interval_start_time", "interval_end_time", "expire_time")
TWO = ["supervisor/lbianchi", "administrator/gverdi"]
HOLD = {
    "name": "holds/x", "controller": "controllers/city", "scope": "sites/alimonda",
    "interval_start_time": LATER - 2 * DAY, "interval_end_time": LATER - DAY, "authority": "Procura",
    "act": "RGNR 1", "expire_time": LATER,
    "state": "STATE_PROPOSED", "proposer": "operator/mrossi", "approvers": None,
}  # fmt: skip
PLACEMENT = {
    "name": "placementRequests/x", "controller": "controllers/city", "requester": "comitato", "site": "sites/alimonda",
    "reason": "risse", "measures": ["MEASURE_MOBILE_CAMERA"], "state": "STATE_PROPOSED", "decision": None,
    "decision_time": None, "deployment": None,
}  # fmt: skip
DEPLOYMENT = "devices/carro-1/deployments/alimonda"
PLACES = """
INSERT INTO sites (name, display_name, location_latitude, location_longitude)
VALUES ('sites/alimonda', 'Alimonda', 45, 7), ('sites/montanaro', 'Montanaro', 45, 7);
INSERT INTO devices (name, address, view, mobility)
VALUES ('devices/carro-1', '10.0.0.1', 'VIEW_CONTEXT', 'MOBILITY_MOBILE');
INSERT INTO optics (name, main_stream_path) VALUES ('devices/carro-1/optics/nord', '/1');
INSERT INTO deployments (name, site, decision, decision_time, reason, start_time, end_time) VALUES
('devices/carro-1/deployments/alimonda', 'sites/alimonda', 'COSP 1', '2026-01-01', 'x', '2026-02-01', '2026-03-01');
INSERT INTO controllers (name, display_name, kind) VALUES ('controllers/amiat', 'Amiat', 'KIND_PRIVATE_OWNER');
"""


@pytest.fixture(scope="module")
def places(postgres_server: EmbeddedPostgres) -> str:
    """A database with two sites, a mobile device at one of them, and an optic."""

    async def build() -> str:
        dsn = await fresh_database(postgres_server)
        async with migrated_pool(dsn) as pool:
            await pool.execute(PLACES)
        return dsn

    return asyncio.run(build())


@pytest.fixture
async def connection(places: str) -> AsyncIterator[Any]:
    """What a test writes is gone after it."""
    connection = await asyncpg.connect(places, server_settings={"search_path": "registry"})
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def write(connection: Any, statement: str, values: dict[str, Any]) -> None:
    columns = ", ".join(values)
    marks = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    arguments = [json.dumps(value) if isinstance(value, list) else value for value in values.values()]
    # In a savepoint, so that a refusal does not end the test.
    async with connection.transaction():
        await connection.execute(statement.format(columns=columns, marks=marks), *arguments)


async def insert(connection: Any, table: str, row: dict[str, Any]) -> None:
    await write(connection, f"INSERT INTO {table} ({{columns}}) VALUES ({{marks}})", row)  # noqa: S608


async def update(connection: Any, table: str, **changes: Any) -> None:
    await write(connection, f"UPDATE {table} SET ({{columns}}) = ROW ({{marks}})", changes)  # noqa: S608


async def refused(writing: Any) -> str:
    """Which constraint refuses it."""
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
        await writing
    return caught.value.constraint_name or ""


async def without_guard(connection: Any, table: str) -> None:
    """As for somebody who has switched the guard off: the checks of the row itself still hold."""
    await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")


@pytest.mark.parametrize(
    "approvers",
    [
        None, [], TWO[:1], ["supervisor/lbianchi", "administrator/lbianchi"],
        ["supervisor/lbianchi", "supervisor/LBianchi"], ["supervisor/mrossi", "administrator/gverdi"],
        ["administrator/gverdi", "tenants/amiat/supervisor/mrossi"], ["supervisor/lbianchi", "operator/gverdi"],
        [*TWO, "supervisor/third"], [None, None], ["", "supervisor/lbianchi"], [[], {}],
    ],
)  # fmt: skip
async def test_no_hold_is_active_without_two_others(connection: Any, approvers: Any) -> None:
    await without_guard(connection, "holds")
    row = HOLD | {"state": "STATE_ACTIVE", "approvers": approvers}

    constraint = await refused(insert(connection, "holds", row))

    assert constraint in {"hold_has_two_approvers", "hold_approvers_differ", "hold_approvers_are_people"}
    await insert(connection, "holds", row | {"approvers": TWO})


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"state": "STATE_ACTIVE", "approvers": TWO}, "hold_stands"),
        ({"approvers": TWO[:1]}, "hold_stands"),
        ({"state": "STATE_RELEASED"}, "hold_stands"),
        ({"scope": "sites/none"}, "hold_site_exists"),
        ({"scope": "devices/carro-1/optics/none"}, "hold_optic_exists"),
        ({"scope": "devices/carro-1"}, "holds_scope_check"),
        ({"controller": "controllers/amiat"}, "hold_scope_exists"),
        ({"controller": "controllers/none"}, "hold_controller_exists"),
        ({"interval_end_time": LATER - 2 * DAY}, "hold_interval_sane"),
        ({"interval_start_time": LATER - 400 * DAY}, "hold_interval_sane"),
        ({"expire_time": LATER - 1.5 * DAY}, "hold_expiry_sane"),
        (dict(zip(TIMES, (PAST, PAST + DAY, PAST + 2 * DAY), strict=True)), "hold_expiry_sane"),
        ({"act": ""}, "holds_act_check"),
        ({"authority": ""}, "holds_authority_check"),
        ({"proposer": "operator/"}, "holds_proposer_check"),
    ],
)  # fmt: skip
async def test_what_a_hold_cannot_begin_as(connection: Any, changes: dict[str, Any], constraint: str) -> None:
    assert await refused(insert(connection, "holds", HOLD | changes)) == constraint
    await insert(connection, "holds", HOLD)


STEPS: dict[State, list[dict[str, Any]]] = {
    State.PROPOSED: [],
    State.ACTIVE: [{"state": "STATE_PROPOSED", "approvers": TWO[:1]}, {"state": "STATE_ACTIVE", "approvers": TWO}],
    State.RELEASED: [{"state": "STATE_RELEASED"}],
    State.EXPIRED: [{"state": "STATE_EXPIRED"}],
}
POSSIBLE = {
    (State.PROPOSED, State.RELEASED), (State.PROPOSED, State.EXPIRED), (State.ACTIVE, State.RELEASED),
    (State.ACTIVE, State.EXPIRED),
}  # fmt: skip


@pytest.mark.parametrize(("state", "target"), list(itertools.product(State, State)))
async def test_no_hold_leaves_its_road(connection: Any, state: State, target: State) -> None:
    await insert(connection, "holds", HOLD)
    for step in STEPS[state]:
        await update(connection, "holds", **step)

    writing = update(connection, "holds", state=f"STATE_{target.value}", update_time=LATER)

    if (state, target) in POSSIBLE:
        await writing
    else:
        # A step to an active hold takes an approval, too, and a hold that stays what it is has no step.
        assert await refused(writing) == "hold_stands"


@pytest.mark.parametrize(
    "changes",
    [
        {"approvers": TWO[1:]}, {"state": "STATE_ACTIVE", "approvers": TWO[1:]},
        {"state": "STATE_ACTIVE", "approvers": TWO[::-1]}, {"state": "STATE_RELEASED", "approvers": TWO},
        {"state": "STATE_RELEASED", "act": "RGNR 2"}, {"state": "STATE_RELEASED", "expire_time": LATER + DAY},
        {"state": "STATE_RELEASED", "scope": "sites/montanaro"},
        {"state": "STATE_RELEASED", "proposer": "operator/x"}, {"state": "STATE_RELEASED", "name": "holds/y"},
    ],
)  # fmt: skip
async def test_a_step_changes_nothing_else(connection: Any, changes: dict[str, Any]) -> None:
    await insert(connection, "holds", HOLD)
    await update(connection, "holds", state="STATE_PROPOSED", approvers=TWO[:1])

    assert await refused(update(connection, "holds", **changes)) == "hold_stands"


async def test_nothing_is_forgotten(connection: Any) -> None:
    await insert(connection, "holds", HOLD)
    await insert(connection, "placement_requests", PLACEMENT)

    assert await refused(write(connection, "DELETE FROM holds", {})) == "hold_stands"
    assert await refused(write(connection, "DELETE FROM placement_requests", {})) == "placement_stands"


# ---- requests for cameras and light ---------------------------------------------------------------------------------

DECIDED: dict[str, Any] = {"decision": "COSP 9", "decision_time": datetime(2026, 1, 15, tzinfo=UTC)}


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "STATE_DECIDED"},
        {"state": "STATE_DECIDED", "decision": "COSP 9"},
        {"state": "STATE_DECIDED", "decision_time": LATER},
        {"state": "STATE_DECIDED", **DECIDED, "decision": ""},
        {"state": "STATE_DEPLOYED", "deployment": DEPLOYMENT},
        {"state": "STATE_PROPOSED", **DECIDED},
        {"state": "STATE_ASSESSED", **DECIDED},
        {"state": "STATE_DEPLOYED", **DECIDED},
        {"state": "STATE_DECIDED", **DECIDED, "deployment": DEPLOYMENT},
        {"state": "STATE_REFUSED", "decision": "COSP 9"},
    ],
)
async def test_no_request_has_a_state_without_its_papers(connection: Any, changes: dict[str, Any]) -> None:
    await without_guard(connection, "placement_requests")

    constraint = await refused(insert(connection, "placement_requests", PLACEMENT | changes))

    assert constraint in {"placement_has_decision", "placement_has_deployment"}


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"state": "STATE_ASSESSED"}, "placement_stands"),
        ({"site": "sites/none"}, "placement_site_exists"),
        ({"controller": "controllers/amiat"}, "placement_site_exists"),
        ({"measures": []}, "placement_requests_measures_check"),
        ({"measures": ["MEASURE_DRONE"]}, "placement_requests_measures_check"),
        ({"requester": ""}, "placement_requests_requester_check"),
        ({"reason": ""}, "placement_requests_reason_check"),
    ],
)
async def test_what_a_request_cannot_begin_as(connection: Any, changes: dict[str, Any], constraint: str) -> None:
    assert await refused(insert(connection, "placement_requests", PLACEMENT | changes)) == constraint
    await insert(connection, "placement_requests", PLACEMENT)


def step(state: placing.State) -> dict[str, Any]:
    papers: dict[placing.State, dict[str, Any]] = {
        placing.State.DECIDED: DECIDED,
        placing.State.DEPLOYED: {"deployment": DEPLOYMENT},
    }
    return {"state": f"STATE_{state.value}", **papers.get(state, {})}


ROAD = [placing.State.PROPOSED, placing.State.ASSESSED, placing.State.DECIDED, placing.State.DEPLOYED]


@pytest.mark.parametrize(("state", "target"), list(itertools.product(placing.State, placing.State)))
async def test_no_request_leaves_its_road(connection: Any, state: placing.State, target: placing.State) -> None:
    await insert(connection, "placement_requests", PLACEMENT)
    road = ROAD[1 : ROAD.index(state) + 1] if state in ROAD else [placing.State.REFUSED]
    for each in road:
        await update(connection, "placement_requests", **step(each), update_time=LATER)

    writing = update(connection, "placement_requests", **step(target), update_time=LATER)

    if target in placing.TRANSITIONS[state]:
        await writing
    else:
        constraint = await refused(writing)
        assert constraint in {"placement_stands", "placement_has_deployment", "placement_deployment_exists"}


@pytest.mark.parametrize(
    ("deployment", "decided"),
    [("devices/carro-1/deployments/none", "2026-01-15"), (DEPLOYMENT, "2026-02-15")],
)
async def test_no_request_is_answered_by_another_deployment(connection: Any, deployment: str, decided: str) -> None:
    await insert(connection, "placement_requests", PLACEMENT)
    day = datetime.fromisoformat(decided).replace(tzinfo=UTC)
    await update(connection, "placement_requests", state="STATE_ASSESSED", update_time=LATER)
    await update(connection, "placement_requests", state="STATE_DECIDED", decision="COSP 9", decision_time=day)

    writing = update(connection, "placement_requests", state="STATE_DEPLOYED", deployment=deployment)

    assert await refused(writing) == "placement_deployment_exists"
