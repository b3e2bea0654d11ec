"""PostgreSQL beside the service: masking and live view never wait for it, reading recordings does not go without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import structlog

from anonymizer import sql
from mesh import audit
from mesh.audit import AuditEntry, AuditLog, AuditRecord
from mesh.errors import StartupError, Unavailable
from mesh.postgres import UNAVAILABLE, Pool, open_pool

if TYPE_CHECKING:
    import pydantic

log = structlog.get_logger(__name__)

_RETRY_SECONDS: Final = 5.0
_REFUSED: Final[tuple[type[BaseException], ...]] = (StartupError, *UNAVAILABLE)


class Database:
    """Runs queries. Raises ``Unavailable`` (``DATABASE_UNAVAILABLE``) whenever PostgreSQL cannot be used.

    Args:
        pool: a pool that is open already; None: `keep_open` will open one.
    """

    def __init__(self, pool: Pool | None = None) -> None:
        self._pool = pool
        self._told = False

    async def keep_open(self, dsn: pydantic.SecretStr, *, migrate: bool) -> None:
        """Opens the pool and keeps it for ever; what stands in the way is said once and tried again.

        Args:
            dsn: of the role anonymizer; a secret.
            migrate: whether to run every migration before; local mode only.
        """
        while True:
            try:
                async with open_pool(dsn, schema=sql.SCHEMA) as pool:
                    await _prepare(pool, migrate=migrate)
                    self._pool, self._told = pool, False
                    await asyncio.Event().wait()
            except _REFUSED as error:
                self._tell(error)
            finally:
                self._pool = None
            await asyncio.sleep(_RETRY_SECONDS)

    async def fetch(self, query: str, *arguments: object) -> list[Any]:
        """Every row."""
        with _answering():
            rows: list[Any] = await self._open_pool().fetch(query, *arguments)
            return rows

    async def execute(self, query: str, *arguments: object) -> str:
        """What PostgreSQL says of the command, for example ``"DELETE 3"``."""
        with _answering():
            return str(await self._open_pool().execute(query, *arguments))

    async def now(self) -> datetime:
        """The time by PostgreSQL's clock, aware."""
        with _answering():
            time: datetime = await self._open_pool().fetchval("SELECT clock_timestamp()")
            return time

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """A connection inside a transaction, which is committed at the end of the block."""
        with _answering():
            async with self._open_pool().acquire() as connection, connection.transaction():
                yield connection

    def audit_log(self) -> AuditLog:
        """The audit log, as long as PostgreSQL is there."""
        return AuditLog(self._open_pool())

    async def put_on_record(self, entry: AuditEntry, *, connection: Any = None) -> AuditRecord:
        """Appends an act to the audit log, see ``AuditLog.append``.

        Raises:
            InvalidArgument: reason, actor or object are missing.
            Unavailable: it cannot be written; what was asked for must be refused.
        """
        if self._pool is None:
            raise Unavailable("the audit log cannot be written", reason="AUDIT_UNAVAILABLE")
        return await AuditLog(self._pool).append(entry, connection=connection)

    def _open_pool(self) -> Pool:
        if self._pool is None:
            raise Unavailable("the database does not answer", reason="DATABASE_UNAVAILABLE", retry_after=1.0)
        return self._pool

    def _tell(self, error: BaseException) -> None:
        if not self._told:
            remedy = error.remedy if isinstance(error, StartupError) else "bring PostgreSQL back"
            problem = error.problem if isinstance(error, StartupError) else type(error).__name__
            log.error("recording.database_refused", problem=problem, remedy=remedy)
        self._told = True


async def _prepare(pool: Pool, *, migrate: bool) -> None:
    if migrate:
        await sql.migrate(pool, "pre")
        await sql.migrate(pool, "post")
    await audit.report(pool)
    try:
        await pool.fetchval("SELECT max(expire_time) FROM segments")
    except asyncpg.UndefinedTableError:
        raise StartupError(
            "the database has no tables of the anonymizer", "run `anonymizer migrate --phase pre` first"
        ) from None


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except UNAVAILABLE as error:
        raise Unavailable("the database does not answer", reason="DATABASE_UNAVAILABLE", retry_after=1.0) from error
