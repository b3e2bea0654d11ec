"""Four eyes in the database itself: what it refuses, whoever asks."""

from __future__ import annotations

import asyncpg
import pytest

from tests.contract.registry.proposals import Person
from tests.contract.registry.support import Administrator, Registry

SETTINGS_ALONE = """
WITH said AS (
    SELECT set_config('argo.author', 'administrator/mrossi', true), set_config('argo.approver', 'supervisor/b', true)
)
UPDATE rules SET mode = 'MODE_LIVE' FROM said
"""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rules SET mode = 'MODE_LIVE'",
        "INSERT INTO rules (name, mode, line_crossing_line) SELECT name || 'x', 'MODE_LIVE', name FROM lines",
        "UPDATE proposals SET state = 'STATE_APPROVED', decider = author, decide_time = now()",
        "UPDATE proposals SET state = 'STATE_APPROVED', decider = 'supervisor/mrossi', decide_time = now()",
        "UPDATE proposals SET state = 'STATE_APPROVED', decide_time = now()",
        'UPDATE proposals SET rule = rule || \'{"priority": "PRIORITY_HIGH"}\'',
        SETTINGS_ALONE,
    ],
)
async def test_the_database_refuses_what_one_person_does(
    registry: Registry, shadow: Administrator, rossi: Person, statement: str
) -> None:
    await rossi.go_live()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await registry.pool.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rules SET priority = 'PRIORITY_HIGH'",
        "DELETE FROM rules",
        'UPDATE lines SET polyline = \'{"points": [{"x": 0.5}, {"y": 0.5}]}\'',
        "UPDATE proposals SET state = 'STATE_PROPOSED', decide_time = NULL",
        "UPDATE proposals SET reason = 'another'",
    ],
)
async def test_the_database_refuses_changes_of_what_is_live(
    registry: Registry, live: Administrator, statement: str
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await registry.pool.execute(statement)
