"""``argo-camera FILE...``: play videos as cameras that misbehave on request."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import re
import secrets
import signal
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import structlog

from mesh.local.camera.authentication import Authenticator
from mesh.local.camera.encoding import Rendition
from mesh.local.camera.faults import Faults
from mesh.local.camera.options import SUB_RENDITION, CameraOptions
from mesh.local.camera.script import ScriptError, parse_script
from mesh.local.camera.server import serve_camera
from mesh.local.camera.whip import WhipOptions, publish
from mesh.local.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PORT: Final = 65535
MAX_OPTICS: Final = 64
MAX_DEVICES: Final = 1000

_FORMAT: Final = re.compile(r"(?:(\d+)x(\d+))?(?:@(\d+(?:\.\d+)?))?")

log = structlog.get_logger(__name__)


def _parse_listen(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or int(port) > MAX_PORT:
        raise click.BadParameter("must be HOST:PORT")
    return host.strip("[]"), int(port)


def _parse_faults(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> Faults:
    found: list[Faults] = []
    for value in values:
        try:
            found.append(parse_script(Path(value).read_text(encoding="utf-8") if _is_file(value) else value))
        except (ScriptError, UnicodeDecodeError, OSError) as error:
            raise click.BadParameter(f"{value}\n{error}") from None
    return Faults(tuple(fault for faults in found for fault in faults.all))


def _is_file(value: str) -> bool:
    try:
        return Path(value).is_file()
    except OSError:
        # Lines that are longer than a file's name may be.
        return False


def _parse_form(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Rendition | None:
    if value is None:
        return None
    match = _FORMAT.fullmatch(value)
    if match is None or not value:
        raise click.BadParameter("must be WIDTHxHEIGHT, @RATE, or both: 640x360@5")
    width, height, rate = match.groups()
    size = (int(width), int(height)) if width else None
    if (size is not None and min(size) < 2) or (rate and Fraction(rate) <= 0):  # noqa: PLR2004
        raise click.BadParameter("must be at least 2x2 pixels and more than 0 frames per second")
    return Rendition(size=size, rate=Fraction(rate) if rate else None)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--optics", type=click.IntRange(1, MAX_OPTICS), default=1, show_default=True, help="Of each device.")
@click.option("--devices", type=click.IntRange(1, MAX_DEVICES), default=1, show_default=True, help="One port each.")
@click.option("--listen", default="127.0.0.1:0", callback=_parse_listen, metavar="HOST:PORT", show_default=True)
@click.option("--path", default="/stream", show_default=True, help="Path of the stream; several optics add /1, /2 …")
@click.option("--protocol", type=click.Choice(["rtsp", "mjpeg"]), default="rtsp", show_default=True)
@click.option("--mosaic", is_flag=True, help="All optics in one stream, in a grid.")
@click.option("--codec", type=click.Choice(["h264", "hevc"]), help="Default: the file's own, else h264.")
@click.option("--main", callback=_parse_form, metavar="WxH@RATE", help="Largest form of the main stream.")
@click.option("--sub", callback=_parse_form, metavar="WxH@RATE", help="Likewise of PATH/sub.  [default: 640x360@5]")
@click.option("--user", help="Ask for this user and the password.")
@click.option("--password", envvar="ARGO_CAMERA_PASSWORD", default="", help="Better given as ARGO_CAMERA_PASSWORD.")
@click.option("--auth", type=click.Choice(["digest", "basic", "both"]), default="both", show_default=True)
@click.option("--tls", nargs=2, type=click.Path(path_type=Path), metavar="CERTIFICATE KEY", help="RTSPS or HTTPS.")
@click.option("--report-seconds", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="RTCP interval.")
@click.option("--whip", metavar="URL", help="Publish there instead of listening; {device} and {optic} are filled in.")
@click.option("--token", envvar="ARGO_CAMERA_TOKEN", default="", help="For WHIP. Better given as ARGO_CAMERA_TOKEN.")
@click.option(
    "--fault", "faults", multiple=True, callback=_parse_faults, metavar="SCRIPT", help="A file, or its lines."
)
def main(files: tuple[Path, ...], whip: str | None, token: str, **options: Any) -> None:
    """Play each FILE in real time, in a loop, as a camera. The first lines printed are the URLs of the main streams."""
    if options["mosaic"] and options["optics"] == 1:
        raise click.UsageError("--mosaic needs --optics of 2 or more")
    camera = _camera_options(files, options)
    try:
        publisher = WhipOptions(whip, token) if whip is not None else None
        # Standard output carries the URLs alone.
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
        asyncio.run(_serve(camera) if publisher is None else _publish(camera, publisher))
    except LocalError as error:
        raise click.ClickException(f"{error.problem}\n{error.remedy}") from None


def _camera_options(files: tuple[Path, ...], options: dict[str, Any]) -> CameraOptions:
    authenticator = None
    if options["user"] is not None:
        nonce = secrets.token_hex(16)
        authenticator = Authenticator(options["user"], options["password"], nonce, options["auth"])
    return CameraOptions(
        files=files,
        host=options["listen"][0],
        port=options["listen"][1],
        path="/" + options["path"].strip("/"),
        optics=options["optics"],
        devices=options["devices"],
        is_mosaic=options["mosaic"],
        protocol=options["protocol"],
        main=dataclasses.replace(options["main"] or Rendition(), codec=options["codec"]),
        sub=options["sub"] or SUB_RENDITION,
        authenticator=authenticator,
        faults=options["faults"],
        tls=options["tls"],
        report_seconds=options["report_seconds"],
    )


@contextlib.contextmanager
def _until_signalled() -> Iterator[asyncio.Event]:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    yield stopping


async def _serve(options: CameraOptions) -> None:
    with _until_signalled() as stopping:
        async with serve_camera(options, random.SystemRandom()) as camera:
            for url in camera.urls:
                click.echo(url)
            log.info("simulator.started", path=options.path, port=camera.port)
            await stopping.wait()
        log.info("simulator.stopped", path=options.path)


async def _publish(options: CameraOptions, publisher: WhipOptions) -> None:
    with _until_signalled() as stopping:
        async with publish(options, publisher, random.SystemRandom()):
            await stopping.wait()


if __name__ == "__main__":
    main()
