"""The camera as older ones are: Motion JPEG over HTTP, ``multipart/x-mixed-replace`` (RFC 2046 section 5.1)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from mesh.local.camera.delivery import CUTS, reset
from mesh.local.camera.faults import FaultKind
from mesh.local.camera.player import Player

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from mesh.local.camera.device import Device, Stream
    from mesh.local.camera.player import Shown

log = structlog.get_logger(__name__)

BOUNDARY: Final = "picture"


class _Pages:
    """Answers a device's HTTP requests."""

    def __init__(self, device: Device) -> None:
        self._device = device

    async def answer(self, request: web.Request) -> web.StreamResponse:
        device, now = self._device, self._device.clock.moment(None)
        if device.has(FaultKind.OFFLINE):
            _reset(request)
        if device.has(FaultKind.HANG_AFTER_CONNECT):
            await asyncio.Event().wait()
        stream = device.streams.get(request.path.rstrip("/"))
        refused = stream is not None and stream.faults.active(FaultKind.UNAUTHORIZED, now) is not None
        authenticator, given = device.authenticator, request.headers.get("Authorization", "")
        if refused or (authenticator is not None and not authenticator.accepts(request.method, given)):
            response = web.Response(status=401)
            for name, value in authenticator.challenges() if authenticator is not None else []:
                response.headers.add(name, value)
            return response
        if stream is None or stream.faults.active(FaultKind.NOT_FOUND, now) is not None:
            raise web.HTTPNotFound
        redirect = stream.faults.active(FaultKind.REDIRECT, now)
        if redirect is not None:
            raise web.HTTPFound(redirect.target)
        return await self._play(request, stream)

    async def _play(self, request: web.Request, stream: Stream) -> web.StreamResponse:
        device = self._device
        clips = await stream.clips(device.library)
        response = web.StreamResponse(
            headers={"Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        play_seconds = device.clock.seconds()
        cutter = asyncio.create_task(self._cut(request, stream, play_seconds), name="camera-cutter")
        player = Player(clips, lambda: stream.look(device.clock.moment(play_seconds)), device.clock, stream.phase)
        log.info("simulator.session_started", path=stream.path)
        try:
            while True:
                shown = await player.next()
                await response.write(self._part(stream, shown, play_seconds))
        except ConnectionError:
            return response
        finally:
            cutter.cancel()
            log.info("simulator.session_ended", path=stream.path)

    def _part(self, stream: Stream, shown: Shown, play_seconds: float) -> bytes:
        moment = self._device.clock.moment(play_seconds)
        if stream.faults.active(FaultKind.HANG_AFTER_PLAY, moment) is not None:
            return b""
        picture = shown.unit.data
        if stream.faults.active(FaultKind.GARBAGE, moment) is not None:
            picture = self._device.random_source.randbytes(len(picture))
        head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
        return head.encode() + picture + b"\r\n"

    async def _cut(self, request: web.Request, stream: Stream, play_seconds: float) -> None:
        await self._device.cut(stream.faults, CUTS, play_seconds)
        _reset(request)


def _reset(request: web.Request) -> None:
    """End the connection with RST."""
    if request.transport is not None:
        reset(request.transport)


@contextlib.asynccontextmanager
async def listen_http(device: Device, host: str, port: int, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Answer HTTP or, with a TLS context, HTTPS; gives the port.

    Raises:
        OSError: the port is in use or the address is not of this machine.
    """
    application = web.Application()
    application.router.add_get("/{path:.*}", _Pages(device).answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=context)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
