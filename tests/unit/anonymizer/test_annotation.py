from __future__ import annotations

import numpy as np
import pytest

from anonymizer import unpacking
from anonymizer.domain.annotation import BRIGHT, DARK, ZONE_COLOUR, Annotator, NamedZone, label_of
from anonymizer.domain.frame import Planes, Size
from anonymizer.domain.redactor import Redactor
from anonymizer.domain.verdict import Followed, Verdict
from argo.detector.v1 import detection_service_pb2
from argo.registry.v1 import lease_service_pb2
from argo.type.v1 import geometry_pb2
from tests.unit.anonymizer.streets import RULES, Person, Street, verdict

SIZE = Size(320, 240)
SQUARE = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]], np.float32)


def plain() -> Planes:
    return Planes.filled(SIZE, 100, 128, 128)


def walker(step: float, track: int = 7) -> Followed:
    return Followed(track, (0.2 + step, 0.4, 0.3 + step, 0.7))


def test_a_track_has_three_figures() -> None:
    assert label_of(0xFFFF_FFFF_FFFF_FFFF) == f"{0xFFFF_FFFF_FFFF_FFFF % 1000:03d}"
    assert label_of(7) == "007"


def test_a_label_stands_above_its_box_in_bright_letters_with_a_dark_rim() -> None:
    planes = plain()

    Annotator().annotate(planes, [walker(0)], 0.0, verdicted=True)

    changed = planes.luma != 100
    rows, columns = np.nonzero(changed)
    assert set(np.unique(planes.luma[changed])) == {BRIGHT, DARK}
    assert rows.max() < 0.4 * SIZE.height
    assert columns.min() >= 0.2 * SIZE.width - 2


@pytest.mark.parametrize(
    ("step", "arrow"), [(0.02, "right"), (-0.02, "left"), (0.0, None)], ids=["goes right", "goes left", "stands"]
)
def test_an_arrow_at_the_feet_says_where_a_track_goes(step: float, arrow: str | None) -> None:
    annotator, planes = Annotator(), plain()
    for number in range(6):
        planes = plain()
        annotator.annotate(planes, [walker(number * step)], number * 0.2, verdicted=True)

    columns = np.nonzero((planes.luma != 100)[int(0.65 * SIZE.height) :].any(axis=0))[0]
    feet = (0.25 + 5 * step) * SIZE.width
    if arrow is None:
        assert not columns.size
    else:
        ahead, behind = (columns.max() - feet, feet - columns.min())
        assert (ahead > 3 * behind) if arrow == "right" else (behind > 3 * ahead)


def test_a_track_that_ended_begins_anew() -> None:
    annotator = Annotator()
    annotator.annotate(plain(), [walker(0)], 0.0, verdicted=True)
    annotator.annotate(plain(), [], 0.2, verdicted=True)
    planes = plain()
    annotator.annotate(planes, [walker(0.3)], 0.8, verdicted=True)

    assert not (planes.luma != 100)[int(0.65 * SIZE.height) :].any()


def test_zones_are_outlined_and_named() -> None:
    planes = plain()

    Annotator([NamedZone("Città", SQUARE)]).annotate(planes, [], 0.0, verdicted=True)

    assert planes.luma[60, 80:240].tolist().count(ZONE_COLOUR[0]) > 100
    assert (planes.blue[30, 40:120] == ZONE_COLOUR[1]).mean() > 0.9
    assert BRIGHT in planes.luma[62:80, 80:140]


def test_the_word_stands_in_pictures_without_a_verdict_only() -> None:
    street, redactor = Street(), Redactor(RULES)
    redactor.annotator = Annotator()

    without = redactor.redact(street.frame(), None)
    has_one = redactor.redact(frame := street.frame(), verdict(frame))

    assert BRIGHT in without.planes.luma[:24]
    assert BRIGHT not in has_one.planes.luma


@pytest.mark.parametrize("box", [(np.nan, 0, 1, 1), (np.inf, 0, 1, 1), (-900.0, -900.0, 900.0, 900.0), (0.5,) * 4])
def test_a_track_that_cannot_be_drawn_hurts_nobody(box: tuple[float, float, float, float]) -> None:
    street, redactor = Street(), Redactor(RULES)
    redactor.annotator = Annotator()
    fractions = []
    for _ in range(8):
        frame = street.frame()
        said = verdict(frame, Person(48, 32))
        followed = Verdict(frame.sequence, said.boxes, said.classes, said.scores, (Followed(1, box),))
        fractions.append(redactor.redact(frame, followed).masked_fraction)

    assert fractions == [1.0] * 8


def test_what_the_gateway_sends_reaches_the_picture() -> None:
    message = lease_service_pb2.OpticConfiguration(optic="devices/piazza-1/optics/north")
    zone = message.zones.add(name="devices/piazza-1/optics/north/zones/steps")
    for x, y in SQUARE:
        zone.polygon.points.add(x=x, y=y)
    message.zones.add(display_name="no area")
    said = detection_service_pb2.Verdict(outcome=detection_service_pb2.Verdict.OUTCOME_ANALYSED)
    box = geometry_pb2.Box(left=0.25, top=0.25, width=0.5, height=0.25)
    said.tracks.add(track=2**63 + 5, box=box)

    policy, unpacked = unpacking.unpack_configuration(message), unpacking.unpack_verdict(said)

    assert [zone.name for zone in policy.zones] == ["steps"]
    assert unpacked is not None
    assert unpacked.followed == (Followed(2**63 + 5, (0.25, 0.25, 0.75, 0.5)),)
