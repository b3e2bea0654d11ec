"""One viewer of the live view: a peer connection that forwards the encoder's packets as they are."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from anonymizer.broadcast import Broadcast, Subscription, ViewerCutError
from anonymizer.encoder import CLOCK

CONNECT_SECONDS: Final = 20.0
"""A viewer who has not connected by then is let go, so that a token cannot hold a place for ever."""
_H264: Final = "video/h264"


class MaskedTrack(MediaStreamTrack):
    """A track that yields encoded packets, which aiortc packs into RTP without encoding them again."""

    kind = "video"

    def __init__(self, subscription: Subscription) -> None:
        super().__init__()
        self._subscription = subscription
        self._origin: float | None = None
        self._last = -1

    async def recv(self) -> av.Packet[Any]:
        """The next packet.

        Raises:
            MediaStreamError: there will be none.
        """
        try:
            picture = await self._subscription.get()
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
    """

    def __init__(self, broadcast: Broadcast) -> None:
        self._resources = contextlib.ExitStack()
        self._subscription = self._resources.enter_context(broadcast.subscribed())
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
        video = self._peer.addTransceiver(MaskedTrack(self._subscription), direction="sendonly")
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
