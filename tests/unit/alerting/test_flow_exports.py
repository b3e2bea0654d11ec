"""Counts in the words of other systems, each document against its schema."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from alerting.domain.flows.cells import Category, Cell, Key, Sums
from alerting.domain.flows.exports import datex2, five_t, ngsi_ld
from alerting.domain.flows.exports.observations import Direction, Observation, by_direction, exact, published
from alerting.domain.flows.places import Site
from alerting.domain.flows.release import OpenFlow, Published

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
OPTIC = "devices/statuto/optics/north"
LINE = Site(f"{OPTIC}/lines/gate", OPTIC, "sites/statuto", "Corso <Francia>", "Piazza Statuto", 45.0762, 7.6693)
ZONE = Site(f"{OPTIC}/zones/square", OPTIC, "sites/statuto", "", "Piazza Statuto", 45.0762, 7.6693)
NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)
FIVE = timedelta(minutes=5)
CARS = Observation(
    LINE, Category.MOTOR_VEHICLES, NOON, FIVE, 85.0, 12.2, 0.95, speed=9.2, left_to_right=45.0, right_to_left=35.0
)
BICYCLES = Observation(LINE, Category.BICYCLES, NOON, FIVE, 15.0, 6.2, 0.95)
WALKERS = Observation(
    LINE, Category.PEDESTRIANS, NOON, FIVE, 105.0, 6.2, 0.95, speed=1.3, left_to_right=55.0, right_to_left=45.0
)
CROWD = Observation(ZONE, Category.PEDESTRIANS, NOON, FIVE, 25.0, 6.2, 0.95, density=1.4)
ALL = [CARS, BICYCLES, WALKERS, CROWD]


def xml_schema(name: str) -> Any:
    return etree.XMLSchema(etree.parse(str(SCHEMAS / name)))


DATEX2 = xml_schema("datex2/payload.xsd")
TRAFFIC = xml_schema("traffic-data.xsd")
NGSI_LD = jsonschema.Draft202012Validator(
    json.loads((SCHEMAS / "flows.schema.json").read_text()), format_checker=jsonschema.FormatChecker()
)


def parsed(document: bytes | None, schema: Any) -> Any:
    """A valid document."""
    assert document is not None
    tree = etree.fromstring(document)
    schema.assertValid(tree)
    return tree


def texts(tree: Any, name: str) -> list[str]:
    return [element.text for element in tree.iter(f"{{*}}{name}")]


def test_pedestrians_are_crowd_flows_and_vehicles_traffic_flows() -> None:
    entities = ngsi_ld.entities(ALL)
    NGSI_LD.validate(entities)

    assert [entity["type"] for entity in entities] == ["TrafficFlowObserved"] * 2 + ["CrowdFlowObserved"] * 2
    cars, bicycles, walkers, crowd = entities
    assert (cars["intensity"], cars["averageVehicleSpeed"]) == (85.0, 33.12)
    assert bicycles["vehicleType"] == "bicycle"
    assert (walkers["peopleCount"], walkers["peopleCountTowards"], walkers["peopleCountAway"]) == (105, 55, 45)
    assert (crowd["peoplePresent"], crowd["density"], crowd["levelOfService"]) == (25.0, 1.4, "E")
    assert crowd["congested"] is True
    assert len({entity["id"] for entity in entities}) == 4
    assert cars["dateObserved"] == "2026-06-03T12:00:00Z/2026-06-03T12:05:00Z"
    assert cars["location"] == {"type": "Point", "coordinates": [7.6693, 45.0762]}


def test_measured_data_tell_flow_and_speed_of_each_site_and_direction() -> None:
    tree = parsed(datex2.measured_data(ALL, creator="Città di Torino", published=NOON), DATEX2)

    assert [element.get("id") for element in tree.iter("{*}measurementSiteReference")] == [
        "statuto:north:gate",
        "statuto:north:gate:negative",
        "statuto:north:gate:positive",
    ]
    assert texts(tree, "vehicleFlowRate") == ["180", "1020", "420", "540"]
    assert texts(tree, "speed") == ["33.1"] * 3
    assert texts(tree, "vehicleType") == ["bicycle"] + ["anyVehicle"] * 6
    assert set(texts(tree, "startOfPeriod")) == {"2026-06-03T12:00:00Z"}


def test_the_table_names_every_site_that_measured_data_refer_to() -> None:
    data = parsed(datex2.measured_data(ALL, creator="Torino", published=NOON), DATEX2)
    table = parsed(datex2.measurement_sites([LINE, ZONE], creator="Torino", published=NOON), DATEX2)

    named = {element.get("id") for element in table.iter("{*}measurementSite")}
    assert {element.get("id") for element in data.iter("{*}measurementSiteReference")} <= named
    assert texts(table, "value")[0] == "Piazza Statuto, Corso <Francia>"


def test_where_there_is_nothing_to_tell_datex_has_no_word_for_it() -> None:
    assert datex2.measured_data([WALKERS, CROWD], creator="Torino", published=NOON) is None
    nowhere = replace(LINE, latitude=None, longitude=None)
    assert datex2.measurement_sites([nowhere, ZONE], creator="Torino", published=NOON) is None


def test_the_form_of_5t_has_one_road_for_each_direction() -> None:
    tree = parsed(five_t.traffic_data(ALL, generated=NOON), TRAFFIC)

    roads = [
        (road.get("direction"), road[0].get("flow"), road[0].get("speed"), road.get("accuracy"))
        for road in tree.iter("{*}FDT_data")
    ]
    assert roads == [("positive", "540.00", "33.12", "95"), ("negative", "420.00", "33.12", "95")]
    assert not list(parsed(five_t.traffic_data([WALKERS], generated=NOON), TRAFFIC))


def test_a_road_with_one_direction_withheld_is_told_as_one() -> None:
    tree = parsed(five_t.traffic_data([replace(CARS, left_to_right=None, right_to_left=None)], generated=NOON), TRAFFIC)

    assert [(road.get("direction"), road[0].get("flow")) for road in tree.iter("{*}FDT_data")] == [("both", "1020.00")]


observations = st.lists(
    st.builds(
        Observation,
        site=st.sampled_from([LINE, ZONE, replace(LINE, latitude=None, longitude=None, display_name="\"&'")]),
        category=st.sampled_from(Category),
        start=st.sampled_from([NOON, NOON + FIVE]),
        interval=st.sampled_from([FIVE, timedelta(minutes=60)]),
        count=st.floats(0, 1e6),
        uncertainty=st.floats(0, 1e5),
        coverage=st.floats(0, 1),
        speed=st.none() | st.floats(0, 100),
        density=st.none() | st.floats(0, 20),
        left_to_right=st.none() | st.floats(0, 1e6),
        right_to_left=st.none() | st.floats(0, 1e6),
    ),
    max_size=6,
)


@given(observations)
def test_whatever_is_counted_every_document_is_valid(told: list[Observation]) -> None:
    NGSI_LD.validate(ngsi_ld.entities(told))
    parsed(five_t.traffic_data(told, generated=NOON), TRAFFIC)
    for document in (
        datex2.measured_data(told, creator="Torino", published=NOON),
        datex2.measurement_sites([item.site for item in told], creator="Torino", published=NOON),
    ):
        if document is not None:
            parsed(document, DATEX2)


def test_the_schemas_refuse_what_they_must() -> None:
    entity = {**ngsi_ld.entities([WALKERS])[0], "streamURL": "rtsp://camera"}
    assert not NGSI_LD.is_valid([entity])
    document = datex2.measured_data([CARS], creator="Torino", published=NOON)
    assert document is not None
    assert not DATEX2.validate(etree.fromstring(document.replace(b"anyVehicle", b"person")))
    traffic = five_t.traffic_data([CARS], generated=NOON)
    assert not TRAFFIC.validate(etree.fromstring(traffic.replace(b'direction="positive"', b'direction="up"')))


def test_exact_figures_are_summed_by_category() -> None:
    def cell(object_class: int, counted: int, coverage: float = 1.0, to_place: str = "") -> Cell:
        sums = Sums(left_to_right=counted, right_to_left=1, measured=counted, speed_sum=10.0 * counted, turned=counted)
        return Cell(Key(LINE.place, NOON, object_class, to_place), FIVE, coverage, sums)

    told = exact(
        [cell(0, 99), cell(3, 8), cell(7, 2), cell(1, 5), cell(3, 4, to_place=LINE.place), cell(2, 3, coverage=0.0)],
        {LINE.place: LINE},
        None,
    )

    assert [(item.category, item.count, item.left_to_right, item.speed) for item in told] == [
        (Category.MOTOR_VEHICLES, 12.0, 10.0, 10.0),
        (Category.PEDESTRIANS, 6.0, 5.0, 10.0),
    ]


def test_what_is_withheld_is_in_no_document() -> None:
    key = Key(LINE.place, NOON, int(Category.PEDESTRIANS))
    figures = Published(LINE.place, Category.PEDESTRIANS, 25, 6.0, None, None, None, None, 1.0)
    flows = [OpenFlow(key, FIVE, 1.0, 0, figures), OpenFlow(replace(key, start=NOON + FIVE), FIVE, 0.0, 1, None)]

    assert [(item.start, item.count) for item in published(flows, {LINE.place: LINE})] == [(NOON, 25.0)]


@pytest.mark.parametrize("known", [True, False])
def test_directions_are_told_by_themselves_where_both_are_known(*, known: bool) -> None:
    item = CARS if known else replace(CARS, right_to_left=None)

    directions = [Direction.LEFT_TO_RIGHT, Direction.RIGHT_TO_LEFT] if known else [Direction.BOTH]
    assert [part.direction for part in by_direction([item])] == directions
