from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argo.registry.v1 import admission_pb2
from registry.domain.admission import DESCRIPTIONS, Admitted, Deployment, Device, Reason, Refused, admit
from registry.domain.network import CameraNetworks

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
NETWORKS = CameraNetworks((ipaddress.ip_network("10.0.0.0/8"),))
FIXED = Device(
    name="devices/palo-12",
    address="10.0.0.12",
    mobile=False,
    site="sites/alimonda",
    has_purpose=True,
    dpia_reference="DPIA 2026/4",
    sign_reference="C-118",
)
MOBILE = FIXED._replace(mobile=True, site="")
HERE = Deployment("sites/montanaro", "COSP 88/2026", NOW - HOUR, NOW + HOUR)


def test_the_contract_has_the_same_reasons() -> None:
    in_contract = {name.removeprefix("REASON_") for name in admission_pb2.Refusal.Reason.keys()}  # noqa: SIM118 - no mapping

    assert {reason.value for reason in Reason} == in_contract - {"UNSPECIFIED"}
    assert DESCRIPTIONS.keys() == set(Reason)


def test_a_complete_fixed_device_is_admitted_where_it_stands() -> None:
    assert admit(FIXED, [], NOW, NETWORKS) == Admitted("sites/alimonda")


def test_a_mobile_device_is_admitted_where_its_deployment_puts_it() -> None:
    elsewhere = HERE._replace(site="sites/montale", start=NOW + HOUR, end=NOW + 2 * HOUR)

    assert admit(MOBILE, [elsewhere, HERE], NOW, NETWORKS) == Admitted("sites/montanaro")
    assert admit(MOBILE, [elsewhere, HERE], NOW + HOUR, NETWORKS) == Admitted("sites/montale")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"site": ""}, Reason.SITE_MISSING),
        ({"has_purpose": False}, Reason.PURPOSE_MISSING),
        ({"dpia_reference": ""}, Reason.DPIA_REFERENCE_MISSING),
        ({"dpia_reference": "  "}, Reason.DPIA_REFERENCE_MISSING),
        ({"sign_reference": ""}, Reason.SIGN_REFERENCE_MISSING),
        ({"address": "192.168.1.1"}, Reason.ADDRESS_OUTSIDE_NETWORK),
        ({"address": "not an address"}, Reason.ADDRESS_OUTSIDE_NETWORK),
        ({"address": "camera.example"}, Reason.ADDRESS_OUTSIDE_NETWORK),
        ({"mobile": True}, Reason.DECISION_MISSING),
    ],
)
def test_each_missing_fact_refuses(change: dict[str, object], reason: Reason) -> None:
    decision = admit(FIXED._replace(**change), [], NOW, NETWORKS)  # type: ignore[arg-type]

    assert isinstance(decision, Refused)
    assert decision.reasons == (reason,)


@pytest.mark.parametrize(
    ("stays", "reasons"),
    [
        ([(1, 2)], (Reason.PLACEMENT_NOT_STARTED,)),
        ([(-2, -1)], (Reason.PLACEMENT_ENDED,)),
        ([(-2, -1), (1, 2)], (Reason.PLACEMENT_NOT_STARTED, Reason.PLACEMENT_ENDED)),
        ([(-2, 0)], (Reason.PLACEMENT_ENDED,)),
    ],
)
def test_a_mobile_device_outside_its_time_is_refused(stays: list[tuple[int, int]], reasons: tuple[Reason, ...]) -> None:
    deployments = [Deployment("sites/x", "COSP 1", NOW + start * HOUR, NOW + end * HOUR) for start, end in stays]

    assert admit(MOBILE, deployments, NOW, NETWORKS) == Refused(reasons)


def test_all_reasons_are_given_at_once() -> None:
    bare = Device(
        "devices/x", "8.8.8.8", mobile=False, site="", has_purpose=False, dpia_reference="", sign_reference=""
    )

    decision = admit(bare, [], NOW, NETWORKS)

    assert isinstance(decision, Refused)
    assert set(decision.reasons) == {
        Reason.SITE_MISSING,
        Reason.PURPOSE_MISSING,
        Reason.DPIA_REFERENCE_MISSING,
        Reason.SIGN_REFERENCE_MISSING,
        Reason.ADDRESS_OUTSIDE_NETWORK,
    }


@st.composite
def lists_of_stays(draw: st.DrawFn) -> list[Deployment]:
    """Deployments that do not overlap, in any order."""
    bounds = sorted(draw(st.lists(st.integers(-1000, 1000), min_size=0, max_size=10, unique=True)))
    pairs = list(zip(bounds[::2], bounds[1::2], strict=False))
    stays = [
        Deployment(f"sites/s{index}", f"COSP {index}", NOW + timedelta(minutes=start), NOW + timedelta(minutes=end))
        for index, (start, end) in enumerate(pairs)
    ]
    return draw(st.permutations(stays))


@given(lists_of_stays(), st.integers(-1100, 1100))
def test_a_mobile_device_streams_exactly_inside_its_stays(stays: list[Deployment], minute: int) -> None:
    now = NOW + timedelta(minutes=minute)
    decision = admit(MOBILE, stays, now, NETWORKS)

    covering = [stay for stay in stays if stay.start <= now and not stay.end <= now]
    if covering:
        assert decision == Admitted(covering[0].site)
    else:
        assert isinstance(decision, Refused)
        assert (Reason.DECISION_MISSING in decision.reasons) == (not stays)
        assert (Reason.PLACEMENT_ENDED in decision.reasons) == any(stay.end <= now for stay in stays)
        assert (Reason.PLACEMENT_NOT_STARTED in decision.reasons) == any(stay.start > now for stay in stays)


@given(lists_of_stays(), st.integers(-1100, 1100))
def test_the_order_of_deployments_does_not_matter(stays: list[Deployment], minute: int) -> None:
    now = NOW + timedelta(minutes=minute)

    assert admit(MOBILE, stays, now, NETWORKS) == admit(MOBILE, stays[::-1], now, NETWORKS)
