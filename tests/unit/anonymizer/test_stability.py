from __future__ import annotations

import itertools

import numpy as np
import pytest

from anonymizer.domain.stability import TRANSITIONS, Event, Stability, State

KNOWN = np.ones((10, 10), np.bool_)
SAME = np.zeros((10, 10), np.bool_)
OTHER = np.ones((10, 10), np.bool_)


def test_every_state_knows_what_every_event_means() -> None:
    assert set(TRANSITIONS) == set(itertools.product(State, Event))


def test_what_lasts_costs_the_plate_and_what_passes_does_not() -> None:
    lasting, passing = Stability(), Stability()

    after = [lasting.update(KNOWN, OTHER, 0.2 * number) for number in range(22)]
    between = [passing.update(KNOWN, OTHER, 0.0), *(passing.update(KNOWN, SAME, 0.2 * n) for n in range(1, 6))]

    assert State.LOST in after
    assert State.LOST not in between
    assert between[-1] is State.SETTLED
    assert between[1] is State.CALMING


@pytest.mark.parametrize(("share", "state"), [(0.4, State.SETTLED), (0.6, State.DISTURBED)])
def test_a_bus_is_no_disturbance_and_a_pan_is(share: float, state: State) -> None:
    changed = np.zeros(100, np.bool_)
    changed[: int(100 * share)] = True

    assert Stability().update(KNOWN, changed.reshape(10, 10), 0.0) is state


def test_while_hardly_anything_is_known_nothing_is_doubted() -> None:
    known = np.zeros((10, 10), np.bool_)
    known[0, :2] = True

    assert Stability().update(known, OTHER, 0.0) is State.SETTLED
