"""HTTP: metrics and health on the second port of every service, and a server for the ones that talk to browsers."""

from __future__ import annotations

import asyncio
import errno
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import prometheus_client
from aiohttp import web

from mesh.errors import StartupError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

_LAG_PERIOD_SECONDS = 0.5


def split_address(listen: str) -> tuple[str, int]:
    """Splits ``host:port``; the host may be an IPv6 address in brackets."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def port_in_use(listen: str) -> StartupError:
    """What to say when an address is taken."""
    return StartupError(
        f"cannot listen on {listen}: the port is in use or the address is not of this machine",
        "stop the other process or choose another port",
    )


@asynccontextmanager
async def serve_web(
    application: web.Application, listen: str, *, tls: ssl.SSLContext | None = None, grace_seconds: float = 2.0
) -> AsyncIterator[str]:
    """Serves an aiohttp application inside the block.

    Args:
        application: with its routes; it cannot be changed any more inside the block.
        listen: host:port; port 0 chooses a free one.
        tls: for HTTPS.
        grace_seconds: how long requests may last when the block ends.

    Yields:
        The bound address as ``host:port``.

    Raises:
        StartupError: the address cannot be bound.
    """
    host, port = split_address(listen)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=grace_seconds)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
                raise port_in_use(listen) from error
            raise
        bound = runner.addresses[0][1]
        yield f"{host}:{bound}"
    finally:
        await runner.cleanup()


def health_application(registry: prometheus_client.CollectorRegistry, ready: Callable[[], bool]) -> web.Application:
    """``/metrics``, ``/healthz`` (the event loop turns) and ``/readyz`` (the service is warm and not draining)."""

    async def metrics(_request: web.Request) -> web.Response:
        body = prometheus_client.generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        return web.Response(text="ready\n") if ready() else web.Response(text="not ready\n", status=503)

    application = web.Application()
    application.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    return application


def new_registry() -> prometheus_client.CollectorRegistry:
    """A registry with the metrics of the process itself: CPU, resident memory, open files, garbage collection."""
    registry = prometheus_client.CollectorRegistry(auto_describe=True)
    prometheus_client.ProcessCollector(registry=registry)
    prometheus_client.PlatformCollector(registry=registry)
    prometheus_client.GCCollector(registry=registry)
    return registry


async def watch_loop_lag(registry: prometheus_client.CollectorRegistry) -> None:
    """Measures for ever how late the event loop wakes a sleeper of half a second: ``argo_event_loop_lag_seconds``."""
    gauge = prometheus_client.Gauge("argo_event_loop_lag_seconds", "How late the event loop runs.", registry=registry)
    while True:
        before = time.monotonic()
        await asyncio.sleep(_LAG_PERIOD_SECONDS)
        gauge.set(max(0.0, time.monotonic() - before - _LAG_PERIOD_SECONDS))
