"""Whether a scene fits the place, and deployments in time, against models that count the days one by one."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.admission import Admitted, Deployment, Device, Reason, Refused, admit
from registry.domain.network import CameraNetworks
from registry.domain.scene import Place, is_confirmed, present_place

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NETWORKS = CameraNetworks((ipaddress.ip_network("10.0.0.0/8"),))
SITES = ("sites/alimonda", "sites/montale")
HORIZON = 24


def device(*, mobile: bool, site: str = "") -> Device:
    return Device("devices/d", "10.0.0.1", mobile, site, has_purpose=True, dpia_reference="D", sign_reference="S")


def stay(number: int, first: int, last: int, site: str = SITES[0]) -> Deployment:
    return Deployment(
        site, f"COSP {number}", START + first * DAY, START + last * DAY, f"devices/d/deployments/d{number}"
    )


@st.composite
def plans(draw: st.DrawFn) -> list[Deployment]:
    """Deployments of one device as the database lets them be stored: they do not overlap; in any order."""
    cuts = sorted(draw(st.sets(st.integers(0, HORIZON), min_size=2, max_size=10)))
    found = [
        stay(number, first, last, draw(st.sampled_from(SITES)))
        for number, (first, last) in enumerate(itertools.pairwise(cuts))
        if draw(st.booleans())
    ]
    return draw(st.permutations(found))


instants = st.integers(-24, (HORIZON + 2) * 24).map(lambda hours: START + timedelta(hours=hours))


# ---- fixed devices -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confirmed", "site", "valid"),
    [
        (Place(SITES[0]), SITES[0], True),
        (Place(SITES[0]), SITES[1], False),
        (None, SITES[0], False),
        (Place(SITES[0]), "", False),
        (Place(SITES[0], "devices/d/deployments/d1"), SITES[0], False),
    ],
)
def test_a_fixed_device_is_confirmed_for_its_site(confirmed: Place | None, site: str, *, valid: bool) -> None:
    assert is_confirmed(confirmed, device(mobile=False, site=site), (), START) is valid


# ---- mobile devices ------------------------------------------------------------------------------------------------


def test_a_confirmation_ends_with_its_deployment() -> None:
    stays = [stay(1, 0, 2), stay(2, 3, 5)]
    confirmed = Place(SITES[0], stays[0].name)
    carro = device(mobile=True)

    assert is_confirmed(confirmed, carro, stays, START + DAY)
    assert not is_confirmed(confirmed, carro, stays, START + 2 * DAY)
    assert not is_confirmed(confirmed, carro, stays, START + 4 * DAY)


def test_a_follow_on_at_the_same_site_keeps_it_and_one_elsewhere_does_not() -> None:
    stays = [stay(1, 0, 2), stay(2, 2, 4), stay(3, 4, 6, SITES[1]), stay(4, 6, 8)]
    confirmed = Place(SITES[0], stays[0].name)
    valid = [is_confirmed(confirmed, device(mobile=True), stays, START + day * DAY) for day in range(8)]

    assert valid == [True] * 4 + [False] * 4


def test_a_confirmation_of_a_later_stay_says_nothing_of_an_earlier_one() -> None:
    stays = [stay(1, 0, 2), stay(2, 2, 4)]

    assert not is_confirmed(Place(SITES[0], stays[1].name), device(mobile=True), stays, START)


@given(plans(), instants, instants)
def test_confirmations_against_a_walk_through_time(
    stays: Sequence[Deployment], confirmed_at: datetime, now: datetime
) -> None:
    carro = device(mobile=True)
    confirmed = present_place(carro, stays, confirmed_at)

    # Day by day from the confirmation on: it holds until the device is seen nowhere or elsewhere.
    holds = confirmed is not None and now >= confirmed_at
    moment = confirmed_at
    while holds and moment <= now:
        place = present_place(carro, stays, moment)
        holds = place is not None and confirmed is not None and place.site == confirmed.site
        moment += timedelta(hours=1)

    if now >= confirmed_at:
        assert is_confirmed(confirmed, carro, stays, now) is holds


# ---- deployments in time -------------------------------------------------------------------------------------------


@given(plans(), instants)
def test_a_mobile_device_is_admitted_exactly_while_one_deployment_covers_the_moment(
    stays: Sequence[Deployment], now: datetime
) -> None:
    covering = [each for each in stays if each.start <= now < each.end]

    decision = admit(device(mobile=True), stays, now, NETWORKS)

    assert len(covering) <= 1
    if covering:
        assert decision == Admitted(covering[0].site)
        assert present_place(device(mobile=True), stays, now) == Place(covering[0].site, covering[0].name)
    else:
        reasons = {Reason.DECISION_MISSING} if not stays else set()
        reasons |= {Reason.PLACEMENT_NOT_STARTED} if any(each.start > now for each in stays) else set()
        reasons |= {Reason.PLACEMENT_ENDED} if any(each.end <= now for each in stays) else set()
        assert isinstance(decision, Refused)
        assert (set(decision.reasons), decision.site) == (reasons, "")
        assert present_place(device(mobile=True), stays, now) is None
