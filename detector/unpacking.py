"""What the gateway sends, checked field by field before it reaches the domain."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NoReturn

from argo.registry.v1 import lease_service_pb2, scene_pb2
from argo.type.v1 import geometry_pb2, media_pb2, object_class_pb2
from detector.domain.configuration import LineParameters, OpticConfiguration, RuleSpecification, ZoneParameters
from detector.domain.detections import ObjectClass
from detector.domain.preprocessing import Planes
from detector.domain.rules.line_crossing import Direction
from detector.domain.rules.schedule import MINUTES_OF_A_DAY, Schedule
from detector.domain.rules.zone_intrusion import DEFAULT_DWELL_SECONDS
from detector.domain.scene import Places
from detector.packing import FrameHeader
from mesh.errors import FieldViolation, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from argo.detector.v1 import detection_service_pb2
    from detector.domain.geometry import Point

_ID: Final = "[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
OPTIC_NAME: Final = re.compile(rf"devices/({_ID})/optics/({_ID})")

_LAST_SECOND: Final = 253_402_214_400
"""The last day of 9999 begins: any time zone's date still exists."""
_NANOSECONDS: Final = 1_000_000_000
_SUNDAY: Final = 7

_DIRECTIONS: Final = {
    scene_pb2.LineCrossing.DIRECTION_UNSPECIFIED: Direction.ANY,
    scene_pb2.LineCrossing.DIRECTION_ANY: Direction.ANY,
    scene_pb2.LineCrossing.DIRECTION_LEFT_TO_RIGHT: Direction.LEFT_TO_RIGHT,
    scene_pb2.LineCrossing.DIRECTION_RIGHT_TO_LEFT: Direction.RIGHT_TO_LEFT,
}


def unpack_frame(frame: media_pb2.Frame) -> tuple[FrameHeader, Planes]:
    """A frame and its planes.

    Raises:
        InvalidArgument: no capture time, or planes that do not fit the size.
    """
    violations = []
    time = frame.capture_time.time
    if not frame.capture_time.HasField("time"):
        violations.append(FieldViolation("frame.capture_time.time", "is required"))
    elif not (0 <= time.seconds <= _LAST_SECOND and 0 <= time.nanos < _NANOSECONDS):
        violations.append(FieldViolation("frame.capture_time.time", "must lie between the years 1970 and 9999"))
    planes: Planes | None = None
    try:
        planes = Planes.unpack(frame.width, frame.height, frame.i420)
    except ValueError as error:
        violations.append(FieldViolation("frame.i420", str(error)))
    if violations or planes is None:
        _refuse("the frame cannot be used", violations)
    header = FrameHeader(frame.sequence, frame.capture_time, frame.width, frame.height, frame.traceparent)
    return header, planes


def require_configuration(request: detection_service_pb2.AnalyzeRequest) -> OpticConfiguration:
    """The configuration that must come first.

    Raises:
        InvalidArgument: the message is not one, or is wrong.
    """
    if request.WhichOneof("message") != "configuration":
        _refuse(
            "the first message must carry the configuration",
            [FieldViolation("configuration", "is required in the first message of the stream")],
        )
    return unpack_configuration(request.configuration)


def unpack_configuration(message: lease_service_pb2.OpticConfiguration) -> OpticConfiguration:
    """A configuration.

    Raises:
        InvalidArgument: with every wrong field at once.
    """
    checker = _ConfigurationChecker(message)
    configuration = checker.run()
    if checker.violations:
        _refuse("the configuration cannot be used", checker.violations)
    return configuration


class _ConfigurationChecker:
    def __init__(self, message: lease_service_pb2.OpticConfiguration) -> None:
        self._message = message
        self.violations: list[FieldViolation] = []

    def run(self) -> OpticConfiguration:
        message = self._message
        if OPTIC_NAME.fullmatch(message.optic) is None:
            self._wrong("optic", "must look like devices/{device}/optics/{optic}")
        zones = {
            zone.name: self._points(f"zones[{index}].polygon", zone.polygon.points, least=3)
            for index, zone in enumerate(message.zones)
        }
        lines = {
            line.name: self._points(f"lines[{index}].polyline", line.polyline.points, least=2)
            for index, line in enumerate(message.lines)
        }
        display_names = {zone.name: zone.display_name for zone in message.zones}
        display_names |= {line.name: line.display_name for line in message.lines}
        places = Places(zones, lines, display_names)
        rules = [
            self._rule(f"rules[{index}]", rule, places)
            for index, rule in enumerate(message.rules)
            if rule.mode != scene_pb2.Rule.MODE_OFF
        ]
        return OpticConfiguration(
            message.optic,
            message.site,
            message.version,
            places,
            tuple(rule for rule in rules if rule is not None),
            message.display_name,
        )

    def _wrong(self, field: str, description: str) -> None:
        self.violations.append(FieldViolation(f"configuration.{field}", description))

    def _points(self, field: str, points: Sequence[geometry_pb2.Point], *, least: int) -> tuple[Point, ...]:
        found = tuple((point.x, point.y) for point in points)
        if len(found) < least:
            self._wrong(field, f"needs at least {least} points")
        if not all(math.isfinite(value) for point in found for value in point):
            self._wrong(field, "must hold finite numbers")
        return found

    def _rule(self, field: str, rule: scene_pb2.Rule, places: Places) -> RuleSpecification | None:
        parameters = self._parameters(field, rule, places)
        classes = self._classes(field, rule)
        schedules = tuple(self._schedule(f"{field}.schedules[{i}]", item) for i, item in enumerate(rule.schedules))
        if parameters is None:
            return None
        return RuleSpecification(
            rule.name, rule.version, rule.mode, rule.priority, classes, schedules, parameters, rule.display_name
        )

    def _parameters(self, field: str, rule: scene_pb2.Rule, places: Places) -> LineParameters | ZoneParameters | None:
        match rule.WhichOneof("parameters"):
            case "line_crossing":
                if rule.line_crossing.line not in places.lines:
                    self._wrong(f"{field}.line_crossing.line", "is not a line of this optic")
                direction = _DIRECTIONS.get(rule.line_crossing.direction)
                if direction is None:
                    self._wrong(f"{field}.line_crossing.direction", "is not a direction")
                return LineParameters(rule.line_crossing.line, direction or Direction.ANY)
            case "zone_intrusion":
                if rule.zone_intrusion.zone not in places.zones:
                    self._wrong(f"{field}.zone_intrusion.zone", "is not a zone of this optic")
                return ZoneParameters(rule.zone_intrusion.zone, self._dwell(field, rule.zone_intrusion))
            case _:
                self._wrong(f"{field}.parameters", "says nothing that this detector watches for")
                return None

    def _dwell(self, field: str, parameters: scene_pb2.ZoneIntrusion) -> float:
        if not parameters.HasField("minimum_dwell"):
            return DEFAULT_DWELL_SECONDS
        dwell = parameters.minimum_dwell.seconds + parameters.minimum_dwell.nanos / 1e9
        if dwell < 0.0:
            self._wrong(f"{field}.zone_intrusion.minimum_dwell", "must not be negative")
        return dwell

    def _classes(self, field: str, rule: scene_pb2.Rule) -> frozenset[ObjectClass]:
        known = {int(member) for member in ObjectClass}
        if any(number not in known for number in rule.classes):
            names = ", ".join(
                name for name in object_class_pb2.ObjectClass.DESCRIPTOR.values_by_name if "UNSPECIFIED" not in name
            )
            self._wrong(f"{field}.classes", f"must be among {names}")
        return frozenset(ObjectClass(number) for number in rule.classes if number in known)

    def _schedule(self, field: str, schedule: scene_pb2.Schedule) -> Schedule:
        if any(not 1 <= day <= _SUNDAY for day in schedule.days_of_week):
            self._wrong(f"{field}.days_of_week", "must be ISO weekdays from 1 to 7")
        if schedule.start_minute >= MINUTES_OF_A_DAY or schedule.end_minute > MINUTES_OF_A_DAY:
            self._wrong(field, f"must hold minutes of a day, up to {MINUTES_OF_A_DAY}")
        return Schedule(frozenset(schedule.days_of_week), schedule.start_minute, schedule.end_minute)


def _refuse(message: str, violations: list[FieldViolation]) -> NoReturn:
    raise InvalidArgument(message, reason="INVALID_ANALYZE_REQUEST", violations=violations)
