"""The grammar of list filters, a subset of AIP-160 (https://google.aip.dev/160).

Taken from it: comparisons ``field = value`` with ``= != < <= > >= :``, fields of fields with ``.``, ``AND``, ``OR``
(which binds tighter than ``AND``), ``NOT`` and ``-``, parentheses, quoted and unquoted values, ``*`` in a value for any
text. Left out, and refused: a value without a field, comparisons side by side without ``AND``, function calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import lark

MAXIMUM_LENGTH = 2000
MAXIMUM_COMPARISONS = 50
MAXIMUM_DEPTH = 20

_GRAMMAR = r"""
    start: expression?
    expression: factor (_AND factor)*   -> conjunction
    factor: term (_OR term)*            -> disjunction
    ?term: (_NOT | _MINUS) simple       -> negation
         | simple
    ?simple: comparison
           | _OPEN expression _CLOSE    -> group
    comparison: FIELD OPERATOR value
    value: QUOTED                       -> quoted
         | WORD                         -> word

    _AND: /AND(?![\w.])/
    _OR: /OR(?![\w.])/
    _NOT: /NOT(?![\w.])/
    _MINUS: "-"
    _OPEN: "("
    _CLOSE: ")"
    FIELD: /(?!(AND|OR|NOT)(?![\w.]))[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*/
    OPERATOR: /<=|>=|!=|[<>=:]/
    QUOTED: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/s
    WORD: /(?!(AND|OR|NOT)(?![^\s()]))[^\s()"'\\<>=!,:][^\s()"'\\<>=!,]*/
    %ignore /\s+/
"""
_EXPECTED: Mapping[str, str] = {
    "FIELD": "a field",
    "_NOT": "NOT",
    "_OPEN": "'('",
    "OPERATOR": "one of = != < <= > >= :",
    "WORD": "a value",
    "_AND": "AND",
    "_OR": "OR",
    "_CLOSE": "')'",
}
"""What people call the terminals; those that say the same twice are left out."""


class Operator(Enum):
    """How a field is compared with a value."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    HAS = ":"


@dataclass(frozen=True)
class Value:
    """What a field is compared with; its type is that of the field.

    Attributes:
        parts: the text, cut at every ``*`` that stands for any text; one part: there is none.
    """

    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it was written, without quotes."""
        return "*".join(self.parts)

    @property
    def is_any(self) -> bool:
        """Whether it is ``*`` alone: anything at all."""
        return self.parts == ("", "")


@dataclass(frozen=True)
class Comparison:
    """A field against a value.

    Attributes:
        path: names of fields from the outside in.
        operator: how.
        value: with what.
        position: of the field in the filter; 1 is the first character.
    """

    path: tuple[str, ...]
    operator: Operator
    value: Value
    position: int


@dataclass(frozen=True)
class Negation:
    """Not ``part``."""

    part: Expression


@dataclass(frozen=True)
class Conjunction:
    """All of at least two ``parts``."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Disjunction:
    """At least one of at least two ``parts``."""

    parts: tuple[Expression, ...]


Expression: TypeAlias = Comparison | Negation | Conjunction | Disjunction


class FilterError(ValueError):
    """A filter that cannot be understood; the message says where and what was expected, and repeats nothing of it."""


def parse(text: str) -> Expression | None:
    """Reads a filter.

    Args:
        text: from a caller.

    Returns:
        Its meaning; none for an empty filter, which everything matches.

    Raises:
        FilterError: it is too long, too deep, has too many comparisons, or is not of the grammar.
    """
    if len(text) > MAXIMUM_LENGTH:
        raise FilterError(f"must not be longer than {MAXIMUM_LENGTH} characters")
    try:
        expression: Expression | None = _PARSER.parse(text)  # type: ignore[assignment] # what the builder makes of it
    except lark.UnexpectedCharacters as error:
        raise FilterError(_expectation(error.pos_in_stream, error.allowed or ())) from None
    except lark.UnexpectedToken as error:
        index = len(text) if error.token.type == "$END" else error.pos_in_stream
        raise FilterError(_expectation(index, error.expected)) from None
    return expression


def comparisons(expression: Expression) -> list[Comparison]:
    """The comparisons of an expression, from left to right."""
    if isinstance(expression, Comparison):
        return [expression]
    parts = (expression.part,) if isinstance(expression, Negation) else expression.parts
    return [comparison for part in parts for comparison in comparisons(part)]


class _Builder(lark.Transformer[lark.Token, "Expression | None"]):
    """Makes the expression while the parser reads, so that nothing recurses into a text of a caller's choice."""

    def start(self, parts: list[_Sized]) -> Expression | None:
        return parts[0].expression if parts else None

    def group(self, parts: list[_Sized]) -> _Sized:
        return _sized(parts[0].expression, parts)

    def conjunction(self, parts: list[_Sized]) -> _Sized:
        return parts[0] if len(parts) == 1 else _sized(Conjunction(tuple(part.expression for part in parts)), parts)

    def disjunction(self, parts: list[_Sized]) -> _Sized:
        return parts[0] if len(parts) == 1 else _sized(Disjunction(tuple(part.expression for part in parts)), parts)

    def negation(self, parts: list[_Sized]) -> _Sized:
        return _sized(Negation(parts[0].expression), parts)

    def comparison(self, parts: tuple[lark.Token, lark.Token, Value]) -> _Sized:
        field, operator, value = parts
        position = (field.start_pos or 0) + 1
        return _Sized(Comparison(tuple(field.split(".")), Operator(operator), value, position), 1, 1)

    def quoted(self, parts: list[lark.Token]) -> Value:
        return _unquoted(parts[0][1:-1])

    def word(self, parts: list[lark.Token]) -> Value:
        return Value(tuple(parts[0].split("*")))


@dataclass(frozen=True)
class _Sized:
    expression: Expression
    depth: int
    comparisons: int


def _sized(expression: Expression, parts: Iterable[_Sized]) -> _Sized:
    parts = list(parts)
    depth = 1 + max(part.depth for part in parts)
    count = sum(part.comparisons for part in parts)
    if depth > MAXIMUM_DEPTH:
        raise FilterError(f"must not be nested deeper than {MAXIMUM_DEPTH} levels")
    if count > MAXIMUM_COMPARISONS:
        raise FilterError(f"must not have more than {MAXIMUM_COMPARISONS} comparisons")
    return _Sized(expression, depth, count)


def _unquoted(text: str) -> Value:
    r"""A backslash takes its meaning from the character after it: ``\"``, ``\\``, ``\*``."""
    parts, escaped = [""], False
    for character in text:
        if character == "*" and not escaped:
            parts.append("")
        elif character != "\\" or escaped:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return Value(tuple(parts))


def _expectation(index: int | None, terminals: Iterable[str]) -> str:
    terminals = set(terminals)
    expected = [words for terminal, words in _EXPECTED.items() if terminal in terminals]
    if "_AND" in terminals:
        # States of the parser are merged, so a parenthesis may be named where none is open.
        expected = [_EXPECTED["_AND"], _EXPECTED["_OR"], f"{_EXPECTED['_CLOSE']} of an open '('", "the end"]
    return f"at character {(index or 0) + 1}: expected {' or '.join(expected) or 'the end'}"


_PARSER = lark.Lark(_GRAMMAR, parser="lalr", transformer=_Builder(), maybe_placeholders=False)
