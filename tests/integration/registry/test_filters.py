"""List filters in PostgreSQL against a plain evaluation of the same filters in Python."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import operator
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argo.registry.v1 import scene_pb2, site_pb2
from mesh.embedded import EmbeddedPostgres
from mesh.errors import InvalidArgument
from registry.domain import filtering
from registry.domain.filtering import Comparison, Conjunction, Expression, Negation, Operator
from registry.filters import condition
from registry.holds import HOLD
from registry.placements import PLACEMENT_REQUEST
from registry.records import to_row
from registry.resources import RESOURCES, Resource
from tests.contract.registry.support import fresh_database, migrated_pool

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

# ---- records that often match ---------------------------------------------------------------------------------------

TEXTS = st.sampled_from(
    ["", "Alimonda", "alimonda", "Giardini Alimonda", "100%", "a_b", "a*b", "\\", "città", "'\"; --"]
)
NUMBERS = st.sampled_from([0.0, 1.0, 1.5, -2.25, 90.0])
SECONDS = st.sampled_from([0, 1, 90, 604800])
TIMES = st.sampled_from([NOON, NOON + timedelta(seconds=1), NOON - timedelta(days=400)])


def optics() -> st.SearchStrategy[Message]:
    return st.builds(
        _optic, TEXTS, NUMBERS, st.sampled_from(sorted(site_pb2.Optic.Ingest.values())), st.none() | SECONDS,
        st.tuples(st.lists(TEXTS, max_size=3), st.lists(TEXTS, max_size=2)), st.none() | NUMBERS, st.none() | TIMES,
    )  # fmt: skip


def _optic(
    text: str, number: float, ingest: int, retention: int | None, lists: tuple[list[str], list[str]],
    crop: float | None, created: datetime | None,
) -> Message:  # fmt: skip
    masks, viewers = lists
    optic = site_pb2.Optic(name="devices/d/optics/o", display_name=text, mount_height_metres=number, ingest=ingest)  # type: ignore[arg-type]
    if retention is not None:
        optic.policy.retention.FromSeconds(retention)
    optic.policy.viewers.extend(viewers)
    for mask in masks:
        optic.privacy_masks.add(reason=mask).polygon.points.add(x=number)
    if crop is not None:
        optic.crop.left = crop
    if created is not None:
        optic.create_time.FromDatetime(created)
    return optic


def rules() -> st.SearchStrategy[Message]:
    return st.builds(
        _rule, TEXTS, st.sampled_from(sorted(scene_pb2.Rule.Mode.values())), st.lists(st.integers(0, 3), max_size=3),
        st.lists(st.tuples(st.lists(st.integers(1, 7), max_size=2), st.sampled_from([0, 60])), max_size=2),
        st.none() | SECONDS, st.integers(0, 3), st.none() | NUMBERS,
    )  # fmt: skip


def _rule(
    text: str, mode: int, classes: list[int], schedules: list[tuple[list[int], int]], seconds: int | None, version: int,
    speed: float | None,
) -> Message:  # fmt: skip
    rule = scene_pb2.Rule(name="devices/d/optics/o/rules/r", display_name=text, mode=mode, version=version)  # type: ignore[arg-type]
    rule.classes.extend(classes)  # type: ignore[arg-type]
    for days, minute in schedules:
        rule.schedules.add(days_of_week=days, start_minute=minute)
    if speed is not None:
        rule.stopped_vehicle.maximum_speed_kmh = speed
        if seconds is not None:
            rule.stopped_vehicle.minimum_duration.FromSeconds(seconds)
    elif seconds is None:
        rule.line_crossing.line = text
    else:
        rule.zone_intrusion.minimum_dwell.FromSeconds(seconds)
    return rule


# ---- filters over them ----------------------------------------------------------------------------------------------

QUOTED = TEXTS.map(lambda text: "".join(f"\\{character}" for character in text))
PATTERNS = st.lists(QUOTED, min_size=1, max_size=3).map("*".join).map('"{}"'.format)
DECIMALS = st.sampled_from(["0", "1", "1.5", "-2.25", "90", "1e1"])
INTEGERS = st.sampled_from(["0", "1", "3", "60", "-1"])
DURATIONS = st.sampled_from(["0s", "1s", "89.5s", "90s", "604800s"])
INSTANTS = st.sampled_from(["2026-11-22T13:00:00+01:00", "2026-11-22T12:00:01Z", "2027-01-01T00:00:00.5Z"])
ORDERED = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", ":"])
EQUALITY = st.sampled_from(["=", "!=", ":"])
HAS = st.just(":")


def comparisons(*, fields: list[str], operators: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> Any:
    presence = st.sampled_from(fields).map("{}:*".format)
    return st.one_of(st.builds("{} {} {}".format, st.sampled_from(fields), operators, values), presence)


def wildcards(fields: list[str]) -> st.SearchStrategy[str]:
    return st.builds("{} {} {}".format, st.sampled_from(fields), EQUALITY, PATTERNS)


def texts(fields: list[str]) -> st.SearchStrategy[str]:
    return comparisons(fields=fields, operators=ORDERED, values=QUOTED.map('"{}"'.format)) | wildcards(fields)  # type: ignore[no-any-return]


OPTIC_COMPARISONS = st.one_of(
    texts(["display_name", "sub_stream_path"]),
    comparisons(fields=["mount_height_metres", "crop.left"], operators=ORDERED, values=DECIMALS),
    comparisons(fields=["ingest"], operators=EQUALITY, values=st.sampled_from(site_pb2.Optic.Ingest.keys())),
    comparisons(fields=["policy.retention"], operators=ORDERED, values=DURATIONS),
    comparisons(fields=["create_time", "update_time"], operators=ORDERED, values=INSTANTS),
    comparisons(fields=["privacy_masks.reason", "policy.viewers"], operators=HAS, values=PATTERNS),
    comparisons(fields=["privacy_masks.polygon.points.x"], operators=HAS, values=DECIMALS),
    st.sampled_from(["crop:*", "policy:*", "privacy_masks:*", "privacy_masks.polygon:*", "calibration_points:*"]),
)
RULE_COMPARISONS = st.one_of(
    texts(["display_name", "line_crossing.line"]),
    comparisons(fields=["mode"], operators=EQUALITY, values=st.sampled_from(scene_pb2.Rule.Mode.keys())),
    comparisons(
        fields=["classes"], operators=HAS,
        values=st.sampled_from(["OBJECT_CLASS_UNSPECIFIED", "OBJECT_CLASS_PERSON", "OBJECT_CLASS_CAR"]),
    ),
    comparisons(fields=["schedules.days_of_week", "schedules.start_minute"], operators=HAS, values=INTEGERS),
    comparisons(
        fields=["zone_intrusion.minimum_dwell", "stopped_vehicle.minimum_duration"], operators=ORDERED, values=DURATIONS
    ),
    comparisons(fields=["stopped_vehicle.maximum_speed_kmh"], operators=ORDERED, values=DECIMALS),
    st.sampled_from(["line_crossing:*", "zone_intrusion:*", "stopped_vehicle:*", "wrong_way:*"]),
    comparisons(fields=["version"], operators=ORDERED, values=INTEGERS),
)  # fmt: skip


def filters(comparison: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        comparison,
        lambda inner: st.one_of(
            inner.map("NOT ({})".format),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + " AND ".join(parts) + ")"),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + " OR ".join(parts) + ")"),
        ),
        max_leaves=6,
    )


# ---- the plain evaluation -------------------------------------------------------------------------------------------

COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: operator.eq, Operator.HAS: operator.eq, Operator.NOT_EQUAL: operator.ne, Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le, Operator.GREATER: operator.gt, Operator.GREATER_OR_EQUAL: operator.ge,
}  # fmt: skip


def matches(message: Message, expression: Expression | None) -> bool:
    if expression is None:
        return True
    if isinstance(expression, Comparison):
        return any(holds(value, field, expression) for value, field in values_at(message, expression.path))
    if isinstance(expression, Negation):
        return not matches(message, expression.part)
    judge = all if isinstance(expression, Conjunction) else any
    return judge(matches(message, part) for part in expression.parts)


def values_at(message: Any, path: tuple[str, ...]) -> Iterator[tuple[Any, FieldDescriptor]]:
    field = message.DESCRIPTOR.fields_by_name[path[0]]
    values = list(getattr(message, path[0])) if field.is_repeated else [getattr(message, path[0])]
    if len(path) > 1:
        for value in values:
            yield from values_at(value, path[1:])
    elif not field.is_repeated and field.message_type is not None and not message.HasField(path[0]):
        yield None, field
    else:
        yield from ((value, field) for value in values)


def holds(value: Any, field: FieldDescriptor, comparison: Comparison) -> bool:
    wanted = comparison.value
    if comparison.operator is Operator.HAS and wanted.is_any:
        # An element of a list is there, whatever it is.
        return value is not None and (field.is_repeated or field.message_type is not None or bool(value))
    if value is None:
        return False
    if len(wanted.parts) > 1:
        return like(value, wanted.parts) == (comparison.operator is not Operator.NOT_EQUAL)
    return COMPARE[comparison.operator](*comparable(value, field, wanted.text))


def comparable(value: Any, field: FieldDescriptor, text: str) -> tuple[Any, Any]:
    """The value of a field, and that of the filter as the same type."""
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name, text
    if field.message_type is None:
        return (value, text) if field.type == FieldDescriptor.TYPE_STRING else (value, float(text))
    if field.message_type.name == "Timestamp":
        return value.ToDatetime(UTC), datetime.fromisoformat(text)
    return value.ToTimedelta(), timedelta(seconds=float(text.removesuffix("s")))


def like(text: str, parts: tuple[str, ...]) -> bool:
    """Whether the text is made of the parts with anything between them."""
    if len(parts) == 1:
        return text == parts[0]
    return text.startswith(parts[0]) and any(
        like(text[start:], parts[1:]) for start in range(len(parts[0]), len(text) + 1)
    )


# ---- both ----------------------------------------------------------------------------------------------------------


def row(resource: Resource, message: Any) -> dict[str, Any]:
    """As stored, with what the database keeps besides."""
    kept: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    columns: dict[str, Any] = json.loads(to_row(resource, message))
    times = {name: kept[name] for name in ("create_time", "update_time") if name in kept}
    return columns | times | {"version": getattr(message, "version", 0)}


@pytest.fixture(scope="module")
def tables(postgres_server: EmbeddedPostgres) -> str:
    """A migrated database; nothing is written to it."""

    async def build() -> str:
        dsn = await fresh_database(postgres_server)
        async with migrated_pool(dsn):
            return dsn

    return asyncio.run(build())


@pytest.fixture
async def connection(tables: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(tables, server_settings={"search_path": "registry"})
    yield connection
    await connection.close()


async def check(connection: Any, kind: str, messages: list[Any], text: str) -> None:
    resource = RESOURCES[kind]
    expression = filtering.parse(text)
    expected = [index for index, message in enumerate(messages) if matches(message, expression)]
    found = condition(resource, text, 2)
    rows = [row(resource, message) | {"name": str(index)} for index, message in enumerate(messages)]
    answer = await connection.fetch(
        f"SELECT t.name::int FROM jsonb_populate_recordset(NULL::{resource.plural}, $1::jsonb) AS t "  # noqa: S608
        f"WHERE {found.sql} ORDER BY 1",
        json.dumps(rows),
        *found.parameters,
    )
    assert [record[0] for record in answer] == expected, found.sql


examples = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@examples
@given(messages=st.lists(optics(), min_size=1, max_size=8), text=filters(OPTIC_COMPARISONS))
async def test_sql_and_python_choose_the_same_optics(connection: Any, messages: list[Any], text: str) -> None:
    await check(connection, "optic", messages, text)


@examples
@given(messages=st.lists(rules(), min_size=1, max_size=8), text=filters(RULE_COMPARISONS))
async def test_sql_and_python_choose_the_same_rules(connection: Any, messages: list[Any], text: str) -> None:
    await check(connection, "rule", messages, text)


# ---- every field there is --------------------------------------------------------------------------------------------

RECORDS = {**RESOURCES, "hold": HOLD, "placement_request": PLACEMENT_REQUEST}
SOME_VALUES = (
    "x", '"x%_\\\\*"', "*", "-7", "1.5e3", "1e-300", "99999999999999999999", "true", "1.5s", "-999999999999.999999999s",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z",
)  # fmt: skip


def paths_of(descriptor: Any, depth: int = 4) -> Iterator[tuple[str, FieldDescriptor]]:
    """Every field of a message, and every field of its fields, with its path."""
    for field in descriptor.fields:
        yield field.name, field
        if field.message_type is not None and field.message_type.file.package != "google.protobuf" and depth:
            for path, inner in paths_of(field.message_type, depth - 1):
                yield f"{field.name}.{path}", inner


def usable(resource: Resource, path: str, field: FieldDescriptor) -> list[str]:
    """The comparisons of a field that are not refused."""
    names = list(field.enum_type.values_by_name) if field.enum_type is not None else []
    found = []
    for comparator, value in itertools.product((each.value for each in Operator), (*SOME_VALUES, *names)):
        with contextlib.suppress(InvalidArgument):
            condition(resource, text := f"{path} {comparator} {value}", 1)
            found.append(text)
    return found


@pytest.mark.parametrize("kind", RECORDS)
async def test_every_field_can_be_filtered_by_unless_it_is_worked_out(connection: Any, kind: str) -> None:
    resource = RECORDS[kind]
    for path, field in paths_of(resource.message.DESCRIPTOR):
        texts = usable(resource, path, field)
        worked_out = path.split(".")[0] in (*resource.output_only, "etag")
        assert bool(texts) != worked_out, path
        for start in range(0, len(texts), 20):
            found = condition(resource, " OR ".join(texts[start : start + 20]), 1)
            query = f"SELECT FROM {resource.plural} AS t WHERE ({found.sql}) AND NOT ({found.sql})"
            assert await connection.fetch(query, *found.parameters) == []
