"""``argo redact`` and ``argo track`` through the real gateway, detector and anonymizer."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from mesh.local.environment import inherited
from tests.integration.local.conftest import write_video

MODELS = Path("models").resolve()
SAMPLE = Path("data/samples/pets09-s2l1.avi").resolve()
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


def test_redact_leaves_sound_and_metadata_behind_and_takes_a_style(tmp_path: Path) -> None:
    source = with_sound_and_metadata(tmp_path / "in.mp4")

    with _start("redact", source, "out.mp4", "--style", "box", folder=tmp_path) as process:
        _, problems = process.communicate(timeout=120)

    assert process.returncode == 0, problems
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        said = {**container.metadata, **container.streams.video[0].metadata}
    assert not {"title", "comment", "location", "creation_time", "artist"} & said.keys()
    assert b"Rossi" not in (tmp_path / "out.mp4").read_bytes()


def test_redact_masks_a_folder_and_says_what_it_could_not(video: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "b.mp4").write_bytes(video.read_bytes())
    (folder / "a.mp4").write_text("this is no video")
    small = folder / "c.mp4"
    write_video(small, "libx264", frames=3, size=(160, 16))

    with _start("redact", "in", "out", "--report", "report.json", folder=tmp_path) as process:
        said, problems = process.communicate(timeout=120)
    rows = json.loads((tmp_path / "report.json").read_text())["files"]

    assert process.returncode == 1
    assert "out/b_redacted.mp4: 30 frames" in said
    assert "in/a.mp4 is not a video" in problems
    assert "160x16" in problems
    assert "2 of 3 videos were not masked" in problems
    assert [row.get("frames") for row in rows] == [None, FRAMES, None]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b_redacted.mp4"]


def with_sound_and_metadata(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        container.metadata.update(title="Via Po", artist="Rossi", comment="Rossi", creation_time="2026-01-01T00:00:00Z")
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        for number in range(10):
            picture = av.VideoFrame.from_ndarray(np.full((120, 160, 3), 20 * number, np.uint8), format="rgb24")
            container.mux(video.encode(picture))
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.float32), format="fltp", layout="mono")
            samples.sample_rate = 16_000
            container.mux(sound.encode(samples))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


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


def first_frames(source: Path, target: Path) -> Path:
    with av.open(str(source)) as whole, av.open(str(target), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        packets = (packet for packet in whole.demux(video=0) if packet.size)
        for packet in itertools.islice(packets, FRAMES):
            packet.stream = stream
            part.mux(packet)
    return target


@pytest.mark.sample
@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample video is not there: make setup")
def test_score_says_how_well_rules_and_counts_fit_the_labels(tmp_path: Path) -> None:
    video = first_frames(SAMPLE, tmp_path / "street.avi")
    everywhere = {"points": [{"x": x, "y": y} for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]}
    zone, rule = {"name": "o/zones/all", "polygon": everywhere}, {"name": "o/rules/inside", "mode": "MODE_LIVE"}
    scene = {"zones": [zone], "rules": [rule | {"zone_intrusion": {"zone": "o/zones/all", "minimum_dwell": "0.2s"}}]}
    labels = {
        "configuration": scene,
        "episodes": [{"rule": "o/rules/inside", "start": 0.0, "due": 0.2, "end": 60.0}],
        "occupancy": [{"zone": "o/zones/all", "object_class": "person", "present": [1] * FRAMES}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(labels))

    with _start("score", video, "truth.json", "--json", "card.json", folder=tmp_path) as process:
        said, problems = process.communicate(timeout=120)
    card = json.loads((tmp_path / "card.json").read_text())

    assert process.returncode == 0, problems
    assert "1 of 1" in said
    (scored,) = card["rules"]
    assert (scored["detected"], scored["missed"], card["frames"]) == (1, [], FRAMES)
    assert scored["events"][0]["explanation"].startswith("dwell 0.")
    (count,) = card["counts"]
    assert count["counted"] > 0


def test_score_refuses_labels_that_it_cannot_read(video: Path, tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text('{"configuration": {"zoned": []}}')

    with _start("score", video, "truth.json", folder=tmp_path) as process:
        _, problems = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "holds no labels" in problems
    assert "zoned" in problems


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
