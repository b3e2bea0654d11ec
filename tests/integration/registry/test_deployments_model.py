"""Deployments as PostgreSQL lets them be stored, against a model that counts the hours one by one.

Whatever is made, changed and deleted in whatever order: at every instant a mobile device is admitted exactly if one
deployment covers it, and never do two.
"""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import asyncpg
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.embedded import EmbeddedPostgres
from mesh.postgres import Pool
from registry import admissions
from registry.domain.admission import Admitted
from registry.sql import QUERIES
from tests.contract.registry.support import NETWORKS, fresh_database, migrated_pool

START = datetime(2026, 11, 1, tzinfo=UTC)
HORIZON = 12
SITES = ("sites/alimonda", "sites/montale")
INSERT = """
INSERT INTO deployments (name, site, decision, decision_time, reason, start_time, end_time)
VALUES ($1, $2, $3, now(), 'x', $4, $5)
"""
UPDATE = "UPDATE deployments SET site = $2, decision = $3, start_time = $4, end_time = $5 WHERE name = $1"
DELETE = "DELETE FROM deployments WHERE name = $1"

Stay = tuple[str, int, int]
"""Site, and the hours from and until which it lasts."""

acts = st.tuples(
    st.sampled_from(("make", "change", "delete")),
    st.integers(0, 3),
    st.sampled_from(SITES),
    st.integers(0, HORIZON),
    st.integers(0, HORIZON),
)


def at(hour: float) -> datetime:
    return START + timedelta(hours=hour)


class Plan:
    """The deployments of one device, in PostgreSQL and in the model."""

    def __init__(self, pool: Pool, device: str) -> None:
        self._pool = pool
        self._device = device
        self._decisions = itertools.count()
        self.stays: dict[str, Stay] = {}

    async def act(self, act: str, number: int, stay: Stay) -> None:
        name = f"{self._device}/deployments/d{number}"
        if act == "delete":
            await self._pool.execute(DELETE, name)
            self.stays.pop(name, None)
            return
        if (act == "make") == (name in self.stays):
            return
        allowed = self._allows(name, stay)
        try:
            arguments = (name, stay[0], f"COSP {next(self._decisions)}", at(stay[1]), at(stay[2]))
            await self._pool.execute(INSERT if act == "make" else UPDATE, *arguments)
        # An interval whose end lies before its start is none at all.
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
            assert not allowed, f"{act} of {stay} beside {self.stays} was refused"
        else:
            assert allowed, f"{act} of {stay} beside {self.stays} was stored"
            self.stays[name] = stay

    def _allows(self, name: str, stay: Stay) -> bool:
        hours = set(range(stay[1], stay[2]))
        others = (range(first, last) for other, (_, first, last) in self.stays.items() if other != name)
        return bool(hours) and not any(hours.intersection(other) for other in others)

    async def check(self) -> None:
        gate = admissions.gates(await self._pool.fetch(QUERIES["gate_of_devices"], [self._device]))[self._device]
        for half_hours in range(-1, 2 * HORIZON + 2):
            hour = half_hours / 2
            covering = [site for site, first, last in self.stays.values() if first <= hour < last]
            decision = gate.decide(at(hour), NETWORKS)
            assert len(covering) <= 1
            assert (decision.site, isinstance(decision, Admitted)) == (covering[0] if covering else "", bool(covering))


async def prepare(pool: Pool, number: int) -> str:
    """A lawful mobile device that has not been placed."""
    device = f"devices/carro-{number}"
    await pool.execute(
        "INSERT INTO devices (name, address, view, mobility, legal_basis_purpose, legal_basis_dpia_reference, "
        "legal_basis_sign_reference) VALUES ($1, $2, 'VIEW_HYBRID', 'MOBILITY_MOBILE', 'PURPOSE_EVENTS', 'D', 'S')",
        device,
        f"10.1.{number // 256}.{number % 256}",
    )
    return device


def test_deployments_never_overlap_and_cover_exactly_what_is_admitted(postgres_server: EmbeddedPostgres) -> None:
    with asyncio.Runner() as runner:
        dsn = runner.run(fresh_database(postgres_server))
        numbers = itertools.count(1)

        @settings(max_examples=30, deadline=None)
        @given(st.lists(acts, max_size=14))
        def check(planned: list[tuple[str, int, str, int, int]]) -> None:
            async def play() -> None:
                async with migrated_pool(dsn) as pool:
                    await pool.execute(
                        "INSERT INTO sites (name, display_name, location_latitude, location_longitude) "
                        "SELECT name, 'x', 45, 7 FROM unnest($1::text[]) AS name ON CONFLICT DO NOTHING",
                        list(SITES),
                    )
                    plan = Plan(pool, await prepare(pool, next(numbers)))
                    for act, number, site, first, last in planned:
                        await plan.act(act, number, (site, first, last))
                    await plan.check()

            runner.run(play())

        check()
