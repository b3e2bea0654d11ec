"""List filters (AIP-160) as conditions in SQL: checked against the message of a resource, values only as parameters.

A field that is not set counts as the default of its type, as in its JSON form: ``""``, 0, false, the first of an enum.
A time or a duration has no default: a comparison with one that is not set is never true, hence its negation always is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from mesh.errors import FieldViolation, InvalidArgument
from registry import filter_types
from registry.domain import filtering
from registry.domain.filtering import Comparison, Conjunction, Expression, FilterError, Negation, Operator
from registry.filter_types import Unusable
from registry.records import columns_of
from registry.resources import Resource
from registry.sql import QUERIES

_MAXIMUM_VIOLATIONS = 10


@dataclass(frozen=True)
class Condition:
    """A condition on the rows of a resource.

    Attributes:
        sql: a boolean expression; it may be null, which is as good as false.
        parameters: of its placeholders, in their order.
    """

    sql: str
    parameters: tuple[Any, ...]


ANY = Condition("TRUE", ())
"""Every row meets it."""


def condition(resource: Resource, text: str, first_parameter: int, *, alias: str = "t") -> Condition:
    """What a filter asks of the rows of a resource.

    Args:
        resource: whose rows.
        text: the filter; empty: any row.
        first_parameter: number of the first placeholder that is free in the query.
        alias: of the table in the query.

    Raises:
        InvalidArgument: the filter is not of the grammar, or names unknown fields, or compares what cannot be compared;
            with a violation of ``filter`` for each wrong comparison.
    """
    try:
        expression = filtering.parse(text)
    except FilterError as error:
        raise _refused([FieldViolation("filter", str(error))]) from None
    if expression is None:
        return ANY
    writer = _Writer(resource, first_parameter, alias)
    sql = writer.write(expression)
    if writer.violations:
        raise _refused(writer.violations[:_MAXIMUM_VIOLATIONS])
    return Condition(sql, tuple(writer.parameters))


def _refused(violations: list[FieldViolation]) -> InvalidArgument:
    return InvalidArgument("the filter cannot be used", reason="INVALID_FILTER", violations=violations)


@dataclass(frozen=True)
class _Target:
    """What a path leads to.

    Attributes:
        sql: an expression of the type of a column, or jsonb.
        field: of the contract.
        is_json: whether ``sql`` is jsonb, also for what has a column type of its own elsewhere.
        elements: FROM items that unfold the lists on the way; a comparison holds if it holds for any element.
    """

    sql: str
    field: FieldDescriptor
    is_json: bool = False
    elements: tuple[str, ...] = ()


class _Writer:
    """Writes one condition; collects what is wrong with it."""

    def __init__(self, resource: Resource, first_parameter: int, alias: str) -> None:
        self._resource = resource
        self._first_parameter = first_parameter
        self._alias = alias
        self.parameters: list[Any] = []
        self.violations: list[FieldViolation] = []

    def write(self, expression: Expression) -> str:
        """The SQL of an expression."""
        if isinstance(expression, Comparison):
            try:
                return self._comparison(expression)
            except Unusable as error:
                description = f"{'.'.join(expression.path)[:100]} (at character {expression.position}): {error}"
                self.violations.append(FieldViolation("filter", description))
                return "FALSE"
        if isinstance(expression, Negation):
            # Not "NOT": what is null must become true.
            return f"({self.write(expression.part)}) IS NOT TRUE"
        word = " AND " if isinstance(expression, Conjunction) else " OR "
        return word.join(f"({self.write(part)})" for part in expression.parts)

    def _comparison(self, comparison: Comparison) -> str:
        if presence := self._presence(comparison):
            return presence
        target = self._target(comparison.path)
        if comparison.operator is Operator.HAS and comparison.value.is_any:
            return _any_element(target, filter_types.is_set(target.sql, target.field, is_json=target.is_json))
        if target.field.is_repeated:
            target = _unfold(target)
        if target.elements and comparison.operator is not Operator.HAS:
            raise Unusable("is a list: ask with ':' whether it has an element")
        kind = filter_types.kind_of(target.field)
        kind.check_operator(comparison.operator)
        self.parameters.append(kind.read(comparison.value))
        placeholder = f"${self._first_parameter + len(self.parameters) - 1}::{kind.type}"
        sql = kind.of_json(target.sql) if target.is_json else target.sql
        return _any_element(target, kind.compare(sql, comparison.operator, comparison.value, placeholder))

    def _presence(self, comparison: Comparison) -> str:
        """Whether a message is set whose fields have columns of their own; empty: it asks for something else."""
        name, *deeper = comparison.path
        if deeper or name not in self._resource.flattened or not comparison.value.is_any:
            return ""
        columns = (f'{self._alias}."{column}"' for column in columns_of(self._resource, name))
        return f"num_nonnulls({', '.join(columns)}) > 0"

    def _target(self, path: tuple[str, ...]) -> _Target:
        target, deeper = self._column(path)
        for name in deeper:
            target = _step(target, name)
        return target

    def _column(self, path: tuple[str, ...]) -> tuple[_Target, tuple[str, ...]]:
        """The column that a path begins with, and what of the path lies inside it."""
        field = _subfield(self._resource.message.DESCRIPTOR, path[0])
        if field.name in (*self._resource.output_only, "etag"):
            raise Unusable("is worked out when it is read, so it cannot be filtered by")
        if field.name not in self._resource.flattened:
            is_json = field.is_repeated or not filter_types.is_scalar(field)
            computed = self._resource.computed.get(field.name)
            sql = f'{self._alias}."{field.name}"' if computed is None else QUERIES[computed]
            return _Target(sql, field, is_json=is_json), path[1:]
        if len(path) == 1:
            raise Unusable("is a message: name one of its fields, or ask with ':*' whether it is set")
        subfield = _subfield(field.message_type, path[1])
        return _Target(f'{self._alias}."{field.name}_{subfield.name}"', subfield, is_json=subfield.is_repeated), path[
            2:
        ]


def _subfield(descriptor: Any, name: str) -> FieldDescriptor:
    field: FieldDescriptor | None = descriptor.fields_by_name.get(name)
    if field is None:
        raise Unusable(f"{descriptor.name} has no such field")
    return field


def _step(target: _Target, name: str) -> _Target:
    """One field deeper into a message that is kept as jsonb."""
    if target.field.message_type is None or filter_types.is_scalar(target.field):
        raise Unusable("goes into a field that has no fields")
    if target.field.is_repeated:
        target = _unfold(target)
    field = _subfield(target.field.message_type, name)
    return _Target(f"{target.sql} -> '{field.name}'", field, is_json=True, elements=target.elements)


def _unfold(target: _Target) -> _Target:
    element = f"element_{len(target.elements) + 1}"
    item = f"jsonb_array_elements(COALESCE({target.sql}, '[]')) AS {element} (value)"
    return _Target(f"{element}.value", target.field, is_json=True, elements=(*target.elements, item))


def _any_element(target: _Target, sql: str) -> str:
    return f"EXISTS (SELECT FROM {', '.join(target.elements)} WHERE {sql})" if target.elements else sql
