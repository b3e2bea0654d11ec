"""Every kind of rule of the contract, one by one: a kind that comes later is tested here by itself."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from argo.registry.v1 import scene_pb2
from registry.domain.network import CameraNetworks
from registry.domain.rule_kinds import RULE_KINDS, Reach
from registry.rule_checks import check_rule, needs_calibration
from tests.unit.registry import lawful

ROOT = Path(__file__).parents[3]
LIVE = scene_pb2.Rule.MODE_LIVE
OPTIC = "devices/palo-12/optics/nord"
FIELDS = [
    (kind, field)
    for kind in lawful.RULE_KINDS
    for field in getattr(scene_pb2.Rule(), kind).DESCRIPTOR.fields
]  # fmt: skip
NUMBERS = [(kind, field) for kind, field in FIELDS if field.name in RULE_KINDS[kind].bounds]
each_kind = pytest.mark.parametrize("kind", lawful.RULE_KINDS)
each_number = pytest.mark.parametrize(
    ("kind", "field"), NUMBERS, ids=[f"{kind}.{field.name}" for kind, field in NUMBERS]
)


def rule(kind: str, **changes: Any) -> scene_pb2.Rule:
    return lawful.rule_of(kind, OPTIC, name=f"{OPTIC}/rules/r", **changes)


def told(record: scene_pb2.Rule) -> dict[str, str]:
    return {violation.field: violation.description for violation in check_rule(record, CameraNetworks(()))}


def put(parameters: Any, field: FieldDescriptor, value: float) -> None:
    if field.message_type is None:
        setattr(parameters, field.name, value if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE else round(value))
    else:
        duration = getattr(parameters, field.name)
        duration.seconds, duration.nanos = int(value), round(math.fmod(value, 1) * 1e9)


def test_the_table_knows_the_kinds_of_the_contract_and_no_others() -> None:
    assert set(RULE_KINDS) == set(lawful.RULE_KINDS)


@each_kind
def test_the_table_bounds_every_number_of_a_kind_and_nothing_else(kind: str) -> None:
    fields = [field for own, field in FIELDS if own == kind]
    numbers = {field.name for field in fields if field.name not in lawful.PLACES and field.enum_type is None}

    assert set(RULE_KINDS[kind].bounds) == numbers
    assert [field.name for field in fields if field.name in lawful.PLACES] == [RULE_KINDS[kind].place]


@each_kind
def test_a_lawful_rule_of_each_kind_has_no_violation(kind: str) -> None:
    assert told(rule(kind)) == {}


@each_kind
def test_a_rule_of_each_kind_may_leave_all_but_what_is_required_to_its_defaults(kind: str) -> None:
    record = rule(kind)
    parameters = getattr(record, kind)
    required = {name for name, bounds in RULE_KINDS[kind].bounds.items() if bounds.required}
    for field in parameters.DESCRIPTOR.fields:
        if field.name not in {*required, RULE_KINDS[kind].place}:
            parameters.ClearField(field.name)

    assert told(record) == {}


@each_kind
def test_everything_that_is_missing_or_beyond_its_kind_is_told_at_once(kind: str) -> None:
    record = rule(kind)
    parameters = getattr(record, kind)
    expected = {f"rule.{kind}.{RULE_KINDS[kind].place}"}
    for field in parameters.DESCRIPTOR.fields:
        parameters.ClearField(field.name)
        if field.enum_type is not None:
            setattr(parameters, field.name, 99)
            expected.add(f"rule.{kind}.{field.name}")
        elif field.name in RULE_KINDS[kind].bounds:
            put(parameters, field, RULE_KINDS[kind].bounds[field.name].high * 2)
            expected.add(f"rule.{kind}.{field.name}")

    assert set(told(record)) == expected


@each_kind
@pytest.mark.parametrize("place", ["devices/palo-12/optics/sud/{}s/x", "sites/x", "{}s/x"])
def test_what_a_rule_watches_is_of_its_own_optic(kind: str, place: str) -> None:
    record = rule(kind)
    setattr(getattr(record, kind), RULE_KINDS[kind].place, place.format(RULE_KINDS[kind].place))

    assert set(told(record)) == {f"rule.{kind}.{RULE_KINDS[kind].place}"}


@each_number
def test_a_number_keeps_to_its_bounds(kind: str, field: FieldDescriptor) -> None:
    bounds, record = RULE_KINDS[kind].bounds[field.name], rule(kind)
    path = f"rule.{kind}.{field.name}"
    step = 1 if field.cpp_type == FieldDescriptor.CPPTYPE_UINT32 else 1e-3
    for value in (bounds.low, bounds.high):
        put(getattr(record, kind), field, value)
        assert told(record) == {}
    outside = [bounds.high + step]
    if field.cpp_type != FieldDescriptor.CPPTYPE_UINT32:
        outside += [-1.0, bounds.low - step]
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        outside += [math.nan, math.inf]
    for value in outside:
        put(getattr(record, kind), field, value)
        assert path in told(record), value
        assert f"between {bounds.low:g} and {bounds.high:g}" in told(record)[path]


@each_kind
def test_a_kind_goes_live_as_far_as_its_table_says(kind: str) -> None:
    problem = told(rule(kind, mode=LIVE)).get("rule.mode", "")

    assert bool(problem) == (RULE_KINDS[kind].reach is not Reach.ALERTS)
    assert RULE_KINDS[kind].reach.value in problem


def test_what_is_weak_or_only_counted_never_raises_an_alarm() -> None:
    assert {kind: known.reach for kind, known in RULE_KINDS.items() if known.reach is not Reach.ALERTS} == {
        "abandoned_object": Reach.SHADOW,
        "person_down": Reach.SHADOW,
        "smoke_or_fire": Reach.SHADOW,
        "flooding": Reach.SHADOW,
        "near_miss": Reach.STATISTICS,
    }


def test_what_measures_in_metres_needs_calibration_once_it_is_live() -> None:
    metric = {kind for kind, known in RULE_KINDS.items() if known.needs_calibration}

    assert metric == {
        "wrong_way", "stopped_vehicle", "slow_traffic", "crowd_density", "dispersal", "running_against_flow",
        "abandoned_object", "near_miss",
    }  # fmt: skip
    assert {kind for kind in RULE_KINDS if needs_calibration(rule(kind, mode=LIVE))} == metric
    assert not any(needs_calibration(rule(kind)) for kind in RULE_KINDS)


# ---- the page for people -------------------------------------------------------------------------------------------


def rows() -> dict[str, list[str]]:
    """The table of docs/rules.md by kind."""
    lines = (ROOT / "docs" / "rules.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {row[0].strip("`"): row for row in cells}


def comments() -> dict[str, dict[str, str]]:
    """The comment above each field, by message and field, as the contract has them."""
    found: dict[str, dict[str, str]] = {}
    message, comment = "", ""
    for line in (ROOT / "protos/argo/registry/v1/scene.proto").read_text().splitlines():
        if line.startswith("message "):
            message = line.split()[1]
        elif line.strip().startswith("//"):
            comment += " " + line.strip().removeprefix("//").strip()
        else:
            if match := re.match(r"  [\w.]+ (\w+) = \d+;", line):
                found.setdefault(message, {})[match[1]] = comment
            comment = ""
    return found


@each_kind
def test_the_page_on_rules_says_what_the_table_and_the_contract_say(kind: str) -> None:
    _, _, topic, watches, parameters, metres, reach = rows()[kind]
    said = comments()
    message = getattr(scene_pb2.Rule(), kind).DESCRIPTOR

    onvif = re.search(r"tns1:[\w/]+", _comment_of_kind(kind))
    assert topic == (f"`{onvif[0]}`" if onvif else "-")
    assert watches == RULE_KINDS[kind].place + (" of kind carriageway" if RULE_KINDS[kind].zone_kind else "")
    for name, bounds in RULE_KINDS[kind].bounds.items():
        default = re.search(r"default (?:of )?([\d.]+)", said[message.name][name].rstrip("."))
        entry = re.search(rf"`{name}` ([^;]+)", parameters)
        assert entry is not None, name
        if default is not None:
            assert entry[1].startswith(f"{default[1].rstrip('.')}{f' {bounds.unit}' if bounds.unit else ''} "), name
        assert f"({bounds.low:g} to {bounds.high:g})" in entry[1], name
    assert metres == ("yes" if RULE_KINDS[kind].needs_calibration else "-")
    assert (
        reach == {Reach.ALERTS: "live", Reach.SHADOW: "shadow", Reach.STATISTICS: "statistics"}[RULE_KINDS[kind].reach]
    )


def _comment_of_kind(kind: str) -> str:
    text = (ROOT / "protos/argo/registry/v1/scene.proto").read_text()
    found = re.search(rf"// ([^\n]+)\n    \w+ {kind} = \d+;", text)
    assert found is not None
    return found[1]


PERSON, CAR, BICYCLE, LUGGAGE = 1, 3, 2, 9


@pytest.mark.parametrize(
    ("kind", "classes", "fragment"),
    [
        ("wrong_way", [CAR, PERSON], "not PERSON"),
        ("stopped_vehicle", [LUGGAGE], "not LUGGAGE"),
        ("slow_traffic", [PERSON], "not PERSON"),
        ("pedestrian_on_carriageway", [CAR], "not CAR"),
        ("person_down", [CAR], "not CAR"),
        ("abandoned_object", [PERSON], "not PERSON"),
        ("near_miss", [PERSON, BICYCLE], "at least one of"),
        ("flooding", [CAR], "looks at the picture itself"),
    ],
)
def test_a_class_filter_with_which_a_rule_would_never_speak_is_refused(
    kind: str, classes: list[int], fragment: str
) -> None:
    assert fragment in told(rule(kind, classes=classes))["rule.classes"]


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("wrong_way", [CAR, BICYCLE]),
        ("near_miss", [CAR, PERSON]),
        ("loitering", [CAR]),
        ("person_down", [PERSON]),
        ("flooding", []),
    ],
)
def test_a_class_filter_that_fits_its_kind_is_taken(kind: str, classes: list[int]) -> None:
    assert told(rule(kind, classes=classes)) == {}
