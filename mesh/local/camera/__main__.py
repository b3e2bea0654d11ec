"""``python -m mesh.local.camera FILE``: play a video file as an RTSP camera."""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import structlog

from mesh.local.camera.authentication import Authenticator
from mesh.local.camera.faults import Fault, FaultKind, parse_fault
from mesh.local.camera.server import CameraOptions, serve_camera
from mesh.local.errors import LocalError

if TYPE_CHECKING:
    from mesh.local.camera.sdp import Codec

MAX_PORT: Final = 65535

log = structlog.get_logger(__name__)


def _parse_listen(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or int(port) > MAX_PORT:
        raise click.BadParameter("must be HOST:PORT")
    return host.strip("[]"), int(port)


def _parse_fault(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Fault | None:
    try:
        return parse_fault(value) if value is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--listen", default="127.0.0.1:0", callback=_parse_listen, metavar="HOST:PORT", show_default=True)
@click.option("--path", default="/stream", show_default=True, help="Path of the stream.")
@click.option("--codec", type=click.Choice(["h264", "hevc"]), help="Default: the file's own, else h264.")
@click.option("--user", help="Ask for this user and the password.")
@click.option("--password", envvar="ARGO_CAMERA_PASSWORD", default="", help="Better given as ARGO_CAMERA_PASSWORD.")
@click.option("--auth", type=click.Choice(["digest", "basic", "both"]), default="both", show_default=True)
@click.option(
    "--fault",
    callback=_parse_fault,
    help="Misbehave: " + ", ".join(kind.value for kind in FaultKind) + " ('reset-after 3').",
)
def main(file: Path, listen: tuple[str, int], path: str, codec: Codec | None, **options: Any) -> None:
    """Play FILE in real time, in a loop, as an RTSP camera. The first line printed is its URL."""
    authenticator = None
    if options["user"] is not None:
        nonce = secrets.token_hex(16)
        authenticator = Authenticator(options["user"], options["password"], nonce, options["auth"])
    camera = CameraOptions(
        file=file,
        host=listen[0],
        port=listen[1],
        path="/" + path.strip("/"),
        codec=codec,
        authenticator=authenticator,
        fault=options["fault"],
    )
    # Standard output carries the URL alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        asyncio.run(_serve(camera))
    except LocalError as error:
        raise click.ClickException(f"{error.problem}\n{error.remedy}") from None


async def _serve(options: CameraOptions) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with serve_camera(options, random.SystemRandom()) as camera:
        click.echo(camera.url)
        log.info("simulator.started", path=options.path, port=camera.port)
        await stopping.wait()
    log.info("simulator.stopped", path=options.path)


if __name__ == "__main__":
    main()
