"""Which videos ``argo redact`` masks, and where the masked copies go."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mesh.local.errors import LocalError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MARK: Final = "_redacted"
"""Ends the name, before the suffix, of a masked copy whose name nobody gave."""
# fmt: off
SUFFIXES: Final = frozenset({
    ".3gp", ".264", ".265", ".asf", ".avi", ".dav", ".flv", ".h264", ".h265", ".hevc", ".m2ts",
    ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mts", ".ogv", ".ts", ".webm", ".wmv",
})
# fmt: on
"""Of the files in a folder that are taken for videos."""


@dataclass(frozen=True)
class Job:
    """One video to mask.

    Attributes:
        source: the video.
        target: its masked copy.
    """

    source: Path
    target: Path


@dataclass(frozen=True)
class Plan:
    """All that one command masks.

    Attributes:
        jobs: in the order given; those of a folder by name.
        is_single: one file was named, so that whatever goes wrong with it is what goes wrong.
    """

    jobs: tuple[Job, ...]
    is_single: bool


def plan(paths: Sequence[Path]) -> Plan:
    """What is meant by the paths of the command line.

    Args:
        paths: videos and folders of videos. Of more than one, the last is where the masked copies go: a file for a
            single video, else a folder. Copies go beside their videos where nothing is said.

    Raises:
        LocalError: several videos would become one file, or one would be overwritten, or perhaps so.
        SourceError: a folder holds no video.
    """
    sources, target = (paths[:1], None) if len(paths) == 1 else (paths[:-1], paths[-1])
    videos = [video for source in sources for video in _videos(source)]
    is_single = len(sources) == 1 and not sources[0].is_dir()
    if target is not None and is_single and not target.is_dir():
        jobs = [Job(videos[0], target)]
    else:
        folder = _folder(target, sources) if target is not None else None
        jobs = [Job(video, _copy_of(video, folder)) for video in videos]
    _check(jobs)
    if is_single:
        _check_alone(*jobs)
    return Plan(tuple(jobs), is_single)


def _videos(source: Path) -> Iterable[Path]:
    if not source.is_dir():
        return [source]
    videos = sorted(path for path in source.iterdir() if _is_video(path))
    if not videos:
        raise SourceError(f"{source} holds no video", "folders within it are not looked into")
    return videos


def _is_video(path: Path) -> bool:
    is_copy = path.stem.endswith(MARK)
    return path.suffix.lower() in SUFFIXES and not is_copy and not path.name.startswith(".") and path.is_file()


def _folder(target: Path, sources: Sequence[Path]) -> Path:
    if target.is_dir():
        return target
    if len(sources) > 1 or target.suffix:
        raise LocalError(
            f"{target} is no folder, but several videos go there", "name a folder last; it has to be there already"
        )
    target.mkdir(parents=True)
    return target


def _copy_of(video: Path, folder: Path | None) -> Path:
    return (folder or video.parent) / f"{video.stem}{MARK}.mp4"


def _check_alone(job: Job) -> None:
    """Refuses what ``*.mp4`` becomes where it stands for two videos: the second would be lost."""
    video, target = job.source, job.target
    looks_alike = target.parent.resolve() == video.parent.resolve() and target.suffix == video.suffix
    if looks_alike and not target.stem.endswith(MARK) and target.is_file() and target.stat().st_size:
        raise LocalError(
            f"{target} is there already, beside {video.name}: a second video, or the copy",
            "name a folder last to mask both; delete it first to have the copy there",
        )


def _check(jobs: Sequence[Job]) -> None:
    counts = collections.Counter(job.target.resolve() for job in jobs)
    sources = {job.source.resolve() for job in jobs}
    for job in jobs:
        if job.target.resolve() in sources:
            raise LocalError(f"{job.target} would be overwritten by a masked copy", "let the copy have another name")
        if counts[job.target.resolve()] > 1:
            raise LocalError(
                f"two videos would become {job.target}", "rename one, or mask them one at a time with names of your own"
            )
