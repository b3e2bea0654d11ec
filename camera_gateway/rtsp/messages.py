"""The RTSP wire format, without I/O: bytes in, replies and interleaved packets out."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEADER_BYTES: Final = 16 * 1024
MAX_BODY_BYTES: Final = 64 * 1024

_DOLLAR: Final = ord("$")
_INTERLEAVED_HEADER: Final = 4
_METHOD_BYTES: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_STATUS_LINE: Final = re.compile(r"RTSP/\d\.\d (\d{3})(?: .*)?")
_REQUEST_LINE: Final = re.compile(r"([A-Z_]{1,32}) \S+ RTSP/\d\.\d")
_LENGTH: Final = re.compile(r"\d{1,9}", re.ASCII)


class ProtocolError(Exception):
    """The camera sent bytes that are not RTSP."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """One RTSP response; header names are lower case, repeated headers are lists in order of arrival."""

    status: int
    headers: Mapping[str, list[str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        values = self.headers.get(name.lower())
        return values[0] if values else None


@dataclasses.dataclass(frozen=True, slots=True)
class Interleaved:
    """One binary packet on the RTSP connection (RFC 2326, section 10.12)."""

    channel: int
    payload: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class ServerRequest:
    """A request from the camera; only its method and sequence number matter: it is answered 501."""

    method: str
    sequence: str


Message = Reply | Interleaved | ServerRequest


def format_request(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    """One RTSP request without a body.

    Raises:
        ValueError: a header or the URL holds a line break.
    """
    lines = [f"{method} {url} RTSP/1.0", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("line break in an RTSP request")
    return "\r\n".join([*lines, "", ""]).encode()


class MessageParser:
    """Splits the byte stream of an RTSP connection. Its buffer is bounded by the limits above."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes as they come; the messages that are complete.

        Raises:
            ProtocolError: the bytes are not RTSP, or a message is too long.
        """
        self._buffer += data
        messages: list[Message] = []
        position = 0
        while (parsed := self._parse(position)) is not None:
            message, position = parsed
            if message is not None:
                messages.append(message)
        del self._buffer[:position]
        return messages

    def _parse(self, start: int) -> tuple[Message | None, int] | None:
        buffer = self._buffer
        if start >= len(buffer):
            return None
        if buffer[start] == _DOLLAR:
            if len(buffer) - start < _INTERLEAVED_HEADER:
                return None
            end = start + 4 + int.from_bytes(buffer[start + 2 : start + 4])
            if len(buffer) < end:
                return None
            return Interleaved(buffer[start + 1], bytes(buffer[start + 4 : end])), end
        if buffer[start] in b"\r\n":  # some cameras end a body with a line that they did not count
            return None, start + 1
        return self._parse_text(start)

    def _parse_text(self, start: int) -> tuple[Message, int] | None:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", start, start + MAX_HEADER_BYTES)
        if end < 0:
            if len(buffer) - start >= MAX_HEADER_BYTES or not _may_begin_message(bytes(buffer[start : start + 16])):
                raise ProtocolError("neither an RTSP message nor an interleaved packet")
            return None
        first, headers = _parse_head(bytes(buffer[start:end]))
        length = _content_length(headers)
        if len(buffer) < end + 4 + length:
            return None
        body = bytes(buffer[end + 4 : end + 4 + length])
        return _message(first, headers, body), end + 4 + length


def _may_begin_message(head: bytes) -> bool:
    """Whether these bytes can begin a response ("RTSP/") or a request (a method of capitals)."""
    if head[:5] == b"RTSP/"[: len(head)]:
        return True
    method = head.split(b" ", 1)[0]
    return bool(method) and _METHOD_BYTES.issuperset(method)


def _parse_head(head: bytes) -> tuple[str, dict[str, list[str]]]:
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), []).append(value.strip())
    return first, headers


def _content_length(headers: Mapping[str, list[str]]) -> int:
    text = headers.get("content-length", ["0"])[0]
    if not _LENGTH.fullmatch(text) or int(text) > MAX_BODY_BYTES:
        raise ProtocolError("unusable Content-Length")
    return int(text)


def _message(first: str, headers: dict[str, list[str]], body: bytes) -> Message:
    if (status := _STATUS_LINE.fullmatch(first)) is not None:
        return Reply(int(status[1]), headers, body)
    if (request := _REQUEST_LINE.fullmatch(first)) is not None:
        return ServerRequest(request[1], headers.get("cseq", ["0"])[0])
    raise ProtocolError("unreadable first line")
