from __future__ import annotations

import av
import numpy as np
import pytest

from camera_gateway.domain.crop import WHOLE, Crop
from camera_gateway.sources import Outcome
from camera_gateway.views import Samplers
from tests.unit.camera_gateway.pictures import TIME, view, views_of


def test_the_samplers_count_all_and_scale_what_is_due() -> None:
    samplers = Samplers(views_of(one=WHOLE))
    outcome = Outcome()
    frame = av.VideoFrame(320, 240, "yuv420p")
    for number in range(3):
        samplers.sample(frame, TIME, number * 0.04, outcome)
    outcome.settle()

    assert outcome.decoded == 3
    assert (outcome.width, outcome.height) == (320, 240)
    [(name, picture)] = outcome.pictures.items()
    assert name == "one"
    assert (picture.width, picture.height) == (160, 120)
    assert picture.arrival == 0.0


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj422p", "yuv420p10le"])
def test_each_optic_of_a_mosaic_sees_its_own_quarter_and_no_pixel_of_another(pixel_format: str) -> None:
    picture = np.empty((240, 320, 3), np.uint8)
    picture[:120, :160], picture[:120, 160:], picture[120:, :160], picture[120:, 160:] = 20, 80, 140, 220
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)
    quarters = {f"q{x}{y}": Crop(x / 2, y / 2, 0.5, 0.5) for y in range(2) for x in range(2)}
    outcome = Outcome()

    Samplers(views_of(**quarters)).sample(frame, TIME, 0.0, outcome)
    outcome.settle()

    luma = {
        name: np.frombuffer(seen.i420, np.uint8, seen.width * seen.height) for name, seen in outcome.pictures.items()
    }
    assert outcome.decoded == 1
    assert all((seen.width, seen.height) == (160, 120) for seen in outcome.pictures.values())
    assert all(int(plane.max()) - int(plane.min()) <= 2 for plane in luma.values())
    assert int(luma["q00"][0]) < int(luma["q10"][0]) < int(luma["q01"][0]) < int(luma["q11"][0])


def test_views_may_change_while_a_session_runs_and_the_others_keep_their_sampler() -> None:
    views = views_of(a=WHOLE, b=WHOLE)
    samplers = Samplers(views)
    frame = av.VideoFrame(320, 240, "yuv420p")
    first, second, third = Outcome(), Outcome(), Outcome()
    samplers.sample(frame, TIME, 0.0, first)
    views.put("b", view("b", width=80))
    samplers.sample(frame, TIME, 0.01, second)
    views.remove("a")
    samplers.sample(frame, TIME, 10.0, third)
    for outcome in (first, second, third):
        outcome.settle()

    assert set(first.pictures) == {"a", "b"}
    # A new sampler is due at once; the old one keeps its rate.
    assert {name: seen.width for name, seen in second.pictures.items()} == {"b": 80}
    assert set(third.pictures) | set(third.still) == {"b"}


def test_a_picture_does_not_show_its_pixels() -> None:
    outcome = Outcome()
    Samplers(views_of(one=WHOLE)).sample(av.VideoFrame(320, 240, "yuv420p"), TIME, 0.0, outcome)
    outcome.settle()

    assert outcome.pictures
    assert "i420" not in repr(outcome)
