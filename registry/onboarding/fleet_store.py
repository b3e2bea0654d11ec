"""Whole fleets in PostgreSQL: many records in one statement, with history and audit as for single ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from argo.registry.v1 import site_pb2
from mesh.errors import AlreadyExists, FailedPrecondition, NotFound
from mesh.postgres import Pool, load_queries
from registry.database import borrowed, database_errors
from registry.domain.names import ancestor
from registry.onboarding.planning import Plan, Stored, plan
from registry.onboarding.rows import KINDS, Problem, Row
from registry.records import columns, from_row, to_row
from registry.resources import RESOURCES, Resource
from registry.store import Author, RecordStore

_BELOW_DEVICES = ("optic", "deployment")


_REFUSED = (AlreadyExists, FailedPrecondition, NotFound)


@dataclass(frozen=True)
class Outcome:
    """What became of an import.

    Attributes:
        problems: all of them, in the order of the rows.
        stored: whether anything was.
        created: how many records were made, or would be.
        updated: how many were changed, or would be.
        unchanged: how many are as they were.
    """

    problems: tuple[Problem, ...]
    stored: bool
    created: int
    updated: int
    unchanged: int


@dataclass
class _Written:
    problems: list[Problem]
    created: list[Row] = field(default_factory=list)
    updated: list[Row] = field(default_factory=list)


class FleetStore:
    """Imports and exports the records of one controller at a time."""

    def __init__(self, pool: Pool, records: RecordStore) -> None:
        """Takes a pool on the registry's migrated schema, and the store of single records."""
        self._pool = pool
        self._records = records

    async def store(
        self, rows: list[Row], problems: list[Problem], author: Author, *, partial: bool, validate_only: bool
    ) -> Outcome:
        """Stores the rows in one transaction.

        Args:
            rows: valid in themselves.
            problems: of all other rows.
            author: who imports, and why.
            partial: whether to store the valid rows although others are not.
            validate_only: do all of it, and then undo it.

        Raises:
            Unavailable: PostgreSQL is away.
            FailedPrecondition: what is left without the rows that were refused contradicts itself.
        """
        async with self._records.changing(author) as connection:
            decided = await _plan(connection, rows, problems, author)
            writing = connection.transaction()
            await writing.start()
            await connection.execute(_QUERIES["judge_at_end"])
            written = _Written(sorted(decided.problems))
            for kind in KINDS:
                written.updated += await _write(connection, "update_records", decided.updated.get(kind, ()), written)
                written.created += await _write(connection, "insert_records", decided.created.get(kind, ()), written)
            with database_errors():
                await connection.execute(_QUERIES["judge_now"])
            kept = not validate_only and (partial or not written.problems)
            if kept:
                for row in (*written.updated, *written.created):
                    await self._records.record(connection, author, row.name)
                await writing.commit()
            else:
                await writing.rollback()
            changed = bool(written.created or written.updated)
            counts = len(written.created), len(written.updated), decided.unchanged
            return Outcome(tuple(sorted(written.problems)), kept and changed, *counts)

    async def export(self, controller: str, *, with_controllers: bool) -> AsyncIterator[tuple[str, list[Any]]]:
        """The records of a controller as of one instant, kind by kind, in an order in which they can be imported.

        Args:
            controller: whose records.
            with_controllers: the list of controllers as well, for those who keep it.
        """
        async with self._reading() as connection:
            found = []
            for kind in KINDS if with_controllers else KINDS[1:]:
                arguments = () if kind == "controller" else (controller,)
                rows = await connection.fetch(_QUERIES[f"export_{RESOURCES[kind].plural}"], *arguments)
                found.append((kind, [row[0] for row in rows]))
        # The transaction is over: a slow caller holds nothing open.
        for kind, rows in found:
            for start in range(0, len(rows), _EXPORTED_AT_ONCE):
                batch = rows[start : start + _EXPORTED_AT_ONCE]
                yield kind, await asyncio.to_thread(_records, RESOURCES[kind], batch)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Any]:
        async with (
            borrowed(self._pool) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


_EXPORTED_AT_ONCE = 200


async def _write(connection: Any, query: str, rows: Sequence[Row], written: _Written) -> Sequence[Row]:
    """Writes rows of one kind in one statement; if the database refuses, one by one to learn which.

    Returns:
        The rows that were written.
    """
    if not rows:
        return ()
    try:
        await _execute(connection, query, rows)
    except _REFUSED:
        return [row for row in rows if await _accepted(connection, query, row, written)]
    return rows


async def _accepted(connection: Any, query: str, row: Row, written: _Written) -> bool:
    try:
        await _execute(connection, query, [row])
    except _REFUSED as error:
        written.problems.append(row.problem("", str(error)))
        return False
    return True


async def _execute(connection: Any, query: str, rows: Sequence[Row]) -> None:
    resource = rows[0].resource
    content = await asyncio.to_thread(_as_json, resource, rows)
    with database_errors():
        async with connection.transaction():
            await connection.execute(_QUERIES_OF_KIND[query, resource.kind], content)


async def _plan(connection: Any, rows: list[Row], problems: list[Problem], author: Author) -> Plan:
    stored = await _stored(connection, rows, author)
    # Ten thousand rows take seconds: the leases' streams must not wait for them.
    return await asyncio.to_thread(plan, rows, problems, stored)


async def _stored(connection: Any, rows: list[Row], author: Author) -> Stored:
    names = _names(rows)
    addresses = [row.record.address for row in rows if row.resource.kind == "device"]
    holders = {row["address"]: row["name"] for row in await connection.fetch(_QUERIES["devices_at"], addresses)}
    names["device"].update(holders.values())
    visible: dict[str, Any] = {}
    taken: set[str] = set()
    for kind in ("controller", "site", "device"):
        resource = RESOURCES[kind]
        for record in await _fetch(connection, "records_named", resource, names.get(kind, ())):
            if author.sight(resource) in (None, reduce(getattr, resource.owner, record)):
                visible[record.name] = record
            else:
                taken.add(record.name)
    devices = [name for name, record in visible.items() if isinstance(record, site_pb2.Device)]
    for kind in _BELOW_DEVICES:
        for record in await _fetch(connection, "records_below", RESOURCES[kind], devices):
            visible[record.name] = record
    return Stored(visible, frozenset(taken), holders)


def _names(rows: Iterable[Row]) -> Mapping[str, set[str]]:
    """The names of all controllers, sites and devices that the rows hold or refer to, by kind."""
    names: dict[str, set[str]] = {"controller": set(), "site": set(), "device": set()}
    for row in rows:
        if row.resource.kind in _BELOW_DEVICES:
            names["device"].add(ancestor(row.name, 1))
        else:
            names[row.resource.kind].add(row.name)
        if isinstance(row.record, site_pb2.Device | site_pb2.Deployment) and row.record.site:
            names["site"].add(row.record.site)
    return names


async def _fetch(connection: Any, query: str, resource: Resource, names: Iterable[str]) -> list[Any]:
    rows = await connection.fetch(_QUERIES_OF_KIND[query, resource.kind], list(names))
    return await asyncio.to_thread(_records, resource, [row[0] for row in rows])


def _records(resource: Resource, rows: Iterable[str]) -> list[Any]:
    return [from_row(resource, row) for row in rows]


def _as_json(resource: Resource, rows: Iterable[Row]) -> str:
    return f"[{','.join(to_row(resource, row.record) for row in rows)}]"


def _fill(query: str, resource: Resource) -> str:
    written = columns(resource)
    return (
        query.replace("{table}", resource.plural)
        .replace("{columns}", ", ".join(written))
        .replace("{new_columns}", ", ".join(f"new.{column}" for column in written))
    )


_QUERIES = load_queries("registry.sql", "onboarding.sql")
_QUERIES_OF_KIND = {
    (name, kind): _fill(query, RESOURCES[kind])
    for name, query in _QUERIES.items()
    if "{table}" in query
    for kind in KINDS
}
