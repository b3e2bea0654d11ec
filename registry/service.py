"""RegistryService: one handler per standard method, bound to the seven kinds of record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from functools import partial
from typing import Any

from google.protobuf import empty_pb2, json_format
from google.protobuf.message import Message

from argo.registry.v1 import registry_service_pb2 as pb
from mesh.errors import FieldViolation, InvalidArgument
from mesh.identity import current_identity
from registry import admissions, masks
from registry.database import uninterrupted
from registry.domain import fields, paging
from registry.domain.names import NamePattern, has_wildcard, is_id
from registry.domain.network import CameraNetworks
from registry.resources import RESOURCES, Resource
from registry.store import Author, IdempotentRequest, RecordStore
from registry.watching import OpticWatch

FULL_NAME = "argo.registry.v1.RegistryService"


class RegistryServicer:
    """Answers for the records. ``GetSite``, ``ListSites`` and so on are bound from the table of resources."""

    def __init__(
        self, store: RecordStore, watch: OpticWatch, networks: CameraNetworks, clock: Callable[[], datetime]
    ) -> None:
        """Binds the methods.

        Args:
            store: of the records.
            watch: of the optics.
            networks: where cameras may be.
            clock: the present time, aware.
        """
        self._store = store
        self._watch = watch
        self._networks = networks
        self._clock = clock
        for resource in RESOURCES.values():
            setattr(self, f"Get{resource.camel}", partial(self._get, resource))
            setattr(self, f"List{resource.plural.capitalize()}", partial(self._list, resource))
            setattr(self, f"Create{resource.camel}", partial(self._create, resource))
            setattr(self, f"Update{resource.camel}", partial(self._update, resource))
            setattr(self, f"Delete{resource.camel}", partial(self._delete, resource))

    async def WatchOptics(  # noqa: N802 - the contract's name
        self, request: pb.WatchOpticsRequest, _context: Any
    ) -> AsyncIterator[pb.WatchOpticsResponse]:
        """A snapshot, then every change."""
        if request.parent:
            _check_name("parent", request.parent, NamePattern(("devices",)))
        async for response in self._watch.follow(request.parent, request.resume_token):
            yield response

    async def _get(self, resource: Resource, request: Any, _context: Any) -> Any:
        _check_name("name", request.name, resource.pattern)
        return await self._presented(resource, await self._store.get(resource, request.name))

    async def _list(self, resource: Resource, request: Any, _context: Any) -> Any:
        parent = "" if resource.is_root else request.parent
        if not resource.is_root:
            _check_name("parent", parent, resource.pattern.parent, wildcard=True)
        size = paging.page_size(request.page_size)
        secret = await self._store.page_secret()
        query = f"{resource.plural} of {parent}"
        after = paging.redeem_token(request.page_token, query, secret)
        # One more than asked for tells whether there is another page.
        records: list[Any] = await self._store.list_after(resource, parent, after, size + 1)
        if not records and not after:
            await self._require_parent(resource, parent)
        page = await self._all_presented(resource, records[:size])
        response = resource.list_response()
        getattr(response, resource.plural).extend(page)
        if len(records) > size:
            response.next_page_token = paging.issue_token(records[size - 1].name, query, secret)
        return response

    async def _create(self, resource: Resource, request: Any, _context: Any) -> Any:
        message = getattr(request, resource.kind)
        author = Author(current_identity().path, f"Create{resource.camel}")
        repeatable = _request_id(request, author)
        parent = "" if resource.is_root else request.parent
        violations = _check_new(resource, request, parent)
        message.name = resource.pattern.child(parent, getattr(request, f"{resource.kind}_id"))
        masks.clear_output_only(resource, message)
        self._check(resource, message, violations)
        created = await uninterrupted(self._store.create(resource, message, author, repeatable))
        return await self._presented(resource, created)

    async def _update(self, resource: Resource, request: Any, _context: Any) -> Any:
        given = getattr(request, resource.kind)
        _check_name(f"{resource.kind}.name", given.name, resource.pattern)
        _check_encodable(given, resource.kind)

        def change(stored: Message) -> Message:
            changed = masks.merge(resource, stored, given, request.update_mask)
            self._check(resource, changed, [])
            resource.check_change(stored, changed)
            return changed

        author = Author(current_identity().path, f"Update{resource.camel}")
        updated = await uninterrupted(self._store.update(resource, given.name, given.etag, change, author))
        return await self._presented(resource, updated)

    async def _delete(self, resource: Resource, request: Any, _context: Any) -> Message:
        _check_name("name", request.name, resource.pattern)
        author = Author(current_identity().path, f"Delete{resource.camel}")
        await uninterrupted(self._store.delete(resource, request.name, request.etag, author))
        return empty_pb2.Empty()

    def _check(self, resource: Resource, message: Any, violations: list[FieldViolation]) -> None:
        _check_encodable(message, resource.kind)
        violations = violations + resource.check(message, self._networks)
        if violations:
            raise InvalidArgument(f"the {resource.kind} is not valid", reason="INVALID_RECORD", violations=violations)
        resource.normalise(message)

    async def _require_parent(self, resource: Resource, parent: str) -> None:
        if parent and not has_wildcard(parent):
            above = next(other for other in RESOURCES.values() if other.pattern == resource.pattern.parent)
            await self._store.get(above, parent)

    async def _presented(self, resource: Resource, record: Message) -> Any:
        return (await self._all_presented(resource, [record]))[0]

    async def _all_presented(self, resource: Resource, records: list[Any]) -> list[Any]:
        if resource.kind == "device" and records:
            names = [device.name for device in records]
            deployments: list[Any] = await self._store.below_devices(RESOURCES["deployment"], names)
            admissions.describe(records, deployments, self._clock(), self._networks)
        return records


def _check_new(resource: Resource, request: Any, parent: str) -> list[FieldViolation]:
    found = fields.Violations()
    pattern = resource.pattern.parent
    if not resource.is_root and not pattern.matches(parent):
        found.add("parent", f"must be {pattern}")
    if not is_id(getattr(request, f"{resource.kind}_id")):
        found.add(f"{resource.kind}_id", "must be 1 to 63 of a-z, 0-9 and '-', and begin with a letter")
    if request.request_id:
        found.add("request_id", fields.request_id_problem(request.request_id))
    return found.found


def _request_id(request: Any, author: Author) -> IdempotentRequest | None:
    """Fingerprints the request as it came; a malformed id is told with the other violations."""
    if not request.request_id or fields.request_id_problem(request.request_id):
        return None
    return IdempotentRequest.of(request.request_id, author, request)


def _check_name(field: str, name: str, pattern: NamePattern, *, wildcard: bool = False) -> None:
    if not pattern.matches(name, wildcard=wildcard):
        violation = FieldViolation(field, f"must be {pattern}")
        raise InvalidArgument(f"{field} is not a valid name", reason="INVALID_NAME", violations=[violation])


def _check_encodable(message: Message, kind: str) -> None:
    """Times and durations beyond their ranges pass the wire but have no JSON form, hence no row."""
    try:
        json_format.MessageToDict(message)
    except (json_format.Error, ValueError, OverflowError):
        violation = FieldViolation(kind, "holds a time or duration outside the range of its type")
        raise InvalidArgument(f"the {kind} is not valid", reason="INVALID_RECORD", violations=[violation]) from None
