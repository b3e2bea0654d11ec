"""The part of the mesh that works on files: gateway, detector, anonymizer; no database, no bus, nothing kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click
import grpc

from mesh.errors import StartupError
from mesh.local.environment import MeshOptions
from mesh.local.runner import LocalMesh
from mesh.local.state import StateFolder
from mesh.local.terminal import log_to, say
from mesh.rpc.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

threads_option = click.option(
    "--threads", type=click.IntRange(1, 256), help="Threads of the detector. Default: as many as there are processors."
)


@contextlib.asynccontextmanager
async def media_mesh(
    *services: str, threads: int | None = None, detector: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a gateway that was started for this one file.

    Args:
        services: to run; the gateway among them.
        threads: of one inference; None for as many as this process may use, since a file's frames come one by one.
        detector: further environment variables of the detector.

    Raises:
        StartupError: a service does not start; its logs are kept then.
    """
    settings = {"detector": {"ARGO_INFERENCE_THREADS": str(threads or processors()), **detector}}
    folder = Path(tempfile.mkdtemp(prefix="argo-"))
    try:
        with StateFolder(folder) as state:
            log_to(state.logs)
            options = MeshOptions(services=services, settings=settings)
            async with LocalMesh(state, options, say) as mesh:
                await mesh.start_services()
                operator = mesh.settings_of("operator/local")
                target = mesh.environments.target("camera-gateway")
                async with open_channel(target, operator, peer="service/camera-gateway") as channel:
                    yield channel
    except (StartupError, grpc.aio.AioRpcError):
        say(f"the services' logs are kept in {folder / 'logs'}")
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
