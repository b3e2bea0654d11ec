"""One viewer of the live view: a peer connection that forwards the encoder's packets as they are."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, Protocol

import av
import structlog
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from anonymizer.broadcast import Broadcast, Subscription, ViewerCutError
from anonymizer.encoder import CLOCK
from anonymizer.watermark import Watermark, WatermarkEncoder

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from anonymizer.encoder import EncodedPicture

log = structlog.get_logger(__name__)

CONNECT_SECONDS: Final = 20.0
"""A viewer who has not connected by then is let go, so that a token cannot hold a place for ever."""
_H264: Final = "video/h264"


class Pictures(Protocol):
    """Where a viewer's pictures come from."""

    async def get(self) -> EncodedPicture:
        """The next picture.

        Raises:
            ViewerCutError: there will be none.
        """


class MarkedPictures:
    """The pictures of a subscription with the viewer's watermark burned in.

    Args:
        subscription: gives them as everybody gets them.
        watermark: of the viewer.
        executor: where they are encoded again.
    """

    def __init__(self, subscription: Subscription, watermark: Watermark, executor: Executor) -> None:
        self._subscription = subscription
        self._encoder = WatermarkEncoder(watermark)
        self._executor = executor

    async def get(self) -> EncodedPicture:
        """See Pictures."""
        picture = await self._subscription.get()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._encoder.mark, picture)
        except Exception as error:
            # Whatever it was: without a watermark nothing is shown.
            log.exception("live_view.watermark_failed", error=type(error).__name__)
            self._subscription.cut()
            raise ViewerCutError from None


class MaskedTrack(MediaStreamTrack):
    """A track that yields encoded packets, which aiortc packs into RTP without encoding them again."""

    kind = "video"

    def __init__(self, pictures: Pictures) -> None:
        super().__init__()
        self._pictures = pictures
        self._origin: float | None = None
        self._last = -1

    async def recv(self) -> av.Packet[Any]:
        """The next packet.

        Raises:
            MediaStreamError: there will be none.
        """
        try:
            picture = await self._pictures.get()
        except ViewerCutError:
            self.stop()
            raise MediaStreamError from None
        if self._origin is None:
            self._origin = picture.captured
        self._last = max(self._last + 1, round((picture.captured - self._origin) / CLOCK))
        packet = av.Packet(picture.data)
        packet.pts, packet.time_base = self._last, CLOCK
        return packet


class Session:
    """One viewer's peer connection, from the offer to the end.

    Args:
        broadcast: what is watched.
        watermark: burned in for this viewer; None: the page that shows it puts one over it.
        executor: where pictures with a watermark are encoded.
    """

    def __init__(self, broadcast: Broadcast, watermark: Watermark | None, executor: Executor) -> None:
        self._resources = contextlib.ExitStack()
        self._subscription = self._resources.enter_context(broadcast.subscribed())
        self._pictures: Pictures = self._subscription
        if watermark is not None:
            self._pictures = MarkedPictures(self._subscription, watermark, executor)
        self._connected = asyncio.Event()
        # No STUN or TURN server: host candidates only, the viewer is inside the city's network.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("connectionstatechange", self._on_state)

    async def answer(self, offer: str) -> str:
        """The answer to an SDP offer.

        Raises:
            ValueError: the offer cannot be used, or wants no H.264 video.
        """
        # The preference has to be there before the offer: aiortc settles the codecs when it reads it.
        video = self._peer.addTransceiver(MaskedTrack(self._pictures), direction="sendonly")
        capabilities = RTCRtpSender.getCapabilities("video")
        video.setCodecPreferences([each for each in capabilities.codecs if each.mimeType.lower() == _H264])
        await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        if video.mid is None:
            raise ValueError("the offer has no video")
        for transceiver in self._peer.getTransceivers():
            if transceiver is not video:
                transceiver.direction = "inactive"
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        return str(self._peer.localDescription.sdp)

    async def run(self) -> None:
        """Lasts as long as the viewer watches; then everything is let go."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._connected.wait()
                await self._subscription.ended.wait()
        finally:
            self._resources.close()
            await self._peer.close()

    def end(self) -> None:
        """Lets `run` return."""
        self._subscription.cut()
        self._connected.set()

    async def _on_state(self) -> None:
        if self._peer.connectionState == "connected":
            self._connected.set()
        elif self._peer.connectionState in ("failed", "closed"):
            self.end()
