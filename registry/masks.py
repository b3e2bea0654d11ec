"""Field masks of updates (AIP-134): which fields a request may change, and how it changes them."""

from __future__ import annotations

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from mesh.errors import FieldViolation, InvalidArgument
from registry.records import KEPT_BY_DATABASE
from registry.resources import Resource


def merge(resource: Resource, stored: Message, request: Message, mask: FieldMask) -> Message:
    """What the record becomes.

    Args:
        resource: the kind of record.
        stored: as it is.
        request: the record of the update request.
        mask: empty: every field that is set in the request; ``*``: every field; otherwise the named ones, where an
            unset field of the request clears that of the record. Output-only fields are ignored, as AIP-203 asks.

    Raises:
        InvalidArgument: the mask names a field that does not exist, or mixes ``*`` with names.
    """
    merged = type(stored)()
    merged.CopyFrom(stored)
    for path in _paths(resource, request, mask):
        _assign(merged, request, path.split("."))
    return merged


def clear_output_only(resource: Resource, message: Any) -> None:
    """Drops what a request cannot set; the name stays."""
    for field in (KEPT_BY_DATABASE - {"name"}) | set(resource.output_only):
        if field in message.DESCRIPTOR.fields_by_name:
            message.ClearField(field)


def _paths(resource: Resource, request: Message, mask: FieldMask) -> list[str]:
    kept = KEPT_BY_DATABASE | set(resource.output_only)
    descriptor = resource.message.DESCRIPTOR
    if not mask.paths:
        return [field.name for field, _ in request.ListFields() if field.name not in kept]
    if list(mask.paths) == ["*"]:
        return [field.name for field in descriptor.fields if field.name not in kept]
    unknown = [path for path in mask.paths if not _exists(descriptor, path.split("."))]
    if unknown:
        violations = [
            FieldViolation("update_mask", f"{path[:100]!r} is not a field of {resource.camel}") for path in unknown
        ]
        raise InvalidArgument("the update mask names unknown fields", reason="UNKNOWN_FIELD", violations=violations)
    return [path for path in mask.paths if path.split(".")[0] not in kept]


def _exists(descriptor: Any, path: list[str]) -> bool:
    field = descriptor.fields_by_name.get(path[0])
    if field is None:
        return False
    if len(path) == 1:
        return True
    return bool(field.message_type) and not field.is_repeated and _exists(field.message_type, path[1:])


def _assign(target: Any, source: Any, path: list[str]) -> None:
    """Makes one field of ``target`` that of ``source``, whether it is set there or not."""
    name, *rest = path
    field = target.DESCRIPTOR.fields_by_name[name]
    if rest:
        _assign(getattr(target, name), getattr(source, name), rest)
    elif field.has_presence and not source.HasField(name):
        target.ClearField(name)
    elif field.is_repeated:
        target.ClearField(name)
        getattr(target, name).extend(getattr(source, name))
    elif field.message_type is not None:
        getattr(target, name).CopyFrom(getattr(source, name))
    else:
        setattr(target, name, getattr(source, name))
