"""The records in PostgreSQL."""

from __future__ import annotations

import functools
import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from mesh.audit import Act, AuditEntry, AuditLog
from mesh.errors import Aborted, FieldViolation, InvalidArgument, NotFound
from mesh.identity import Identity
from mesh.postgres import Pool
from registry.database import borrowed, database_errors
from registry.domain.names import like_pattern
from registry.filters import Condition
from registry.records import columns, columns_read, from_record, to_row
from registry.resources import Resource
from registry.sql import QUERIES
from registry.tenancy import controller_of, visible_to

FILTER_PARAMETER = 5
"""Number of the first placeholder of a filter in the queries of lists."""


@dataclass(frozen=True)
class Author:
    """Who changes a record.

    Attributes:
        path: identity path, for example ``administrator/mrossi``.
        method: what was called, for example ``CreateSite``.
        reason: why, in the caller's words.
        approver: identity path of the second person, where there has to be one.
        case: reference of the proceeding or decision that the change belongs to, if it belongs to one.
    """

    path: str
    method: str
    reason: str
    approver: str = ""
    case: str = ""

    @property
    def controller(self) -> str:
        """``controllers/{controller}`` that the author belongs to."""
        return controller_of(self._identity)

    def sight(self, resource: Resource) -> str | None:
        """Whose records of this kind the author sees, see ``tenancy.visible_to``."""
        return visible_to(self._identity, resource.kind)

    @property
    def _identity(self) -> Identity:
        return Identity(trust_domain="", path=self.path)


@dataclass(frozen=True)
class IdempotentRequest:
    """A request that may be repeated (AIP-155).

    Attributes:
        request_id: a UUID.
        fingerprint: SHA-256 of all else that makes it what it is, 32 bytes.
    """

    request_id: uuid.UUID
    fingerprint: bytes

    @classmethod
    def of(cls, request_id: str, author: Author, request: Message) -> IdempotentRequest:
        """Makes the fingerprint of a request whose id has been checked."""
        content = request.SerializeToString(deterministic=True)
        who = f"{author.path} {author.method}\n".encode()
        return cls(uuid.UUID(request_id), hashlib.sha256(who + content).digest())


@dataclass(frozen=True)
class PageQuery:
    """Which records a page holds.

    Attributes:
        parent: name of the parent, ``-`` in place of an id for any; not used for root resources.
        sight: whose records may be seen, see ``tenancy.visible_to``.
        after: the page begins after this name; empty: at the start.
        limit: at most so many.
        condition: that they have to meet, with placeholders from ``FILTER_PARAMETER`` on.
    """

    parent: str
    sight: str | None
    after: str
    limit: int
    condition: Condition


class RecordStore:
    """Reads and writes records of every kind, with history and audit in the same transaction."""

    def __init__(self, pool: Pool, audit: AuditLog) -> None:
        """Takes a pool on the registry's migrated schema, and the audit log in the same schema."""
        self._pool = pool
        self._audit = audit
        self._page_secret = b""

    async def page_secret(self) -> bytes:
        """The key that signs page tokens; it never changes.

        Raises:
            Unavailable: PostgreSQL is away; so say all methods here.
        """
        if not self._page_secret:
            async with borrowed(self._pool) as connection:
                self._page_secret = await connection.fetchval(QUERIES["page_secret"])
        return self._page_secret

    @asynccontextmanager
    async def reading(self, connection: Any = None) -> AsyncIterator[Any]:
        """A connection for several reads; the given one if there is one already."""
        if connection is not None:
            yield connection
            return
        async with borrowed(self._pool) as own:
            yield own

    async def get(self, resource: Resource, name: str, sight: str | None, *, connection: Any = None) -> Any:
        """One record.

        Args:
            resource: the kind.
            name: of the record.
            sight: whose records may be seen, see ``tenancy.visible_to``.
            connection: of ``reading``; one of its own if none is given.

        Raises:
            NotFound: there is none of that name in sight.
        """
        async with self.reading(connection) as chosen:
            return await _fetch(chosen, "get_record", resource, name, sight)

    async def list_after(self, resource: Resource, page: PageQuery, *, connection: Any = None) -> list[Any]:
        """The records of a page, in the order of their names; ``connection`` as in ``get``."""
        parent = "" if resource.is_root else like_pattern(page.parent)
        query = _query("list_root_records" if resource.is_root else "list_records", resource)
        query = query.replace("{condition}", page.condition.sql)
        async with self.reading(connection) as chosen:
            rows = await chosen.fetch(query, page.sight, parent, page.after, page.limit, *page.condition.parameters)
        return [from_record(resource, row) for row in rows]

    async def create(
        self, resource: Resource, message: Message, author: Author, request: IdempotentRequest | None
    ) -> Any:
        """Stores a new record, or answers a repeated request as before.

        Raises:
            AlreadyExists: the name, or the address of a device, is taken.
            NotFound: the parent does not exist, or is not in the author's sight.
            FailedPrecondition: the record contradicts another one.
            InvalidArgument: the request id was used for another request.
        """
        async with self.changing(author) as connection:
            if request is not None and (answer := await repeated(connection, resource, author, request)) is not None:
                return answer
            created = await _insert(connection, resource, message, author)
            if request is not None:
                response = created.SerializeToString()
                await connection.execute(
                    QUERIES["keep_answer"], author.controller, request.request_id, request.fingerprint, response
                )
            await self.record(connection, author, created.name)
            return created

    async def update(
        self, resource: Resource, name: str, etag: str, change: Callable[[Any], Any], author: Author
    ) -> Any:
        """Changes a record.

        Args:
            resource: the kind.
            name: of the record.
            etag: what the caller believes to be current, or empty.
            change: makes the new record of the stored one; may raise, then nothing happens.
            author: who does it.

        Raises:
            NotFound: there is none of that name in the author's sight.
            Aborted: the etag is stale.
            AlreadyExists, FailedPrecondition: as in ``create``.
        """
        async with self.changing(author) as connection:
            stored = await self.lock(connection, resource, name, author)
            check_etag(stored, name, etag)
            changed = change(stored)
            if to_row(resource, changed) == to_row(resource, stored):
                return stored
            return await self.replace(connection, resource, changed, author)

    async def delete(self, resource: Resource, name: str, etag: str, author: Author) -> None:
        """Deletes a record.

        Raises:
            NotFound: there is none of that name in the author's sight.
            Aborted: the etag is stale.
            FailedPrecondition: other records depend on it.
        """
        async with self.changing(author) as connection:
            check_etag(await self.lock(connection, resource, name, author), name, etag)
            with database_errors(deleting=True):
                await connection.execute(_query("delete_record", resource), name)
            await self.record(connection, author, name)

    @asynccontextmanager
    async def changing(self, author: Author) -> AsyncIterator[Any]:
        """A transaction in which changes carry their author; writers wait for each other."""
        async with borrowed(self._pool) as connection, connection.transaction():
            await connection.execute(QUERIES["begin_change"], author.path, author.reason, author.approver)
            yield connection

    async def lock(self, connection: Any, resource: Resource, name: str, author: Author) -> Any:
        """One record, which nobody else changes until the transaction of ``changing`` ends.

        Raises:
            NotFound: there is none of that name in the author's sight.
        """
        return await _fetch(connection, "lock_record", resource, name, author.sight(resource))

    async def replace(self, connection: Any, resource: Resource, changed: Message, author: Author) -> Any:
        """Stores the new form of a record that ``lock`` has read, with audit; answers it as stored.

        Raises:
            AlreadyExists, FailedPrecondition: as in ``create``.
        """
        row = await connection.fetchrow(_query("update_record", resource), to_row(resource, changed))
        stored = from_record(resource, row)
        await self.record(connection, author, stored.name)
        return stored

    async def record(self, connection: Any, author: Author, name: str) -> None:
        """Puts a change on record, in the transaction that makes it."""
        entry = AuditEntry(act=Act.ALTERATION, who=author.path, why=author.reason, what=name, case=author.case)
        await self._audit.append(entry, connection=connection)


async def records_of_devices(connection: Any, resource: Resource, devices: Sequence[str]) -> list[Message]:
    """All records of a kind at or below the devices named, in the order of their names."""
    rows = await connection.fetch(_query("records_of_devices", resource), list(devices))
    return [from_record(resource, row) for row in rows]


@functools.cache
def _query(name: str, resource: Resource) -> str:
    return _fill(QUERIES[name], resource)


def _fill(query: str, resource: Resource) -> str:
    return (
        query.replace("{table}", resource.plural)
        .replace("{columns}", ", ".join(columns(resource)))
        .replace("{fields}", ", ".join(f"t.{column}" for column in columns_read(resource)))
        .replace("{controller}", f"t.{'_'.join(resource.owner)}" if resource.owner else QUERIES["controller_of_device"])
    )


async def _fetch(connection: Any, query: str, resource: Resource, name: str, sight: str | None) -> Any:
    row = await connection.fetchrow(_query(query, resource), name, sight)
    if row is None:
        raise NotFound(f"{name} does not exist", reason="RESOURCE_NOT_FOUND", metadata={"name": name})
    return from_record(resource, row)


async def _insert(connection: Any, resource: Resource, message: Message, author: Author) -> Any:
    if resource.is_root:
        row = await connection.fetchrow(_query("insert_root_record", resource), to_row(resource, message))
    else:
        arguments = (to_row(resource, message), author.sight(resource))
        row = await connection.fetchrow(_query("insert_record", resource), *arguments)
    if row is None:
        raise NotFound("the parent does not exist", reason="PARENT_NOT_FOUND")
    return from_record(resource, row)


async def repeated(connection: Any, resource: Resource, author: Author, request: IdempotentRequest) -> Any:
    """What a request that comes again was answered before; None: it is new.

    Raises:
        InvalidArgument: its id was used for another request.
    """
    answer = await connection.fetchrow(QUERIES["find_answer"], author.controller, request.request_id)
    if answer is None:
        return None
    if answer["fingerprint"] != request.fingerprint:
        violation = FieldViolation("request_id", "must not be used for two different requests")
        raise InvalidArgument("the request id was used before", reason="REQUEST_ID_REUSED", violations=[violation])
    return resource.message.FromString(answer["response"])


def check_etag(stored: Any, name: str, etag: str) -> None:
    """Guards against lost updates; without an etag there is nothing to guard.

    Raises:
        Aborted: it is stale.
    """
    if etag and etag != stored.etag:
        raise Aborted(f"{name} was changed meanwhile: read it again", reason="ETAG_MISMATCH", metadata={"name": name})
