"""The camera as a whole: a clip, its clock and a listening socket."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from mesh.local.camera.clip import open_clip
from mesh.local.camera.faults import Fault, FaultKind
from mesh.local.camera.playhead import Playhead
from mesh.local.camera.session import CameraState, Session
from mesh.local.errors import LocalError

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mesh.local.camera.authentication import Authenticator
    from mesh.local.camera.sdp import Codec

RESIZED_SCALE: Final = Fraction(1, 2)
"""Size of the pictures after the fault ``resize-after``, relative to before."""


@dataclass(frozen=True)
class CameraOptions:
    """How a camera is to be played.

    Attributes:
        file: the video.
        host: IP address to listen on.
        port: TCP port; 0 lets the kernel choose one.
        path: of the stream, with its leading slash.
        codec: None for the file's own where possible.
        authenticator: None if everyone may look.
        fault: how the camera misbehaves.
    """

    file: Path
    host: str = "127.0.0.1"
    port: int = 0
    path: str = "/stream"
    codec: Codec | None = None
    authenticator: Authenticator | None = None
    fault: Fault | None = None


@dataclass(frozen=True)
class RunningCamera:
    """A camera that listens.

    Attributes:
        url: where to dial, without credentials.
        port: TCP port.
    """

    url: str
    port: int


@contextlib.asynccontextmanager
async def serve_camera(options: CameraOptions, random_source: random.Random) -> AsyncIterator[RunningCamera]:
    """Play a file as a camera while the context lasts.

    Args:
        options: what and where.
        random_source: makes session ids and garbage.

    Raises:
        SourceError: the file is no video.
        LocalError: the port is in use or the address is not of this machine.
    """
    camera = await _load(options, random_source)
    heads = [camera.playhead, *([camera.resized] if camera.resized is not None else [])]
    connections: set[asyncio.StreamWriter] = set()
    server = await _listen(options, camera, connections)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.TaskGroup() as tasks:
        playing = [tasks.create_task(head.run(), name="playhead") for head in heads]
        try:
            yield RunningCamera(url=f"rtsp://{_bracketed(options.host)}:{port}{options.path}", port=port)
        finally:
            server.close()
            for writer in connections:
                writer.close()
            for task in playing:
                task.cancel()


async def _load(options: CameraOptions, random_source: random.Random) -> CameraState:
    clip = await asyncio.to_thread(open_clip, options.file, codec=options.codec)
    resized = None
    if options.fault is not None and options.fault.kind is FaultKind.RESIZE_AFTER:
        smaller = await asyncio.to_thread(open_clip, options.file, codec=clip.codec, scale=RESIZED_SCALE)
        resized = Playhead(smaller)
    return CameraState(
        path=options.path,
        address=options.host,
        clip=clip,
        playhead=Playhead(clip),
        resized=resized,
        authenticator=options.authenticator,
        fault=options.fault,
        random_source=random_source,
    )


async def _listen(
    options: CameraOptions, camera: CameraState, connections: set[asyncio.StreamWriter]
) -> asyncio.Server:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        try:
            await Session(camera, reader, writer).run()
        finally:
            connections.discard(writer)

    try:
        return await asyncio.start_server(connected, options.host, options.port)
    except OSError as error:
        raise LocalError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror or error}",
            "Choose another port with --listen, or port 0 to have one chosen.",
        ) from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
