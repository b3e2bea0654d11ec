from __future__ import annotations

import numpy as np
import pytest

from anonymizer.domain.coasting import Coasting, CoastingRules
from anonymizer.domain.verdict import ObjectClass, Verdict

RULES = CoastingRules(margin=0.1, seconds=0.6, unverdicted_seconds=3.0, growth=0.5, same_object=0.4)


def seen(*boxes: tuple[float, float, float, float], object_class: int = 1) -> Verdict:
    count = len(boxes)
    return Verdict(
        0,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, object_class, np.int16),
        np.ones(count, np.float32),
    )


def test_a_detection_has_a_margin_on_every_side() -> None:
    areas = Coasting(RULES).update(seen((0.4, 0.4, 0.6, 0.8)), 0.0)

    assert areas.outlines[0] == pytest.approx((0.38, 0.36, 0.62, 0.84))
    assert areas.boxes[0] == pytest.approx((0.4, 0.4, 0.6, 0.8))


def test_a_missed_detection_goes_on_and_grows_until_its_time_is_over() -> None:
    coasting = Coasting(RULES)
    coasting.update(seen((0.4, 0.4, 0.6, 0.8)), 0.0)
    ((left, _, right, _),) = coasting.update(seen(), 0.4).outlines

    assert right - left == pytest.approx(0.2 * (1 + 2 * (0.1 + 0.2)))
    assert not len(coasting.update(seen(), 0.7).boxes)


def test_without_verdicts_it_goes_on_for_longer() -> None:
    coasting = Coasting(RULES)
    coasting.update(seen((0.4, 0.4, 0.6, 0.8)), 0.0)

    assert len(coasting.update(None, 2.9).boxes) == 1
    assert not len(coasting.update(None, 3.1).boxes)


def test_a_new_sighting_of_the_same_thing_takes_its_place() -> None:
    coasting = Coasting(RULES)
    coasting.update(seen((0.4, 0.4, 0.6, 0.8)), 0.0)

    assert len(coasting.update(seen((0.42, 0.4, 0.62, 0.8)), 0.2).boxes) == 1
    assert len(coasting.update(seen((0.0, 0.0, 0.1, 0.1)), 0.4).boxes) == 2


def test_a_detection_that_was_not_sure_goes_on_for_a_shorter_time() -> None:
    coasting = Coasting(CoastingRules(seconds=0.6, weak_seconds=0.2))
    weak = seen((0.4, 0.4, 0.6, 0.8))
    coasting.update(Verdict(0, weak.boxes, weak.classes, np.full(1, 0.15, np.float32)), 0.0)

    assert len(coasting.update(seen(), 0.2).boxes) == 1
    assert not len(coasting.update(seen(), 0.3).boxes)


def test_somebody_who_walks_on_leaves_nothing_behind_and_one_who_is_missed_beside_him_stays() -> None:
    coasting = Coasting(RULES)
    coasting.update(seen((0.40, 0.4, 0.50, 0.8), (0.46, 0.4, 0.56, 0.8)), 0.0)

    # One box where two were: it follows the one that it fits better; the other goes on.
    areas = coasting.update(seen((0.34, 0.4, 0.44, 0.8)), 0.2)

    assert sorted(areas.boxes[:, 0].tolist()) == pytest.approx([0.34, 0.46])


def test_a_vehicle_needs_less_margin_than_somebody_with_arms() -> None:
    outlines = Coasting().update(seen((0.4, 0.4, 0.6, 0.8), object_class=ObjectClass.CAR), 0.0).outlines

    assert 0.4 - outlines[0][0] < 0.2 * CoastingRules().margin
