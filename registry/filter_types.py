"""The types of fields in list filters: how a value is read (AIP-160), and how a field is compared with it in SQL."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from registry.domain.filtering import Operator, Value

_MAXIMUM_WILDCARDS = 8
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_FLOAT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
_DURATION = re.compile(r"(-?[0-9]{1,12}(\.[0-9]{1,9})?)s")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)

_EQUALITY = frozenset({Operator.EQUAL, Operator.NOT_EQUAL, Operator.HAS})
_SYMBOLS = {Operator.NOT_EQUAL: "<>", Operator.HAS: "="}


class Unusable(ValueError):
    """A comparison that makes no sense; the message says why and what would."""


@dataclass(frozen=True)
class Kind:
    """A type of fields.

    Attributes:
        type: in SQL.
        default: of a field that is not set, as SQL; none: it has no default.
        operators: that can be used.
        read: makes a parameter of a value; raises ``Unusable``.
    """

    type: str
    default: str | None
    operators: frozenset[Operator]
    read: Callable[[Value], Any]

    def check_operator(self, operator: Operator) -> None:
        """Refuses an operator that means nothing here.

        Raises:
            Unusable: it does.
        """
        if operator not in self.operators:
            raise Unusable("has no order: only = and != can be used")

    def of_json(self, sql: str) -> str:
        """The SQL of what is jsonb, as this type."""
        text = f"({sql} #>> '{{}}')"
        if self is _DURATIONS:
            text = f"rtrim({text}, 's')"
        return text if self.type == "text" else f"{text}::{self.type}"

    def or_default(self, sql: str) -> str:
        """The SQL of a field, never null if the type has a default."""
        return sql if self.default is None else f"COALESCE({sql}, {self.default})"

    def compare(self, sql: str, operator: Operator, value: Value, placeholder: str) -> str:
        """The SQL of a comparison.

        Args:
            sql: of the field.
            operator: one of ``operators``.
            value: from the filter.
            placeholder: of the parameter that was read from it.
        """
        symbol = _SYMBOLS.get(operator, operator.value)
        if self.type == "text":
            if len(value.parts) > 1 and self.operators == _ORDERED:
                symbol = "NOT LIKE" if operator is Operator.NOT_EQUAL else "LIKE"
            elif symbol == "=" and f"'{value.text}'" != self.default:
                # Nothing but itself equals it, so an index on the plain column serves.
                return f"{sql} = {placeholder}"
            else:
                return f'{self.or_default(sql)} {symbol} {placeholder} COLLATE "C"'
        return f"{self.or_default(sql)} {symbol} {placeholder}"


_ORDERED = frozenset(Operator)


def kind_of(field: FieldDescriptor) -> Kind:
    """The type of a field that holds one value.

    Raises:
        Unusable: it is a message, or bytes.
    """
    if field.message_type is not None:
        kind = _MESSAGES.get(field.message_type.full_name)
        if kind is None:
            raise Unusable("is a message: name one of its fields, or ask with ':*' whether it is set")
        return kind
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type not in _SCALARS:
        raise Unusable("cannot be compared")
    return _SCALARS[field.type]


def is_scalar(field: FieldDescriptor) -> bool:
    """Whether each value of a field is one value, not a message with fields."""
    return field.message_type is None or field.message_type.full_name in _MESSAGES


def is_set(sql: str, field: FieldDescriptor, *, is_json: bool) -> str:
    """The SQL of the question whether a field is set: not the default, not empty."""
    if field.is_repeated:
        return f"jsonb_array_length(COALESCE({sql}, '[]')) > 0"
    if field.message_type is not None:
        return f"{sql} IS NOT NULL"
    kind = kind_of(field)
    return f"{kind.or_default(kind.of_json(sql) if is_json else sql)} <> {kind.default}"


def _enum(descriptor: Any) -> Kind:
    names = frozenset(descriptor.values_by_name)

    def read(value: Value) -> str:
        if value.text not in names:
            raise Unusable(f"must be compared with one of {', '.join(sorted(names))}")
        return value.text

    return Kind("text", f"'{descriptor.values_by_number[0].name}'", _EQUALITY, read)


def _text(value: Value) -> str:
    if "\0" in value.text:
        raise Unusable("must not be compared with a text that holds the character 0")
    if len(value.parts) == 1:
        return value.text
    if len(value.parts) > _MAXIMUM_WILDCARDS + 1:
        raise Unusable(f"must not be compared with more than {_MAXIMUM_WILDCARDS} times '*'")
    return "%".join(re.sub(r"([\\%_])", r"\\\1", part) for part in value.parts)


def _integer(value: Value) -> Decimal:
    if not _INTEGER.fullmatch(value.text):
        raise Unusable("must be compared with a whole number")
    return Decimal(value.text)


def _float(value: Value) -> float:
    number = float(value.text) if _FLOAT.fullmatch(value.text) else math.inf
    if math.isinf(number):
        raise Unusable("must be compared with a number")
    return number


def _boolean(value: Value) -> bool:
    if value.text not in ("true", "false"):
        raise Unusable("must be compared with true or false")
    return value.text == "true"


def _time(value: Value) -> datetime:
    try:
        if _RFC_3339.fullmatch(value.text):
            return datetime.fromisoformat(value.text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Unusable('must be compared with a time as in RFC 3339, for example "2026-11-22T10:00:00+01:00"')


def _duration(value: Value) -> Decimal:
    match = _DURATION.fullmatch(value.text)
    if match is None:
        raise Unusable("must be compared with a number of seconds, for example 90s or 1.5s")
    return Decimal(match[1])


_INTEGERS = Kind("numeric", "0", _ORDERED, _integer)
_FLOATS = Kind("double precision", "0", _ORDERED, _float)
_DURATIONS = Kind("numeric", None, _ORDERED, _duration)
_MESSAGES = {
    "google.protobuf.Timestamp": Kind("timestamptz", None, _ORDERED, _time),
    "google.protobuf.Duration": _DURATIONS,
}
_SCALARS = {
    FieldDescriptor.TYPE_STRING: Kind("text", "''", _ORDERED, _text),
    FieldDescriptor.TYPE_BOOL: Kind("boolean", "FALSE", _EQUALITY, _boolean),
    FieldDescriptor.TYPE_DOUBLE: _FLOATS,
    FieldDescriptor.TYPE_FLOAT: _FLOATS,
    FieldDescriptor.TYPE_INT32: _INTEGERS,
    FieldDescriptor.TYPE_INT64: _INTEGERS,
    FieldDescriptor.TYPE_UINT32: _INTEGERS,
    FieldDescriptor.TYPE_UINT64: _INTEGERS,
}
