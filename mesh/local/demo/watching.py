"""Follows the gateway's sessions and alerting's alerts through their APIs, over restarts of either."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from argo.alerting.v1 import alert_service_pb2 as alerting
from argo.alerting.v1 import alert_service_pb2_grpc
from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1 import gateway_service_pb2_grpc
from mesh.rpc.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from mesh.local.demo.tally import Tally
    from mesh.local.runner import LocalMesh

_RETRY_SECONDS: Final = 0.3

REASON: Final = "demonstration on this machine"
"""Every reading of alerts says why."""


@contextlib.asynccontextmanager
async def watching(mesh: LocalMesh, tally: Tally) -> AsyncIterator[None]:
    """Keep the tally up to date inside the block."""
    settings = mesh.settings_of("operator/local")
    async with contextlib.AsyncExitStack() as stack:
        channels = {
            service: await stack.enter_async_context(
                open_channel(mesh.environments.target(service), settings, peer=f"service/{service}")
            )
            for service in ("camera-gateway", "alerting")
        }
        tasks = [
            asyncio.create_task(_for_ever(_SessionWatch(channels["camera-gateway"], tally).run), name="watch-sessions"),
            asyncio.create_task(_for_ever(_AlertWatch(channels["alerting"], tally).run), name="watch-alerts"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _SessionWatch:
    def __init__(self, channel: grpc.aio.Channel, tally: Tally) -> None:
        self._stub: Any = gateway_service_pb2_grpc.GatewayServiceStub(channel)
        self._tally = tally

    async def run(self) -> None:
        async for update in self._stub.WatchSessions(gateway.WatchSessionsRequest()):
            self._tally.on_sessions(update)


class _AlertWatch:
    def __init__(self, channel: grpc.aio.Channel, tally: Tally) -> None:
        self._stub: Any = alert_service_pb2_grpc.AlertServiceStub(channel)
        self._tally = tally
        self._resume_token = ""

    async def run(self) -> None:
        request = alerting.WatchAlertsRequest(resume_token=self._resume_token, reason=REASON)
        try:
            async for change in self._stub.WatchAlerts(request):
                self._resume_token = change.resume_token
                if change.WhichOneof("change") == "updated":
                    self._tally.on_alert(change.updated, time.time())
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                self._resume_token = ""
            raise


async def _for_ever(watch: Callable[[], Awaitable[None]]) -> None:
    while True:
        # Whatever ends a watch, a service being restarted above all: begin again.
        with contextlib.suppress(grpc.aio.AioRpcError):
            await watch()
        await asyncio.sleep(_RETRY_SECONDS)
