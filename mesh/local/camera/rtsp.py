"""RTSP/1.0 messages (RFC 2326): parsing requests, formatting responses. Pure: bytes in, bytes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_HEADER_BYTES: Final = 16 * 1024
"""Longest request head accepted; a camera's own firmware accepts far less."""

MAX_BODY_BYTES: Final = 64 * 1024

MAX_CHANNEL: Final = 255
"""Channel identifiers are one octet (RFC 2326 section 10.12)."""

MAX_PORT: Final = 65535

_TRACK: Final = "trackID="

REASONS: Final[Mapping[int, str]] = {
    200: "OK",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    501: "Not Implemented",
    505: "RTSP Version Not Supported",
}
"""Status codes of RFC 2326 section 7.1.1 that this server uses."""


class MalformedRequestError(ValueError):
    """The bytes are not an RTSP request."""


@dataclass(frozen=True)
class Request:
    """One request. Header names are in lower case."""

    method: str
    url: str
    version: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def sequence(self) -> str:
        """The CSeq header, which every response repeats."""
        return self.headers.get("cseq", "0")

    @property
    def content_length(self) -> int:
        """Bytes of body that follow the head.

        Raises:
            MalformedRequestError: the header is no number between 0 and :data:`MAX_BODY_BYTES`.
        """
        value = self.headers.get("content-length", "0")
        if not value.isascii() or not value.isdigit() or int(value) > MAX_BODY_BYTES:
            raise MalformedRequestError("bad Content-Length")
        return int(value)

    @property
    def control(self) -> str:
        """The end of the URL that names a track, such as ``trackID=0``; empty if it names none."""
        last = self._path.rpartition("/")[2]
        return last if last.startswith(_TRACK) else ""

    @property
    def stream_path(self) -> str:
        """The path of the stream, with its leading slash and without the track."""
        return "/" + self._path.removesuffix(self.control).strip("/")

    @property
    def _path(self) -> str:
        return self.url.partition("://")[2].partition("/")[2].partition("?")[0].rstrip("/")


def parse_request(head: bytes) -> Request:
    """Parse a request head, from the request line to the empty line.

    Raises:
        MalformedRequestError: it is not one.
    """
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise MalformedRequestError("request head is not UTF-8") from None
    method, _, rest = lines[0].partition(" ")
    url, _, version = rest.partition(" ")
    if not method or not version.startswith("RTSP/") or " " in version:
        raise MalformedRequestError("bad request line")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        if not line:
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise MalformedRequestError("bad header line")
        headers[name.strip().lower()] = value.strip()
    return Request(method, url, version, headers)


def format_response(status: int, sequence: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> bytes:
    """Format a response; headers may repeat (two ``WWW-Authenticate`` challenges)."""
    lines = [f"RTSP/1.0 {status} {REASONS[status]}", f"CSeq: {sequence}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True)
class Interleaved:
    """RTP over the RTSP connection.

    Attributes:
        rtp: channel of the RTP packets.
        rtcp: channel of the RTCP packets.
    """

    rtp: int
    rtcp: int


@dataclass(frozen=True)
class Unicast:
    """RTP over UDP.

    Attributes:
        rtp: the client's port for RTP.
        rtcp: the client's port for RTCP.
    """

    rtp: int
    rtcp: int


Transport = Interleaved | Unicast


def parse_transport(header: str, *, free_channel: int = 0) -> Transport | None:
    """The first offer of a Transport header (RFC 2326 section 12.39) that can be met.

    A destination that the client names is not looked at: pictures go to where the request came from.

    Args:
        header: the header.
        free_channel: first of two channels to take if the client leaves the choice to the server.

    Returns:
        None when none of the offered transports is RTP over the RTSP connection or over UDP.
    """
    for offer in header.split(","):
        protocol, *parameters = (part.strip() for part in offer.split(";"))
        named = {name.strip().lower(): value for name, _, value in (part.partition("=") for part in parameters)}
        match protocol.upper():
            case "RTP/AVP/TCP":
                pair = _pair(named.get("interleaved", f"{free_channel}"), MAX_CHANNEL)
                if pair is not None:
                    return Interleaved(*pair)
            case "RTP/AVP" | "RTP/AVP/UDP" if "multicast" not in named and "client_port" in named:
                pair = _pair(named["client_port"], MAX_PORT)
                if pair is not None and min(pair) > 0:
                    return Unicast(*pair)
            case _:
                pass
    return None


def _pair(text: str, highest: int) -> tuple[int, int] | None:
    """``4-5``, or ``4`` for the same."""
    first, _, second = text.partition("-")
    if not (first.isascii() and first.isdigit()) or (second and not (second.isascii() and second.isdigit())):
        return None
    pair = int(first), int(second) if second else int(first) + 1
    return pair if max(pair) <= highest else None
