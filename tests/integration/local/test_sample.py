"""The sample video, from packages made here; the real package is fetched by `make setup`."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from mesh.local import sample
from mesh.local.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VIDEO = b"not really a video" * 1000

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb (Debian)")


def _package(folder: Path, name: str, content: bytes) -> Path:
    root = folder / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "Package: opencv-doc\nVersion: 1\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@example.org>\nDescription: test\n"
    )
    data = root / "usr" / "share" / "doc" / "opencv-doc" / "examples" / "data"
    data.mkdir(parents=True)
    (data / name).write_bytes(content)
    subprocess.run(["dpkg-deb", "--build", str(root), str(folder / "p.deb")], check=True, capture_output=True)
    return folder / "p.deb"


@needs_dpkg
@pytest.mark.parametrize(("name", "compress"), [("vtest.avi", bytes), ("vtest.avi.gz", gzip.compress)])
def test_video_is_taken_out_plain_or_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, compress: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(sample, "SHA256", hashlib.sha256(VIDEO).hexdigest())
    video = sample.install(_package(tmp_path, name, compress(VIDEO)), tmp_path / "samples" / "video.avi")

    assert video.read_bytes() == VIDEO


@needs_dpkg
def test_video_with_another_digest_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not the pinned sample video"):
        sample.install(_package(tmp_path, "vtest.avi", VIDEO), tmp_path / "samples" / "video.avi")

    assert list((tmp_path / "samples").iterdir()) == []


@needs_dpkg
def test_package_without_the_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"carries no vtest\.avi"):
        sample.install(_package(tmp_path, "other.avi", VIDEO), tmp_path / "samples" / "video.avi")


def test_tampered_sample_on_disk_is_refused(tmp_path: Path) -> None:
    (tmp_path / sample.SAMPLE_NAME).write_bytes(VIDEO)
    with pytest.raises(SourceError, match="not the pinned sample video"):
        sample.ensure_sample(tmp_path)


def test_system_without_apt_is_told_to_use_a_video_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="there is no apt-get here") as caught:
        sample.ensure_sample(tmp_path / "samples")

    assert "--source" in caught.value.remedy
