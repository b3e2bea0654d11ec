"""The camera as a publisher over WebRTC: a WHIP client (RFC 9725) for every optic, which sends clips as they are."""

from __future__ import annotations

import asyncio
import contextlib
import fractions
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import aiohttp
import av
import structlog
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack

from mesh.ice import offer_loopback
from mesh.local.camera.delivery import CUTS
from mesh.local.camera.device import Library
from mesh.local.camera.faults import FaultKind
from mesh.local.camera.options import make_device
from mesh.local.camera.player import CameraClock, Player
from mesh.local.camera.sdp import CLOCK_RATE
from mesh.local.errors import LocalError

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Mapping

    from mesh.local.camera.clip import Clip
    from mesh.local.camera.device import Device, Stream
    from mesh.local.camera.frames import Look
    from mesh.local.camera.options import CameraOptions

log = structlog.get_logger(__name__)

RETRY_SECONDS: Final = 1.0
"""A camera that was refused or cut tries again after this time."""

_H264: Final = "video/H264"
_CREATED: Final = 201


@dataclass(frozen=True)
class WhipOptions:
    """Where to publish.

    Attributes:
        url: of the endpoint; ``{device}`` and ``{optic}`` stand for the numbers, from 1.
        token: bearer token.
    """

    url: str
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be dialled.

        Raises:
            LocalError: the URL is none.
        """
        url = urlsplit(self.url)
        if url.scheme not in {"http", "https"} or not url.netloc:
            problem = "the WHIP endpoint is no http:// or https:// URL"
            raise LocalError(problem, "Give the address of an optic's endpoint.")

    def endpoint(self, device: int, optic: int) -> str:
        """The address for one optic."""
        return self.url.replace("{device}", str(device)).replace("{optic}", str(optic))


class _ClipTrack(MediaStreamTrack):
    """A video track of coded pictures; aiortc packetises them as they are."""

    kind = "video"

    def __init__(self, device: Device, stream: Stream, clips: Mapping[Look, Clip]) -> None:
        super().__init__()
        self._device, self._stream = device, stream
        self._play_seconds = device.clock.seconds()
        clock = device.clock
        self._player = Player(clips, lambda: stream.look(clock.moment(self._play_seconds)), clock, stream.phase)

    async def recv(self) -> Any:
        """The next picture, as a packet."""
        while True:
            shown = await self._player.next()
            moment = self._device.clock.moment(self._play_seconds)
            if self._stream.faults.active(FaultKind.HANG_AFTER_PLAY, moment) is None:
                break
        data = shown.unit.data
        if self._stream.faults.active(FaultKind.GARBAGE, moment) is not None:
            data = b"\x00\x00\x01\x65" + self._device.random_source.randbytes(len(data))
        packet = av.Packet(data)
        packet.pts = shown.ticks + round(self._stream.faults.timestamp_offset(moment) * CLOCK_RATE)
        packet.time_base = fractions.Fraction(1, CLOCK_RATE)
        return packet


class _Publisher:
    """Publishes one optic, again and again."""

    def __init__(self, device: Device, stream: Stream, url: str, token: str) -> None:
        self._device, self._stream, self._url, self._token = device, stream, url, token

    async def run(self) -> None:
        """Publish until cancelled."""
        clips = await self._stream.clips(self._device.library)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10.0)) as http:
            while True:
                if not self._has(FaultKind.OFFLINE):
                    await self._session(http, clips)
                await asyncio.sleep(RETRY_SECONDS)

    def _has(self, kind: FaultKind) -> bool:
        return self._stream.faults.active(kind, self._device.clock.moment(None)) is not None

    async def _session(self, http: aiohttp.ClientSession, clips: Mapping[Look, Clip]) -> None:
        """One WebRTC session, to its end."""
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        resource: str | None = None
        try:
            resource = await self._offer(http, peer, clips)
            if resource is not None:
                log.info("simulator.session_started", path=self._stream.path)
                if await self._is_cut(peer):
                    # As a camera without power: it says goodbye to nobody.
                    resource = None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("simulator.publish_failed", path=self._stream.path, error=type(error).__name__)
        finally:
            if resource is not None:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.delete(resource, headers=self._headers()):
                        log.info("simulator.session_ended", path=self._stream.path)
            await peer.close()

    def _headers(self) -> dict[str, str]:
        token = "wrong" if self._has(FaultKind.UNAUTHORIZED) else self._token
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def _offer(
        self, http: aiohttp.ClientSession, peer: RTCPeerConnection, clips: Mapping[Look, Clip]
    ) -> str | None:
        """Negotiate; gives the session's resource, or None if the endpoint refuses."""
        if self._has(FaultKind.AUDIO):
            peer.addTrack(AudioStreamTrack())
        peer.addTrack(_ClipTrack(self._device, self._stream, clips))
        video = next(each for each in peer.getTransceivers() if each.kind == "video")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        video.setCodecPreferences([codec for codec in codecs if codec.mimeType == _H264])
        await peer.setLocalDescription(await peer.createOffer())
        headers = {**self._headers(), "Content-Type": "application/sdp"}
        async with http.post(self._url, data=peer.localDescription.sdp, headers=headers) as response:
            answer = await response.text()
            if response.status != _CREATED:
                log.warning("simulator.publish_refused", path=self._stream.path, status=response.status)
                return None
            location = response.headers.get("Location", "")
            await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            return urljoin(str(response.url), location)

    async def _is_cut(self, peer: RTCPeerConnection) -> bool:
        """Wait for the end of a session: True if a fault cuts it, False if the far end ends it."""
        ended = asyncio.Event()

        @peer.on("connectionstatechange")
        def changed() -> None:
            if peer.connectionState in {"failed", "closed"}:
                ended.set()

        changed()
        play_seconds = self._device.clock.seconds()
        waits = [
            asyncio.create_task(ended.wait(), name="camera-ended"),
            asyncio.create_task(self._device.cut(self._stream.faults, CUTS, play_seconds), name="camera-cutter"),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[1].done()
        finally:
            for task in waits:
                task.cancel()


@contextlib.asynccontextmanager
async def publish(options: CameraOptions, whip: WhipOptions, random_source: random.Random) -> AsyncIterator[None]:
    """Publish every optic of every device while the context lasts.

    Args:
        options: what to play; what concerns listening is not looked at.
        whip: where.
        random_source: makes garbage.

    Raises:
        SourceError: a file is no video.
    """
    offer_loopback()
    clock = CameraClock()
    async with Library() as library:
        publishers = []
        for number in range(1, options.devices + 1):
            device = make_device(options, number, library, clock, random_source)
            for optic, stream in enumerate(device.main_streams, 1):
                await stream.clips(library)
                publishers.append(_Publisher(device, stream, whip.endpoint(number, optic), whip.token))
        clock.start()
        tasks = [asyncio.create_task(publisher.run(), name="whip-publisher") for publisher in publishers]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
