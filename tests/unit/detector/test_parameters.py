"""Every kind of rule that the contract has can be read, built and refused."""

from __future__ import annotations

import numpy as np
import pytest

from argo.registry.v1 import scene_pb2
from bench.scripted.views import SPREAD, ground_of, view
from detector.domain.calibration import Calibration
from detector.domain.rules import ClassFilter, PictureRule, Rule
from detector.domain.scene import Lane, Places, ZoneKind
from detector.parameters import KINDS, unpack_parameters

ZONE, LINE, LANE = "o/zones/z", "o/lines/l", "o/lanes/l"
SQUARE = ((0.2, 0.6), (0.8, 0.6), (0.8, 0.9), (0.2, 0.9))
PLACES = Places(
    zones={ZONE: SQUARE},
    lines={LINE: SQUARE[:2]},
    kinds={ZONE: ZoneKind.CARRIAGEWAY},
    lanes={LANE: Lane(SQUARE, ((0.3, 0.9), (0.3, 0.6)))},
    calibration=Calibration.fit(SPREAD, ground_of(view(), SPREAD)),
)
PLACE_OF = {"zone": ZONE, "line": LINE, "lane": LANE}


def rule(kind: str, **fields: object) -> scene_pb2.Rule:
    """A rule of which nothing but its place is said, and what else is given."""
    found = scene_pb2.Rule(name="o/rules/r", mode=scene_pb2.Rule.MODE_SHADOW)
    parameters = getattr(found, kind)
    (place,) = set(PLACE_OF) & set(parameters.DESCRIPTOR.fields_by_name)
    setattr(parameters, place, PLACE_OF[place])
    if "threshold" in parameters.DESCRIPTOR.fields_by_name:
        parameters.threshold = 3
    for name, value in fields.items():
        setattr(parameters, name, value)
    return found


def build(message: scene_pb2.Rule) -> Rule:
    parameters, violations = unpack_parameters(message, PLACES)
    assert violations == []
    assert parameters is not None
    return parameters.build(PLACES, ClassFilter())


def test_every_kind_of_the_contract_is_known() -> None:
    assert set(KINDS) == {field.name for field in scene_pb2.Rule.DESCRIPTOR.oneofs_by_name["parameters"].fields}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_rule_that_says_nothing_but_its_place_runs_with_defaults(kind: str) -> None:
    built = build(rule(kind))

    assert built.place in PLACE_OF.values()
    assert "/" in built.topic
    built.reset()


def test_no_two_kinds_share_a_topic() -> None:
    topics = [build(rule(kind)).topic for kind in KINDS]

    assert len(set(topics)) == len(topics)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_place_of_another_optic_is_refused(kind: str) -> None:
    _, violations = unpack_parameters(rule(kind), Places())
    fields = [field for field, _ in violations]

    assert len(fields) == 1
    assert fields[0] in {f"{kind}.{place}" for place in PLACE_OF}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_negative_durations_and_numbers_are_refused_by_name(kind: str) -> None:
    message = rule(kind)
    parameters = getattr(message, kind)
    wrong = []
    for field in parameters.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.name == "Duration":
            getattr(parameters, field.name).FromSeconds(-1)
            wrong.append(f"{kind}.{field.name}")
        elif field.cpp_type == field.CPPTYPE_DOUBLE:
            setattr(parameters, field.name, -1.0)
            wrong.append(f"{kind}.{field.name}")
    _, violations = unpack_parameters(message, PLACES)

    assert sorted(field for field, _ in violations) == sorted(wrong)


def test_only_rules_about_the_picture_ask_for_it() -> None:
    looking = {kind for kind in KINDS if isinstance(build(rule(kind)), PictureRule)}

    assert looking == {"smoke_or_fire", "flooding", "lost_visibility"}


def test_a_rule_of_a_later_release_is_refused() -> None:
    parameters, violations = unpack_parameters(scene_pb2.Rule(name="o/rules/r"), PLACES)

    assert parameters is None
    assert [field for field, _ in violations] == ["parameters"]


def test_the_square_of_these_tests_lies_on_the_ground() -> None:
    assert PLACES.calibration is not None
    assert np.isfinite(PLACES.calibration.to_ground(np.array(SQUARE))).all()
