"""Between the contract's messages and the domain's values."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from argo.detector.v1 import bus_pb2, detection_service_pb2
from argo.type.v1 import data_class_pb2, geometry_pb2, media_pb2
from detector.domain.tracking import Sight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.domain.analysis import FiredRule, FrameAnalysis
    from detector.domain.configuration import OpticConfiguration
    from detector.domain.detections import Boxes, Detections
    from detector.domain.flows import Flow
    from detector.domain.geometry import Point
    from detector.domain.observations import Observation
    from detector.domain.tracking import Track

EVENT_IDS: Final = uuid.UUID("6f0e7c0e-3f0f-5c44-9a52-0c8a3f1f7a11")
"""Name space of event ids: the same firing has the same id, however often it is published."""

_MICROSECONDS: Final = 1_000_000

_SIGHTS: Final = {
    Sight.SEEN: detection_service_pb2.TrackedObject.SIGHT_SEEN,
    Sight.COASTED: detection_service_pb2.TrackedObject.SIGHT_COASTED,
    Sight.HELD: detection_service_pb2.TrackedObject.SIGHT_HELD,
}


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """A frame without its picture.

    Attributes:
        sequence: as the gateway counts.
        capture_time: as the gateway says it.
        width: pixels.
        height: pixels.
        traceparent: W3C Trace Context of the span that brought it in; empty: not sampled.
    """

    sequence: int
    capture_time: media_pb2.CaptureTime
    width: int
    height: int
    traceparent: str = ""

    @property
    def seconds(self) -> float:
        """Capture time in seconds since the epoch."""
        return self.capture_time.time.seconds + self.capture_time.time.nanos / 1e9


def pack_verdict(
    header: FrameHeader, detections: Detections, analysis: FrameAnalysis, *, digest: str, elapsed: float
) -> detection_service_pb2.Verdict:
    """The verdict on a frame that was looked at; every detection is in it, tracked or not."""
    verdict = detection_service_pb2.Verdict(
        sequence=header.sequence,
        outcome=detection_service_pb2.Verdict.OUTCOME_ANALYSED,
        model_digest=digest,
        elapsed=_duration(elapsed),
        fired_rules=[fired.specification.name for fired in analysis.fired],
    )
    tracks = {track.detection: track.track for track in analysis.tracks if track.detection is not None}
    for index, box in enumerate(_normalised(detections.boxes, header)):
        verdict.detections.add(
            box=box,
            object_class=int(detections.classes[index]),
            score=float(detections.scores[index]),
            track=tracks.get(index, 0),
        )
    _pack_tracks(verdict, header, [track for track in analysis.tracks if track.present])
    return verdict


def _pack_tracks(verdict: detection_service_pb2.Verdict, header: FrameHeader, tracks: Sequence[Track]) -> None:
    boxes = np.array([track.box for track in tracks], dtype=np.float32).reshape(-1, 4)
    for track, box in zip(tracks, _normalised(boxes, header), strict=True):
        verdict.tracks.add(
            track=track.track,
            object_class=int(track.object_class),
            box=box,
            score=track.score,
            sight=_SIGHTS[track.sight],
        )


def pack_refusal(
    header: FrameHeader, outcome: detection_service_pb2.Verdict.Outcome.ValueType, *, digest: str, elapsed: float
) -> detection_service_pb2.Verdict:
    """The verdict on a frame that was not looked at."""
    return detection_service_pb2.Verdict(
        sequence=header.sequence, outcome=outcome, model_digest=digest, elapsed=_duration(elapsed)
    )


def pack_event(
    configuration: OpticConfiguration, header: FrameHeader, fired: FiredRule, *, digest: str, traceparent: str = ""
) -> bus_pb2.Event:
    """The event of a firing, which explains itself; ``traceparent`` is that of the span in which it fired."""
    specification, firing = fired.specification, fired.firing
    return bus_pb2.Event(
        event_id=event_id(configuration.optic, header, fired),
        optic=configuration.optic,
        site=configuration.site,
        rule=specification.name,
        rule_version=specification.version,
        topic=fired.topic,
        mode=specification.mode,  # type: ignore[arg-type]
        priority=specification.priority,  # type: ignore[arg-type]
        capture_time=header.capture_time,
        start_time=_timestamp(firing.start_time),
        measurement=bus_pb2.Measurement(
            quantity=firing.quantity,
            unit=firing.unit,
            value=firing.value,
            threshold=firing.threshold,
            uncertainty=firing.uncertainty,
        ),
        place=fired.place,
        classes=[int(object_class) for object_class in firing.classes],  # type: ignore[misc]
        tracks=firing.tracks,
        box=_normalised(np.array([firing.box], dtype=np.float32), header)[0],
        model_digest=digest,
        data_class=data_class_pb2.DATA_CLASS_OBSERVATION,
        traceparent=traceparent,
        optic_display_name=configuration.display_name,
        place_display_name=configuration.places.display_names.get(fired.place, ""),
        rule_display_name=specification.display_name,
    )


def event_id(optic: str, header: FrameHeader, fired: FiredRule) -> str:
    """A UUID made of what the event is about, so that saying it again does not make it another event."""
    time = header.capture_time.time
    tracks = ",".join(str(track) for track in fired.firing.tracks)
    parts = (optic, fired.specification.name, fired.specification.version, time.seconds, time.nanos, tracks)
    return str(uuid.uuid5(EVENT_IDS, "|".join(str(part) for part in parts)))


def pack_observations(
    configuration: OpticConfiguration, observations: Sequence[Observation], *, dropped: int
) -> bus_pb2.ObservationBatch:
    """What the tracks of an optic did."""
    batch = bus_pb2.ObservationBatch(
        optic=configuration.optic,
        site=configuration.site,
        data_class=data_class_pb2.DATA_CLASS_OBSERVATION,
        dropped=dropped,
    )
    for observation in observations:
        packed = batch.observations.add(
            track=observation.track,
            object_class=int(observation.object_class),
            start_time=_timestamp(observation.start_time),
            end_time=_timestamp(observation.end_time),
            finished=observation.finished,
            zones=observation.zones,
            lines=observation.lines,
        )
        for point in observation.path:
            packed.path.add(
                time=_timestamp(point.time),
                image=geometry_pb2.Point(x=point.foot[0], y=point.foot[1]),
                ground=_ground(point.ground),
            )
        if observation.movement:
            packed.speed.metres_per_second = observation.movement.speed
            packed.speed.standard_error = observation.movement.speed_error
            packed.speed.heading_degrees = observation.movement.heading
        colour, confidence = observation.colour
        packed.vehicle_colour = int(colour)  # type: ignore[assignment]
        packed.vehicle_colour_confidence = confidence
    return batch


def pack_flow(configuration: OpticConfiguration, flow: Flow) -> bus_pb2.FlowBatch:
    """The counts of an optic."""
    batch = bus_pb2.FlowBatch(
        optic=configuration.optic,
        site=configuration.site,
        start_time=_timestamp(flow.start_time),
        interval=_duration(flow.interval),
        analysed=_duration(flow.analysed),
    )
    for line in flow.lines:
        batch.lines.add(
            line=line.line,
            object_class=int(line.object_class),
            left_to_right=line.left_to_right,
            right_to_left=line.right_to_left,
            mean_speed=line.mean_speed,
            measured=line.measured,
        )
    for zone in flow.zones:
        batch.zones.add(
            zone=zone.zone,
            object_class=int(zone.object_class),
            mean_occupancy=zone.mean_occupancy,
            maximum_occupancy=zone.maximum_occupancy,
            mean_density=zone.mean_density,
            maximum_density=zone.maximum_density,
        )
    _pack_conflicts_and_turns(batch, flow)
    batch.light_level = flow.light_level
    return batch


def _pack_conflicts_and_turns(batch: bus_pb2.FlowBatch, flow: Flow) -> None:
    for turn in flow.turns:
        batch.turns.add(
            from_line=turn.from_line,
            to_line=turn.to_line,
            object_class=int(turn.object_class),
            count=turn.count,
        )
    for near in flow.near_misses:
        batch.near_misses.add(
            zone=near.zone,
            time_to_collision=near.time_to_collision,
            shortest_time_to_collision=near.shortest_time_to_collision,
            post_encroachment=near.post_encroachment,
            shortest_post_encroachment_time=near.shortest_post_encroachment_time,
        )


def _ground(place: Point | None) -> geometry_pb2.GroundPoint | None:
    return None if place is None else geometry_pb2.GroundPoint(east_metres=place[0], north_metres=place[1])


def _normalised(boxes: Boxes, header: FrameHeader) -> list[geometry_pb2.Box]:
    scale = np.array([header.width, header.height], dtype=np.float32)
    corners = boxes[:, :2] / scale
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0) / scale
    return [
        geometry_pb2.Box(left=left, top=top, width=width, height=height)
        for (left, top), (width, height) in zip(corners.tolist(), sizes.tolist(), strict=True)
    ]


def _timestamp(seconds: float) -> Timestamp:
    whole, part = divmod(round(seconds * _MICROSECONDS), _MICROSECONDS)
    return Timestamp(seconds=whole, nanos=part * 1000)


def _duration(seconds: float) -> Duration:
    whole, part = divmod(round(max(0.0, seconds) * _MICROSECONDS), _MICROSECONDS)
    return Duration(seconds=whole, nanos=part * 1000)
