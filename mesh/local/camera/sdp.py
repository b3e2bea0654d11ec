"""The session description of a video stream: NAL units, parameter sets, SDP (RFC 4566, RFC 6184, RFC 7798)."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Codec = Literal["h264", "hevc"]

PAYLOAD_TYPE: Final = 96
"""First dynamic RTP payload type (RFC 3551 section 6)."""

CLOCK_RATE: Final = 90_000
"""RTP clock of both codecs, in hertz (RFC 6184 section 8.2.1, RFC 7798 section 7.1)."""

VIDEO_TRACK: Final = "trackID=0"

_START_CODE: Final = re.compile(rb"\x00\x00\x01")
_H264_PARAMETER_SETS: Final = (7, 8)
"""nal_unit_type of SPS and PPS (H.264 table 7-1)."""
_HEVC_PARAMETER_SETS: Final = (32, 33, 34)
"""nal_unit_type of VPS, SPS and PPS (H.265 table 7-1)."""


def split_annex_b(data: bytes) -> list[bytes]:
    """Split an Annex B byte stream into its NAL units, without start codes and trailing zeros."""
    starts = [match.end() for match in _START_CODE.finditer(data)]
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    return [unit for start, end in zip(starts, ends, strict=False) if (unit := data[start:end].rstrip(b"\x00"))]


def h264_unit_type(unit: bytes) -> int:
    """nal_unit_type of an H.264 NAL unit."""
    return unit[0] & 0x1F


def hevc_unit_type(unit: bytes) -> int:
    """nal_unit_type of an H.265 NAL unit."""
    return (unit[0] >> 1) & 0x3F


def parameter_sets(codec: Codec, access_unit: bytes) -> dict[int, bytes]:
    """The first parameter set of each type in an access unit, keyed by nal_unit_type.

    Raises:
        ValueError: a type is missing.
    """
    unit_type: Callable[[bytes], int] = h264_unit_type if codec == "h264" else hevc_unit_type
    wanted = _H264_PARAMETER_SETS if codec == "h264" else _HEVC_PARAMETER_SETS
    found: dict[int, bytes] = {}
    for unit in split_annex_b(access_unit):
        if unit_type(unit) in wanted:
            found.setdefault(unit_type(unit), unit)
    if len(found) != len(wanted):
        raise ValueError(f"no complete parameter sets in the first {codec} access unit")
    return found


def _format_parameters(codec: Codec, sets: Mapping[int, bytes]) -> str:
    encoded = {kind: base64.b64encode(unit).decode() for kind, unit in sets.items()}
    if codec == "h264":
        profile = sets[7][1:4].hex()
        return f"packetization-mode=1; profile-level-id={profile}; sprop-parameter-sets={encoded[7]},{encoded[8]}"
    return f"sprop-vps={encoded[32]}; sprop-sps={encoded[33]}; sprop-pps={encoded[34]}"


def describe(codec: Codec, first_access_unit: bytes, *, address: str, extra: Sequence[Sequence[str]] = ()) -> bytes:
    """The SDP of a live stream, whose video track's control URL ends in ``trackID=0``.

    Args:
        codec: how the video is coded.
        first_access_unit: a key frame with its parameter sets, in Annex B form.
        address: the server's IP address.
        extra: the lines of further tracks, each of which begins with its ``m=`` line.

    Raises:
        ValueError: the access unit lacks a parameter set.
    """
    sets = parameter_sets(codec, first_access_unit)
    encoding = "H264" if codec == "h264" else "H265"
    family = "IP6" if ":" in address else "IP4"
    lines = [
        "v=0",
        f"o=- 1 1 IN {family} {address}",
        "s=camera",
        f"c=IN {family} {address}",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} {encoding}/{CLOCK_RATE}",
        f"a=fmtp:{PAYLOAD_TYPE} {_format_parameters(codec, sets)}",
        f"a=control:{VIDEO_TRACK}",
        *(line for track in extra for line in track),
    ]
    return ("\r\n".join(lines) + "\r\n").encode()
