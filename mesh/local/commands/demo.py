"""``argo demo``: the mesh, cameras, and what becomes of their pictures."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mesh.local.demo.display import show, summarise
from mesh.local.demo.registration import DEVICE_PREFIX, CameraRecord, open_registrar
from mesh.local.demo.scene import scene_of
from mesh.local.demo.sources import FileSource, Source, parse_source
from mesh.local.demo.tally import Tally
from mesh.local.demo.watching import watching
from mesh.local.environment import MeshOptions
from mesh.local.errors import LocalError, ProcessError
from mesh.local.outputs import check_writable, write_report
from mesh.local.ports import LOOPBACK
from mesh.local.runner import LocalMesh, last_words
from mesh.local.sample import ensure_sample
from mesh.local.state import StateFolder
from mesh.local.terminal import OUT, log_to, run, say, state_option

if TYPE_CHECKING:
    from collections.abc import Mapping

CAMERA_SECONDS: Final = 20.0
"""A camera process opens its file and codes the first second of it before it listens."""

SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    # In a scene that is never empty, alerts would otherwise come as one long one every half minute.
    "alerting": {"ARGO_GROUP_SECONDS": "5"},
}


@click.command()
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="FILE_OR_RTSP_URL",
    help="A video, played as a camera, or a camera; may be repeated. Default: the sample video.",
)
@click.option("--for", "seconds", type=click.FloatRange(min=0, min_open=True), help="End after this many seconds.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a JSON report there at the end.")
@click.option("--no-console", is_flag=True, help="Let nobody sign in to the console.")
@state_option
def demo(sources: tuple[str, ...], seconds: float | None, report: Path | None, no_console: bool, state: Path) -> None:  # noqa: FBT001
    """Run everything on real video: cameras, the five services, the console; with a live table."""
    run(lambda: _demo(state, sources, seconds=seconds, console=not no_console, report=report))


async def _demo(
    folder: Path, texts: tuple[str, ...], *, seconds: float | None, console: bool, report: Path | None
) -> None:
    if report is not None:
        check_writable(report)
    sources = [parse_source(text) for text in texts] or [FileSource(ensure_sample().resolve())]
    with StateFolder(folder) as state:
        log_to(state.logs)
        networks = {f"{LOOPBACK}/32", *(source.network for source in sources if not isinstance(source, FileSource))}
        options = MeshOptions(
            camera_networks=tuple(sorted(networks)),
            camera_credentials=_write_credentials(state.path, sources),
            console=console,
            settings=SETTINGS,
        )
        async with LocalMesh(state, options, say) as mesh:
            cameras = [await _camera(mesh, number, source) for number, source in enumerate(sources, 1)]
            await mesh.start_services()
            async with open_registrar(mesh.environments.target("registry"), mesh.settings_of) as registrar:
                await registrar.register(cameras)
            if console:
                OUT.print(f"console: {mesh.console_url}", soft_wrap=True)
            tally = Tally({camera.optic: camera.display_name for camera in cameras}, time.time())
            await _watch(mesh, tally, seconds, report)


async def _watch(mesh: LocalMesh, tally: Tally, seconds: float | None, report: Path | None) -> None:
    """Show what happens until the time is over or a signal comes; sum up in either case.

    Raises:
        LocalError: a frame left the anonymizer unmasked.
    """
    started = time.monotonic()
    try:
        async with watching(mesh, tally):
            await show(tally, mesh.supervisor, seconds=seconds)
    finally:
        summarise(tally, mesh.supervisor)
        if report is not None:
            elapsed = time.monotonic() - started
            write_report(report, tally.report(seconds=elapsed, restarts=mesh.supervisor.restarts))
    if tally.unmasked_frames_out:
        raise LocalError("frames left the anonymizer unmasked", "this must never happen: report it")


async def _camera(mesh: LocalMesh, number: int, source: Source) -> CameraRecord:
    """The record of a source; for a file, a camera process is started first."""
    name = f"camera-{number}"
    address, path, credentials = "", "/stream", ""
    if isinstance(source, FileSource):
        address = mesh.state.ports.address(name)
        await mesh.start_child(
            name, "mesh.local.camera", str(source.path), "--listen", address, "--path", path, environment={}
        )
        await _wait_for_camera(mesh, name, address)
    else:
        address, path = source.address, source.path
        credentials = name if source.username else ""
    return CameraRecord(f"{DEVICE_PREFIX}{number}", source.label, address, path, credentials, scene_of(source))


async def _wait_for_camera(mesh: LocalMesh, name: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + CAMERA_SECONDS
    while True:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            if mesh.supervisor.restarts[name] or time.monotonic() > deadline:
                log_file = mesh.state.logs / f"{name}.log"
                raise ProcessError(f"{name} does not start: {last_words(log_file)}", f"see {log_file}") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def _write_credentials(folder: Path, sources: list[Source]) -> Path | None:
    """The cameras' secrets, for the gateway alone."""
    secrets = {
        f"camera-{number}": {"username": source.username, "password": source.password}
        for number, source in enumerate(sources, 1)
        if not isinstance(source, FileSource) and source.username
    }
    file = folder / "camera-credentials.json"
    file.unlink(missing_ok=True)
    if not secrets:
        return None
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        json.dump(secrets, target)
    return file
