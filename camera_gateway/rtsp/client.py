"""An RTSP session: DESCRIBE, SETUP, PLAY, keep-alive, packets interleaved on its connection or over UDP.

No timeout is kept here: every wait is a cancellable wait of asyncio, and whoever drives the session holds the deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from camera_gateway.failures import BasicRefusedError, ConnectionEndedError, StatusError
from camera_gateway.rtsp.authentication import Authenticator, Credentials
from camera_gateway.rtsp.messages import (
    Interleaved,
    Message,
    MessageParser,
    ProtocolError,
    Reply,
    ServerRequest,
    format_request,
)
from camera_gateway.rtsp.sdp import VideoTrack, choose_video

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from camera_gateway.rtsp.trust import CameraTrust
    from camera_gateway.rtsp.udp import UdpPair

SUCCESS: Final = 200
REDIRECTS: Final = range(300, 400)
UNAUTHORIZED: Final = 401
LONGEST_TIMEOUT_DIGITS: Final = 5

READ_BYTES: Final = 64 * 1024
DEFAULT_SESSION_TIMEOUT: Final = 60.0
"""Seconds without a sign of life after which a server may end a session (RFC 2326, section 12.37)."""

SERVER_PORTS: Final = re.compile(r"(?:^|;)\s*server_port\s*=\s*(\d{1,5})(?:-(\d{1,5}))?", re.ASCII | re.IGNORECASE)
CHANNELS: Final = re.compile(r"(?:^|;)\s*interleaved\s*=\s*(\d{1,3})(?:-(\d{1,3}))?", re.ASCII | re.IGNORECASE)
LARGEST_PORT: Final = 65535

MAX_EARLY_PACKETS: Final = 4096
"""Interleaved packets kept while a reply is awaited; more means that the reply will not come."""


class RtspRedirectError(Exception):
    """The camera sends us elsewhere; the caller decides whether that place may be dialled."""

    def __init__(self, location: str) -> None:
        super().__init__("redirected")
        self.location = location


UrlCheck = Callable[[str], Awaitable[None]]
"""Raises when a URL that the camera named must not be used."""


class RtspConnection:
    """One dialled connection; use `open_connection`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, auth: Authenticator) -> None:
        self._reader = reader
        self._writer = writer
        self._auth = auth
        self._parser = MessageParser()
        self._inbox: deque[Message] = deque()
        self._sequence = 0
        self._session: str | None = None
        self._base_url = ""
        self._keep_alive = "OPTIONS"
        self.session_timeout = DEFAULT_SESSION_TIMEOUT
        self.channels = (0, 1)
        """The channels of RTP and RTCP on this connection."""
        self.server_ports: tuple[int, int] | None = None
        """The camera's UDP ports of RTP and RTCP, if it names them."""

    @property
    def local_address(self) -> str:
        """Our IP address on this connection."""
        return str(self._writer.get_extra_info("sockname")[0])

    async def play(self, url: str, check_url: UrlCheck, udp: UdpPair | None = None) -> VideoTrack:
        """Start the video of ``url`` (without credentials); only the video track is set up, so nothing else comes.

        Args:
            url: of the stream.
            check_url: is asked about every URL that the camera names.
            udp: where the packets are to go; None: over this connection.

        Raises:
            StatusError, RtspRedirectError, BasicRefusedError: the camera's answer.
            ProtocolError, ConnectionEndedError, OSError: there was none that can be understood.
            NoVideoError: nothing that can be decoded is offered.
        """
        options = await self._request("OPTIONS", url, {})
        if "GET_PARAMETER" in (options.header("public") or ""):
            self._keep_alive = "GET_PARAMETER"
        described = await self._request("DESCRIBE", url, {"Accept": "application/sdp"})
        base = described.header("content-base") or described.header("content-location") or url
        try:
            track = choose_video(described.body.decode("utf-8", "replace"), base)
            for named in {base, track.control}:
                await check_url(named)
        except ValueError as error:
            raise ProtocolError("the camera named an unusable URL") from error
        set_up = await self._request("SETUP", track.control, {"Transport": _transport(udp)})
        self._take_session(set_up)
        self._take_transport(set_up.header("transport") or "")
        self._base_url = base
        await self._request("PLAY", base, {"Range": "npt=0.000-"})
        return track

    async def packets(self) -> AsyncIterator[Interleaved]:
        """The interleaved packets, until the camera ends the connection.

        Raises:
            ProtocolError, ConnectionEndedError, OSError: the session is over.
        """
        while True:
            while self._inbox:
                message = self._inbox.popleft()
                if isinstance(message, Interleaved):
                    yield message
                else:
                    self._take_other(message)
            await self._fill()

    async def keep_alive(self) -> None:
        """Tell the camera now and then that somebody is watching; runs until cancelled."""
        while True:
            await asyncio.sleep(max(1.0, self.session_timeout / 2.5))
            self._send(self._keep_alive, self._base_url, {})

    def teardown(self) -> None:
        """Say good-bye without waiting for the answer."""
        if self._session is not None and not self._writer.is_closing():
            self._send("TEARDOWN", self._base_url, {})

    async def _request(self, method: str, url: str, headers: Mapping[str, str]) -> Reply:
        self._send(method, url, headers)
        reply = await self._reply()
        if reply.status == UNAUTHORIZED and self._auth.challenge(reply.headers.get("www-authenticate", [])):
            self._send(method, url, headers)
            reply = await self._reply()
        if self._auth.basic_refused:
            raise BasicRefusedError
        if reply.status in REDIRECTS:
            raise RtspRedirectError(reply.header("location") or "")
        if reply.status != SUCCESS:
            raise StatusError(method, reply.status)
        return reply

    def _send(self, method: str, url: str, headers: Mapping[str, str]) -> None:
        self._sequence += 1
        fields = {"CSeq": str(self._sequence), "User-Agent": "argo", **headers}
        if (authorization := self._auth.authorization(method, url)) is not None:
            fields["Authorization"] = authorization
        if self._session is not None:
            fields["Session"] = self._session
        try:
            self._writer.write(format_request(method, url, fields))
        except ValueError as error:
            raise ProtocolError("the camera named an unusable URL") from error

    async def _reply(self) -> Reply:
        early: list[Message] = []
        while True:
            while self._inbox:
                message = self._inbox.popleft()
                if isinstance(message, Reply) and message.header("cseq") in (None, str(self._sequence)):
                    self._inbox.extendleft(reversed(early))
                    return message
                if isinstance(message, Interleaved):
                    early.append(message)
                else:
                    self._take_other(message)
            if len(early) > MAX_EARLY_PACKETS:
                raise ProtocolError("packets instead of a reply")
            await self._fill()

    async def _fill(self) -> None:
        data = await self._reader.read(READ_BYTES)
        if not data:
            raise ConnectionEndedError
        self._inbox.extend(self._parser.feed(data))

    def _take_other(self, message: Message) -> None:
        if isinstance(message, ServerRequest):
            self._writer.write(f"RTSP/1.0 501 Not Implemented\r\nCSeq: {message.sequence}\r\n\r\n".encode())
        elif isinstance(message, Reply) and message.status == UNAUTHORIZED:
            # A nonce grew stale under a keep-alive: the next one is signed with the new one.
            self._auth.challenge(message.headers.get("www-authenticate", []))

    def _take_transport(self, transport: str) -> None:
        # What else it says (a source, a destination) is not followed: packets come from the camera that was dialled.
        if (found := CHANNELS.search(transport)) is not None:
            first = int(found[1])
            self.channels = first, int(found[2] or first + 1)
        if (found := SERVER_PORTS.search(transport)) is not None:
            first = int(found[1])
            second = int(found[2] or first + 1)
            if 0 < first <= LARGEST_PORT and 0 < second <= LARGEST_PORT:
                self.server_ports = first, second

    def _take_session(self, reply: Reply) -> None:
        value = reply.header("session")
        if value is None:
            raise ProtocolError("no session in the reply to SETUP")
        self._session, *parameters = (part.strip() for part in value.split(";"))
        for parameter in parameters:
            name, _, text = parameter.partition("=")
            if name == "timeout" and text.isascii() and text.isdigit() and len(text) <= LONGEST_TIMEOUT_DIGITS:
                self.session_timeout = max(1.0, float(text))


def _transport(udp: UdpPair | None) -> str:
    if udp is None:
        return "RTP/AVP/TCP;unicast;interleaved=0-1"
    rtp, rtcp = udp.ports
    return f"RTP/AVP;unicast;client_port={rtp}-{rtcp}"


@contextlib.asynccontextmanager
async def open_connection(
    address: str, port: int, credentials: Credentials | None, *, host: str = "", trust: CameraTrust | None = None
) -> AsyncIterator[RtspConnection]:
    """Dial ``address`` (an IP address that was already checked); says good-bye and closes at the end.

    Args:
        address: IP address.
        port: TCP port.
        credentials: of the camera.
        host: the name that its certificate must bear.
        trust: whose certificate is believed; None: no TLS.

    Raises:
        OSError: nobody answers there.
        ssl.SSLCertVerificationError, CertificateUntrustedError: somebody else does.
    """
    context = None if trust is None else trust.context()
    reader, writer = await asyncio.open_connection(
        address, port, ssl=context, server_hostname=None if context is None else host
    )
    auth = Authenticator(credentials, lambda: secrets.token_hex(8), encrypted=trust is not None)
    connection = RtspConnection(reader, writer, auth)
    try:
        if trust is not None:
            trust.check(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        yield connection
    finally:
        with contextlib.suppress(OSError, ProtocolError):
            connection.teardown()
        # The write buffer is flushed by close(); its end is not awaited: a dead camera would hold it.
        writer.close()
