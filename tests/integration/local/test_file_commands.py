"""``argo redact`` and ``argo track`` through the real gateway, detector and anonymizer."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import av
import psutil
import pytest

from mesh.local.environment import inherited

MODELS = Path("models").resolve()
FRAMES = 30

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not any(MODELS.glob("*.onnx")), reason="needs the default model: run argo models pull"),
]


def _start(*arguments: object, folder: Path) -> subprocess.Popen[str]:
    environment = inherited() | {"ARGO_MODEL_DIRECTORY": str(MODELS), "TMPDIR": str(folder), "COLUMNS": "300"}
    command = [sys.executable, "-m", "mesh.local.cli", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_redact_writes_every_frame_masked_at_its_time(video: Path, tmp_path: Path) -> None:
    with _start("redact", video, "out.mp4", "--report", "report.json", folder=tmp_path) as process:
        said, problems = process.communicate(timeout=120)
    report = json.loads((tmp_path / "report.json").read_text())

    assert process.returncode == 0, problems
    assert "30 frames" in said
    assert _times(tmp_path / "out.mp4") == pytest.approx(_times(video), abs=1e-6)
    assert (report["frames"], report["verdicted"], report["unverdicted"]) == (FRAMES, FRAMES, 0)
    assert (report["unmasked_frames_out"], report["broken_packets"]) == (0, 0)
    assert 0 < report["masked_fraction"] <= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "report.json"]


def test_track_writes_rows_of_the_format(video: Path, tmp_path: Path) -> None:
    with _start("track", video, "out.txt", "--class", "person", "--class", "car", folder=tmp_path) as process:
        said, problems = process.communicate(timeout=120)
    rows = [line.split(",") for line in (tmp_path / "out.txt").read_text().splitlines()]

    assert process.returncode == 0, problems
    assert f"30 frames, {len({row[1] for row in rows})} tracks, {len(rows)} rows" in said
    for row in rows:
        assert len(row) == 10
        assert 1 <= int(row[0]) <= FRAMES
        assert row[7:] == ["-1", "-1", "-1"]


def test_service_that_dies_on_the_way_is_said_and_nothing_is_written(long_video: Path, tmp_path: Path) -> None:
    with _start("redact", long_video, "out.mp4", folder=tmp_path) as process:
        assert process.stderr is not None
        starting = iter(process.stderr.readline, "")
        assert len([line for line in itertools.islice(starting, 4) if line.endswith("is ready\n")]) == 3
        # The file is on its way for a minute at least.
        time.sleep(2)
        children = psutil.Process(process.pid).children()
        next(child for child in children if child.cmdline()[-1] == "anonymizer").kill()
        _, problems = process.communicate(timeout=120)

    assert process.returncode == 1
    assert "Error: " in problems
    assert "ANONYMIZER_UNAVAILABLE" in problems
    assert "Traceback" not in problems
    assert not list(tmp_path.glob("*.mp4"))
    assert not list(tmp_path.glob(".*.part"))
