"""The multipart/x-mixed-replace body of an HTTP response, without I/O: bytes in, pictures out.

Cameras are careless here: some count no bytes, some end lines with a bare line feed, some write the delimiter with two
dashes too many. The delimiter is searched for where no length is told, and skipped over where one is.
"""

from __future__ import annotations

import re
from typing import Final

from camera_gateway.rtsp.messages import ProtocolError

MAX_HEADER_BYTES: Final = 8 * 1024
MAX_PICTURE_BYTES: Final = 8 * 1024 * 1024
"""A 4K JPEG of good quality is below 4 MiB."""

_BOUNDARY: Final = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,80})"|([^\s;"]{1,80}))', re.IGNORECASE)
_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
_LENGTH: Final = re.compile(rb"^content-length\s*:\s*(\d{1,9})\s*$", re.IGNORECASE | re.MULTILINE)


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart content type, without leading dashes; None when it is no such type."""
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/") or found is None:
        return None
    return (found[1] or found[2]).encode("ascii", "replace").lstrip(b"-") or None


class MultipartParser:
    """Splits the body of one response. Its buffer is bounded by the limits above.

    Args:
        boundary: as `boundary_of` gives it.
    """

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"--" + boundary
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they come; the parts that are complete.

        Raises:
            ProtocolError: this is no multipart body, or a part is too long.
        """
        self._buffer += data
        parts: list[bytes] = []
        while (part := self._next()) is not None:
            if part:
                parts.append(part)
        return parts

    def _next(self) -> bytes | None:
        start = self._buffer.find(self._delimiter)
        if start < 0:
            self._limit(MAX_HEADER_BYTES)
            return None
        end = _HEADER_END.search(self._buffer, start, start + MAX_HEADER_BYTES)
        if end is None:
            del self._buffer[:start]
            self._limit(MAX_HEADER_BYTES)
            return None
        length = _LENGTH.search(self._buffer[start : end.start() + 1])
        return self._counted(end.end(), int(length[1])) if length is not None else self._searched_for(end.end())

    def _counted(self, begin: int, length: int) -> bytes | None:
        if length > MAX_PICTURE_BYTES:
            raise ProtocolError("a picture is too long")
        if len(self._buffer) < begin + length:
            return None
        return self._take(begin, begin + length)

    def _searched_for(self, begin: int) -> bytes | None:
        # What was searched before need not be again, but for a delimiter that was cut in two.
        since = max(begin, self._searched - len(self._delimiter))
        end = self._buffer.find(self._delimiter, since)
        if end < 0:
            self._searched = len(self._buffer)
            self._limit(MAX_HEADER_BYTES + MAX_PICTURE_BYTES)
            return None
        return self._take(begin, end)

    def _take(self, begin: int, end: int) -> bytes:
        part = bytes(self._buffer[begin:end])
        del self._buffer[:end]
        self._searched = 0
        return part

    def _limit(self, size: int) -> None:
        if len(self._buffer) > size:
            raise ProtocolError("no multipart body of pictures")
