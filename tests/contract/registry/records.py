"""The kinds of record for tests: a lawful one of each, a change of each, and the standard methods by kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from registry.resources import RESOURCES, Resource
from tests.contract.registry.support import Administrator
from tests.unit.registry import lawful

Code = grpc.StatusCode
OPTIC = "devices/palo-12/optics/nord"
NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)
DAY = timedelta(days=1)


async def build_scene(administrator: Administrator) -> None:
    """A site, a fixed device with one optic, a mobile one, and what a rule refers to."""
    await administrator.build()
    await administrator.CreateDevice(device_id="carro-1", device=lawful.mobile_device(address="10.0.0.99"))
    await administrator.CreateZone(parent=OPTIC, zone_id="giochi", zone=lawful.zone())
    await administrator.CreateLine(parent=OPTIC, line_id="varco", line=lawful.line())


NEW: dict[str, tuple[str, Any]] = {
    "controller": ("", lawful.controller()),
    "site": ("", lawful.site()),
    "device": ("", lawful.device(address="10.0.0.77")),
    "deployment": ("devices/carro-1", lawful.deployment(NOW, NOW + DAY)),
    "optic": ("devices/palo-12", lawful.optic()),
    "zone": (OPTIC, lawful.zone()),
    "line": (OPTIC, lawful.line()),
    "lane": (OPTIC, lawful.lane()),
    "rule": (OPTIC, lawful.rule(OPTIC)),
}
CHANGE: dict[str, dict[str, Any]] = {
    kind: {"decision": "COSP 91/2026"} if kind == "deployment" else {"display_name": "x"} for kind in RESOURCES
}
each_kind = pytest.mark.parametrize("resource", RESOURCES.values(), ids=list(RESOURCES))


def create(administrator: Administrator, resource: Resource, resource_id: str = "new", **more: Any) -> Any:
    parent, record = NEW[resource.kind]
    arguments = {f"{resource.kind}_id": resource_id, resource.kind: record} | more
    if not resource.is_root:
        arguments.setdefault("parent", parent)
    return getattr(administrator, f"Create{resource.camel}")(**arguments)


def get(administrator: Administrator, resource: Resource, name: str) -> Any:
    return getattr(administrator, f"Get{resource.camel}")(name=name)


def update(
    administrator: Administrator, resource: Resource, name: str, etag: str = "", *mask: str, **change: Any
) -> Any:
    record = resource.message(name=name, etag=etag, **change)
    arguments = {resource.kind: record, "update_mask": FieldMask(paths=mask)}
    return getattr(administrator, f"Update{resource.camel}")(**arguments)


def delete(administrator: Administrator, resource: Resource, name: str, etag: str = "") -> Any:
    return getattr(administrator, f"Delete{resource.camel}")(name=name, etag=etag)


def listing(administrator: Administrator, resource: Resource, **arguments: Any) -> Any:
    if not resource.is_root:
        arguments.setdefault("parent", NEW[resource.kind][0])
    return getattr(administrator, f"List{resource.plural.capitalize()}")(**arguments)
