"""What the person at the terminal calls a source: a video file, or the URL of a camera."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from mesh.local.camera.clip import open_video
from mesh.local.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

RTSP_PORT: Final = 554


@dataclass(frozen=True)
class FileSource:
    """A video that a camera process plays.

    Attributes:
        path: the file.
    """

    path: Path

    @property
    def label(self) -> str:
        """What to call it."""
        return self.path.name


@dataclass(frozen=True)
class UrlSource:
    """A camera that is dialled.

    Attributes:
        address: IP address, with the port if it is not 554.
        network: the one address, as a CIDR network.
        path: path and query of the stream.
        username: for RTSP authentication; empty: none.
        password: likewise.
    """

    address: str
    network: str
    path: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def label(self) -> str:
        """What to call it; without credentials, and without the query, which may hold some."""
        return f"rtsp://{self.address}{self.path.partition('?')[0]}"


Source = FileSource | UrlSource


def resolve(host: str) -> str:
    """The first address of a host name, IPv4 if there is one.

    Raises:
        OSError: it has none.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return str(min(found, key=lambda entry: entry[0] != socket.AF_INET)[4][0])


def parse_source(text: str, resolver: Callable[[str], str] = resolve) -> Source:
    """Read a ``--source``.

    Args:
        text: a path or an ``rtsp://`` URL.
        resolver: host name to IP address.

    Raises:
        SourceError: no such file, not a video, not an RTSP URL, or a host that is not known.
    """
    if "://" not in text:
        open_video(Path(text)).close()
        return FileSource(Path(text).resolve())
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or RTSP_PORT
    except ValueError:
        host, port, parts = None, 0, urlsplit("")
    if host is None or parts.scheme != "rtsp":
        # The text itself may hold a password.
        raise SourceError(
            "the source is neither a file nor an rtsp:// URL", "write rtsp://[user:password@]host[:port]/path"
        )
    try:
        address = ipaddress.ip_address(resolver(host))
    except (OSError, ValueError):
        raise SourceError(f"the camera's host {host} is not known", "check the name, or write its IP address") from None
    bracketed = f"[{address}]" if isinstance(address, ipaddress.IPv6Address) else str(address)
    return UrlSource(
        address=bracketed if port == RTSP_PORT else f"{bracketed}:{port}",
        network=f"{address}/{address.max_prefixlen}",
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
