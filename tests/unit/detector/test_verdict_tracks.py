from __future__ import annotations

import numpy as np
import pytest

from argo.detector.v1 import detection_service_pb2
from argo.type.v1 import media_pb2
from detector.domain.analysis import FrameAnalysis
from detector.domain.detections import Detections, ObjectClass
from detector.domain.tracking import Sight, Track
from detector.packing import FrameHeader, pack_verdict

TrackedObject = detection_service_pb2.TrackedObject


def verdict_of(*tracks: Track) -> detection_service_pb2.Verdict:
    box = np.array([[20, 10, 60, 30]], np.float32)
    detections = Detections(box, np.array([0.9], np.float32), np.array([ObjectClass.TRUCK], np.int16))
    header = FrameHeader(7, media_pb2.CaptureTime(), 200, 100)
    return pack_verdict(header, detections, FrameAnalysis(tracks, ()), digest="ab", elapsed=0.0)


def track(number: int, sight: Sight, detection: int | None) -> Track:
    return Track(number, ObjectClass.CAR, (22, 10, 62, 30), (0, 0), 0, 1, detection, sight=sight, score=0.75)


def test_a_verdict_tells_where_each_track_is_smoothed_and_as_what_most_of_its_detections_were() -> None:
    (found,) = verdict_of(track(5, Sight.SEEN, 0)).tracks

    assert (found.track, found.object_class, found.score) == (5, int(ObjectClass.CAR), 0.75)
    assert (found.box.left, found.box.top) == pytest.approx((0.11, 0.1))
    assert (found.box.width, found.box.height) == pytest.approx((0.2, 0.2))


def test_a_verdict_tells_of_every_track_that_is_in_the_picture_and_how_that_is_known() -> None:
    sights = [Sight.SEEN, Sight.COASTED, Sight.HELD, Sight.LOST]
    found = verdict_of(*(track(number + 1, sight, None) for number, sight in enumerate(sights))).tracks

    assert [(each.track, each.sight) for each in found] == [
        (1, TrackedObject.SIGHT_SEEN),
        (2, TrackedObject.SIGHT_COASTED),
        (3, TrackedObject.SIGHT_HELD),
    ]


def test_every_sight_in_which_a_track_is_present_has_a_name_on_the_wire() -> None:
    for sight in Sight:
        assert len(verdict_of(track(1, sight, None)).tracks) == int(track(1, sight, None).present)
