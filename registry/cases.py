"""Records that people take through steps: how they are read, made and taken further, whatever the steps are.

A step is a change like any other, so the history of the registry is the only record of who took which step, when and
why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mesh.errors import FieldViolation, InvalidArgument
from mesh.identity import current_identity
from mesh.postgres import Pool, load_queries
from registry import requests, tenancy
from registry.database import borrowed, uninterrupted
from registry.listing import listing
from registry.resources import Resource
from registry.store import Author, IdempotentRequest, PageQuery, RecordStore, check_etag

QUERIES: Mapping[str, str] = load_queries("registry.sql", "cases.sql")

TIME = Author("service/registry", "Expire", "its time is over")
"""Who acts when a case ends by time; no step names it."""

Change = Callable[[Any, Any], Awaitable[Any]]
"""Makes the new record of the stored one, given the connection of the transaction; may raise, then nothing happens."""


@dataclass(frozen=True)
class NewCase:
    """A case to be made.

    Attributes:
        message: as it is to be stored.
        author: who makes it.
        repeatable: the request in which it came, if that may be repeated.
        violations: what is wrong with the request so far.
    """

    message: Any
    author: Author
    repeatable: IdempotentRequest | None
    violations: Sequence[FieldViolation]


class Cases:
    """The cases of one kind."""

    def __init__(self, resource: Resource, pool: Pool, records: RecordStore, reference: Callable[[Any], str]) -> None:
        """Takes what they are kept with.

        Args:
            resource: the kind.
            pool: on the registry's migrated schema.
            records: in the same schema.
            reference: the number of the act or decision behind a case, for the audit log.
        """
        self._resource = resource
        self._pool = pool
        self._records = records
        self._reference = reference

    async def get(self, name: str) -> Any:
        """One case.

        Raises:
            InvalidArgument: the name is not one of this kind.
            NotFound: there is none in the caller's sight.
        """
        requests.check_name("name", name, self._resource.pattern)
        sight = tenancy.visible_to(current_identity(), self._resource.kind)
        return (await self._with_steps([await self._records.get(self._resource, name, sight)]))[0]

    async def page(self, request: Any) -> tuple[list[Any], str]:
        """A page of cases with the token of the next one.

        Args:
            request: with page_size, page_token and filter.

        Raises:
            InvalidArgument: one of them is not valid.
        """
        sight = tenancy.visible_to(current_identity(), self._resource.kind)
        asked = listing(
            request,
            query=f"{self._resource.plural} seen by {sight}",
            secret=await self._records.page_secret(),
            resource=self._resource,
        )
        page = PageQuery("", sight, asked.after, asked.limit, asked.condition)
        found = await self._records.list_after(self._resource, page)
        return await self._with_steps(found[: asked.size]), asked.next_page_token(found)

    async def create(self, new: NewCase) -> Any:
        """Stores a new case, or answers a repeated request as before.

        Raises:
            InvalidArgument: with everything that is wrong with it.
            AlreadyExists, FailedPrecondition: see ``RecordStore.create``.
        """
        kind, message = self._resource.kind, new.message
        violations = [*new.violations, *tenancy.fill_owner(self._resource, message, new.author.controller)]
        if violations:
            raise InvalidArgument(f"the {kind} is not valid", reason="INVALID_RECORD", violations=violations)
        author = dataclasses.replace(new.author, case=self._reference(message))
        created = await uninterrupted(self._records.create(self._resource, message, author, new.repeatable))
        (complete,) = await self._with_steps([created])
        # A repeated request is answered as it was then, whatever has happened since.
        del complete.steps[1:]
        return complete

    async def advance(self, name: str, etag: str, author: Author, change: Change) -> Any:
        """Takes a case one step further.

        Raises:
            InvalidArgument: the name is not one of this kind, or no reason is given.
            NotFound: there is none in the author's sight.
            Aborted: the etag is stale.
        """
        requests.check_name("name", name, self._resource.pattern, requests.check_reason(author))

        async def work() -> Any:
            async with self._records.changing(author) as connection:
                stored = await self._records.lock(connection, self._resource, name, author)
                check_etag(stored, name, etag)
                changed = await change(connection, stored)
                signed = dataclasses.replace(author, case=self._reference(changed))
                return await self._records.replace(connection, self._resource, changed, signed)

        return (await self._with_steps([await uninterrupted(work())]))[0]

    async def _with_steps(self, cases: list[Any]) -> list[Any]:
        by_name = {case.name: case for case in cases}
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(QUERIES["steps"], self._resource.plural, list(by_name))
        for row in rows:
            case = by_name[row["name"]]
            actor = "" if row["author"] == TIME.path else row["author"]
            case.steps.add(state=row["state"], actor=actor, time=row["change_time"], reason=row["reason"])
        return cases


def own_fields(message: Any, names: Sequence[str]) -> Any:
    """A copy of a message with nothing in it but the fields named, which are those that a request may set."""
    copy = type(message)()
    copy.CopyFrom(message)
    for field, _ in message.ListFields():
        if field.name not in names:
            copy.ClearField(field.name)
    return copy
