"""RegistryService: one handler per standard method, bound to the kinds of record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from functools import partial
from typing import Any

from google.protobuf import empty_pb2
from google.protobuf.message import Message

from argo.registry.v1 import registry_service_pb2 as pb
from mesh.identity import current_identity
from registry import admissions, masks, requests, scenes, tenancy
from registry.auditing import ReadLog, what_is_read
from registry.database import uninterrupted
from registry.domain.names import NamePattern, ancestor, has_wildcard
from registry.domain.network import CameraNetworks
from registry.listing import listing
from registry.resources import RESOURCES, Resource
from registry.scenes import SceneStore, confirmed_places
from registry.sql import QUERIES
from registry.store import Author, PageQuery, RecordStore
from registry.watching import OpticWatch

FULL_NAME = "argo.registry.v1.RegistryService"
_GATED = frozenset({"device", "optic"})


class RegistryServicer:
    """Answers for the records. ``GetSite``, ``ListSites`` and so on are bound from the table of resources."""

    def __init__(
        self,
        store: RecordStore,
        scenes: SceneStore,
        reads: ReadLog,
        watch: OpticWatch,
        networks: CameraNetworks,
        clock: Callable[[], datetime],
    ) -> None:
        """Binds the methods.

        Args:
            store: of the records.
            scenes: of what people have confirmed.
            reads: where reads go on record.
            watch: of the optics.
            networks: where cameras may be.
            clock: the present time, aware.
        """
        self.reads = reads
        self._store = store
        self._scenes = scenes
        self._watch = watch
        self._networks = networks
        self._clock = clock
        for resource in RESOURCES.values():
            self._bind(resource)

    def _bind(self, resource: Resource) -> None:
        for verb, noun, handler in (
            ("Get", resource.camel, self._get),
            ("List", resource.plural.capitalize(), self._list),
            ("Create", resource.camel, self._create),
            ("Update", resource.camel, self._update),
            ("Delete", resource.camel, self._delete),
        ):
            setattr(self, f"{verb}{noun}", partial(handler, resource, f"{verb}{noun}"))

    async def ConfirmScene(self, request: pb.ConfirmSceneRequest, _context: Any) -> Any:  # noqa: N802 - the contract's name
        """Says that what is drawn over a picture fits the place."""
        optic = RESOURCES["optic"]
        requests.check_name("name", request.name, optic.pattern, requests.check_reason(request))
        author = _author(optic, "ConfirmScene", request)
        confirming = self._scenes.confirm(request.name, request.etag, self._clock(), author)
        return await self._presented(optic, await uninterrupted(confirming))

    async def WatchOptics(  # noqa: N802 - the contract's name
        self, request: pb.WatchOpticsRequest, _context: Any
    ) -> AsyncIterator[pb.WatchOpticsResponse]:
        """A snapshot, then every change."""
        if request.parent:
            requests.check_name("parent", request.parent, NamePattern(("devices",)))
        await self.reads.record("WatchOptics", what_is_read("WatchOptics", request))
        sight = tenancy.visible_to(current_identity())
        async for response in self._watch.follow(request, sight):
            yield response

    async def _get(self, resource: Resource, method: str, request: Any, _context: Any) -> Any:
        requests.check_name("name", request.name, resource.pattern)
        sight = tenancy.visible_to(current_identity(), resource.kind)

        async def read() -> Any:
            async with self._store.reading() as connection:
                record = await self._store.get(resource, request.name, sight, connection=connection)
                return (await self._all_presented(connection, resource, [record]))[0]

        return await self.reads.answer(method, request.name, read())

    async def _list(self, resource: Resource, method: str, request: Any, _context: Any) -> Any:
        parent = "" if resource.is_root else request.parent
        sight = tenancy.visible_to(current_identity(), resource.kind)
        asked = listing(
            request,
            query=f"{resource.plural} of {parent} seen by {sight}",
            secret=await self._store.page_secret(),
            resource=resource,
            parents=None if resource.is_root else resource.pattern.parent,
        )
        page = PageQuery(parent, sight, asked.after, asked.limit, asked.condition)
        records = await self.reads.answer(method, what_is_read(method, request), self._page(resource, page))
        response = resource.list_response()
        getattr(response, resource.plural).extend(records[: asked.size])
        response.next_page_token = asked.next_page_token(records)
        return response

    async def _page(self, resource: Resource, page: PageQuery) -> list[Any]:
        async with self._store.reading() as connection:
            records = await self._store.list_after(resource, page, connection=connection)
            if not records and not page.after:
                await self._require_parent(connection, resource, page)
            return await self._all_presented(connection, resource, records)

    async def _create(self, resource: Resource, method: str, request: Any, _context: Any) -> Any:
        message = getattr(request, resource.kind)
        author = _author(resource, method, request)
        repeatable = requests.repeatable(request, author)
        parent = "" if resource.is_root else request.parent
        violations = requests.check_new(resource, request, parent)
        message.name = resource.pattern.child(parent, getattr(request, f"{resource.kind}_id"))
        masks.clear_output_only(resource, message)
        violations += tenancy.fill_owner(resource, message, author.controller)
        requests.check_record(resource, message, violations, self._networks)
        created = await uninterrupted(self._store.create(resource, message, author, repeatable))
        return await self._presented(resource, created)

    async def _update(self, resource: Resource, method: str, request: Any, _context: Any) -> Any:
        given = getattr(request, resource.kind)
        requests.check_name(f"{resource.kind}.name", given.name, resource.pattern)
        requests.check_encodable(given, resource.kind)

        def change(stored: Any) -> Any:
            changed = masks.merge(resource, stored, given, request.update_mask)
            violations = requests.check_reason(request) + tenancy.keep_owner(resource, stored, changed)
            requests.check_record(resource, changed, violations, self._networks)
            resource.check_change(stored, changed)
            return changed

        author = _author(resource, method, request)
        updated = await uninterrupted(self._store.update(resource, given.name, given.etag, change, author))
        return await self._presented(resource, updated)

    async def _delete(self, resource: Resource, method: str, request: Any, _context: Any) -> Message:
        author = _author(resource, method, request)
        requests.check_name("name", request.name, resource.pattern, requests.check_reason(request))
        await uninterrupted(self._store.delete(resource, request.name, request.etag, author))
        return empty_pb2.Empty()

    async def _require_parent(self, connection: Any, resource: Resource, page: PageQuery) -> None:
        if page.parent and not has_wildcard(page.parent):
            above = next(other for other in RESOURCES.values() if other.pattern == resource.pattern.parent)
            await self._store.get(above, page.parent, page.sight, connection=connection)

    async def _presented(self, resource: Resource, record: Any) -> Any:
        if resource.kind not in _GATED:
            return record
        async with self._store.reading() as connection:
            return (await self._all_presented(connection, resource, [record]))[0]

    async def _all_presented(self, connection: Any, resource: Resource, records: list[Any]) -> list[Any]:
        """Records of the kinds that the gate rules, with what it says of them now."""
        if resource.kind in _GATED and records:
            devices = sorted({ancestor(record.name, 1) for record in records})
            gates = admissions.gates(await connection.fetch(QUERIES["gate_of_devices"], devices))
            now = self._clock()
            decisions = {name: gate.decide(now, self._networks) for name, gate in gates.items()}
            for record in records:
                # A device that was deleted since it was read is shown as it was.
                if (decision := decisions.get(ancestor(record.name, 1))) is not None:
                    admissions.show(record, decision)
            if resource.kind == "optic":
                scenes.describe(records, await confirmed_places(connection, devices), gates, now)
        return records


def _author(resource: Resource, method: str, request: Any) -> Author:
    """Who makes a change; controllers are changed by the city's administrators only."""
    caller = current_identity()
    if resource.kind == "controller":
        tenancy.require_city_administrator(caller)
    return Author(caller.path, method, request.reason)
