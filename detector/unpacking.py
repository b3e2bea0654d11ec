"""What the gateway sends, checked field by field before it reaches the domain."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NoReturn

import numpy as np

from argo.registry.v1 import lease_service_pb2, scene_pb2
from argo.type.v1 import geometry_pb2, media_pb2, object_class_pb2
from detector.domain.calibration import Calibration, CalibrationError
from detector.domain.configuration import OpticConfiguration, RuleSpecification
from detector.domain.detections import ObjectClass
from detector.domain.preprocessing import Planes
from detector.domain.rules.schedule import MINUTES_OF_A_DAY, Schedule
from detector.domain.scene import Lane, Places, ZoneKind
from detector.packing import FrameHeader
from detector.parameters import unpack_parameters
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
    # A copy: a part of a message keeps all of it in memory, pixels and all, and headers live longer than frames.
    capture_time = media_pb2.CaptureTime()
    capture_time.CopyFrom(frame.capture_time)
    header = FrameHeader(frame.sequence, capture_time, frame.width, frame.height, frame.traceparent)
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
        self._calibration, self._calibration_problem = _calibrate(message.calibration_points)

    def run(self) -> OpticConfiguration:
        message = self._message
        if OPTIC_NAME.fullmatch(message.optic) is None:
            self._wrong("optic", "must look like devices/{device}/optics/{optic}")
        places = self._places()
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

    def _places(self) -> Places:
        message = self._message
        return Places(
            zones={
                zone.name: self._points(f"zones[{index}].polygon", zone.polygon.points, least=3)
                for index, zone in enumerate(message.zones)
            },
            lines={
                line.name: self._points(f"lines[{index}].polyline", line.polyline.points, least=2)
                for index, line in enumerate(message.lines)
            },
            display_names={
                **{zone.name: zone.display_name for zone in message.zones},
                **{line.name: line.display_name for line in message.lines},
                **{lane.name: lane.display_name for lane in message.lanes},
            },
            kinds={zone.name: _kind(zone.kind) for zone in message.zones},
            lanes={
                lane.name: Lane(
                    self._points(f"lanes[{index}].polygon", lane.polygon.points, least=3),
                    self._points(f"lanes[{index}].course", lane.course.points, least=2),
                )
                for index, lane in enumerate(message.lanes)
            },
            calibration=self._calibration,
            calibration_problem=self._calibration_problem,
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
        parameters, violations = unpack_parameters(rule, places)
        for part, description in violations:
            self._wrong(f"{field}.{part}", description)
        classes = self._classes(field, rule)
        schedules = tuple(self._schedule(f"{field}.schedules[{i}]", item) for i, item in enumerate(rule.schedules))
        if parameters is None:
            return None
        return RuleSpecification(
            rule.name, rule.version, rule.mode, rule.priority, classes, schedules, parameters, rule.display_name
        )

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


def _kind(number: int) -> ZoneKind:
    try:
        return ZoneKind(number)
    except ValueError:
        # A kind of a later release means nothing here; the zone is still a zone.
        return ZoneKind.UNSPECIFIED


def _calibrate(pairs: Sequence[scene_pb2.CalibrationPoint]) -> tuple[Calibration | None, str]:
    """A calibration, or why there is none: masking goes on without it, the rules that need metres do not."""
    if not pairs:
        return None, ""
    image = np.array([(pair.image.x, pair.image.y) for pair in pairs], dtype=np.float64)
    ground = np.array([(pair.ground.east_metres, pair.ground.north_metres) for pair in pairs], dtype=np.float64)
    try:
        return Calibration.fit(image, ground), ""
    except CalibrationError as error:
        return None, str(error)


def _refuse(message: str, violations: list[FieldViolation]) -> NoReturn:
    raise InvalidArgument(message, reason="INVALID_ANALYZE_REQUEST", violations=violations)
