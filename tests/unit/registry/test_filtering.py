"""The grammar of list filters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain import filtering
from registry.domain.filtering import (
    MAXIMUM_COMPARISONS,
    MAXIMUM_DEPTH,
    MAXIMUM_LENGTH,
    Comparison,
    Conjunction,
    Expression,
    FilterError,
    Negation,
    parse,
)


def shape(expression: Expression | None) -> str:
    """The expression fully in parentheses."""
    if expression is None:
        return ""
    if isinstance(expression, Comparison):
        return f"{'.'.join(expression.path)}{expression.operator.value}{'*'.join(expression.value.parts)}"
    if isinstance(expression, Negation):
        return f"not({shape(expression.part)})"
    word = "and" if isinstance(expression, Conjunction) else "or"
    return f"{word}({', '.join(shape(part) for part in expression.parts)})"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", ""),
        ("  \n", ""),
        ("a=1", "a=1"),
        ("a.b.c != x", "a.b.c!=x"),
        ("a<1 AND b<=1 AND c>1 AND d>=1 AND e:1", "and(a<1, b<=1, c>1, d>=1, e:1)"),
        # OR binds tighter than AND (AIP-160, "Logical Operators").
        ("a=1 AND b=2 OR c=3", "and(a=1, or(b=2, c=3))"),
        ("a=1 OR b=2 AND c=3 OR d=4", "and(or(a=1, b=2), or(c=3, d=4))"),
        ("(a=1 AND b=2) OR c=3", "or(and(a=1, b=2), c=3)"),
        ("NOT a=1 AND b=2", "and(not(a=1), b=2)"),
        ("NOT(a=1 OR b=2)", "not(or(a=1, b=2))"),
        ("-a=1 OR -(b=2)", "or(not(a=1), not(b=2))"),
        ("(((a=1)))", "a=1"),
        ("a:*", "a:*"),
        ("a=-1.5e3 AND b=90s", "and(a=-1.5e3, b=90s)"),
        ("a>=2026-11-22T10:00:00+01:00", "a>=2026-11-22T10:00:00+01:00"),
        ("a=devices/palo-12/optics/*", "a=devices/palo-12/optics/*"),
        # Words that only begin like a keyword.
        ("NOTE=ANDREA AND ORB=NOTE", "and(NOTE=ANDREA, ORB=NOTE)"),
        ("a=città", "a=città"),
    ],
)
def test_what_a_filter_means(text: str, meaning: str) -> None:
    assert shape(parse(text)) == meaning


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('"via Nizza 52"', ("via Nizza 52",)),
        ("'it''s'", None),
        (r"'it\'s'", ("it's",)),
        (r'"a \"b\" \\ c"', (r'a "b" \ c',)),
        ('"AND"', ("AND",)),
        ('"Giardini*"', ("Giardini", "")),
        (r'"5\* *"', ("5* ", "")),
        ("*", ("", "")),
        ('"(=<>!:,)"', ("(=<>!:,)",)),
        ('""', ("",)),
    ],
)
def test_values(text: str, parts: tuple[str, ...] | None) -> None:
    if parts is None:
        with pytest.raises(FilterError):
            parse(f"a={text}")
        return
    expression = parse(f"a={text}")

    assert isinstance(expression, Comparison)
    assert expression.value.parts == parts
    assert expression.value.is_any == (text == "*")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "at character 2: expected one of = != < <= > >= :"),
        ("a =", "at character 4: expected a value"),
        ("a==1", "at character 3: expected a value"),
        ('a="open', "at character 3: expected a value"),
        ("= 1", "at character 1: expected a field or NOT or '('"),
        ("AND a=1", "at character 1: expected a field or NOT or '('"),
        ("a=AND", "at character 3: expected a value"),
        ("(a=1", "at character 5: expected ')'"),
        ("a=1)", "at character 4: expected the end"),
        ("a=1 b=2", "at character 5: expected AND or OR or ')' of an open '(' or the end"),
        ("a=now()", "at character 6: expected AND or OR or ')' of an open '(' or the end"),
        ("NOT NOT a=1", "at character 5: expected a field or '('"),
        ("a=1 and b=2", "at character 5: expected AND or OR or ')' of an open '(' or the end"),
        ("\0", "at character 1: expected a field or NOT or '('"),
    ],
)
def test_an_error_names_the_place_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)

    assert str(caught.value) == message


def test_positions_are_those_of_the_fields() -> None:
    expression = parse("aa=1 AND (b=2 OR NOT c.d:3)")

    assert expression is not None
    assert [(found.path, found.position) for found in filtering.comparisons(expression)] == [
        (("aa",), 1), (("b",), 11), (("c", "d"), 22),
    ]  # fmt: skip


def alternating(levels: int) -> str:
    """A filter of that many levels, each one in parentheses in the next."""
    text = "a=1"
    for level in range(levels):
        text = f"({text} {'AND' if level % 2 else 'OR'} a=1)" if level % 3 else f"(-{text})"
    return text


def test_limits() -> None:
    assert parse("a=" + "x" * (MAXIMUM_LENGTH - 2)) is not None
    assert parse(" AND ".join(["a=1"] * MAXIMUM_COMPARISONS)) is not None
    for text, message in (
        ("a=" + "x" * (MAXIMUM_LENGTH - 1), f"longer than {MAXIMUM_LENGTH} characters"),
        (" OR ".join(["a=1"] * (MAXIMUM_COMPARISONS + 1)), f"more than {MAXIMUM_COMPARISONS} comparisons"),
        ("(" * 500 + "a=1" + ")" * 500, f"deeper than {MAXIMUM_DEPTH} levels"),
        (alternating(MAXIMUM_DEPTH + 1), f"deeper than {MAXIMUM_DEPTH} levels"),
    ):
        with pytest.raises(FilterError, match=message):
            parse(text)


PIECES = st.sampled_from(
    [
        "a",
        "b.c",
        " ",
        "=",
        "!=",
        "<=",
        ">",
        ":",
        "(",
        ")",
        "-",
        "AND",
        "OR",
        "NOT",
        '"',
        "'",
        "\\",
        "*",
        "x",
        "1.5",
        "é",
        "\0",
        ",",
    ]
)


@given(
    st.one_of(
        st.text(max_size=60), st.lists(PIECES, max_size=40).map("".join), st.lists(PIECES, max_size=40).map(" ".join)
    )
)
def test_every_text_is_refused_with_words_or_means_what_it_is_written_out_as(text: str) -> None:
    try:
        expression = parse(text)
    except FilterError as error:
        problem = str(error)
    else:
        assert shape(parse(written(expression))) == shape(expression)
        return
    assert problem.startswith(("at character ", "must not be "))


def written(expression: Expression | None) -> str:
    """A filter of that meaning, with every parenthesis and quote."""
    if expression is None:
        return ""
    if isinstance(expression, Comparison):
        parts = ["".join(f"\\{character}" for character in part) for part in expression.value.parts]
        return f'{".".join(expression.path)} {expression.operator.value} "{"*".join(parts)}"'
    if isinstance(expression, Negation):
        return f"NOT ({written(expression.part)})"
    word = " AND " if isinstance(expression, Conjunction) else " OR "
    return f"({word.join(written(part) for part in expression.parts)})"
