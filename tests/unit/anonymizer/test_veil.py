from __future__ import annotations

import numpy as np

from anonymizer.domain.frame import Frame, MaskedFrame, Planes, Size
from anonymizer.domain.redactor import Redactor
from anonymizer.domain.silhouette import CHANGED, PALETTE, VEILED
from tests.unit.anonymizer.streets import RULES, Person, Street, likeness, verdict

SIZE = Size(256, 192)
STRIPE = PALETTE[VEILED + 1]
SMOKE = (slice(60, 140), slice(60, 160))


def learned() -> tuple[Street, Redactor]:
    street, redactor = Street(SIZE), Redactor(RULES)
    for _ in range(60):
        redactor.redact(frame := street.frame(), verdict(frame))
    return street, redactor


def with_smoke(frame: Frame, share: float) -> Frame:
    luma = frame.planes.luma.astype(np.float32)
    luma[SMOKE] = (1 - share) * luma[SMOKE] + share * 220
    return Frame(frame.sequence, frame.captured, Planes(luma.astype(np.uint8), frame.planes.blue, frame.planes.red))


def stripes(masked: MaskedFrame) -> np.ndarray:
    blue = np.repeat(np.repeat(masked.planes.blue, 2, axis=0), 2, axis=1)
    return np.asarray((masked.planes.luma == STRIPE[0]) & (blue == STRIPE[1]))


def test_smoke_is_hatched_as_far_as_it_reaches_and_shows_nothing() -> None:
    street, redactor = learned()

    masked = redactor.redact(frame := with_smoke(street.frame(), 0.6), verdict(frame))

    hatched = stripes(masked)
    outside = hatched.copy()
    outside[52:148, 52:168] = False
    assert 0.35 < hatched[SMOKE].mean() < 0.65
    assert not outside.any()
    assert abs(likeness(masked.planes.luma[SMOKE], frame.planes.luma[SMOKE])) < 0.1


def test_light_that_goes_is_hatched_over_the_whole_picture() -> None:
    street, redactor = learned()

    masked = redactor.redact(frame := street.frame(light=0.4), verdict(frame))

    assert masked.masked_fraction == 1.0
    assert 0.35 < stripes(masked).mean() < 0.65


def test_somebody_whom_nobody_detected_is_solid() -> None:
    street, redactor = learned()
    person = Person(96, 64)

    masked = redactor.redact(frame := street.frame(person), verdict(frame))

    assert not stripes(masked).any()
    assert np.all(masked.planes.luma[person.area] == PALETTE[CHANGED][0])
