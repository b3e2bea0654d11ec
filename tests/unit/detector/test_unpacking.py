"""What is kept of a request."""

from __future__ import annotations

from argo.type.v1 import media_pb2
from detector.unpacking import unpack_frame


def test_a_header_does_not_keep_the_pixels_of_its_frame() -> None:
    frame = media_pb2.Frame(sequence=7, width=4, height=2, i420=bytes(12))
    frame.capture_time.time.FromSeconds(1_700_000_000)

    header, _ = unpack_frame(frame)

    # A part of a message shares its memory with the whole.
    assert header.capture_time is not frame.capture_time
    assert header.capture_time == frame.capture_time
    assert header.seconds == 1_700_000_000
