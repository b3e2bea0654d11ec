"""Between messages and rows: a row is the canonical JSON form of a message, one column per field.

The fields of the messages named in ``flattened`` get a column each, named ``{field}_{subfield}``, so that the database
can constrain them; other nested messages are jsonb. Durations are seconds in both. Unset fields are NULL.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from registry.resources import Resource

KEPT_BY_DATABASE = frozenset({"name", "etag", "version", "create_time", "update_time"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALWAYS_READ = ("name", "version", "create_time", "update_time")


class _Form(enum.Enum):
    """How a column holds a field, where that is not how the message takes it."""

    PLAIN = enum.auto()
    TIME = enum.auto()
    DURATION = enum.auto()
    JSON = enum.auto()


@dataclass(frozen=True)
class _Column:
    """One field and its column.

    Attributes:
        name: of the column.
        outer: the flattened field that the field belongs to; empty: it is one of the record's own.
        field_name: of the field.
        form: how the column holds it.
        durations: fields of the message that the column holds, which are durations.
    """

    name: str
    outer: str
    field_name: str
    form: _Form
    durations: frozenset[str] = frozenset()


def columns(resource: Resource) -> tuple[str, ...]:
    """The columns that a request may write, without the name."""
    return tuple(column.name for column in _columns(resource))


def columns_of(resource: Resource, flattened: str) -> tuple[str, ...]:
    """The columns of the fields of a flattened message."""
    return tuple(column.name for column in _columns(resource) if column.outer == flattened)


def columns_read(resource: Resource) -> tuple[str, ...]:
    """The columns that ``from_record`` expects, in this order."""
    return (*_ALWAYS_READ, *columns(resource))


def to_row(resource: Resource, message: Message) -> str:
    """The row of a message, as JSON for ``jsonb_populate_record``."""
    record = json_format.MessageToDict(message, preserving_proto_field_name=True)
    for field in resource.flattened:
        if message.HasField(field):
            part = json_format.MessageToDict(
                getattr(message, field), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
            record |= {f"{field}_{subfield}": value for subfield, value in part.items()}
    row = {
        column.name: _to_column(record[column.name], column) for column in _columns(resource) if column.name in record
    }
    return json.dumps({"name": record["name"]} | row)


def from_record(resource: Resource, record: Sequence[Any]) -> Any:
    """The message of a row, with its etag and all that the database keeps.

    Args:
        resource: the kind of record.
        record: the values of ``columns_read``, as asyncpg gives them.
    """
    name, version, create_time, update_time, *values = record
    return _message(resource, (name, version, create_time, update_time), values, _READ_NATIVE)


def from_row(resource: Resource, row: str) -> Any:
    """The message of a row in the form that ``to_jsonb`` gives it, as the history keeps it.

    Args:
        resource: the kind of record.
        row: a JSON object; columns that the message does not have are left out, those that it lacks are unset.
    """
    record: Mapping[str, Any] = json.loads(row)
    create_time, update_time = (datetime.fromisoformat(record[column]) for column in ("create_time", "update_time"))
    values = [record.get(column.name) for column in _columns(resource)]
    return _message(resource, (record["name"], record["version"], create_time, update_time), values, _READ_JSON)


def etag(name: str, create_time: datetime, version: int) -> str:
    """Changes with every change, also when a record is deleted and made again under the same name."""
    identity = f"{name} {create_time.timestamp():.6f} {version}"
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _message(
    resource: Resource,
    kept: tuple[str, int, datetime, datetime],
    values: Sequence[Any],
    read: Mapping[_Form, Callable[[Any], Any]],
) -> Any:
    name, version, create_time, update_time = kept
    fields: dict[str, Any] = {"name": name, "etag": etag(name, create_time, version)}
    for column, value in zip(_columns(resource), values, strict=True):
        if value is None:
            continue
        if column.form is not _Form.PLAIN:
            value = read[column.form](value)  # noqa: PLW2901 - as the message takes it
            if column.durations:
                value = {key: _duration(part) if key in column.durations else part for key, part in value.items()}  # noqa: PLW2901
        if column.outer:
            fields.setdefault(column.outer, {})[column.field_name] = value
        else:
            fields[column.field_name] = value
    known = _kept_fields(resource)
    if "version" in known:
        fields["version"] = version
    if "create_time" in known:
        fields["create_time"] = _timestamp(create_time)
    if "update_time" in known:
        fields["update_time"] = _timestamp(update_time)
    # Takes names of enum values, and dicts for messages: far faster than json_format.ParseDict.
    return resource.message(**fields)


def _timestamp(moment: datetime) -> dict[str, int]:
    """The fields of a Timestamp; a tenth of what its own conversion takes."""
    since = moment - _EPOCH
    return {"seconds": since.days * 86400 + since.seconds, "nanos": since.microseconds * 1000}


def _duration(seconds: Any) -> timedelta:
    return timedelta(seconds=float(seconds))


_READ_NATIVE: Mapping[_Form, Callable[[Any], Any]] = {
    _Form.TIME: _timestamp,
    _Form.DURATION: _duration,
    _Form.JSON: json.loads,
}
_READ_JSON: Mapping[_Form, Callable[[Any], Any]] = {
    _Form.TIME: lambda text: _timestamp(datetime.fromisoformat(text)),
    _Form.DURATION: _duration,
    _Form.JSON: lambda value: value,
}


@functools.cache
def _kept_fields(resource: Resource) -> frozenset[str]:
    return KEPT_BY_DATABASE & set(resource.message.DESCRIPTOR.fields_by_name)


@functools.cache
def _columns(resource: Resource) -> tuple[_Column, ...]:
    return tuple(_each_column(resource))


def _each_column(resource: Resource) -> Iterator[_Column]:
    descriptor: Any = resource.message.DESCRIPTOR
    for field in descriptor.fields:
        if field.name in KEPT_BY_DATABASE or field.name in resource.output_only:
            continue
        if field.name in resource.flattened:
            for subfield in field.message_type.fields:
                yield _column(f"{field.name}_{subfield.name}", field.name, subfield)
        else:
            yield _column(field.name, "", field)


def _column(name: str, outer: str, field: FieldDescriptor) -> _Column:
    form = _form(field)
    parts = field.message_type.fields if field.message_type is not None and not field.is_repeated else ()
    durations = frozenset(part.name for part in parts if _form(part) is _Form.DURATION)
    return _Column(name, outer, field.name, form, durations)


def _form(field: FieldDescriptor) -> _Form:
    message_type = field.message_type
    if not field.is_repeated and message_type is None:
        return _Form.PLAIN
    if not field.is_repeated and message_type is not None:
        known = {"google.protobuf.Timestamp": _Form.TIME, "google.protobuf.Duration": _Form.DURATION}
        return known.get(message_type.full_name, _Form.JSON)
    return _Form.JSON


def _to_column(value: Any, column: _Column) -> Any:
    if column.form is _Form.DURATION:
        return _seconds(value)
    if column.durations:
        return {key: _seconds(part) if key in column.durations else part for key, part in value.items()}
    # An unset reference must be NULL: a foreign key has no empty text.
    return None if value == "" else value


def _seconds(duration: str) -> float:
    """Of a duration in its JSON form, for example ``1.5s``."""
    return float(duration.removesuffix("s"))
