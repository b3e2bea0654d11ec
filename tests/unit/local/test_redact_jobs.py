"""What is meant by the paths after ``argo redact``."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.local.commands.redact_jobs import Job, plan
from mesh.local.errors import LocalError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two videos in a folder of their own, with things beside them that are none, and an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/b.MOV", "in/a.mkv", "in/a_redacted.mp4", "in/.c.mp4", "in/notes.txt", "in/deep.mp4/d.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "out").mkdir()
    return tmp_path


def jobs(*paths: str) -> list[tuple[str, str]]:
    return [(str(job.source), str(job.target)) for job in plan([Path(path) for path in paths]).jobs]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["in/a.mkv"], [("in/a.mkv", "in/a_redacted.mp4")]),
        (["in/a.mkv", "x.mp4"], [("in/a.mkv", "x.mp4")]),
        (["in/a.mkv", "out"], [("in/a.mkv", "out/a_redacted.mp4")]),
        (["in/a.mkv", "in/b.MOV", "out"], [("in/a.mkv", "out/a_redacted.mp4"), ("in/b.MOV", "out/b_redacted.mp4")]),
        (["in"], [("in/a.mkv", "in/a_redacted.mp4"), ("in/b.MOV", "in/b_redacted.mp4")]),
        (["in", "new/place"], [("in/a.mkv", "new/place/a_redacted.mp4"), ("in/b.MOV", "new/place/b_redacted.mp4")]),
    ],
)
def test_the_last_path_says_where_the_copies_go(paths: list[str], expected: list[tuple[str, str]]) -> None:
    assert jobs(*paths) == expected


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "paths",
    [
        ["in/a.mkv", "in/a.mkv"],
        ["in/a.mkv", "in/../in/a.mkv"],
        ["in/a.mkv", "in/b.MOV", "x.mp4"],
        ["in/a.mkv", "in/b.MOV", "nowhere"],
        ["in", "x.mp4"],
        ["in/a.mkv", "out/a.mp4", "out"],
        ["out"],
    ],
    ids=[
        "onto itself", "onto itself by a detour", "two into a file", "two into no folder", "a folder into a file",
        "two of one name", "an empty folder",
    ],
)  # fmt: skip
def test_nothing_is_overwritten_by_mistake(paths: list[str]) -> None:
    with pytest.raises(LocalError):
        plan([Path(path) for path in paths])


@pytest.mark.usefixtures("folder")
def test_only_a_file_that_was_named_alone_is_single() -> None:
    assert plan([Path("in/a.mkv")]).is_single
    assert not plan([Path("in")]).is_single
    assert plan([Path("in/a.mkv"), Path("x.mp4")]).jobs == (Job(Path("in/a.mkv"), Path("x.mp4")),)


def test_a_second_video_that_a_wildcard_found_is_not_overwritten(folder: Path) -> None:
    first, second, copy = (folder / "in" / name for name in ("c.mp4", "d.mp4", "c_redacted.mp4"))
    for video in (first, second, copy):
        video.write_bytes(b"a video")
    with pytest.raises(LocalError, match="is there already"):
        plan([first, second])
    assert plan([first, copy]).jobs == (Job(first, copy),)
    assert plan([first, folder / "out" / "d.mp4"]).jobs == (Job(first, folder / "out" / "d.mp4"),)
