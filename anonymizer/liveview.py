"""One viewer of the live view: a peer connection that forwards the encoder's packets as they are."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Final

import structlog
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from anonymizer.broadcast import ViewerCutError
from anonymizer.fanout import FanOut, shared_sender
from anonymizer.watermark import WatermarkEncoder

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from anonymizer.broadcast import Broadcast, Subscription
    from anonymizer.encoder import EncodedPicture
    from anonymizer.watermark import Watermark

log = structlog.get_logger(__name__)

CONNECT_SECONDS: Final = 20.0
"""A viewer who has not connected by then is let go, so that a token cannot hold a place for ever."""
_H264: Final = "video/h264"
_UNHEEDED: Final = re.compile(r"a=(extmap|rtcp-fb:\S+ (goog-remb|transport-cc)|candidate:.*\.local |end-of-candidates)")


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
        """The next picture; see anonymizer.fanout.Pictures."""
        picture = await self._subscription.get()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._encoder.mark, picture)
        except Exception as error:
            # Whatever it was: without a watermark nothing is shown.
            log.exception("live_view.watermark_failed", error=type(error).__name__)
            self._subscription.cut()
            raise ViewerCutError from None


class FanOuts:
    """What the viewers of each optic share."""

    def __init__(self) -> None:
        self._shared: dict[str, FanOut] = {}

    def of(self, broadcast: Broadcast) -> FanOut:
        """The one of an optic, made when it is first watched."""
        return self._shared.setdefault(broadcast.optic, FanOut(broadcast))


class Session:
    """One viewer's peer connection, from the offer to the end.

    Args:
        fan_out: what the viewer sees.
    """

    def __init__(self, fan_out: FanOut) -> None:
        self._fan_out = fan_out
        self._connected, self._ended = asyncio.Event(), asyncio.Event()
        # No STUN or TURN server: host candidates only, the viewer is inside the city's network.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("connectionstatechange", self._on_state)

    async def answer(self, offer: str) -> str:
        """The answer to an SDP offer.

        Raises:
            ValueError: the offer cannot be used, or wants no H.264 video.
        """
        # The preference has to be there before the offer: aiortc settles the codecs when it reads it.
        video = self._peer.addTransceiver("video", direction="sendonly")
        shared_sender(video, self._fan_out, self.end)
        capabilities = RTCRtpSender.getCapabilities("video")
        video.setCodecPreferences([each for each in capabilities.codecs if each.mimeType.lower() == _H264])
        await self._peer.setRemoteDescription(RTCSessionDescription(_heeded(offer), "offer"))
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
                await self._ended.wait()
        finally:
            await self._peer.close()

    def end(self) -> None:
        """Lets `run` return."""
        self._ended.set()
        self._connected.set()

    async def _on_state(self) -> None:
        if self._peer.connectionState == "connected":
            self._connected.set()
        elif self._peer.connectionState in ("failed", "closed"):
            self.end()


def _heeded(offer: str) -> str:
    """An offer as it is heeded here.

    - All see the same pictures, whatever bandwidth a viewer estimates.
    - Browsers hide their addresses behind names that only their own link resolves (mDNS). Such a viewer is found by its
      checks, for which is waited; aiortc would give up once no name is left to resolve.
    - Who may take either role in DTLS is made its client: as a server GStreamer shows a certificate for RSA, for which
      aiortc as a client has no cipher.
    """
    lines = (line for line in offer.splitlines(keepends=True) if _UNHEEDED.match(line) is None)
    return "".join(lines).replace("a=setup:actpass", "a=setup:active")
