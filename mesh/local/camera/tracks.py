"""Tracks that a camera offers beside its video: sound and ONVIF metadata, which a gateway must leave alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mesh.local.camera.faults import FaultKind
from mesh.local.camera.rtp import RtpStream

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from mesh.local.camera.player import CameraClock
    from mesh.local.camera.sinks import Sink

_PCMU: Final = 0
"""Static payload type of G.711 mu-law (RFC 3551 section 6)."""
_METADATA: Final = 107


def _silence(_wall: float) -> bytes:
    """Twenty milliseconds of mu-law silence."""
    return b"\xff" * 160


def _document(wall: float) -> bytes:
    """A metadata document (ONVIF Streaming Specification section 5.2), with more in it than anybody may keep."""
    when = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema" '
        'xmlns:fc="http://www.onvif.org/ver20/analytics/humanface">'
        f'<tt:VideoAnalytics><tt:Frame UtcTime="{when}"><tt:Object ObjectId="1"><tt:Appearance>'
        '<tt:Shape><tt:BoundingBox left="-0.2" top="0.4" right="0.1" bottom="-0.5"/>'
        '<tt:CenterOfGravity x="-0.05" y="-0.05"/></tt:Shape>'
        '<tt:Class><tt:Type Likelihood="0.9">Human</tt:Type></tt:Class>'
        "<fc:HumanFace><fc:Temperature>36.5</fc:Temperature></fc:HumanFace>"
        "</tt:Appearance></tt:Object></tt:Frame></tt:VideoAnalytics></tt:MetadataStream>"
    ).encode()


@dataclass(frozen=True)
class ExtraTrack:
    """A track beside the video.

    Attributes:
        control: the end of its control URL.
        description: its lines in the session description.
        payload_type: of its packets.
        clock_rate: of its timestamps, in hertz.
        period: ticks between packets.
        payload: what a packet carries, given the wall-clock time in Unix seconds.
    """

    control: str
    description: tuple[str, ...]
    payload_type: int
    clock_rate: int
    period: int
    payload: Callable[[float], bytes]


EXTRA_TRACKS: Final[Mapping[FaultKind, ExtraTrack]] = {
    FaultKind.AUDIO: ExtraTrack(
        "trackID=1",
        (f"m=audio 0 RTP/AVP {_PCMU}", f"a=rtpmap:{_PCMU} PCMU/8000", "a=control:trackID=1"),
        _PCMU,
        8_000,
        160,
        _silence,
    ),
    FaultKind.METADATA: ExtraTrack(
        "trackID=2",
        (
            f"m=application 0 RTP/AVP {_METADATA}",
            f"a=rtpmap:{_METADATA} vnd.onvif.metadata/90000",
            "a=control:trackID=2",
        ),
        _METADATA,
        90_000,
        45_000,
        _document,
    ),
}
"""What each fault offers."""


async def send_extra(track: ExtraTrack, sink: Sink, clock: CameraClock, random_source: random.Random) -> None:
    """Send a track until cancelled."""
    rtp = RtpStream(random_source.getrandbits(32), random_source.getrandbits(16), track.payload_type)
    origin, first = random_source.getrandbits(32), clock.ticks()
    sink.report(rtp.sender_report(clock.wall(first), origin))
    number = 0
    while True:
        payload = track.payload(clock.wall(clock.ticks()))
        sink.send(rtp.packets([payload], origin + number * track.period))
        number += 1
        due = number * track.period / track.clock_rate
        await asyncio.sleep(max(0.0, due - (clock.ticks() - first) / 90_000))
