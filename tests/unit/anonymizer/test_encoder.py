from __future__ import annotations

import av
import numpy as np
import pytest
from structlog.testing import capture_logs

from anonymizer.broadcast import VIEWER_BACKLOG, Broadcast, Broadcasts
from anonymizer.domain.frame import Frame, MaskedFrame, Planes, Size
from anonymizer.encoder import EncodedPicture, Encoder, without_messages
from anonymizer.encoders import Encoders
from anonymizer.muxing import SegmentBuilder
from anonymizer.pipeline import Pipeline
from tests.unit.anonymizer.streets import Street

SIZE = Size(128, 96)


def encoded(count: int, *, period: float = 0.2, **wishes: bool) -> list[EncodedPicture]:
    encoder = Encoder(SIZE)
    return [encoder.encode(MaskedFrame.blank(number, number * period, SIZE), **wishes) for number in range(count)]


def test_only_masked_frames_are_encoded() -> None:
    with pytest.raises(TypeError):
        Encoder(SIZE).encode(Street().frame())  # type: ignore[arg-type]


def test_key_frames_come_every_two_seconds_of_capture_time_and_on_wish() -> None:
    by_time = [picture.sequence for picture in encoded(25) if picture.key_frame]
    by_wish = [picture.key_frame for picture in encoded(5, key_frame=True)]

    assert by_time == [0, 10, 20]
    assert all(by_wish)


def test_every_key_frame_can_be_decoded_by_itself() -> None:
    pictures = encoded(25)

    for picture in (each for each in pictures if each.key_frame):
        decoder = av.CodecContext.create("h264", "r")
        assert decoder.decode(av.Packet(picture.data)) + decoder.decode(None)


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="encoder for"):
        Encoder(SIZE).encode(MaskedFrame.blank(0, 0.0, Size(64, 64)))


def test_messages_are_taken_out_and_nothing_else() -> None:
    units = [b"\x67\x01\x02", b"\x06\x05secret\x80", b"\x65\x88\x84"]
    data = b"".join(b"\0\0\0\1" + unit for unit in units)

    assert without_messages(data) == b"\0\0\0\1" + units[0] + b"\0\0\0\1" + units[2]


async def test_who_joins_late_begins_with_a_key_frame_and_wishes_for_one() -> None:
    broadcast = Broadcast("devices/a/optics/b")
    pictures = encoded(13)
    with broadcast.subscribed() as subscription:
        assert broadcast.take_key_frame_wish()
        assert not broadcast.take_key_frame_wish()
        for picture in pictures[5:]:
            broadcast.publish(picture)
        received = [(await subscription.get()).sequence for _ in range(3)]

    assert received == [10, 11, 12]


def test_a_viewer_who_is_too_slow_is_cut_and_the_others_go_on() -> None:
    broadcast = Broadcast("devices/a/optics/b")
    pictures = encoded(VIEWER_BACKLOG + 5)
    with broadcast.subscribed() as slow, broadcast.subscribed() as quick:
        cut = 0
        for picture in pictures:
            cut += broadcast.publish(picture)
            quick._queue.get_nowait()

        assert (cut, slow.is_cut, quick.is_cut) == (1, True, False)


def test_a_live_picture_is_found_while_a_stream_feeds_it() -> None:
    broadcasts = Broadcasts()
    with broadcasts.fed("devices/a/optics/b") as broadcast:
        assert broadcasts.find("devices/a/optics/b") is broadcast
        assert broadcasts.find("devices/a/optics/c") is None

    assert broadcasts.find("devices/a/optics/b") is None


def test_a_segment_begins_with_a_key_frame_and_ends_before_one() -> None:
    builder = SegmentBuilder(4.0)
    segments = [list(whole) for picture in encoded(60)[3:] if (whole := builder.add(picture))]
    segments.append(list(builder.flush()))

    assert all(segment[0].key_frame for segment in segments)
    assert [picture.sequence for segment in segments for picture in segment] == list(range(10, 60))
    assert [len(segment) for segment in segments] == [20, 20, 10]


def test_what_the_encoder_makes_is_the_masked_picture() -> None:
    masked = MaskedFrame.blank(0, 0.0, SIZE)
    decoder = av.CodecContext.create("h264", "r")
    pictures = decoder.decode(av.Packet(Encoder(SIZE).encode(masked).data)) + decoder.decode(None)
    luma = pictures[0].to_ndarray(format="gray")

    assert np.abs(luma.astype(int) - 48).max() <= 3 or int(np.ptp(luma)) <= 3


def test_an_encoder_that_does_not_work_here_gives_way_at_start_and_it_is_said_once() -> None:
    with capture_logs() as logs:
        encoders = Encoders("h264_qsv")
        codecs = {encoders.open(SIZE).codec for _ in range(3)}

    # A machine with such a device keeps it, and has nothing to say.
    fell_back = [{"event": "encoder.fell_back", "wanted": "h264_qsv", "used": "libx264", "log_level": "warning"}]
    assert (codecs, logs) in (({"libx264"}, fell_back), ({"h264_qsv"}, []))


def test_an_encoder_that_fails_on_the_way_gives_way_without_a_picture_being_lost() -> None:
    encoders = Encoders()
    # As if a device had been there at the start: opening it fails for real.
    encoders.codec = "h264_qsv"
    first, second = Pipeline("devices/a/optics/b", encoders=encoders), Pipeline("devices/a/optics/c", encoders=encoders)
    planes = Planes.filled(SIZE, 100, 128, 128)
    with capture_logs() as logs:
        answers = [
            pipeline.process(Frame(number, number / 5, planes), None)
            for number in range(3)
            for pipeline in (first, second)
        ]

    assert [answer.failed_closed for answer in answers] == [False] * 6
    assert all(answer.encoded is not None for answer in answers)
    assert [entry["event"] for entry in logs] in (["encoder.fell_back"], [])
    assert encoders.codec == ("libx264" if logs else "h264_qsv")
