"""``python -m mesh.local.sample``: fetch the video that the demonstration plays.

PETS 2009 S2.L1, view 1: people crossing a campus, seen from a roof. It comes as ``vtest.avi`` in the Debian package
``opencv-doc``, through apt-get, which needs no root to download. It is taken only if its digest is the pinned one.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, Final, cast

import click

from mesh.local.errors import SourceError

SAMPLE_FOLDER: Final = Path("data/samples")
SAMPLE_NAME: Final = "pets09-s2l1.avi"

PACKAGE: Final = "opencv-doc"
MEMBER: Final = "vtest.avi"
SHA256: Final = "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf"

_ADVICE: Final = "or give a video of your own: argo demo --source FILE_OR_RTSP_URL"


def ensure_sample(folder: Path = SAMPLE_FOLDER) -> Path:
    """The sample video; it is fetched if it is not there.

    Args:
        folder: where it lies or shall lie.

    Raises:
        SourceError: it is not there and cannot be had, or what there is has another digest.
    """
    video = folder / SAMPLE_NAME
    if video.exists():
        _check(video, f"delete it and try again, {_ADVICE}")
        return video
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise SourceError(
            f"the sample video comes from the Debian package {PACKAGE}, and there is no apt-get here",
            f"put {MEMBER} of the OpenCV samples at {video}, {_ADVICE}",
        )
    with tempfile.TemporaryDirectory(prefix="argo-sample-") as temporary:
        package = _download(Path(temporary))
        return install(package, video)


def install(package: Path, video: Path) -> Path:
    """Take the video out of the package, check it, and put it in its place, whole or not at all.

    Raises:
        SourceError: it is not in the package, has another digest, or cannot be written.
    """
    part = video.with_suffix(".part")
    try:
        video.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            _extract(package, file)
        _check(part, f"the package {PACKAGE} of this system carries another video, {_ADVICE}")
        part.replace(video)
    except OSError as error:
        raise SourceError(
            f"the sample video cannot be written to {video}: {error.strerror or error}",
            "check that the folder is writable and the disk is not full",
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return video


def _download(folder: Path) -> Path:
    """Let apt-get download the package; with lists of its own if the system's are empty, which needs no root either."""
    lists, cache = folder / "lists", folder / "cache"
    for private in (lists / "partial", cache / "archives" / "partial"):
        private.mkdir(parents=True)
    options = [f"Dir::State::Lists={lists}", f"Dir::Cache={cache}", "Debug::NoLocking=1"]
    own_lists = [word for option in options for word in ("-o", option)]
    for attempt in ([["download", PACKAGE]], [[*own_lists, "update"], [*own_lists, "download", PACKAGE]]):
        if all(_apt_get(arguments, folder) for arguments in attempt):
            packages = sorted(folder.glob(f"{PACKAGE}_*.deb"))
            if packages:
                return packages[0]
    raise SourceError(
        f"apt-get could not download the package {PACKAGE}", f"check the network and the package sources, {_ADVICE}"
    )


def _apt_get(arguments: list[str], folder: Path) -> bool:
    # Root downloads as itself: the sandbox user cannot write into our temporary folder.
    sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    quiet = [] if sys.stderr.isatty() else ["-qq"]
    command = ["apt-get", *quiet, *sandbox, *arguments]
    return subprocess.run(command, cwd=folder, stdout=sys.stderr, check=False).returncode == 0


def _extract(package: Path, target: IO[bytes]) -> None:
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        found = _copy_member(cast("IO[bytes]", process.stdout), target)
        process.kill()
    if not found:
        raise SourceError(f"the package {PACKAGE} of this system carries no {MEMBER}", _ADVICE[3:])


def _copy_member(archive: IO[bytes], target: IO[bytes]) -> bool:
    try:
        with tarfile.open(fileobj=archive, mode="r|") as members:
            for member in members:
                name = PurePosixPath(member.name).name
                content = members.extractfile(member) if name in {MEMBER, f"{MEMBER}.gz"} else None
                if content is not None:
                    with gzip.open(content) if name.endswith(".gz") else content as plain:
                        shutil.copyfileobj(plain, target)
                    return True
    except tarfile.TarError:
        return False
    return False


def _check(file: Path, remedy: str) -> None:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != SHA256:
        raise SourceError(f"{file} is not the pinned sample video (SHA-256 {digest}, expected {SHA256})", remedy)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=SAMPLE_FOLDER, show_default=True)
def main(folder: Path) -> None:
    """Fetch the sample video unless it is there."""
    try:
        click.echo(f"sample video: {ensure_sample(folder)}")
    except SourceError as error:
        raise click.ClickException(f"{error.problem}\n{error.remedy}") from None


if __name__ == "__main__":
    main()
