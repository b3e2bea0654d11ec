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

REASONS: Final[Mapping[int, str]] = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
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


def parse_transport(header: str) -> tuple[int, int] | None:
    """Find the interleaved channels in a Transport header (RFC 2326 section 12.39).

    Returns:
        The RTP and the RTCP channel, (0, 1) if the client leaves the choice to the server; None when none of the
        offered transports is RTP over the RTSP connection.
    """
    for offer in header.split(","):
        protocol, *parameters = (part.strip() for part in offer.split(";"))
        if protocol.upper() != "RTP/AVP/TCP":
            continue
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.lower() != "interleaved":
                continue
            first, _, second = value.partition("-")
            if not first.isdigit() or (second and not second.isdigit()):
                return None
            rtp = int(first)
            rtcp = int(second) if second else rtp + 1
            return (rtp, rtcp) if max(rtp, rtcp) <= MAX_CHANNEL else None
        return 0, 1
    return None
