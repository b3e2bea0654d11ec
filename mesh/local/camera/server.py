"""Cameras that listen: clips in memory, one clock, and a socket for each device."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.local.camera.device import Library
from mesh.local.camera.mjpeg import listen_http
from mesh.local.camera.options import make_device
from mesh.local.camera.player import CameraClock
from mesh.local.camera.session import Session
from mesh.local.errors import LocalError

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator

    from mesh.local.camera.device import Device
    from mesh.local.camera.options import CameraOptions


@dataclass(frozen=True)
class RunningCamera:
    """Cameras that listen.

    Attributes:
        urls: where to dial, without credentials: the main stream of every optic of every device.
        ports: TCP port of each device.
    """

    urls: tuple[str, ...]
    ports: tuple[int, ...]

    @property
    def url(self) -> str:
        """Of the first optic."""
        return self.urls[0]

    @property
    def port(self) -> int:
        """Of the first device."""
        return self.ports[0]


@contextlib.asynccontextmanager
async def serve_camera(options: CameraOptions, random_source: random.Random) -> AsyncIterator[RunningCamera]:
    """Play files as cameras while the context lasts.

    Args:
        options: what and where.
        random_source: makes session ids, losses and garbage.

    Raises:
        SourceError: a file is no video.
        LocalError: a port is in use, the address is not of this machine, or the certificate cannot be used.
    """
    context = _tls_context(options)
    clock = CameraClock()
    async with contextlib.AsyncExitStack() as stack:
        library = await stack.enter_async_context(Library())
        devices = [make_device(options, number + 1, library, clock, random_source) for number in range(options.devices)]
        # What the script makes necessary is there before the first client is.
        for stream in itertools.chain.from_iterable(device.main_streams for device in devices):
            await stream.clips(library)
        # A script's times count from when somebody can dial, however long the coding took.
        clock.start()
        ports = []
        for number, device in enumerate(devices):
            port = options.port + number if options.port else 0
            try:
                ports.append(await stack.enter_async_context(_listen(options, device, port, context)))
            except OSError as error:
                raise LocalError(
                    f"cannot listen on {options.host}:{port}: {error.strerror or error}",
                    "Choose another port with --listen, or port 0 to have one chosen.",
                ) from None
        yield RunningCamera(tuple(_urls(options, devices, ports)), tuple(ports))


def _tls_context(options: CameraOptions) -> ssl.SSLContext | None:
    if options.tls is None:
        return None
    certificate, key = options.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        problem = f"{certificate} and {key} are no certificate and key: {error.strerror or error}"
        raise LocalError(problem, "Give two PEM files that belong together.") from None
    return context


def _listen(
    options: CameraOptions, device: Device, port: int, context: ssl.SSLContext | None
) -> contextlib.AbstractAsyncContextManager[int]:
    serve = listen_http if options.protocol == "mjpeg" else listen_rtsp
    return serve(device, options.host, port, context)


@contextlib.asynccontextmanager
async def listen_rtsp(device: Device, host: str, port: int, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Answer RTSP or, with a TLS context, RTSPS; gives the port.

    Raises:
        OSError: the port is in use or the address is not of this machine.
    """
    sessions: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        sessions[task] = writer
        try:
            await Session(device, reader, writer).run()
        finally:
            del sessions[task]

    server = await asyncio.start_server(connected, host, port, ssl=context, backlog=1024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in sessions.values():
            writer.transport.abort()
        await asyncio.gather(*sessions, return_exceptions=True)


def _urls(options: CameraOptions, devices: list[Device], ports: list[int]) -> list[str]:
    scheme = {"rtsp": "rtsp", "mjpeg": "http"}[options.protocol] + ("s" if options.tls else "")
    host = f"[{options.host}]" if ":" in options.host else options.host
    return [
        f"{scheme}://{host}:{port}{stream.path}"
        for device, port in zip(devices, ports, strict=True)
        for stream in device.main_streams
    ]
