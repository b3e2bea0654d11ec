"""The end of an entry's term: what is older than it is cut off, and the cut itself is on record."""

from __future__ import annotations

from datetime import datetime

import asyncpg
import pydantic

from mesh.audit.chain import Anchor, expiry_of
from mesh.audit.entries import Act, AuditEntry
from mesh.audit.log import AuditLog
from mesh.errors import StartupError
from mesh.postgres import load_queries, open_pool

_QUERIES = load_queries("mesh.sql", "audit.sql")


async def expire(dsn: str, *, schema: str, before: datetime, who: str, why: str) -> Anchor | None:
    """Cuts off the entries that are older, in one transaction with the entry that says so.

    Args:
        dsn: of the database's administrator (a superuser); a secret.
        schema: of the service.
        before: entries from before then go, up to the first that is not older.
        who: identity path of who does it.
        why: the reason.

    Returns:
        Number and hash of the last entry that was cut off; none: there was none.

    Raises:
        StartupError: the administrator may not do it.
    """
    async with open_pool(pydantic.SecretStr(dsn), schema=schema, max_size=2) as pool:
        try:
            async with pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_QUERIES["last_expired"], before)
                if row is None:
                    return None
                last = Anchor(row["sequence"], bytes(row["hash"]))
                entry = AuditEntry(Act.ERASURE, who, why, expiry_of(last))
                await AuditLog(pool).append(entry, connection=connection)
                await connection.execute(_QUERIES["unlock_rows"])
                await connection.execute(_QUERIES["erase_expired"], last.sequence)
                await connection.execute(_QUERIES["lock_rows"])
        except asyncpg.PostgresError as error:
            raise StartupError(
                f"the audit log of {schema} cannot be cut: {error}", "run this as a superuser of the database"
            ) from None
    return last
