"""Checks of rules: what every rule has, and the parameters of its kind as the table of kinds bounds them."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from argo.registry.v1 import scene_pb2
from argo.type.v1 import object_class_pb2
from mesh.errors import FieldViolation
from registry.domain import fields
from registry.domain.fields import Violations
from registry.domain.names import NamePattern, ancestor
from registry.domain.network import CameraNetworks
from registry.domain.rule_kinds import RULE_KINDS, live_problem
from registry.message_checks import MAXIMUM_PARTS, check_enum, check_texts, known_values


def check_rule(rule: scene_pb2.Rule, _networks: CameraNetworks) -> list[FieldViolation]:
    """A rule: it watches a zone, a line or a lane of its own optic."""
    found = Violations("rule")
    check_texts(found, rule, ("display_name",))
    check_enum(found, "mode", rule.mode, known_values(scene_pb2.Rule.Mode))
    check_enum(found, "priority", rule.priority, known_values(scene_pb2.Priority))
    if any(item not in known_values(object_class_pb2.ObjectClass) for item in rule.classes):
        found.add("classes", "must be known object classes")
    if len(set(rule.classes)) != len(rule.classes):
        found.add("classes", "must not name a class twice")
    _check_kind(found, rule)
    if len(rule.schedules) > MAXIMUM_PARTS:
        found.add("schedules", f"must be at most {MAXIMUM_PARTS}")
    for index, schedule in enumerate(rule.schedules[:MAXIMUM_PARTS]):
        problems = fields.schedule_problems(schedule.days_of_week, schedule.start_minute, schedule.end_minute)
        found.add_all(f"schedules[{index}]", problems)
    return found.found


def needs_calibration(rule: scene_pb2.Rule) -> bool:
    """Whether a rule may be stored only for a calibrated optic: it is live, and measures in metres."""
    kind = rule.WhichOneof("parameters")
    return kind is not None and rule.mode == scene_pb2.Rule.MODE_LIVE and RULE_KINDS[kind].needs_calibration


def _check_kind(found: Violations, rule: scene_pb2.Rule) -> None:
    kind = rule.WhichOneof("parameters")
    if kind is None:
        found.require("parameters", given=False)
        return
    if rule.mode == scene_pb2.Rule.MODE_LIVE:
        found.add("mode", live_problem(kind))
    known = object_class_pb2.ObjectClass.items()
    names = {name.removeprefix("OBJECT_CLASS_") for name, number in known if number and number in rule.classes}
    found.add("classes", RULE_KINDS[kind].classes_problem(frozenset(names)))
    parameters: Any = getattr(rule, kind)
    for field in parameters.DESCRIPTOR.fields:
        path = f"{kind}.{field.name}"
        if field.name == RULE_KINDS[kind].place:
            _check_reference(found, path, getattr(parameters, field.name), rule.name, f"{field.name}s")
        elif field.enum_type is not None:
            check_enum(found, path, getattr(parameters, field.name), frozenset(field.enum_type.values_by_number))
        else:
            found.add(path, RULE_KINDS[kind].bounds[field.name].problem(_number(parameters, field)))


def _number(parameters: Any, field: FieldDescriptor) -> float | None:
    """A number or duration, the latter in seconds; None: not given, as a number is that is 0."""
    value = getattr(parameters, field.name)
    if field.message_type is None:
        return float(value) or None
    return value.seconds + value.nanos / 1e9 if parameters.HasField(field.name) else None


def _check_reference(found: Violations, field: str, reference: str, rule: str, collection: str) -> None:
    pattern = NamePattern(("devices", "optics", collection))
    if not reference:
        found.require(field, given=False)
    elif not pattern.matches(reference):
        found.add(field, f"must be {pattern}")
    elif ancestor(reference, 2) != ancestor(rule, 2):
        found.add(field, f"must be of the same optic, {ancestor(rule, 2)}")
