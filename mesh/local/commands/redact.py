"""``argo redact``: files through the real gateway, detector and anonymizer, every frame."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import grpc

from argo.registry.v1 import lease_service_pb2, scene_pb2
from mesh.local.commands.media_mesh import media_mesh, threads_option
from mesh.local.commands.progress import frame_progress
from mesh.local.commands.redact_jobs import Job, Plan, plan
from mesh.local.errors import LocalError, SourceError
from mesh.local.media import MediaFile, Wanted, process
from mesh.local.mp4 import Mp4Writer
from mesh.local.outputs import check_writable, write_report
from mesh.local.terminal import OUT, explain, run, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from argo.camera_gateway.v1 import media_service_pb2 as media

SHORTEST_SIDE: Final = 32
"""Pixels; the anonymizer takes no smaller picture,"""
LONGEST_SIDE: Final = 4096
"""and no larger one."""
LEARNING_SECONDS: Final = 20
"""About how long a street has to be seen before any of it is shown, see docs/masking.md."""
_ALL: Final = 0.999


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

    def __str__(self) -> str:
        broken = f", {self.broken_packets} packets were broken" if self.broken_packets else ""
        return (
            f"{self.frames} frames, {self.frames_per_second:g} frames/s, {self.verdicted} masked by their own verdict, "
            f"{self.unverdicted} without one, {self.masked_fraction:.1%} of the picture masked{broken}"
        )


@dataclass(frozen=True)
class Outcome:
    """What became of one job: a report, or the error that ended it."""

    job: Job
    report: RedactReport | None = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the report of several files."""
        names = {"source": str(self.job.source), "target": str(self.job.target)}
        return names | ({"error": self.error} if self.report is None else asdict(self.report))


@click.command()
@click.argument("paths", metavar="IN... [OUT]", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a JSON report there.")
@click.option(
    "--style",
    type=click.Choice(["silhouette", "box"]),
    default="silhouette",
    show_default=True,
    help="How people and things are hidden: as coarse shapes that keep posture and motion readable, or as rectangles.",
)
@threads_option
def redact(paths: tuple[Path, ...], report: Path | None, style: str, threads: int | None) -> None:
    r"""Mask every frame of videos: only the empty street is shown, and solid fill over everybody and all that moves.

    \b
    argo redact street.avi                 writes street_redacted.mp4 beside it
    argo redact street.avi masked.mp4      writes masked.mp4
    argo redact a.mkv b.mov FOLDER         writes FOLDER/a_redacted.mp4 and FOLDER/b_redacted.mp4
    argo redact RECORDINGS FOLDER          the same with every video in the folder RECORDINGS

    The copies are H.264 in MP4, with the frames, the times and the size of their videos. Sound, subtitles and metadata
    are left behind. A file of the same name is replaced once the new one is whole, unless it looks like a second video.

    A camera has to stand still. The street is shown once it has been seen empty, which takes twenty seconds at least:
    a shorter video is masked whole.

    The exit status is 0 when everything was written, 1 when something was not, 2 when the command cannot be understood.
    """
    try:
        todo = plan(paths)
    except LocalError as error:
        raise click.UsageError(f"{error.problem}: {error.remedy}") from None
    outcomes = run(lambda: _redact(todo, report, wanted(style), threads))
    if outcomes is None:
        raise click.exceptions.Exit(130)
    failed = sum(outcome.report is None for outcome in outcomes)
    if failed:
        raise click.ClickException(f"{failed} of {len(outcomes)} videos were not masked")


def wanted(style: str) -> Wanted:
    """Masked pictures in this style; ``silhouette`` or ``box``."""
    styles = {"silhouette": scene_pb2.Policy.MASKING_STYLE_SILHOUETTE, "box": scene_pb2.Policy.MASKING_STYLE_BOX}
    policy = scene_pb2.Policy(masking_style=styles[style])
    return Wanted(video=True, configuration=lease_service_pb2.OpticConfiguration(policy=policy))


async def _redact(todo: Plan, report_file: Path | None, what: Wanted, threads: int | None) -> list[Outcome]:
    """Every job; where there is a single one, its error is raised instead of noted."""
    if report_file is not None:
        check_writable(report_file)
    outcomes = {job: _looked_at(job, raising=todo.is_single) for job in todo.jobs}
    if any(outcome is None for outcome in outcomes.values()):
        async with media_mesh("detector", "anonymizer", "camera-gateway", threads=threads) as channel:
            for job, outcome in outcomes.items():
                if outcome is None:
                    outcomes[job] = await _masked(channel, job, what, raising=todo.is_single)
    done = [outcome for outcome in outcomes.values() if outcome is not None]
    if report_file is not None:
        write_report(report_file, _report(todo, done))
    return done


def _report(todo: Plan, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    rows = [outcome.to_json() for outcome in outcomes]
    return rows[0] if todo.is_single else {"files": rows}


def _looked_at(job: Job, *, raising: bool) -> Outcome | None:
    """Finds out before the services start whether a video can be masked at all; None if so."""
    try:
        check_writable(job.target)
        with MediaFile(job.source) as file:
            check_size(file)
    except LocalError as error:
        if raising:
            raise
        return _failed(job, error.problem)
    return None


def check_size(file: MediaFile) -> None:
    """Says early what the anonymizer would say late.

    Raises:
        SourceError: it does not take pictures of this size.
    """
    if not all(SHORTEST_SIDE <= side <= LONGEST_SIDE for side in (file.width, file.height)):
        raise SourceError(
            f"the pictures are {file.width}x{file.height}",
            f"scale them first: {SHORTEST_SIDE} to {LONGEST_SIDE} pixels on each side can be masked",
        )


async def _masked(channel: grpc.aio.Channel, job: Job, what: Wanted, *, raising: bool) -> Outcome:
    try:
        report = await _mask(channel, job, what)
    except LocalError as error:
        if raising:
            raise
        return _failed(job, error.problem)
    except grpc.aio.AioRpcError as error:
        # Whatever else it is would end the next file's work as well.
        if raising or error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            raise
        return _failed(job, explain(error)[0])
    OUT.print(f"{job.target}: {report}", soft_wrap=True)
    if report.masked_fraction >= _ALL:
        say(f"nothing of the street is shown: it has to be seen empty for {LEARNING_SECONDS} seconds and more")
    return Outcome(job, report)


def _failed(job: Job, problem: str) -> Outcome:
    say(f"{job.source} was not masked: {problem}")
    return Outcome(job, error=problem)


async def _mask(channel: grpc.aio.Channel, job: Job, what: Wanted) -> RedactReport:
    report = RedactReport()
    with (
        MediaFile(job.source) as file,
        Mp4Writer(job.target, *file.upright_size, time_base=file.time_base) as writer,
    ):
        started = time.monotonic()
        with frame_progress() as progress:
            task = progress.add_task(f"masking {job.source.name}", total=file.frames or None)
            async for response in process(channel, file, what):
                report.add(response)
                writer.write(response.masked, file.time_of_next_frame(response.presentation_timestamp))
                progress.advance(task)
        report.finish(time.monotonic() - started)
    return report
