"""A detector that answers "nothing" while people walk through the picture is not believed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from anonymizer.domain.frame import Frame, MaskedFrame
from anonymizer.domain.redactor import Redactor
from anonymizer.domain.sight import SightRules
from anonymizer.domain.verdict import Verdict
from tests.unit.anonymizer.streets import RULES, Person, Street, verdict

STANDING = Person(96, 8)
LONG = 250


def walker(number: int) -> list[Person]:
    """Somebody who crosses the picture within four seconds, and comes again after another four."""
    step = number % 40
    return [Person(2 + 5 * step, 48)] if step < 20 else []


def replay(say: Callable[[Frame, list[Person]], Verdict], frames: int = LONG) -> list[MaskedFrame]:
    street, redactor = Street(), Redactor(RULES)
    masked = []
    for number in range(frames):
        people = walker(number)
        masked.append(redactor.redact(frame := street.frame(STANDING, *people), say(frame, people)))
    return masked


def test_a_blind_detector_teaches_nothing() -> None:
    masked = replay(lambda frame, _: verdict(frame))

    assert {frame.masked_fraction for frame in masked} == {1.0}


def test_one_that_sees_who_walks_is_believed() -> None:
    masked = replay(lambda frame, people: verdict(frame, STANDING, *people))

    assert masked[-1].masked_fraction < 0.5


def test_one_that_sees_again_is_believed_again_soon() -> None:
    masked = replay(lambda frame, people: verdict(frame, STANDING, *(people if frame.sequence >= LONG // 2 else [])))

    assert masked[LONG // 2].masked_fraction == 1.0
    assert masked[-1].masked_fraction < 0.5


def test_what_sways_in_one_place_is_forgiven() -> None:
    street, swaying = Street(), Person(40, 20, 24, 40)
    redactor = Redactor(dataclasses.replace(RULES, sight=SightRules(forgiven_seconds=20.0)))
    fractions = []
    for number in range(300):
        people = [swaying] if number % 3 else []
        fractions.append(redactor.redact(frame := street.frame(*people), verdict(frame)).masked_fraction)

    assert fractions[100] == 1.0
    assert fractions[-1] < 0.5
