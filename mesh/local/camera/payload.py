"""RTP payloads of coded pictures: H.264 (RFC 6184) and H.265 (RFC 7798), single NAL units and fragments. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mesh.local.camera.sdp import Codec, split_annex_b

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PAYLOAD_BYTES: Final = 1388
"""With the 12 octets of RTP header 1400: fits an Ethernet frame with room for tunnels, as cameras do."""

_FU_A: Final = 28
"""NAL unit type of a fragmentation unit (RFC 6184 section 5.8)."""
_FU: Final = 49
"""NAL unit type of a fragmentation unit (RFC 7798 section 4.4.3)."""
_START: Final = 0x80
_END: Final = 0x40


def payloads_of(codec: Codec, access_unit: bytes) -> tuple[bytes, ...]:
    """The RTP payloads of one access unit, in order; the last one's packet carries the marker bit.

    Args:
        codec: how it is coded.
        access_unit: Annex B byte stream.
    """
    fragments = _h264_fragments if codec == "h264" else _hevc_fragments
    payloads: list[bytes] = []
    for unit in split_annex_b(access_unit):
        if len(unit) <= MAX_PAYLOAD_BYTES:
            payloads.append(unit)
        else:
            payloads.extend(fragments(unit))
    return tuple(payloads)


def _h264_fragments(unit: bytes) -> Iterator[bytes]:
    indicator = (unit[0] & 0xE0) | _FU_A
    for flags, part in _parts(unit[1:], MAX_PAYLOAD_BYTES - 2):
        yield bytes([indicator, flags | (unit[0] & 0x1F)]) + part


def _hevc_fragments(unit: bytes) -> Iterator[bytes]:
    first = (unit[0] & 0x81) | (_FU << 1)
    kind = (unit[0] >> 1) & 0x3F
    # The end bit of RFC 7798 is where that of RFC 6184 is.
    for flags, part in _parts(unit[2:], MAX_PAYLOAD_BYTES - 3):
        yield bytes([first, unit[1], flags | kind]) + part


def _parts(body: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    for begin in range(0, len(body), size):
        flags = (_START if begin == 0 else 0) | (_END if begin + size >= len(body) else 0)
        yield flags, body[begin : begin + size]
