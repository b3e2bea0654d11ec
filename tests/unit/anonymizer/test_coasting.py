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
    (area,) = Coasting(RULES).update(seen((0.4, 0.4, 0.6, 0.8)), 0.0)

    assert (area.left, area.top, area.right, area.bottom) == pytest.approx((0.38, 0.36, 0.62, 0.84))


def test_a_missed_detection_goes_on_and_grows_until_its_time_is_over() -> None:
    coasting = Coasting(RULES)
    coasting.update(seen((0.4, 0.4, 0.6, 0.8)), 0.0)
    (after,) = coasting.update(seen(), 0.4)

    assert after.right - after.left == pytest.approx(0.2 * (1 + 2 * (0.1 + 0.2)))
    assert not coasting.update(seen(), 0.7)


def test_without_verdicts_it_goes_on_for_longer() -> None:
    coasting = Coasting(RULES)
    coasting.update(seen((0.4, 0.4, 0.6, 0.8)), 0.0)

    assert len(coasting.update(None, 2.9)) == 1
    assert not coasting.update(None, 3.1)


def test_a_new_sighting_of_the_same_thing_takes_its_place() -> None:
    coasting = Coasting(RULES)
    coasting.update(seen((0.4, 0.4, 0.6, 0.8)), 0.0)

    assert len(coasting.update(seen((0.42, 0.4, 0.62, 0.8)), 0.2)) == 1
    assert len(coasting.update(seen((0.0, 0.0, 0.1, 0.1)), 0.4)) == 2


def test_a_class_that_is_not_on_the_list_is_masked_without_one() -> None:
    (area,) = Coasting(RULES).update(seen((0.4, 0.4, 0.6, 0.8), object_class=999), 0.0)

    assert area.object_class is ObjectClass.UNSPECIFIED
