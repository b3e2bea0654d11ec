"""Who stands still must never be learned, and who passes must not keep the street from being learned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from anonymizer.domain.frame import Frame, Size
from anonymizer.domain.redactor import Redactor
from anonymizer.domain.verdict import ObjectClass, Verdict
from tests.unit.anonymizer.streets import RULES, Person, Street, likeness, verdict

STANDING = Person(48, 32)
LONG = 400
"""Frames, more than a minute: many times the wait of these rules."""


def shown(redactor: Redactor, frame: Frame, said: Verdict | None, person: Person = STANDING) -> float:
    masked = redactor.redact(frame, said)
    return abs(likeness(masked.planes.luma[person.area], frame.planes.luma[person.area]))


@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
def test_somebody_present_since_before_the_start_is_never_learned_however_weak_the_detector(share: float) -> None:
    street, redactor, rng = Street(), Redactor(), np.random.default_rng(7)

    for _ in range(LONG):
        frame = street.frame(STANDING)
        seen = [STANDING] if rng.random() < share else []
        assert shown(redactor, frame, verdict(frame, *seen, score=0.12)) < 0.2


def test_somebody_who_gestures_and_is_missed_half_of_the_time_is_never_learned() -> None:
    street, redactor, rng = Street(), Redactor(), np.random.default_rng(7)
    arm = Person(52, 48, 12, 16)

    for number in range(LONG):
        moved = dataclasses.replace(arm, left=arm.left - number % 3 * 4)
        frame = street.frame(STANDING, moved)
        seen = [STANDING] if rng.random() < 0.5 else []
        head = Person(48, 32, 16, 12)
        assert shown(redactor, frame, verdict(frame, *seen, score=0.25), head) < 0.2


def test_somebody_who_comes_and_stands_unseen_waits_longer_than_the_street_did() -> None:
    street, redactor = Street(), Redactor(RULES)
    for _ in range(18):
        redactor.redact(frame := street.frame(), verdict(frame))

    for _ in range(LONG):
        frame = street.frame(STANDING)
        assert shown(redactor, frame, verdict(frame)) < 0.2


def test_somebody_who_was_learned_because_nobody_saw_him_is_forgotten_once_he_is_seen() -> None:
    street, redactor = Street(), Redactor(RULES)
    before = [shown(redactor, frame := street.frame(STANDING), verdict(frame)) for _ in range(60)]
    assert before[-1] > 0.9

    for _ in range(30):
        redactor.redact(frame := street.frame(STANDING), verdict(frame, STANDING))
    after = [shown(redactor, frame := street.frame(STANDING), verdict(frame)) for _ in range(10)]

    assert max(after) < 0.2


def passing(number: int) -> list[Person]:
    """Somebody who crosses the picture every five seconds."""
    step = number % 25
    return [Person(4 + 10 * step, 32)] if step < 11 else []


def learned_share(say: Callable[[Frame, list[Person]], Verdict], frames: int) -> float:
    street, redactor = Street(), Redactor()
    for number in range(frames):
        people = passing(number)
        redactor.redact(frame := street.frame(*people), say(frame, people))
    return redactor.known_fraction


def test_people_who_pass_do_not_keep_the_street_from_being_learned_if_they_are_seen() -> None:
    seen = learned_share(lambda frame, people: verdict(frame, *people), 130)
    missed = learned_share(lambda frame, _people: verdict(frame), 130)

    assert seen > 0.95
    assert missed < seen


def test_the_soft_shadow_of_a_cloud_costs_nothing_that_was_learned() -> None:
    street, redactor = Street(), Redactor(RULES)
    for _ in range(60):
        redactor.redact(frame := street.frame(), verdict(frame))

    masked = [
        redactor.redact(frame := street.frame(light=light), verdict(frame)) for light in np.linspace(1.0, 0.93, 20)
    ]

    assert masked[-1].masked_fraction < 0.05


def test_a_poster_that_is_taken_for_somebody_stays_masked() -> None:
    street, redactor = Street(), Redactor(RULES)

    for _ in range(LONG):
        frame = street.frame(STANDING)
        assert shown(redactor, frame, verdict(frame, STANDING, score=0.5)) < 0.2


VAN = Person(48, 32, 48, 40)


def car(frame: Frame, *, score: float = 0.6) -> Verdict:
    said = verdict(frame, VAN, score=score)
    return dataclasses.replace(said, classes=np.full(1, ObjectClass.CAR, np.int16))


def test_a_parked_car_that_is_missed_in_every_other_frame_is_never_learned() -> None:
    street, redactor = Street(), Redactor(RULES)

    for number in range(LONG):
        frame = street.frame(VAN)
        assert shown(redactor, frame, car(frame, score=0.15) if number % 2 else verdict(frame), VAN) < 0.2


def test_a_car_that_was_learned_because_nobody_saw_it_is_forgotten_once_it_is_seen() -> None:
    street, redactor = Street(), Redactor(RULES)
    before = [shown(redactor, frame := street.frame(VAN), verdict(frame), VAN) for _ in range(60)]
    assert before[-1] > 0.9

    for _ in range(30):
        redactor.redact(frame := street.frame(VAN), car(frame))
    inside = Person(56, 40, 32, 24)
    after = [shown(redactor, frame := street.frame(VAN), verdict(frame), inside) for _ in range(10)]

    assert max(after) < 0.2


def test_somebody_who_comes_while_the_detector_is_away_waits_as_long_as_one_who_comes_before_its_eyes() -> None:
    street, redactor = Street(Size(384, 96)), Redactor(RULES)
    # The street is not learned yet, but has been seen.
    for _ in range(18):
        redactor.redact(frame := street.frame(), verdict(frame))
    for _ in range(20):
        redactor.redact(street.frame(STANDING), None)

    for _ in range(LONG):
        frame = street.frame(STANDING)
        assert shown(redactor, frame, verdict(frame)) < 0.2
