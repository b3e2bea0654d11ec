"""``argo track``: the tracks of one file as MOTChallenge rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from argo.type.v1 import object_class_pb2
from mesh.local.commands.media_mesh import media_mesh, threads_option
from mesh.local.commands.progress import frame_progress
from mesh.local.media import MediaFile, Wanted, process
from mesh.local.mot import MotRows, TrackedBox
from mesh.local.outputs import whole_text_file
from mesh.local.terminal import OUT, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from argo.camera_gateway.v1 import media_service_pb2 as media

_PREFIX: Final = "OBJECT_CLASS_"

CLASSES: Final = {
    name.removeprefix(_PREFIX).lower(): number for name, number in object_class_pb2.ObjectClass.items() if number
}


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT.txt", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--class",
    "classes",
    type=click.Choice(sorted(CLASSES)),
    multiple=True,
    default=("person",),
    show_default=True,
    help="What to write; may be repeated. The format itself has no classes.",
)
@threads_option
def track(source: Path, target: Path, classes: tuple[str, ...], threads: int | None) -> None:
    """Follow what moves in the video IN, every frame, and write MOTChallenge rows to OUT.txt."""
    counts = run(lambda: _track(source, target, frozenset(CLASSES[name] for name in classes), threads))
    if counts is None:
        raise click.exceptions.Exit(130)
    OUT.print(f"{target}: {counts.frames} frames, {counts.tracks} tracks, {counts.rows} rows", soft_wrap=True)


@dataclass
class _Counts:
    frames: int = 0
    tracks: int = 0
    rows: int = 0


async def _track(source: Path, target: Path, classes: frozenset[int], threads: int | None) -> _Counts:
    counts = _Counts()
    with MediaFile(source) as file, whole_text_file(target) as rows_file:
        rows = MotRows(file.width, file.height)
        async with media_mesh("detector", "camera-gateway", threads=threads) as channel:
            with frame_progress() as progress:
                task = progress.add_task("tracking", total=file.frames or None)
                async for response in process(channel, file, Wanted(detections=True)):
                    lines = [rows.row(response.frame_number, box) for box in _tracked(response, classes)]
                    rows_file.writelines(f"{line}\n" for line in lines)
                    counts.frames += 1
                    counts.rows += len(lines)
                    progress.advance(task)
    counts.tracks = rows.tracks
    return counts


def _tracked(response: media.ProcessMediaResponse, classes: frozenset[int]) -> Iterator[TrackedBox]:
    for found in response.verdict.tracks:
        if found.object_class in classes:
            box = found.box
            yield TrackedBox(found.track, box.left, box.top, box.width, box.height, found.score)
