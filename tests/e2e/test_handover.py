"""A gateway that is stopped hands its cameras to another at once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from mesh.local.environment import MeshOptions
from mesh.local.runner import LocalMesh
from mesh.local.state import StateFolder
from mesh.rpc.channel import open_channel
from tests.e2e.street import CAMERA, Street, until

FIRST, SECOND = "camera-gateway", "second-gateway"

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _streams_at(street: Street, gateway_name: str, optic: str) -> bool:
    """Whether a gateway has pictures of an optic."""
    target = street.mesh.environments.target(gateway_name)
    settings = street.mesh.settings_of("operator/local")
    async with open_channel(target, settings, peer=f"service/{FIRST}") as channel:
        stub: Any = GatewayServiceStub(channel)
        sessions = (await stub.ListSessions(gateway.ListSessionsRequest())).sessions
    return any(each.optic == optic and each.state == gateway.Session.STATE_STREAMING for each in sessions)


async def _start_second(street: Street) -> None:
    environments, ports = street.mesh.environments, street.mesh.state.ports
    more = {
        "ARGO_REPLICA": "second",
        "ARGO_GRPC_LISTEN": environments.target(SECOND),
        "ARGO_HTTP_LISTEN": environments.health(SECOND),
        "ARGO_WEB_LISTEN": ports.address(f"{SECOND}.web"),
    }
    await street.mesh.start_child(SECOND, "camera_gateway", environment=environments.of(FIRST) | more)


async def test_another_gateway_has_the_cameras_of_a_stopped_one_long_before_their_leases_end(
    tmp_path: Path, sample: Path
) -> None:
    # As long as may be: only who gives a lease back makes room for another.
    settings = {"registry": {"ARGO_LEASE_SECONDS": "300"}}
    options = MeshOptions(services=("registry", FIRST), console=False, settings=settings)
    with StateFolder(tmp_path / "state") as state:
        async with LocalMesh(state, options) as mesh:
            street = Street(mesh)
            await mesh.start_services()
            optic = await street.register(CAMERA, await street.play(CAMERA, sample))
            await _start_second(street)

            async def holder() -> str | None:
                """The gateway that streams, once the other is there to take over."""
                if any("registry.connected" not in street.log_events(name) for name in (FIRST, SECOND)):
                    return None
                holders = [name for name in (FIRST, SECOND) if await _streams_at(street, name, optic)]
                return holders[0] if holders else None

            first = await until("a gateway streams", holder)
            other = SECOND if first == FIRST else FIRST
            pid = mesh.supervisor.pids[first]
            assert pid is not None

            os.kill(pid, signal.SIGTERM)

            async def taken_over() -> bool | None:
                return await _streams_at(street, other, optic) or None

            assert await until("the other gateway streams", taken_over)
            # It was not killed: it ended in order.
            assert "service.stopped" in street.log_events(first)
