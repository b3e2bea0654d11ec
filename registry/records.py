"""Between messages and rows: a row is the canonical JSON form of a message, one column per field.

The fields of the messages named in ``flattened`` get a column each, named ``{field}_{subfield}``, so that the database
can constrain them; other nested messages are jsonb. Durations are seconds there. Unset fields are NULL.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from registry.resources import Resource

KEPT_BY_DATABASE = frozenset({"name", "etag", "version", "create_time", "update_time"})


def columns(resource: Resource) -> tuple[str, ...]:
    """The columns that a request may write, without the name."""
    return tuple(column for column, _ in _columns(resource))


def to_row(resource: Resource, message: Message) -> str:
    """The row of a message, as JSON for ``jsonb_populate_record``."""
    record = json_format.MessageToDict(message, preserving_proto_field_name=True)
    for field in resource.flattened:
        if message.HasField(field):
            part = json_format.MessageToDict(
                getattr(message, field), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
            record |= {f"{field}_{subfield}": value for subfield, value in part.items()}
    row = {column: _to_column(record[column], field) for column, field in _columns(resource) if column in record}
    return json.dumps({"name": record["name"]} | row)


def from_row(resource: Resource, row: str) -> Message:
    """The message of a row, with its etag and all that the database keeps.

    Args:
        resource: the kind of record.
        row: as ``to_jsonb`` gives it; columns that the message does not have are left out.
    """
    values: Mapping[str, Any] = json.loads(row)
    record: dict[str, Any] = {"name": values["name"]}
    for column, field in _columns(resource):
        if values[column] is not None:
            _set(record, resource, column, _from_column(values[column], field))
    for field_name in ("version", "create_time", "update_time"):
        if field_name in resource.message.DESCRIPTOR.fields_by_name:
            record[field_name] = values[field_name]
    record["etag"] = etag(values)
    return json_format.ParseDict(record, resource.message())


def etag(row: Mapping[str, Any]) -> str:
    """Changes with every change, also when a record is deleted and made again under the same name."""
    identity = f"{row['name']} {row['create_time']} {row['version']}"
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _columns(resource: Resource) -> Iterator[tuple[str, FieldDescriptor]]:
    descriptor: Any = resource.message.DESCRIPTOR
    for field in descriptor.fields:
        if field.name in KEPT_BY_DATABASE or field.name in resource.output_only:
            continue
        if field.name in resource.flattened:
            for subfield in field.message_type.fields:
                yield f"{field.name}_{subfield.name}", subfield
        else:
            yield field.name, field


def _is_duration(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == "google.protobuf.Duration"


def _to_column(value: Any, field: FieldDescriptor) -> Any:
    if _is_duration(field):
        return float(value.removesuffix("s"))
    # An unset reference must be NULL: a foreign key has no empty text.
    return None if value == "" else value


def _from_column(value: Any, field: FieldDescriptor) -> Any:
    return f"{value:.9f}s" if _is_duration(field) else value


def _set(record: dict[str, Any], resource: Resource, column: str, value: Any) -> None:
    for field in resource.flattened:
        if column.startswith(f"{field}_"):
            record.setdefault(field, {})[column.removeprefix(f"{field}_")] = value
            return
    record[column] = value
