"""What the gateway sends, checked field by field before it reaches the domain."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from anonymizer.domain.annotation import NamedZone
from anonymizer.domain.frame import Frame, Planes, Size, UnsupportedFrameError
from anonymizer.domain.segments import LONGEST_RETENTION
from anonymizer.domain.verdict import Followed, Verdict
from argo.anonymizer.v1 import redaction_service_pb2
from argo.detector.v1 import detection_service_pb2
from argo.registry.v1 import lease_service_pb2, scene_pb2
from mesh.errors import FieldViolation, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anonymizer.domain.privacy import Polygon
    from argo.type.v1 import media_pb2

OPTIC_NAME: Final = re.compile("devices/[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?/optics/[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
DEFAULT_MAXIMUM_VIEWERS: Final = 10
DEFAULT_VIEWERS: Final = frozenset({"operator", "supervisor", "administrator"})
"""Who may watch where the policy does not say."""
_LEAST_CORNERS: Final = 3
_NANOSECONDS: Final = 1_000_000_000
_LAST_SECOND: Final = 253_402_214_400
"""The last day of 9999 begins: any time zone's date still exists."""


@dataclass(frozen=True, slots=True)
class OpticPolicy:
    """The part of an optic's configuration that masking, live view and recording need.

    Attributes:
        optic: `devices/{device}/optics/{optic}`.
        version: grows with every change.
        privacy_masks: what nobody may see.
        maximum_viewers: how many may watch at once.
        retention: how long after capture recordings live; None: nothing is recorded.
        mask_whole_picture: nothing at all may be shown.
        boxes: detections are hidden by rectangles instead of silhouettes.
        viewers: kinds of identity that may watch.
        zones: areas that are outlined in the picture.
    """

    optic: str
    version: int
    privacy_masks: tuple[Polygon, ...]
    maximum_viewers: int
    retention: timedelta | None
    mask_whole_picture: bool = False
    boxes: bool = False
    viewers: frozenset[str] = DEFAULT_VIEWERS
    zones: tuple[NamedZone, ...] = ()


def unpack_opening(request: redaction_service_pb2.RedactRequest) -> OpticPolicy:
    """The configuration that must come first.

    Raises:
        InvalidArgument: the message is not one, or is wrong.
    """
    if request.WhichOneof("message") != "configuration":
        raise _refusal(
            "the first message must carry the configuration", [FieldViolation("configuration", "is required")]
        )
    return unpack_configuration(request.configuration)


def unpack_configuration(message: lease_service_pb2.OpticConfiguration) -> OpticPolicy:
    """A configuration.

    Raises:
        InvalidArgument: with every wrong field at once.
    """
    violations = []
    if OPTIC_NAME.fullmatch(message.optic) is None:
        violations.append(FieldViolation("configuration.optic", "must look like devices/{device}/optics/{optic}"))
    polygons = []
    for index, mask in enumerate(message.privacy_masks):
        points = np.array([(point.x, point.y) for point in mask.polygon.points], np.float32).reshape(-1, 2)
        if len(points) < _LEAST_CORNERS or not np.isfinite(points).all():
            field = f"configuration.privacy_masks[{index}].polygon"
            violations.append(FieldViolation(field, "must have at least three finite corners"))
        polygons.append(points)
    term = message.policy.retention.ToTimedelta() or LONGEST_RETENTION
    if not timedelta(seconds=1) <= term <= LONGEST_RETENTION:
        violations.append(FieldViolation("configuration.policy.retention", "must be from 1 second to 7 days"))
    if violations:
        raise _refusal("the configuration cannot be used", violations)
    is_recorded = message.policy.recording != scene_pb2.Policy.RECORDING_OFF
    return OpticPolicy(
        message.optic,
        message.version,
        tuple(polygons),
        message.policy.maximum_viewers or DEFAULT_MAXIMUM_VIEWERS,
        term if is_recorded else None,
        message.mask_whole_picture,
        message.policy.masking_style == scene_pb2.Policy.MASKING_STYLE_BOX,
        frozenset(message.policy.viewers) or DEFAULT_VIEWERS,
        tuple(_zones(message)),
    )


def _zones(message: lease_service_pb2.OpticConfiguration) -> Iterator[NamedZone]:
    """The zones that can be drawn. One that cannot is no reason to refuse the pictures: the detector says so."""
    for zone in message.zones:
        outline = np.array([(point.x, point.y) for point in zone.polygon.points], np.float32).reshape(-1, 2)
        if len(outline) >= _LEAST_CORNERS and np.isfinite(outline).all():
            yield NamedZone(zone.display_name or zone.name.rpartition("/")[2], outline)


def unpack_frame(message: media_pb2.Frame) -> Frame:
    """A frame.

    Raises:
        InvalidArgument: no capture time, an unsupported size, or planes that do not fit it. Says nothing of the pixels.
    """
    violations = []
    time = message.capture_time.time
    if not message.capture_time.HasField("time"):
        violations.append(FieldViolation("frame.frame.capture_time.time", "is required"))
    elif not (0 <= time.seconds <= _LAST_SECOND and 0 <= time.nanos < _NANOSECONDS):
        violations.append(FieldViolation("frame.frame.capture_time.time", "must lie between the years 1970 and 9999"))
    try:
        planes = Planes.from_bytes(message.i420, Size(message.width, message.height))
    except UnsupportedFrameError as error:
        raise _refusal("the frame cannot be used", [*violations, FieldViolation("frame.frame", str(error))]) from None
    if violations:
        raise _refusal("the frame cannot be used", violations)
    return Frame(message.sequence, time.seconds + time.nanos / _NANOSECONDS, planes)


def unpack_verdict(message: detection_service_pb2.Verdict) -> Verdict | None:
    """A verdict; None when the frame was not looked at, which is never the same as an empty one."""
    if message.outcome != detection_service_pb2.Verdict.OUTCOME_ANALYSED:
        return None
    rows = [
        (each.box.left, each.box.top, each.box.left + each.box.width, each.box.top + each.box.height)
        for each in message.detections
    ]
    classes = [min(max(each.object_class, 0), math.floor(np.iinfo(np.int16).max)) for each in message.detections]
    return Verdict(
        message.sequence,
        np.array(rows, np.float32).reshape(-1, 4),
        np.array(classes, np.int16),
        np.array([each.score for each in message.detections], np.float32),
        tuple(_followed(each) for each in message.tracks),
    )


def _followed(message: detection_service_pb2.TrackedObject) -> Followed:
    box = message.box
    return Followed(message.track, (box.left, box.top, box.left + box.width, box.top + box.height))


def _refusal(message: str, violations: list[FieldViolation]) -> InvalidArgument:
    return InvalidArgument(message, reason="INVALID_REDACT_REQUEST", violations=violations)
