"""An RTSP session over one TCP connection: DESCRIBE, SETUP, PLAY, keep-alive, interleaved packets.

No timeout is kept here: every wait is a cancellable wait of asyncio, and whoever drives the session holds the deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from typing import TYPE_CHECKING, Final

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

SUCCESS: Final = 200
REDIRECTS: Final = range(300, 400)
UNAUTHORIZED: Final = 401
LONGEST_TIMEOUT_DIGITS: Final = 5

READ_BYTES: Final = 64 * 1024
DEFAULT_SESSION_TIMEOUT: Final = 60.0
"""Seconds without a sign of life after which a server may end a session (RFC 2326, section 12.37)."""

MAX_EARLY_PACKETS: Final = 4096
"""Interleaved packets kept while a reply is awaited; more means that the reply will not come."""


class RtspStatusError(Exception):
    """The camera answered a request with an error status."""

    def __init__(self, method: str, status: int) -> None:
        super().__init__(f"{method} was answered {status}")
        self.method = method
        self.status = status


class RtspRedirectError(Exception):
    """The camera sends us elsewhere; the caller decides whether that place may be dialled."""

    def __init__(self, location: str) -> None:
        super().__init__("redirected")
        self.location = location


class ConnectionEndedError(Exception):
    """The camera closed the connection."""


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

    async def play(self, url: str) -> VideoTrack:
        """Start the video of ``url`` (without credentials); only the video track is set up, so nothing else comes.

        Raises:
            RtspStatusError, RtspRedirectError, ProtocolError, ConnectionEndedError, OSError: the camera's answer.
            NoVideoError: nothing that can be decoded is offered.
        """
        options = await self._request("OPTIONS", url, {})
        if "GET_PARAMETER" in (options.header("public") or ""):
            self._keep_alive = "GET_PARAMETER"
        described = await self._request("DESCRIBE", url, {"Accept": "application/sdp"})
        base = described.header("content-base") or described.header("content-location") or url
        track = choose_video(described.body.decode("utf-8", "replace"), base)
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        self._take_session(await self._request("SETUP", track.control, transport))
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
        if reply.status in REDIRECTS:
            raise RtspRedirectError(reply.header("location") or "")
        if reply.status != SUCCESS:
            raise RtspStatusError(method, reply.status)
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

    def _take_session(self, reply: Reply) -> None:
        value = reply.header("session")
        if value is None:
            raise ProtocolError("no session in the reply to SETUP")
        self._session, *parameters = (part.strip() for part in value.split(";"))
        for parameter in parameters:
            name, _, text = parameter.partition("=")
            if name == "timeout" and text.isascii() and text.isdigit() and len(text) <= LONGEST_TIMEOUT_DIGITS:
                self.session_timeout = max(1.0, float(text))


@contextlib.asynccontextmanager
async def open_connection(address: str, port: int, credentials: Credentials | None) -> AsyncIterator[RtspConnection]:
    """Dial ``address`` (an IP address that was already checked); says good-bye and closes at the end.

    Raises:
        OSError: nobody answers there.
    """
    reader, writer = await asyncio.open_connection(address, port)
    connection = RtspConnection(reader, writer, Authenticator(credentials, lambda: secrets.token_hex(8)))
    try:
        yield connection
    finally:
        with contextlib.suppress(OSError, ProtocolError):
            connection.teardown()
        # The write buffer is flushed by close(); its end is not awaited: a dead camera would hold it.
        writer.close()
