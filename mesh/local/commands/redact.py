"""``argo redact``: one file through the real gateway, detector and anonymizer, every frame."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from argo.registry.v1 import lease_service_pb2, scene_pb2
from mesh.local.commands.media_mesh import media_mesh, threads_option
from mesh.local.commands.progress import frame_progress
from mesh.local.errors import LocalError
from mesh.local.media import MediaFile, Wanted, process
from mesh.local.mp4 import Mp4Writer
from mesh.local.outputs import check_writable, write_report
from mesh.local.terminal import OUT, run

if TYPE_CHECKING:
    from argo.camera_gateway.v1 import media_service_pb2 as media


@dataclass
class RedactReport:
    """What became of a file.

    Attributes:
        frames: written, as many as the file has.
        seconds: from the first packet sent to the last frame written.
        frames_per_second: of that time.
        verdicted: frames that were masked by a verdict of their own.
        unverdicted: frames that were masked without one.
        masked_fraction: mean share of the picture that is masked, from 0 to 1.
        unmasked_frames_out: frames that came back without a masked picture of their own; such a frame ends the command.
        broken_packets: packets that could not be decoded.
    """

    frames: int = 0
    seconds: float = 0.0
    frames_per_second: float = 0.0
    verdicted: int = 0
    unverdicted: int = 0
    masked_fraction: float = 0.0
    unmasked_frames_out: int = 0
    broken_packets: int = 0

    def add(self, response: media.ProcessMediaResponse) -> None:
        """Count one frame.

        Raises:
            LocalError: it came back without a masked picture.
        """
        if not response.HasField("masked") or not response.masked.data:
            self.unmasked_frames_out += 1
            raise LocalError(f"frame {response.frame_number} came back unmasked", "nothing was written; report this")
        self.frames += 1
        self.unverdicted += response.unverdicted
        self.verdicted += not response.unverdicted
        self.masked_fraction += (response.masked_fraction - self.masked_fraction) / self.frames
        self.broken_packets = response.broken_packets

    def finish(self, seconds: float) -> None:
        """Note how long it took."""
        self.seconds = round(seconds, 3)
        self.frames_per_second = round(self.frames / seconds, 2) if seconds else 0.0
        self.masked_fraction = round(self.masked_fraction, 4)


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT.mp4", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a JSON report there.")
@click.option(
    "--style",
    type=click.Choice(["silhouette", "box"]),
    default="silhouette",
    show_default=True,
    help="How people and things are hidden: as coarse shapes that keep posture and motion readable, or as rectangles.",
)
@threads_option
def redact(source: Path, target: Path, report: Path | None, style: str, threads: int | None) -> None:
    """Mask every frame of the video IN and write OUT.mp4, as fast as it goes. Sound and metadata are left behind."""
    if source.resolve() == target.resolve():
        raise click.BadParameter("must be another file than IN", param_hint="OUT.mp4")
    result = run(lambda: _redact(source, target, report, wanted(style), threads))
    if result is None:
        raise click.exceptions.Exit(130)
    OUT.print(
        f"{target}: {result.frames} frames, {result.frames_per_second:g} frames/s, "
        f"{result.verdicted} masked by their own verdict, {result.unverdicted} without one, "
        f"{result.masked_fraction:.1%} of the picture masked",
        soft_wrap=True,
    )


def wanted(style: str) -> Wanted:
    """Masked pictures in this style; ``silhouette`` or ``box``."""
    styles = {"silhouette": scene_pb2.Policy.MASKING_STYLE_SILHOUETTE, "box": scene_pb2.Policy.MASKING_STYLE_BOX}
    policy = scene_pb2.Policy(masking_style=styles[style])
    return Wanted(video=True, configuration=lease_service_pb2.OpticConfiguration(policy=policy))


async def _redact(
    source: Path, target: Path, report_file: Path | None, what: Wanted, threads: int | None
) -> RedactReport:
    if report_file is not None:
        check_writable(report_file)
    report = RedactReport()
    with (
        MediaFile(source) as file,
        Mp4Writer(target, width=file.width, height=file.height, time_base=file.time_base) as writer,
    ):
        async with media_mesh("detector", "anonymizer", "camera-gateway", threads=threads) as channel:
            started = time.monotonic()
            with frame_progress() as progress:
                task = progress.add_task("masking", total=file.frames or None)
                async for response in process(channel, file, what):
                    report.add(response)
                    writer.write(response.masked, file.time_of_next_frame(response.presentation_timestamp))
                    progress.advance(task)
            report.finish(time.monotonic() - started)
    if report_file is not None:
        write_report(report_file, asdict(report))
    return report
