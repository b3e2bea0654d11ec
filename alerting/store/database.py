"""The pool, with its failures in the words of the mesh."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from mesh.errors import Unavailable
from mesh.postgres import UNAVAILABLE, Pool


class Database:
    """Runs queries. Raises ``Unavailable`` (``DATABASE_UNAVAILABLE``) when PostgreSQL cannot be used now."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def fetch(self, query: str, *arguments: object) -> list[Any]:
        """Every row."""
        with answering():
            rows: list[Any] = await self.pool.fetch(query, *arguments)
            return rows

    async def fetchrow(self, query: str, *arguments: object) -> Any:
        """The first row, or none."""
        with answering():
            return await self.pool.fetchrow(query, *arguments)

    async def execute(self, query: str, *arguments: object) -> str:
        """What PostgreSQL says of the command, for example ``"DELETE 3"``."""
        with answering():
            return str(await self.pool.execute(query, *arguments))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """A connection inside a transaction, which is committed at the end of the block."""
        with answering():
            async with self.pool.acquire() as connection, connection.transaction():
                yield connection


@contextmanager
def answering() -> Iterator[None]:
    """Turns the failures of a database that is away into ``Unavailable``."""
    try:
        yield
    except UNAVAILABLE as error:
        raise Unavailable("the database does not answer", reason="DATABASE_UNAVAILABLE", retry_after=1.0) from error
