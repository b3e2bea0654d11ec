"""Watches of the optics: a snapshot, then every change, with bookmarks; bounded for each watcher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

from argo.registry.v1 import registry_service_pb2
from mesh.errors import ArgoError, OutOfRange, ResourceExhausted, Unavailable
from mesh.postgres import Pool
from registry.database import borrowed
from registry.domain import paging
from registry.domain.names import ancestor
from registry.fleet import Delta, Fleet
from registry.sql import QUERIES

_LARGEST_BATCH = 64

Request = registry_service_pb2.WatchOpticsRequest
Response = registry_service_pb2.WatchOpticsResponse


class _Watcher:
    """One watch: changes that wait for it, and why it ends."""

    def __init__(self, buffer: int) -> None:
        self._waiting: asyncio.Queue[Delta] = asyncio.Queue(buffer)
        self._end: ArgoError | None = None
        self._ended = asyncio.Event()

    def offer(self, delta: Delta) -> None:
        try:
            self._waiting.put_nowait(delta)
        except asyncio.QueueFull:
            self.end(ResourceExhausted("this watch reads too slowly: resume it", reason="WATCHER_TOO_SLOW"))

    def end(self, error: ArgoError) -> None:
        self._end = self._end or error
        self._ended.set()

    async def next(self, patience: float) -> Delta | None:
        """The next change; None if there is none for ``patience`` seconds."""
        waiting = asyncio.ensure_future(self._waiting.get())
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({waiting, ended}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if self._end is not None:
                raise self._end
            return waiting.result() if waiting.done() else None
        finally:
            waiting.cancel()
            ended.cancel()


class OpticWatch:
    """Hands the changes of the fleet to all who watch it."""

    def __init__(self, pool: Pool, fleet: Fleet, *, buffer: int, bookmark_seconds: float, resume_changes: int) -> None:
        """Takes the fleet that somebody else refreshes.

        Args:
            pool: for the changes that a resumed watch has missed.
            fleet: as last read.
            buffer: how many refreshes may wait for a watcher before it is cut.
            bookmark_seconds: how often a quiet watch gets a bookmark.
            resume_changes: how many changes back a watch may resume.
        """
        self._pool = pool
        self._fleet = fleet
        self._buffer = buffer
        self._bookmark_seconds = bookmark_seconds
        self._resume_changes = resume_changes
        self._watchers: set[_Watcher] = set()

    @property
    def watchers(self) -> int:
        """How many watches are open."""
        return len(self._watchers)

    def publish(self, delta: Delta) -> None:
        """Hands a change to every watcher."""
        for watcher in self._watchers:
            watcher.offer(delta)

    async def drain(self) -> None:
        """Ends all watches; the watchers may resume elsewhere."""
        for watcher in self._watchers:
            watcher.end(Unavailable("this replica is stopping: resume at another", reason="DRAINING"))

    async def follow(self, request: Request, sight: str | None) -> AsyncIterator[Response]:
        """The answers of a watch, for ever.

        Args:
            request: ``devices/{device}`` or all, from the start or from an earlier answer on, in batches or one by one.
            sight: whose optics may be seen, see ``tenancy.visible_to``.

        Raises:
            OutOfRange: the token is too old.
            InvalidArgument: the token is not from a watch like this one.
            ResourceExhausted: the watcher reads too slowly.
            Unavailable: this replica stops, or PostgreSQL is away while a token has to be redeemed.
        """
        async with borrowed(self._pool) as connection:
            secret = await connection.fetchval(QUERIES["page_secret"])
            newest = await connection.fetchval(QUERIES["sequence"])
        parent, query = request.parent, f"watch {request.parent} seen by {sight}"
        position = _position(paging.redeem_token(request.resume_token, query, secret, field="resume_token"))
        with self._watching() as watcher:
            # Taken before anything is awaited: what a refresh adds meanwhile waits here with a later number.
            present = self._fleet.sequence
            if position is None:
                first = self._snapshot(parent, sight)
            else:
                self._check_age(position, newest)
                first = await self._missed(parent, sight, position, present)
            position = max(position or 0, present)
            for response in _batches(first) if request.batched else first:
                yield response
            yield _bookmark(paging.issue_token(str(position), query, secret))
            while True:
                delta = await watcher.next(self._bookmark_seconds)
                if delta is not None and delta.sequence <= position:
                    continue
                position = delta.sequence if delta is not None else position
                token = paging.issue_token(str(position), query, secret)
                changes = _changes(delta, parent, sight, token) if delta is not None else [_bookmark(token)]
                for response in _batches(changes) if request.batched else changes:
                    yield response

    @contextmanager
    def _watching(self) -> Iterator[_Watcher]:
        watcher = _Watcher(self._buffer)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def _snapshot(self, parent: str, sight: str | None) -> list[Response]:
        # No token before the bookmark: whoever breaks off inside the snapshot has to begin again.
        return [Response(updated=configuration) for configuration in self._fleet.configurations(parent, sight)]

    def _check_age(self, position: int, newest: int) -> None:
        if position > newest or newest - position > self._resume_changes:
            raise OutOfRange("the resume token is too old: begin again without one", reason="RESUME_TOKEN_TOO_OLD")

    async def _missed(self, parent: str, sight: str | None, position: int, present: int) -> list[Response]:
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(QUERIES["touched_after"], position, present, sight)
        known = {configuration.optic: configuration for configuration in self._fleet.configurations(parent, sight)}
        devices = {row["device"] for row in rows if row["optic"] is None}
        touched = {row["optic"] for row in rows if row["optic"] is not None}
        touched |= {optic for optic in known if ancestor(optic, 1) in devices}
        return [
            Response(updated=known[optic]) if optic in known else Response(deleted=optic)
            for optic in sorted(touched)
            if not parent or ancestor(optic, 1) == parent
        ]


def _position(text: str) -> int | None:
    return int(text) if text else None


def _bookmark(token: str) -> Response:
    return Response(bookmark=Response.Bookmark(), resume_token=token)


def _changes(delta: Delta, parent: str, sight: str | None, token: str) -> list[Response]:
    """The answers for one refresh. Only the last carries the token: in between, a part would be lost on resuming."""

    def shown(optic: str, controller: str | None) -> bool:
        return parent in ("", ancestor(optic, 1)) and sight in (None, controller)

    responses = [
        Response(updated=each)
        for each in delta.updated
        if shown(each.optic, delta.controllers.get(ancestor(each.optic, 1)))
    ]
    responses += [Response(deleted=optic) for optic, controller in delta.deleted.items() if shown(optic, controller)]
    if responses:
        responses[-1].resume_token = token
    return responses


def _batches(responses: Iterable[Response]) -> Iterator[Response]:
    """The same answers with several updates in one; a token stays with the last of those that it came with."""
    batch = Response()
    for response in responses:
        if response.HasField("updated"):
            batch.batch.updated.append(response.updated)
            batch.resume_token = response.resume_token
        if batch.batch.updated and (
            not response.HasField("updated") or batch.resume_token or len(batch.batch.updated) == _LARGEST_BATCH
        ):
            yield batch
            batch = Response()
        if not response.HasField("updated"):
            yield response
    if batch.batch.updated:
        yield batch
