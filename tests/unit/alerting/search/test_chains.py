from __future__ import annotations

from dataclasses import replace

import pytest

from alerting.domain.search import chains, width
from alerting.domain.search.atlas import Atlas
from alerting.domain.search.chains import UNSEEN, link
from alerting.domain.search.memberships import CAR, PERSON
from alerting.domain.search.query import Query, Track
from alerting.domain.search.scoring import Scored
from alerting.domain.search.width import Limits, Width
from mesh.errors import FailedPrecondition, InvalidArgument
from tests.unit.alerting.search.tracks import ATLAS, sighting, track

CORSO, BORGO = "devices/corso/optics/a", "devices/borgo/optics/a"


def at(optic: str, site: str, number: int, seconds: float, stay: float = 20.0) -> Track:
    return track(number, seconds, stay, optic=optic, site=site)


def test_a_way_that_nobody_can_drive_is_no_way() -> None:
    here = track(1, 0.0, 20.0)
    far = at(BORGO, "sites/borgo", 2, 80.0)
    assert link(here, far, ATLAS).feasibility == 0.0, "six kilometres in a minute"
    assert link(here, at(BORGO, "sites/borgo", 2, 620.0), ATLAS).feasibility == 1.0
    slow = link(here, at(BORGO, "sites/borgo", 2, 7200.0), ATLAS).feasibility
    assert 0.2 <= slow < 0.5, "it has stopped, or gone another way"


def test_speeds_above_the_limit_of_towns_count_less_and_less() -> None:
    here = track(1, 0.0, 20.0)
    values = [link(here, at(BORGO, "sites/borgo", 2, 20.0 + t), ATLAS).feasibility for t in (500, 300, 220, 180, 160)]
    assert values == sorted(values, reverse=True)
    assert values[0] == 1.0
    assert values[-1] == 0.0


def test_one_optic_never_sees_one_vehicle_twice_at_once() -> None:
    assert link(track(1, 0.0, 20.0), track(2, 10.0, 20.0), ATLAS).feasibility == 0.0
    assert link(track(1, 0.0, 20.0), track(2, 30.0, 20.0), ATLAS).feasibility == 1.0


def test_two_places_at_once_are_two_vehicles_unless_the_views_may_overlap() -> None:
    here = track(1, 0.0, 60.0)
    assert link(here, at(CORSO, "sites/corso", 2, 30.0), ATLAS).feasibility == 0.0
    beside = at("devices/alimonda/optics/south", "sites/alimonda", 2, 30.0)
    assert link(here, beside, ATLAS).feasibility == 0.5
    assert link(beside, here, ATLAS).feasibility == 0.0, "it was seen here first"


def test_what_is_not_on_the_map_is_said_to_be_unknown() -> None:
    way = link(track(1), at("devices/x/optics/y", "sites/gone", 2, 300.0), Atlas())
    assert way.feasibility == 0.5
    assert "not known" in way.explanation


def test_every_other_vehicle_that_fits_as_well_makes_a_chain_less_plausible() -> None:
    first = [Scored(track(1), 1.0)]

    def after(count: int) -> list[Scored]:
        return [Scored(at(CORSO, "sites/corso", number, 200.0 + number), 1.0) for number in range(count)]

    alone, _ = chains.chains([first, after(1)], ATLAS, 10)
    crowd, _ = chains.chains([first, after(4)], ATLAS, 10)

    assert alone[0].plausibility == pytest.approx(1.0 / (1.0 + UNSEEN))
    assert alone[0].alternatives == (0,)
    assert [chain.alternatives for chain in crowd] == [(3,)] * 4
    assert crowd[0].plausibility == pytest.approx(1.0 / (4.0 + UNSEEN))
    assert crowd[0].explanations[0].endswith("3 other vehicles fit as well")
    assert sum(chain.plausibility for chain in crowd) <= 1.0


def test_a_chain_goes_through_all_of_its_sightings_in_their_order() -> None:
    legs = [
        [Scored(track(1), 1.0)],
        [Scored(at(CORSO, "sites/corso", 2, 200.0), 0.8), Scored(at(CORSO, "sites/corso", 3, 21.0), 1.0)],
        [Scored(at(BORGO, "sites/borgo", 4, 1200.0), 0.9)],
    ]
    found, more = chains.chains(legs, ATLAS, 10)
    assert [[each.track.track for each in chain.matches] for chain in found] == [[1, 2, 4]]
    assert more is False
    assert len(found[0].explanations) == 2
    assert chains.chains([legs[0], []], ATLAS, 10) == ([], False)


def test_only_the_best_are_carried_on_and_it_is_said() -> None:
    many = [Scored(at(CORSO, "sites/corso", number, 200.0 + number), 0.9) for number in range(chains.WIDEST + 50)]
    found, more = chains.chains([[Scored(track(1), 1.0)], many], ATLAS, 20)
    assert (len(found), more) == (20, True)
    assert found == sorted(found, key=lambda chain: chain.order)


@pytest.mark.parametrize("classes", [frozenset(), frozenset({PERSON}), frozenset({CAR, PERSON}), frozenset({2, CAR})])
def test_nobody_but_a_vehicle_is_followed(classes: frozenset[int]) -> None:
    query = Query(classes, frozenset(), (sighting(), sighting()))
    with pytest.raises(InvalidArgument) as raised:
        chains.check(query)
    assert raised.value.reason == "CHAIN_OF_PERSONS"
    chains.check(replace(query, sightings=(sighting(),)))
    chains.check(replace(query, classes=frozenset({CAR})))


LIMITS = Limits(optic_hours=10.0, matches=100, matches_approved=1000)


@pytest.mark.parametrize(
    ("found", "approved", "passes"),
    [
        (Width(10.0, 100), False, True),
        (Width(10.1, 100), False, False),
        (Width(10.0, 101), False, False),
        (Width(500.0, 1000), True, True),
        (Width(1.0, 1001), True, False),
    ],
)
def test_a_search_is_too_wide_by_place_and_time_or_by_what_there_is(
    found: Width, *, approved: bool, passes: bool
) -> None:
    if passes:
        width.check(found, LIMITS, approved=approved)
        return
    with pytest.raises(FailedPrecondition) as raised:
        width.check(found, LIMITS, approved=approved)
    assert raised.value.reason == "SEARCH_TOO_WIDE"
    assert raised.value.metadata["opticHours"] == f"{found.optic_hours:.1f}"


def test_optic_hours_count_the_tolerance() -> None:
    assert width.optic_hours([(sighting(), 3), (sighting(), 0)]) == pytest.approx(3 * (1 + 2 / 6))
