"""The command line as a person meets it: real processes, bad input, plain messages."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mesh.local.environment import inherited
from mesh.local.state import StateFolder

if TYPE_CHECKING:
    from pathlib import Path

ARGO = (sys.executable, "-m", "mesh.local.cli")


def _argo(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    # What a failed command leaves behind for its reader goes into the test's own folder.
    environment = inherited() | {"TMPDIR": str(folder), "COLUMNS": "300"}
    command = [*ARGO, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "letter.mp4"
    path.write_text("Dear Sir or Madam,\n" * 500)
    return path


def _arguments(command: str, source: object, folder: Path) -> list[object]:
    return {
        "demo": ["demo", "--source", source, "--for", 1],
        "redact": ["redact", source, folder / "out.mp4"],
        "track": ["track", source, folder / "out.txt"],
    }[command]


@pytest.mark.parametrize("command", ["demo", "redact", "track"])
def test_source_that_is_no_video(command: str, text_file: Path, tmp_path: Path) -> None:
    result = _argo(*_arguments(command, text_file, tmp_path), folder=tmp_path)

    assert result.returncode == 1
    assert "letter.mp4 is not a video" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("command", ["demo", "redact", "track"])
def test_source_that_is_not_there(command: str, tmp_path: Path) -> None:
    result = _argo(*_arguments(command, "nowhere.avi", tmp_path), folder=tmp_path)

    assert result.returncode == 1
    assert "nowhere.avi: no such file" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("command", "target"),
    [("redact", "missing/out.mp4"), ("track", "missing/out.txt"), ("demo", "missing/report.json")],
)
def test_output_that_cannot_be_written_is_said_before_the_work(
    command: str, target: str, video: Path, tmp_path: Path
) -> None:
    arguments = ["demo", "--source", video, "--report", target] if command == "demo" else [command, video, target]
    result = _argo(*arguments, folder=tmp_path)

    assert result.returncode == 1
    assert f"{target} cannot be written" in result.stderr
    assert "starting" not in result.stderr


def test_output_over_the_input_is_refused(video: Path, tmp_path: Path) -> None:
    before = video.read_bytes()
    result = _argo("redact", video, video, folder=tmp_path)

    assert result.returncode == 2
    assert "would be overwritten" in result.stderr
    assert video.read_bytes() == before


@pytest.mark.parametrize("command", ["redact", "track"])
def test_models_that_were_not_pulled(command: str, video: Path, tmp_path: Path) -> None:
    result = _argo(*_arguments(command, video, tmp_path), folder=tmp_path)

    assert result.returncode == 1
    assert "detector does not start" in result.stderr
    assert "argo models pull" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out.mp4").exists()


def test_state_folder_in_use(tmp_path: Path) -> None:
    with StateFolder(tmp_path / "state"):
        result = _argo("up", "--state", "state", folder=tmp_path)

    assert result.returncode == 1
    assert f"in use by another argo (process {os.getpid()})" in result.stderr


def test_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = _argo("up", "--state", "file/state", folder=tmp_path)

    assert result.returncode != 0
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/video.mjpg", "rtsp://", "rtsp://camera.invalid/x", "rtsps://127.0.0.1/x"]
)
def test_url_that_cannot_be_dialled(url: str, tmp_path: Path) -> None:
    result = _argo("demo", "--source", url, folder=tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr


def test_camera_says_that_its_port_is_in_use(video: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        result = subprocess.run(
            [sys.executable, "-m", "mesh.local.camera", str(video), "--listen", listen],
            env=inherited(), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    assert result.returncode == 1
    assert f"cannot listen on {listen}" in result.stderr
    assert "Traceback" not in result.stderr


def test_models_are_the_catalogue(tmp_path: Path) -> None:
    listed = _argo("models", "list", folder=tmp_path)
    refused = _argo("models", "verify", folder=tmp_path)

    assert listed.returncode == 0
    assert "not pulled" in listed.stdout
    assert refused.returncode == 1
    assert "argo models pull" in refused.stderr


@pytest.mark.parametrize("command", ["", "up", "demo", "redact", "track", "models"])
def test_help(command: str, tmp_path: Path) -> None:
    result = _argo(*command.split(), "--help", folder=tmp_path)

    assert result.returncode == 0
    assert "usage" in result.stdout.lower()
