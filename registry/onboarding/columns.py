"""The columns of a fleet as a spreadsheet, derived from the contract: one for each field that a person may write."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from registry.onboarding.rows import KINDS
from registry.records import KEPT_BY_DATABASE
from registry.resources import RESOURCES, Resource

_REFERENCES = {("device", "site"), ("deployment", "site")}
"""Fields that the column of the site says."""
_TIMESTAMP, _DURATION = "google.protobuf.Timestamp", "google.protobuf.Duration"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_PERIOD = re.compile(r"(\d+(?:\.\d+)?)([shd])")
_SECONDS = {"s": 1, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Column:
    """One field of one kind of record.

    Attributes:
        title: in the file, for example ``device_legal_basis_purpose``.
        kind: of the record.
        outer: the message field that it lies in; empty: it is one of the record's own.
        field: in the contract.
    """

    title: str
    kind: str
    outer: str
    field: FieldDescriptor

    @property
    def is_text(self) -> bool:
        """Whether a cell may hold any text, that of a formula included."""
        return self.field.message_type is None and self.field.cpp_type == FieldDescriptor.CPPTYPE_STRING

    def show(self, record: Any) -> str:
        """The cell of a record; empty where the field is not set."""
        holder = self._holder(record)
        if holder is None:
            return ""
        value = getattr(holder, self.field.name)
        if self.field.is_repeated:
            return _json_cell(holder, self.field) if value else ""
        if self.field.message_type is not None:
            return _message_cell(holder, self.field)
        if self.field.enum_type is not None:
            return _enum_cell(self.field, value)
        if self.is_text:
            return str(value)
        # Inside a message that is there, a zero is said: 0 degrees north is a place.
        return repr(value) if value or self.outer else ""

    def read(self, text: str, record: Any) -> None:
        """Sets the field of a record from a cell; an empty one leaves it unset.

        Raises:
            ValueError: what the cell must be instead, in words.
        """
        if not text.strip():
            return
        holder = getattr(record, self.outer) if self.outer else record
        if self.field.is_repeated or self.field.message_type is not None:
            _read_message(text.strip(), holder, self.field)
        elif self.field.enum_type is not None:
            setattr(holder, self.field.name, _enum_value(self.field, text.strip()))
        elif self.is_text:
            setattr(holder, self.field.name, text)
        else:
            setattr(holder, self.field.name, _number(self.field, text.strip()))

    def copy(self, source: Any, target: Any) -> None:
        """Makes the field of one record that of another."""
        holder = self._holder(source)
        if holder is None:
            return
        goal = getattr(target, self.outer) if self.outer else target
        goal.ClearField(self.field.name)
        part = type(holder)()
        part.CopyFrom(holder)
        for other, _ in holder.ListFields():
            if other.name != self.field.name:
                part.ClearField(other.name)
        goal.MergeFrom(part)

    def _holder(self, record: Any) -> Any:
        if not self.outer:
            return record
        return getattr(record, self.outer) if record.HasField(self.outer) else None


@functools.cache
def columns_of(kind: str) -> tuple[Column, ...]:
    """The columns of a kind of record, without that of its id."""
    return tuple(_columns(RESOURCES[kind]))


def _columns(resource: Resource) -> Iterator[Column]:
    descriptor: Any = resource.message.DESCRIPTOR
    skipped = KEPT_BY_DATABASE | set(resource.output_only)
    for field in descriptor.fields:
        if field.name in skipped or (resource.kind, field.name) in _REFERENCES:
            continue
        if field.name in resource.flattened:
            for inner in field.message_type.fields:
                yield Column(f"{resource.kind}_{field.name}_{inner.name}", resource.kind, field.name, inner)
        else:
            yield Column(f"{resource.kind}_{field.name}", resource.kind, "", field)


COLUMNS: Mapping[str, Column | None] = MappingProxyType(
    dict.fromkeys(KINDS) | {column.title: column for kind in KINDS for column in columns_of(kind)}
)
"""All columns by title, in the order of the file; those of ids have no field."""


def _json_cell(holder: Any, field: FieldDescriptor) -> str:
    part = type(holder)()
    getattr(part, field.name).MergeFrom(getattr(holder, field.name))
    value = json_format.MessageToDict(part, preserving_proto_field_name=True)[field.name]
    return json.dumps(value, ensure_ascii=False)


def _message_cell(holder: Any, field: FieldDescriptor) -> str:
    if not holder.HasField(field.name):
        return ""
    # The JSON form of a time or period is a text.
    value: Any = json_format.MessageToDict(getattr(holder, field.name), preserving_proto_field_name=True)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _enum_values(field: FieldDescriptor) -> Mapping[str, int]:
    """The values of an enum by the word that stands for each in a cell."""
    assert field.enum_type is not None
    values = {value.number: value.name for value in field.enum_type.values}
    prefix = values.pop(0).removesuffix("UNSPECIFIED")
    return {name.removeprefix(prefix).lower(): number for number, name in values.items()}


def _enum_cell(field: FieldDescriptor, value: int) -> str:
    return next((word for word, number in _enum_values(field).items() if number == value), "")


def _enum_value(field: FieldDescriptor, text: str) -> int:
    known = _enum_values(field)
    word = re.sub(r"[ -]", "_", text.lower())
    if word not in known:
        raise ValueError(f"must be one of {', '.join(known)}")
    return known[word]


def _number(field: FieldDescriptor, text: str) -> float | int:
    whole = field.cpp_type not in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
    plain = text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text
    try:
        value = int(plain) if whole else float(plain)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (whole and not 0 <= value < 2**32):
        raise ValueError("must be a whole number" if whole else "must be a number, such as 45.07 or 45,07")
    return value


def _read_message(text: str, holder: Any, field: FieldDescriptor) -> None:
    type_name = field.message_type.full_name if field.message_type is not None else ""
    if type_name == _TIMESTAMP:
        getattr(holder, field.name).FromDatetime(_time(text))
        return
    if type_name == _DURATION:
        getattr(holder, field.name).FromNanoseconds(_nanoseconds(text))
        return
    try:
        json_format.ParseDict({field.name: json.loads(text)}, holder)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise ValueError(f"must be JSON as in the contract ({str(error)[:200]})") from None


def _time(text: str) -> datetime:
    """RFC 3339, or a day alone: its midnight UTC."""
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        time = datetime.fromisoformat(text)
    except ValueError:
        time = datetime.min  # noqa: DTZ901 - has no offset, as what is refused below
    if time.tzinfo is None:
        raise ValueError(
            "must be a time with its offset, such as 2026-11-22T18:00:00+01:00, or a day, such as 2026-11-22"
        )
    return time.astimezone(UTC)


def _nanoseconds(text: str) -> int:
    match = _PERIOD.fullmatch(text)
    if match is None or float(match[1]) > _LONGEST_PERIOD:
        raise ValueError("must be a period, such as 7d, 12h or 3600s")
    return round(float(match[1]) * _SECONDS[match[2]] * 1e9)


_LONGEST_PERIOD = 1e9
