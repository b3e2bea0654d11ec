"""Between this service's types and the protobuf messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from argo.anonymizer.v1 import redaction_service_pb2 as redaction
from argo.camera_gateway.v1 import coverage_pb2, gateway_service_pb2
from argo.detector.v1 import detection_service_pb2 as detection
from argo.type.v1 import media_pb2
from camera_gateway.domain.clock import CaptureTime, TimeSource
from camera_gateway.domain.coverage import Coverage, Frames, Gap, Stage
from camera_gateway.domain.liveness import State

if TYPE_CHECKING:
    from camera_gateway.sources import Picture

LARGEST_DURATION: Final = 315_576_000_000.0
"""Ten thousand years, the bound of google.protobuf.Duration, seconds."""

_SOURCES: Final = {
    TimeSource.SENDER_REPORT: media_pb2.CaptureTime.SOURCE_SENDER_REPORT,
    TimeSource.ARRIVAL: media_pb2.CaptureTime.SOURCE_ARRIVAL,
    TimeSource.FILE: media_pb2.CaptureTime.SOURCE_FILE,
}
_GAP_KINDS: Final = {
    Stage.RECEIVED: coverage_pb2.Gap.KIND_NOT_RECEIVED,
    Stage.ANALYSED: coverage_pb2.Gap.KIND_NOT_ANALYSED,
    Stage.MASKED: coverage_pb2.Gap.KIND_NOT_MASKED,
}
_STATES: Final = {
    State.IDLE: gateway_service_pb2.Session.STATE_CONNECTING,
    State.CONNECTING: gateway_service_pb2.Session.STATE_CONNECTING,
    State.WAITING_FIRST_FRAME: gateway_service_pb2.Session.STATE_WAITING_FIRST_FRAME,
    State.STREAMING: gateway_service_pb2.Session.STATE_STREAMING,
    State.BACKING_OFF: gateway_service_pb2.Session.STATE_BACKING_OFF,
    State.REFUSED: gateway_service_pb2.Session.STATE_REFUSED,
    State.STOPPED: gateway_service_pb2.Session.STATE_STOPPED,
}


def timestamp(seconds: float) -> Timestamp:
    """Unix seconds as a Timestamp, to the microsecond."""
    message = Timestamp()
    message.FromMicroseconds(round(seconds * 1e6))
    return message


def duration(seconds: float) -> Duration:
    """Seconds as a Duration, to the microsecond; a camera's clock may be off by more than a Duration holds."""
    message = Duration()
    message.FromMicroseconds(round(max(-LARGEST_DURATION, min(LARGEST_DURATION, seconds)) * 1e6))
    return message


def capture_time(time: CaptureTime) -> media_pb2.CaptureTime:
    """A capture time."""
    return media_pb2.CaptureTime(
        time=timestamp(time.seconds), uncertainty=duration(time.uncertainty), source=_SOURCES[time.source]
    )


def frame(picture: Picture, sequence: int) -> media_pb2.Frame:
    """A picture; its planes are copied once."""
    return media_pb2.Frame(
        sequence=sequence,
        capture_time=capture_time(picture.capture_time),
        width=picture.width,
        height=picture.height,
        i420=picture.i420,
    )


def analyze_request(of: media_pb2.Frame) -> detection.AnalyzeRequest:
    """A frame for the detector; its planes are copied once.

    A message that is handed to another's constructor is serialised and parsed again, which for a frame takes forty
    times as long as `CopyFrom`.
    """
    request = detection.AnalyzeRequest()
    request.frame.CopyFrom(of)
    return request


def redact_request(
    of: media_pb2.Frame, verdict: detection.Verdict | None, presentation_timestamp: int = 0
) -> redaction.RedactRequest:
    """A frame for the anonymizer, with its verdict when there is one; its planes are copied once."""
    request = redaction.RedactRequest()
    pair = request.frame
    pair.frame.CopyFrom(of)
    if verdict is not None:
        pair.verdict.CopyFrom(verdict)
    pair.presentation_timestamp = presentation_timestamp
    return request


def state(value: State) -> gateway_service_pb2.Session.State.ValueType:
    """A connection state."""
    return _STATES[value]


def coverage(value: Coverage) -> coverage_pb2.Coverage:
    """Seconds by what happened in them."""
    return coverage_pb2.Coverage(
        received_seconds=value.seconds[Stage.RECEIVED],
        analysed_seconds=value.seconds[Stage.ANALYSED],
        masked_seconds=value.seconds[Stage.MASKED],
        lost_seconds=value.lost,
        elapsed_seconds=value.elapsed,
        received_frames=value.frames[Frames.RECEIVED],
        analysed_frames=value.frames[Frames.ANALYSED],
        masked_frames=value.frames[Frames.MASKED],
        held_back_frames=value.frames[Frames.HELD_BACK],
        shed_frames=value.frames[Frames.SHED],
    )


def gap(value: Gap) -> coverage_pb2.Gap:
    """A gap."""
    return coverage_pb2.Gap(
        start_time=timestamp(value.since),
        duration=duration(value.until - value.since),
        kind=_GAP_KINDS[value.stage],
        reason=value.reason.upper(),
    )
