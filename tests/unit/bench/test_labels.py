"""Labels out of annotated boxes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import labels
from bench.labels import Walk
from mesh.local.scorecard.truth import Truth

SCENE = Path("bench/scenes/pets09_s2l1.json")
UP = ((0.5, 1.0), (0.5, 0.0))
"""A line that runs up the picture: its right side is the picture's right side."""
RIGHT_HALF = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))


def walk(*xs: float, first: int = 0) -> Walk:
    return Walk(tuple(range(first, first + len(xs))), tuple((x, 0.5) for x in xs))


def test_a_crossing_has_a_direction() -> None:
    assert labels.crossings([walk(0.2, 0.4, 0.6)], UP, 10) == (1, 0)
    assert labels.crossings([walk(0.6, 0.4)], UP, 10) == (0, 1)
    assert labels.crossings([walk(0.2, 0.4)], UP, 10) == (0, 0)


def test_somebody_who_sways_on_a_line_has_not_crossed_it() -> None:
    assert labels.crossings([walk(0.4, 0.6, 0.4, 0.6, 0.4)], UP, 10) == (0, 0)
    assert labels.crossings([walk(0.4, *[0.6] * 20, 0.4)], UP, 10) == (1, 1)


def test_a_stay_lasts_over_a_short_absence() -> None:
    assert labels.stays([walk(0.4, 0.6, 0.6, 0.4, 0.6, 0.4)], RIGHT_HALF, 10) == [(0.1, 0.4)]
    assert labels.stays([walk(0.6, *[0.4] * 20, 0.6)], RIGHT_HALF, 10) == [(0.0, 0.0), (2.1, 2.1)]


def test_presence_is_counted_frame_by_frame() -> None:
    assert labels.present([walk(0.6, 0.6), walk(0.6, 0.2, first=1)], RIGHT_HALF, 4) == [1, 2, 0, 0]


def test_a_motchallenge_file_becomes_labels_that_argo_score_reads(tmp_path: Path) -> None:
    rows = [f"{frame + 1},7,{300 + frame * 4},200,30,80,1,-1,-1,-1" for frame in range(100)]
    (tmp_path / "gt.txt").write_text("\n".join([*rows, "3,9,10,10,5,5,0,-1,-1,-1"]) + "\n")

    labels.main([str(tmp_path / "gt.txt"), str(SCENE), str(tmp_path / "truth.json")])
    truth = Truth.read(tmp_path / "truth.json")

    assert truth.frame_rate == 7
    assert {episode.rule.rpartition("/")[2] for episode in truth.episodes} == {"junction"}
    (episode,) = truth.episodes
    assert episode.due == pytest.approx(episode.start + 1)
    crossed = {each.line.rpartition("/")[2]: (each.left_to_right, each.right_to_left) for each in truth.crossings}
    assert sum(crossed["east"]) == 1
    assert crossed["west"] == (0, 0)
    assert all(len(each.present) == json.loads(SCENE.read_text())["frames"] for each in truth.occupancy)


def test_the_pixels_of_a_motchallenge_file_are_counted_from_one(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("1,7,1,1,40,100,1,-1,-1,-1\n")

    assert labels.read_walks(tmp_path / "gt.txt", 200, 100) == [Walk((0,), ((0.1, 1.0),))]
