"""Ports of 127.0.0.1 that stay ours for as long as the runner lives, also while their process is being restarted."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING, Final, Self

from mesh.local.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

LOOPBACK: Final = "127.0.0.1"

_PORTS: Final = range(1, 65536)


class PortReservations:
    """Chooses ports through the kernel and remembers them in a file, so that the next run gets the same ones if free.

    A reserved port is held by a socket that is bound and never listens. Linux gives such a port to nobody who asks for
    any free port, but lets a server that sets SO_REUSEADDR, as all servers here do, listen on it.

    Args:
        file: JSON object, name to port; is made if it does not exist.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._sockets: dict[str, socket.socket] = {}
        self._earlier = _read(file)

    def reserve(self, name: str) -> int:
        """The port of that name: the one already reserved, else the one of an earlier run, else a free one.

        Raises:
            StateError: the file cannot be written, or there is no free port.
        """
        if name not in self._sockets:
            self._sockets[name] = self._bind(self._earlier.get(name, 0))
            self._write()
        return self._port(name)

    def address(self, name: str) -> str:
        """``host:port`` of a reservation, which is made if need be."""
        return f"{LOOPBACK}:{self.reserve(name)}"

    def close(self) -> None:
        """Give all ports back."""
        for reservation in self._sockets.values():
            reservation.close()
        self._sockets.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _bind(self, wanted: int) -> socket.socket:
        for port in (wanted, 0) if wanted else (0,):
            reservation = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                if port and _is_taken(port):
                    raise OSError  # noqa: TRY301 - the same road as a refusal of the kernel
                reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                reservation.bind((LOOPBACK, port))
            except OSError:
                reservation.close()
            else:
                return reservation
        raise StateError(f"no free port on {LOOPBACK}", "end other programs that use the network")

    def _port(self, name: str) -> int:
        return int(self._sockets[name].getsockname()[1])

    def _write(self) -> None:
        ports = self._earlier | {name: self._port(name) for name in self._sockets}
        try:
            self._file.write_text(json.dumps(ports, indent=1, sort_keys=True))
        except OSError as error:
            raise StateError(
                f"cannot write {self._file}: {error.strerror}", "check that the folder is writable and not full"
            ) from None


def _read(file: Path) -> dict[str, int]:
    with contextlib.suppress(OSError, ValueError):
        ports = json.loads(file.read_text())
        if isinstance(ports, dict):
            return {name: port for name, port in ports.items() if isinstance(port, int) and port in _PORTS}
    return {}


def _is_taken(port: int) -> bool:
    """Whether somebody else holds the port; SO_REUSEADDR would let us bind beside a reservation of another runner."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False
