from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_gateway.mjpeg.multipart import MAX_HEADER_BYTES, MAX_PICTURE_BYTES, MultipartParser, boundary_of
from camera_gateway.rtsp.messages import ProtocolError

COUNTED = b"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"
UNCOUNTED = b"--cut\r\nContent-Type: image/jpeg\r\n\r\n%s\r\n"
CARELESS = b"--cut\ncontent-length:%d\n\n%s"


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/x-mixed-replace; boundary=cut", b"cut"),
        ('Multipart/X-Mixed-Replace;charset=x; Boundary="a b"', b"a b"),
        ("multipart/x-mixed-replace;boundary=--cut", b"cut"),
        ("image/jpeg", None),
        ("image/jpeg; boundary=cut", None),
        ("multipart/x-mixed-replace", None),
        ("multipart/x-mixed-replace; boundary=--", None),
    ],
)
def test_the_boundary_of_a_content_type(content_type: str, boundary: bytes | None) -> None:
    assert boundary_of(content_type) == boundary


def body(form: bytes, pictures: list[bytes]) -> bytes:
    counted = b"%d" in form
    return b"".join(form % ((len(each), each) if counted else (each,)) for each in pictures)


pictures = st.lists(st.binary(min_size=1, max_size=60).filter(lambda data: b"--cut" not in data), max_size=5)


@given(pictures, st.sampled_from([COUNTED, CARELESS]), st.lists(st.integers(0, 1000), max_size=20))
def test_pictures_come_out_the_same_however_the_bytes_are_cut(
    wanted: list[bytes], form: bytes, cuts: list[int]
) -> None:
    data = body(form, wanted)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parser = MultipartParser(b"cut")

    found = [picture for begin, end in itertools.pairwise(edges) for picture in parser.feed(data[begin:end])]

    assert found == wanted


@given(pictures, st.integers(1, 9))
def test_pictures_that_are_not_counted_end_at_the_next_delimiter(wanted: list[bytes], size: int) -> None:
    data, parser = body(UNCOUNTED, wanted) + b"--cut--", MultipartParser(b"cut")

    found = [picture for at in range(0, len(data), size) for picture in parser.feed(data[at : at + size])]

    # The line break before the delimiter stays: no JPEG decoder minds it.
    assert found == [picture + b"\r\n" for picture in wanted]


@settings(max_examples=200)
@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from([b"--cut", b"\r\n\r\n", b"Content-Length: 9\r\n"]))))
def test_no_bytes_make_it_fail_in_another_way(chunks: list[bytes]) -> None:
    parser = MultipartParser(b"cut")
    for chunk in chunks:
        parser.feed(chunk)

    assert len(parser._buffer) <= MAX_HEADER_BYTES + MAX_PICTURE_BYTES


@pytest.mark.parametrize(
    "data",
    [
        b"x" * (MAX_HEADER_BYTES + 1),
        b"--cut\r\n" + b"x" * (MAX_HEADER_BYTES + 1),
        b"--cut\r\nContent-Length: 99999999\r\n\r\n",
        b"--cut\r\n\r\n" + b"x" * (MAX_HEADER_BYTES + MAX_PICTURE_BYTES),
    ],
)
def test_what_has_no_end_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        MultipartParser(b"cut").feed(data)
