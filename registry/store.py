"""The records in PostgreSQL."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from mesh.audit import Act, AuditEntry, AuditLog
from mesh.errors import Aborted, FieldViolation, InvalidArgument, NotFound
from mesh.postgres import Pool
from registry.database import borrowed, database_errors
from registry.domain.names import like_pattern
from registry.records import columns, from_row, to_row
from registry.resources import RESOURCES, Resource
from registry.sql import QUERIES


@dataclass(frozen=True)
class Author:
    """Who changes a record.

    Attributes:
        path: identity path, for example ``administrator/mrossi``.
        method: what was called, for example ``CreateSite``.
    """

    path: str
    method: str


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
        return cls(uuid.UUID(request_id), hashlib.sha256(f"{author}\n".encode() + content).digest())


class RecordStore:
    """Reads and writes records of every kind, with history and audit in the same transaction."""

    def __init__(self, pool: Pool, audit: AuditLog) -> None:
        """Takes a pool on the registry's migrated schema, and the audit log in the same schema."""
        self._pool = pool
        self._audit = audit

    async def page_secret(self) -> bytes:
        """The key that signs page tokens.

        Raises:
            Unavailable: PostgreSQL is away; so say all methods here.
        """
        async with borrowed(self._pool) as connection:
            secret: bytes = await connection.fetchval(QUERIES["page_secret"])
            return secret

    async def get(self, resource: Resource, name: str) -> Message:
        """One record.

        Raises:
            NotFound: there is none of that name.
        """
        async with borrowed(self._pool) as connection:
            return await _fetch(connection, "get_record", resource, name)

    async def list_after(self, resource: Resource, parent: str, after: str, limit: int) -> list[Message]:
        """The ``limit`` records after the name ``after``, in the order of their names.

        Args:
            resource: the kind.
            parent: name of the parent, ``-`` in place of an id for any; not used for root resources.
            after: a name, or empty.
            limit: at most so many.
        """
        async with borrowed(self._pool) as connection:
            if resource.is_root:
                rows = await connection.fetch(_query("list_root_records", resource), after, limit)
            else:
                rows = await connection.fetch(_query("list_records", resource), like_pattern(parent), after, limit)
        return [from_row(resource, row[0]) for row in rows]

    async def below_devices(self, resource: Resource, devices: Sequence[str]) -> list[Message]:
        """All records of a kind at or below the devices named."""
        async with borrowed(self._pool) as connection:
            return await records_of_devices(connection, resource, devices)

    async def create(
        self, resource: Resource, message: Message, author: Author, request: IdempotentRequest | None
    ) -> Message:
        """Stores a new record, or answers a repeated request as before.

        Raises:
            AlreadyExists: the name, or the address of a device, is taken.
            NotFound: the parent does not exist.
            FailedPrecondition: the record contradicts another one.
            InvalidArgument: the request id was used for another request.
        """
        async with self._changing(author) as connection:
            if request is not None and (answer := await _repeated(connection, resource, request)) is not None:
                return answer
            row = await connection.fetchval(_query("insert_record", resource), to_row(resource, message))
            created = from_row(resource, row)
            if request is not None:
                response = created.SerializeToString()
                await connection.execute(QUERIES["keep_answer"], request.request_id, request.fingerprint, response)
            await self._record(connection, author, _name(created))
            return created

    async def update(
        self, resource: Resource, name: str, etag: str, change: Callable[[Message], Message], author: Author
    ) -> Message:
        """Changes a record.

        Args:
            resource: the kind.
            name: of the record.
            etag: what the caller believes to be current, or empty.
            change: makes the new record of the stored one; may raise, then nothing happens.
            author: who does it.

        Raises:
            NotFound: there is none of that name.
            Aborted: the etag is stale.
            AlreadyExists, FailedPrecondition: as in ``create``.
        """
        async with self._changing(author) as connection:
            stored = await _fetch(connection, "lock_record", resource, name)
            _check_etag(stored, name, etag)
            changed = change(stored)
            if to_row(resource, changed) == to_row(resource, stored):
                return stored
            row = await connection.fetchval(_query("update_record", resource), to_row(resource, changed))
            await self._record(connection, author, name)
            return from_row(resource, row)

    async def delete(self, resource: Resource, name: str, etag: str, author: Author) -> None:
        """Deletes a record.

        Raises:
            NotFound: there is none of that name.
            Aborted: the etag is stale.
            FailedPrecondition: other records depend on it.
        """
        async with self._changing(author) as connection:
            _check_etag(await _fetch(connection, "lock_record", resource, name), name, etag)
            with database_errors(deleting=True):
                await connection.execute(_query("delete_record", resource), name)
            await self._record(connection, author, name)

    @asynccontextmanager
    async def _changing(self, author: Author) -> AsyncIterator[Any]:
        async with borrowed(self._pool) as connection, connection.transaction():
            await connection.execute(QUERIES["begin_change"], author.path)
            yield connection

    async def _record(self, connection: Any, author: Author, name: str) -> None:
        entry = AuditEntry(act=Act.ALTERATION, who=author.path, why=author.method, what=name)
        await self._audit.append(entry, connection=connection)


async def records_of_devices(connection: Any, resource: Resource, devices: Sequence[str]) -> list[Message]:
    """All records of a kind at or below the devices named, in the order of their names."""
    rows = await connection.fetch(_query("records_of_devices", resource), list(devices))
    return [from_row(resource, row[0]) for row in rows]


def _query(name: str, resource: Resource) -> str:
    return _QUERIES_OF_KIND[name, resource.kind]


def _fill(query: str, resource: Resource) -> str:
    return query.replace("{table}", resource.plural).replace("{columns}", ", ".join(columns(resource)))


def _queries_of_kinds() -> Mapping[tuple[str, str], str]:
    return {
        (name, kind): _fill(query, resource)
        for name, query in QUERIES.items()
        if "{table}" in query
        for kind, resource in RESOURCES.items()
    }


_QUERIES_OF_KIND = _queries_of_kinds()


async def _fetch(connection: Any, query: str, resource: Resource, name: str) -> Message:
    row = await connection.fetchval(_query(query, resource), name)
    if row is None:
        raise NotFound(f"{name} does not exist", reason="RESOURCE_NOT_FOUND", metadata={"name": name})
    return from_row(resource, row)


async def _repeated(connection: Any, resource: Resource, request: IdempotentRequest) -> Message | None:
    answer = await connection.fetchrow(QUERIES["find_answer"], request.request_id)
    if answer is None:
        return None
    if answer["fingerprint"] != request.fingerprint:
        violation = FieldViolation("request_id", "must not be used for two different requests")
        raise InvalidArgument("the request id was used before", reason="REQUEST_ID_REUSED", violations=[violation])
    return resource.message.FromString(answer["response"])


def _check_etag(stored: Any, name: str, etag: str) -> None:
    if etag and etag != stored.etag:
        raise Aborted(f"{name} was changed meanwhile: read it again", reason="ETAG_MISMATCH", metadata={"name": name})


def _name(message: Any) -> str:
    name: str = message.name
    return name
