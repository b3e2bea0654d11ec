from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_gateway.attention import Attention
from camera_gateway.domain import sight
from camera_gateway.domain.sight import DURATIONS, PERIOD, TOLD, TRANSITIONS, Change, Event, Mode, Sight, State
from tests.unit.camera_gateway import scenes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.camera_gateway.scenes import Luma

LEARNING = 2 * sight.LEARNED_AFTER


class Watched:
    """An optic that is looked at whenever it is time."""

    def __init__(self) -> None:
        self.sight = Sight()
        self.now = 0.0
        self.number = 0

    def look(self, count: int, change: Callable[[Luma], Luma] = lambda luma: luma, *, people: int = 3) -> list[Change]:
        changes = []
        for _ in range(count):
            self.now += PERIOD
            self.number += 1
            assert self.sight.due(self.now)
            changes += self.sight.look(change(scenes.street(self.number, people=people)), self.now)
        return changes


@pytest.fixture
def watched() -> Watched:
    optic = Watched()
    assert optic.look(LEARNING) == []
    return optic


def test_the_table_is_whole() -> None:
    assert dict(TRANSITIONS) == {
        (State.ABSENT, Event.SEEN): State.SUSPECTED,
        (State.SUSPECTED, Event.UNSEEN): State.ABSENT,
        (State.SUSPECTED, Event.LASTED): State.PRESENT,
        (State.SUSPECTED, Event.INTERRUPTED): State.ABSENT,
        (State.PRESENT, Event.UNSEEN): State.FADING,
        (State.FADING, Event.SEEN): State.PRESENT,
        (State.FADING, Event.LASTED): State.ABSENT,
        (State.FADING, Event.INTERRUPTED): State.PRESENT,
    }
    reached = {State.ABSENT}
    for _ in State:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(State)
    # Nothing is told, and nothing is over, before it has lasted.
    crossing = {event for (before, event), after in TRANSITIONS.items() if (before in TOLD) is not (after in TOLD)}
    assert crossing == {Event.LASTED}


SPOILT: list[tuple[Mode, Callable[[Luma], Luma]]] = [
    (Mode.IMAGE_TOO_DARK, lambda luma: np.full_like(luma, 17)),
    (Mode.IMAGE_TOO_BRIGHT, lambda luma: np.clip(luma, 208, 235)),
    (Mode.IMAGE_TOO_BLURRY, scenes.blurred),
    (Mode.LOW_VISIBILITY, scenes.fogged),
    (Mode.GLOBAL_SCENE_CHANGE, scenes.turned),
    (Mode.GLOBAL_SCENE_CHANGE, lambda luma: luma[::-1, ::-1].copy()),
    (Mode.FROZEN, lambda _: scenes.street(7)),
]


@pytest.mark.parametrize(("mode", "spoil"), SPOILT)
def test_each_mode_is_told_once_after_its_duration_and_is_over_after_it(
    watched: Watched, mode: Mode, spoil: Callable[[Luma], Luma]
) -> None:
    looks = int(DURATIONS[mode] // PERIOD) + 2

    began = watched.look(looks, spoil)
    assert began == [Change(mode, present=True)]
    assert watched.sight.impairments == (mode,)
    # For as long as it lasts: what is spoilt is not learned.
    assert watched.look(200, spoil) == []
    ended = watched.look(looks)

    assert [(change.mode, change.present) for change in ended] == [(mode, False)]
    assert ended[0].lasted >= 200 * PERIOD
    assert not watched.sight.impairments


@pytest.mark.parametrize(("mode", "spoil"), SPOILT)
def test_what_passes_quickly_is_not_told(watched: Watched, mode: Mode, spoil: Callable[[Luma], Luma]) -> None:
    looks = int(DURATIONS[mode] // PERIOD) - 1

    assert watched.look(looks, spoil) == []
    assert watched.look(30) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda luma: scenes.dimmed(luma, 0.5),
        lambda luma: scenes.dimmed(luma, 0.3),
        lambda luma: np.clip(luma.astype(np.int16) + 35, 16, 235).astype(np.uint8),
        lambda luma: np.clip(luma + np.random.default_rng(3).normal(0, 6, luma.shape), 16, 235).astype(np.uint8),
    ],
    ids=["a cloud", "the lamps fail", "the sun", "noise"],
)
def test_other_light_is_no_tampering(watched: Watched, change: Callable[[Luma], Luma]) -> None:
    assert watched.look(40, change) == []


def test_dusk_is_no_tampering(watched: Watched) -> None:
    """Ten minutes from full light to a fifth of it, faster than any dusk."""
    for step in range(300):
        assert watched.look(1, lambda luma, share=1 - 0.8 * step / 300: scenes.dimmed(luma, share)) == []  # type: ignore[misc]


def test_people_are_no_tampering(watched: Watched) -> None:
    assert watched.look(40, people=0) == []
    assert watched.look(40, people=25) == []


def test_a_turned_camera_is_told_until_somebody_confirms_its_scene(watched: Watched) -> None:
    watched.look(5, scenes.turned)
    assert watched.sight.impairments == (Mode.GLOBAL_SCENE_CHANGE,)

    watched.sight.relearn()

    over = watched.look(5, scenes.turned)
    assert [(change.mode, change.present) for change in over] == [(Mode.GLOBAL_SCENE_CHANGE, False)]
    watched.look(LEARNING, scenes.turned)
    # The new scene is the usual one now; the old one would be tampering.
    assert watched.look(5) == [Change(Mode.GLOBAL_SCENE_CHANGE, present=True)]


def test_a_smaller_picture_of_the_same_scene_is_no_tampering_and_hides_none(watched: Watched) -> None:
    assert watched.look(LEARNING, lambda luma: luma[::2, ::2].copy()) == []

    assert watched.look(5, lambda luma: scenes.turned(luma)[::2, ::2].copy()) == [
        Change(Mode.GLOBAL_SCENE_CHANGE, present=True)
    ]


def test_a_picture_of_another_shape_is_learned_anew(watched: Watched) -> None:
    assert watched.look(LEARNING, lambda luma: luma[:, :240].copy()) == []


def test_what_was_suspected_before_an_outage_is_not_told_for_the_time_of_the_outage(watched: Watched) -> None:
    watched.look(1, scenes.fogged)
    watched.now += 3600

    assert watched.look(2, scenes.fogged) == []
    assert watched.look(6, scenes.fogged) == [Change(Mode.LOW_VISIBILITY, present=True)]


def test_what_was_told_before_an_outage_is_not_over_because_of_it(watched: Watched) -> None:
    watched.look(8, scenes.fogged)
    watched.now += 3600

    assert watched.look(2) == []
    assert watched.sight.impairments == (Mode.LOW_VISIBILITY,)


FACES = {
    Mode.IMAGE_TOO_DARK: np.full((90, 160), 16, np.uint8),
    Mode.IMAGE_TOO_BRIGHT: np.full((90, 160), 235, np.uint8),
}


@given(st.lists(st.tuples(st.sampled_from([None, *FACES]), st.floats(PERIOD, 20.0)), max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_mode_is_told_before_its_duration_and_none_without_being_seen(
    steps: list[tuple[Mode | None, float]],
) -> None:
    optic, now = Sight(), 0.0
    since: dict[Mode, float] = {}
    noise = itertools.cycle([np.random.default_rng(seed).integers(60, 180, (90, 160), np.uint8) for seed in (1, 2)])
    for mode, elapsed in steps:
        now += elapsed
        seen = {mode} if mode is not None else set()
        if elapsed > sight.INTERRUPTED_AFTER:
            since.clear()
        since = {each: since.get(each, now) for each in seen}
        for change in optic.look(FACES[mode] if mode is not None else next(noise), now):
            if change.present and change.mode is not Mode.FROZEN:
                assert change.mode in seen
                assert now - since[change.mode] >= DURATIONS[change.mode]


def test_the_attention_of_an_optic_looks_and_relearns() -> None:
    attention = Attention()

    assert attention.wants_look(0.0)
    assert attention.look(scenes.street(), 0.0) == []
    assert not attention.wants_look(1.0)
    attention.relearn()
    assert attention.impairments == ()
