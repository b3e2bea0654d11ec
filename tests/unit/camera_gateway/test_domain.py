from __future__ import annotations

import functools
import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_gateway.domain import networks
from camera_gateway.domain.coverage import CoverageLedger, Stage
from camera_gateway.domain.leases import LeaseTable
from camera_gateway.domain.motion import MotionGate
from camera_gateway.domain.slot import NewestSlot
from camera_gateway.domain.tracks import TrackCount

ALLOWED = [ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00:cafe::/32")]


# --- slot


@given(st.lists(st.one_of(st.integers(), st.none())))
def test_the_slot_holds_the_newest_and_counts_the_others(steps: list[int | None]) -> None:
    slot: NewestSlot[int] = NewestSlot()
    newest: int | None = None
    taken = put = 0
    for step in steps:
        if step is None:
            assert slot.take() == newest
            taken += newest is not None
            newest = None
        else:
            assert slot.put(step) is (newest is not None)
            newest, put = step, put + 1

    assert slot.replaced == put - taken - (newest is not None)


# --- networks


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:0a01:0203::1", "fd00:cafe::7", "fd00:cafe::7%eth0"],
)
def test_an_address_inside_is_inside_in_every_disguise(address: str) -> None:
    assert networks.is_inside(address, ALLOWED)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.2.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "64:ff9b::127.0.0.1",
        "2002:7f00:1::",
        "fe80::1%lo",
    ],
)
def test_an_address_outside_is_outside_in_every_disguise(address: str) -> None:
    assert not networks.is_inside(address, ALLOWED)


def test_a_mapped_address_is_not_inside_an_ipv6_network_that_holds_all_of_them() -> None:
    assert not networks.is_inside("::ffff:127.0.0.1", [ipaddress.ip_network("::/0")])


@pytest.mark.parametrize("resolved", [[], ["127.0.0.1"], ["10.1.2.3", "127.0.0.1"], ["127.0.0.1", "10.1.2.3"]])
def test_a_name_with_any_address_outside_is_refused(resolved: list[str]) -> None:
    with pytest.raises(networks.AddressRefusedError) as caught:
        networks.choose("camera", resolved, ALLOWED)

    assert len(caught.value.addresses) == len(resolved)


def test_the_address_that_was_checked_is_the_one_to_dial() -> None:
    assert networks.choose("camera", ["::ffff:10.1.2.3"], ALLOWED) == "10.1.2.3"


# --- coverage


def ledger_with(*frames: float) -> CoverageLedger:
    ledger = CoverageLedger(0.0)
    for time in frames:
        ledger.on_frame(Stage.RECEIVED, time)
    return ledger


def test_a_second_counts_once_however_many_frames_it_has() -> None:
    coverage = ledger_with(0.1, 0.2, 0.9, 1.5, 2.5).close(4.0)

    assert coverage.seconds == {Stage.RECEIVED: 3.0, Stage.ANALYSED: 0.0, Stage.MASKED: 0.0}
    assert (coverage.elapsed, coverage.lost) == (4.0, 1.0)


def test_a_gap_has_its_bounds_and_the_reason_that_held() -> None:
    ledger = ledger_with(1.0)
    ledger.explain(Stage.RECEIVED, "stall")
    ledger.on_frame(Stage.RECEIVED, 11.0)

    gaps = [gap for gap in ledger.close(12.0).gaps if gap.stage is Stage.RECEIVED]

    assert [(gap.since, gap.until, gap.reason) for gap in gaps] == [(1.0, 11.0, "stall")]


def test_a_gap_across_intervals_is_told_in_parts() -> None:
    ledger = ledger_with(1.0)
    parts = [gap for end in (6.0, 11.0, 16.0) for gap in ledger.close(end).gaps if gap.stage is Stage.RECEIVED]

    assert [(gap.since, gap.until) for gap in parts] == [(1.0, 6.0), (6.0, 11.0), (11.0, 16.0)]


@given(frames=st.lists(st.floats(0, 100), max_size=50), ends=st.lists(st.floats(0, 120), max_size=5))
def test_nothing_is_counted_as_seen_that_was_not(frames: list[float], ends: list[float]) -> None:
    ledger = CoverageLedger(0.0)
    received = 0.0
    steps = sorted([(time, True) for time in frames] + [(time, False) for time in ends])
    for time, is_frame in steps:
        if is_frame:
            ledger.on_frame(Stage.RECEIVED, time)
            continue
        coverage = ledger.close(time)
        assert 0 <= coverage.seconds[Stage.RECEIVED] <= coverage.elapsed
        assert coverage.lost >= 0
        assert all(coverage.since <= gap.since <= gap.until <= coverage.until for gap in coverage.gaps)
        received += coverage.seconds[Stage.RECEIVED]
    total = ledger.total(200.0)

    assert received <= total.seconds[Stage.RECEIVED] <= len({int(time) for time in frames})
    assert total.seconds[Stage.RECEIVED] + total.lost == total.elapsed == 200.0


# --- motion


def street(moved: int = 0, noise: int = 0, seed: int = 0) -> np.ndarray:
    picture = np.random.default_rng(1).integers(60, 120, (360, 640)).astype(np.int16)
    picture += np.random.default_rng(seed).integers(-noise, noise + 1, picture.shape).astype(np.int16)
    picture[100:160, 100 + moved : 130 + moved] = 220
    return np.clip(picture, 0, 255).astype(np.uint8)


def admitted(pictures: list[np.ndarray], *, rate: float = 5.0, every: float = 0.04) -> list[int]:
    gate = MotionGate(rate)
    return [
        number
        for number, picture in enumerate(pictures)
        if gate.due(number * every) and gate.admit(functools.partial(np.asarray, picture), number * every)
    ]


def test_a_moving_scene_is_analysed_at_the_policy_s_rate() -> None:
    numbers = admitted([street(moved=2 * number) for number in range(250)])

    # Five a second, each up to two pictures early.
    assert 50 <= len(numbers) <= 51


def test_pictures_at_the_policy_s_rate_lose_none_by_jitter() -> None:
    arrivals = np.arange(200) / 5 + np.random.default_rng(4).uniform(0, 0.07, 200)
    gate = MotionGate(5.0)
    for arrival in arrivals.tolist():
        assert gate.due(arrival)
        gate.pass_over(arrival)


def test_a_still_and_noisy_scene_is_analysed_at_the_heartbeat() -> None:
    numbers = admitted([street(noise=6, seed=number) for number in range(500)])

    assert len(numbers) <= 0.5 * 20 + 5 * 4
    assert max(np.diff(numbers)) <= 2.3 / 0.04


def test_motion_after_stillness_is_seen_at_once() -> None:
    still = [street(noise=3, seed=number) for number in range(400)]
    moving = [street(moved=3 * number, noise=3, seed=number) for number in range(50)]

    numbers = [number for number in admitted(still + moving) if number >= 400]

    assert numbers[0] <= 400 + 2 * 6
    assert len(numbers) >= 9


def test_a_camera_slower_than_the_policy_loses_nothing() -> None:
    assert len(admitted([street(moved=8 * number) for number in range(50)], rate=5.0, every=0.25)) == 50


# --- tracks and leases


def test_tracks_are_counted_once_and_zero_is_none() -> None:
    count = TrackCount(memory=4)
    for ids in ([7, 0], [7, 8], [], [8], [8], [8], [8], [8], [7]):
        count.on_verdict(ids)

    assert count.current == 1
    # 7 was not seen for longer than the memory: it counts as a new one, and is not kept.
    assert count.total == 3


def test_a_lease_ends_at_its_time_and_later_while_the_registry_is_away() -> None:
    table = LeaseTable(grace=15.0)
    table.hold("devices/a", 100.0)
    table.renew(["devices/a", "devices/unknown"], 110.0)

    assert table.devices == ["devices/a"]
    assert table.take_expired(109.9, registry_away=False) == []
    assert table.take_expired(124.9, registry_away=True) == []
    assert table.take_expired(110.0, registry_away=False) == ["devices/a"]
    assert table.devices == []
    assert not table.drop("devices/a")
