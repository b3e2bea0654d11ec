"""The colours of vehicles."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argo.detector.v1 import bus_pb2
from detector.domain import colour
from detector.domain.analysis import OpticAnalysis
from detector.domain.colour import ColourVote, ColourVotes, VehicleColour
from detector.domain.configuration import OpticConfiguration
from detector.domain.detections import Detections, ObjectClass
from detector.domain.flows import Flow
from detector.domain.observations import Observation
from detector.domain.picture import Picture
from detector.domain.tracker_parameters import TrackerParameters

BOX = (0.25, 0.25, 0.75, 0.75)


def painted(rgb: tuple[int, int, int], *, width: int = 60, height: int = 40) -> Picture:
    """A vehicle of one paint in the middle of a grey street; FFmpeg's and OpenCV's conversions agree to a level."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = rgb
    full = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb).astype(np.float64)
    luma = 16 + full[..., 0] * 219 / 255
    red, blue = (128 + (full[..., channel] - 128) * 224 / 255 for channel in (1, 2))
    return Picture(*(np.round(plane).astype(np.uint8) for plane in (luma, blue, red)))


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((12, 12, 14), VehicleColour.BLACK),
        ((120, 122, 125), VehicleColour.GREY),
        ((240, 240, 238), VehicleColour.WHITE),
        ((190, 20, 25), VehicleColour.RED),
        ((235, 120, 20), VehicleColour.ORANGE),
        ((240, 215, 30), VehicleColour.YELLOW),
        ((30, 120, 50), VehicleColour.GREEN),
        ((25, 60, 160), VehicleColour.BLUE),
        ((110, 40, 150), VehicleColour.PURPLE),
        ((245, 160, 190), VehicleColour.PINK),
        ((110, 75, 40), VehicleColour.BROWN),
    ],
)
def test_paints_have_the_names_that_a_witness_would_use(rgb: tuple[int, int, int], expected: VehicleColour) -> None:
    vote = colour.look(painted(rgb), BOX)

    assert vote is not None
    assert vote.colour is expected


def test_what_is_small_or_outside_has_no_colour() -> None:
    picture = painted((190, 20, 25))

    assert colour.look(picture, (0.5, 0.5, 0.55, 0.55)) is None
    assert colour.look(picture, (1.2, 0.1, 1.6, 0.5)) is None
    assert colour.look(picture, (-0.6, -0.6, -0.1, -0.1)) is None


@given(st.floats(0, 360), st.floats(0, 1), st.floats(0, 1))
def test_every_colour_has_a_name(hue: float, saturation: float, value: float) -> None:
    assert colour.name(hue, saturation, value) is not VehicleColour.UNKNOWN


def test_votes_are_weighed_and_their_share_is_the_confidence() -> None:
    votes = ColourVotes()
    assert votes.result() == (VehicleColour.UNKNOWN, 0.0)
    for _ in range(3):
        votes.add(ColourVote(VehicleColour.BLUE, 0.5))
    votes.add(ColourVote(VehicleColour.GREY, 0.5))

    assert votes.result() == (VehicleColour.BLUE, 0.75)


def test_a_dark_vote_counts_less_than_one_in_the_light() -> None:
    dark, light = colour.look(painted((12, 12, 14)), BOX), colour.look(painted((190, 20, 25)), BOX)

    assert dark is not None
    assert light is not None
    assert dark.weight < light.weight / 3


def observed(kind: ObjectClass) -> tuple[Observation, Flow]:
    """One object of a class, red, seen for four seconds."""
    ids = itertools.count(1)
    subject = OpticAnalysis(
        OpticConfiguration("devices/d/optics/o"),
        new_id=lambda: next(ids),
        local_time=lambda seconds: datetime.fromtimestamp(seconds, UTC),
        parameters=TrackerParameters(),
    )
    picture = painted((190, 20, 25))
    box = np.array([[60.0, 40.0, 180.0, 120.0]], np.float32)
    found = Detections(box, np.array([0.9], np.float32), np.array([kind], np.int16))
    for number in range(40):
        time = number / 10
        subject.step(time, 240, 160, found, picture if subject.wants_picture(time) else None)
    (observation,), flow = subject.observations(), subject.flow()
    assert flow is not None
    return observation, flow


def test_a_vehicle_is_observed_with_its_colour_and_the_light_is_measured() -> None:
    observation, flow = observed(ObjectClass.CAR)

    assert observation.colour == (VehicleColour.RED, 1.0)
    assert flow.light_level == pytest.approx(painted((190, 20, 25)).light_level)


@pytest.mark.parametrize("kind", [ObjectClass.PERSON, ObjectClass.LUGGAGE, ObjectClass.BICYCLE, ObjectClass.ANIMAL])
def test_nothing_but_a_vehicle_has_a_colour(kind: ObjectClass) -> None:
    assert observed(kind)[0].colour == (VehicleColour.UNKNOWN, 0.0)


def test_the_domain_s_colours_are_those_of_the_contract() -> None:
    names = {
        value.name.removeprefix("VEHICLE_COLOUR_"): value.number for value in bus_pb2.VehicleColour.DESCRIPTOR.values
    }

    assert names == {"UNSPECIFIED" if each is VehicleColour.UNKNOWN else each.name: each for each in VehicleColour}
