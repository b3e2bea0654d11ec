from __future__ import annotations

import numpy as np
import pytest

from anonymizer.domain.credibility import Credibility
from anonymizer.domain.redactor import Redactor
from anonymizer.domain.verdict import ObjectClass, Verdict
from tests.unit.anonymizer.streets import RULES, Street


def seen(number: int, boxes: list[list[float]], score: float = 0.6) -> Verdict:
    return Verdict(
        number,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), ObjectClass.CAR, np.int16),
        np.full(len(boxes), score, np.float32),
    )


def at_random(number: int, rng: np.random.Generator) -> Verdict:
    centres, sides = rng.random((3, 2)), rng.random((3, 2)) * 0.15
    return seen(number, np.concatenate([centres - sides, centres + sides], axis=1).tolist())


@pytest.mark.parametrize("step", [0.0, 0.02, 0.12], ids=["stands", "walks", "drives a length per frame"])
def test_what_is_there_again_a_moment_later_is_believed(step: float) -> None:
    credibility = Credibility()
    believed = []
    for number in range(200):
        left = (number * step) % 0.9
        believed.append(credibility.update(seen(number, [[left, 0.4, left + 0.1, 0.5]]), number / 5))

    assert all(believed)


def test_boxes_at_random_are_not_believed_after_a_few_and_never_again() -> None:
    credibility, rng = Credibility(), np.random.default_rng(1)

    believed = [credibility.update(at_random(number, rng), number / 5) for number in range(300)]

    assert not any(believed[10:])


def test_a_detector_that_comes_to_its_senses_is_believed_again() -> None:
    credibility, rng = Credibility(), np.random.default_rng(1)
    for number in range(100):
        credibility.update(at_random(number, rng), number / 5)

    believed = [credibility.update(seen(number, [[0.1, 0.1, 0.2, 0.3]]), number / 5) for number in range(100, 400)]

    assert not believed[0]
    assert believed[-1]


@pytest.mark.parametrize("seconds", [1.0, -0.2, 0.0], ids=["far apart", "backwards", "at once"])
def test_verdicts_that_say_nothing_about_each_other_are_not_compared(seconds: float) -> None:
    credibility, rng = Credibility(), np.random.default_rng(1)

    assert all(credibility.update(at_random(number, rng), number * seconds) for number in range(100))


def test_under_a_detector_that_guesses_nothing_is_learned() -> None:
    street, redactor, rng = Street(), Redactor(RULES), np.random.default_rng(2)

    masked = [redactor.redact(frame := street.frame(), at_random(frame.sequence, rng)) for _ in range(150)]

    assert masked[-1].masked_fraction == 1.0
    assert masked[-1].basis.value == "unverdicted"
