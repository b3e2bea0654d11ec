"""The register as a function of the records."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from argo.registry.v1 import placement_service_pb2, scene_pb2, site_pb2
from registry.domain.admission import Reason
from registry.public.disclosure import public_part
from registry.public.document import PUBLIC_REASONS, TECHNICAL, Camera, Rule, Sector, build, enum_word
from registry.public.records import Admission
from registry.public.serialisation import Edition, as_geojson, content, head
from tests.unit.registry import lawful
from tests.unit.registry.public.made_up import DAY, NOW, ROME, named, raw, records, register


def camera(name: str, now: datetime = NOW) -> Camera:
    return next(camera for camera in register(now).cameras if camera.name == name)


def test_a_fixed_camera_is_told_with_all_that_makes_it_lawful() -> None:
    fixed = camera("devices/f")

    assert fixed.site == "sites/alimonda"
    assert (fixed.purpose, fixed.regime, fixed.view) == ("urban_security", "gdpr", "hybrid")
    assert (fixed.act, fixed.controller, fixed.sign) == ("DGC 510/2025", "controllers/city", "C-118")
    assert (fixed.impact_assessment, fixed.optics, fixed.retention_days) == ("DPIA 2026/4", 2, 3)
    assert fixed.refusals == ()


def test_a_date_is_that_of_the_city() -> None:
    # 22:30 in Greenwich is already the next day in Turin.
    assert camera("devices/f").impact_assessment_date == date(2026, 4, 1)


def test_only_rules_that_run_are_told_and_only_by_their_kind() -> None:
    assert camera("devices/f").rules == (
        Rule("line_crossing", "shadow", "", (), 1),
        Rule("zone_intrusion", "live", "restricted", ("person",), 1),
    )


@pytest.mark.parametrize("kind", lawful.RULE_KINDS)
def test_of_a_rule_of_any_kind_only_the_kind_and_that_of_its_zone_are_told(kind: str) -> None:
    optic = "devices/f/optics/a"
    zone = lawful.zone(name=f"{optic}/zones/{lawful.PLACES['zone']}")
    rule = lawful.rule_of(kind, optic, name=f"{optic}/rules/r")
    part = public_part(rule)

    built = build(replace(records(), zones=[public_part(zone)], rules=[part]), NOW, ROME)

    watches_zone = "zone" in getattr(rule, kind).DESCRIPTOR.fields_by_name
    assert built.cameras[0].rules == (Rule(kind, "shadow", "restricted" if watches_zone else "", (), 1),)
    assert [field.name for field, _ in getattr(part, kind).ListFields()] == ["zone"] * watches_zone


def test_a_view_is_told_roughly_and_one_that_was_never_measured_not_at_all() -> None:
    assert camera("devices/f").sectors == (Sector("north", 90),)


@pytest.mark.parametrize(
    ("heading", "direction"), [(0, "north"), (22, "north"), (23, "north_east"), (180, "south"), (338, "north")]
)
def test_directions(heading: float, direction: str) -> None:
    optic = site_pb2.Optic(name="devices/f/optics/a", heading_degrees=heading, field_of_view_degrees=360)
    built = build(replace(records(), optics=[optic]), NOW, ROME)

    assert built.cameras[0].sectors == (Sector(direction, 360),)


def test_stays_of_a_mobile_camera_are_planned_present_and_past_for_a_year() -> None:
    mobile = camera("devices/m")

    assert mobile.site == "sites/montale"
    assert [stay.state for stay in mobile.placements] == ["past", "present", "planned"]
    assert {stay.decision for stay in mobile.placements} == {"COSP 88/2026"}
    assert mobile.placements[0].reason == "risse serali"


def test_time_alone_moves_a_mobile_camera_and_the_register_knows_when() -> None:
    first = register()
    assert first.fresh_until == NOW + DAY

    assert camera("devices/m", NOW + DAY).site == ""
    assert camera("devices/m", NOW + 5 * DAY).site == "sites/alimonda"
    assert register(NOW + 5 * DAY).fresh_until == NOW + 9 * DAY
    # The last thing that time does is to forget the last stay, a year after its end.
    assert register(NOW + 300 * DAY).fresh_until == NOW + (365 - 10) * DAY
    assert register(NOW + 4000 * DAY).fresh_until is None


def test_a_stay_until_the_end_of_time_is_no_error() -> None:
    stay = site_pb2.Deployment(name="devices/m/deployments/x", site="sites/alimonda")
    stay.start_time.FromDatetime(NOW - DAY)
    stay.end_time.FromDatetime(datetime(9999, 12, 31, tzinfo=UTC))

    assert build(replace(records(), deployments=[stay]), NOW, ROME).cameras[1].site == "sites/alimonda"


def test_refusals_say_in_public_words_what_is_missing_and_of_the_network_nothing() -> None:
    assert camera("devices/m").refusals == ("technical", "no_sign")


def test_a_camera_that_the_gate_has_not_seen_is_dark() -> None:
    assert build(replace(records(), admissions={}), NOW, ROME).cameras[0].refusals == (TECHNICAL,)


def test_every_reason_is_either_public_or_technical() -> None:
    """A new reason of the gate is technical until somebody decides otherwise; these are the ones decided on."""
    technical = {Reason.ADDRESS_OUTSIDE_NETWORK, Reason.DELETED, Reason.REBALANCED}

    assert {reason for reason in Reason if reason not in PUBLIC_REASONS} - technical == set()


def test_private_owners_are_not_named() -> None:
    shop, city = register().controllers

    assert shop.name == camera("devices/m").controller == "controllers/private-owner"
    assert (shop.kind, shop.display_name, shop.contact) == ("private_owner", "", "")
    assert (city.display_name, city.contact) == ("Città di Torino", "dpo@city.example")


def test_only_decided_requests_are_told() -> None:
    assert [decision.state for decision in register().decisions] == ["deployed", "refused"]
    assert register().decisions[0].measures == ("lighting",)


def test_a_mode_that_is_not_said_is_shadow_and_retention_that_is_not_said_is_a_week() -> None:
    optic = site_pb2.Optic(name="devices/f/optics/a")

    assert build(replace(records(), optics=[optic]), NOW, ROME).cameras[0].retention_days == 7


def test_equal_records_make_equal_registers_whatever_their_number() -> None:
    assert build(replace(records(), sequence=99), NOW, ROME) == register()


@pytest.mark.parametrize(
    ("enum", "number", "word"),
    [
        (site_pb2.LegalBasis.Purpose, site_pb2.LegalBasis.PURPOSE_URBAN_SECURITY, "urban_security"),
        (scene_pb2.Rule.Mode, scene_pb2.Rule.MODE_LIVE, "live"),
        (placement_service_pb2.PlacementRequest.Measure, 0, ""),
        (site_pb2.Device.View, 77, "other"),
    ],
)
def test_values_of_enums_lose_their_prefix(enum: Any, number: int, word: str) -> None:
    assert enum_word(enum, number) == word


# ---- JSON and GeoJSON ----------------------------------------------------------------------------------------------

EDITION = Edition(register(), NOW)


def test_json_says_what_it_is_and_of_when() -> None:
    assert head(EDITION) == {
        "version": "1.0",
        "revision": 17,
        "generated_time": "2026-11-22T12:00:00Z",
        "stale_since": None,
    }


def test_the_content_is_plain_json() -> None:
    body = json.loads(json.dumps(content(EDITION.register)))

    assert body.keys() == {"controllers", "sites", "cameras", "placement_decisions", "algorithms"}
    assert body["cameras"][1]["placements"][1]["end"] == "2026-11-23T12:00:00Z"
    assert body["cameras"][0]["impact_assessment_date"] == "2026-04-01"


def test_algorithms_are_told_in_the_fields_of_the_algorithm_register() -> None:
    crossing, intrusion = content(EDITION.register)["algorithms"]

    assert (crossing["kind"], crossing["status"], crossing["cameras_shadow"]) == ("line_crossing", "in_development", 1)
    assert (intrusion["status"], intrusion["cameras_live"], intrusion["source_data"]) == ("in_use", 1, ["person"])
    assert intrusion["goals"] == ["urban_security"]
    assert intrusion["lawful_bases"] == ["DGC 510/2025"]
    assert intrusion["impact_assessments"] == ["DPIA 2026/4"]
    assert intrusion["contacts"] == ["dpo@city.example"]
    assert intrusion["biometric_data"] is False


def test_geojson_is_what_rfc_7946_says() -> None:
    document = json.loads(json.dumps(as_geojson(EDITION)))

    assert document["type"] == "FeatureCollection"
    assert "crs" not in document
    for feature in document["features"]:
        assert feature.keys() == {"type", "id", "geometry", "properties"}
        assert feature["type"] == "Feature"
        assert isinstance(feature["properties"], dict)
        geometry = feature["geometry"]
        assert geometry.keys() == {"type", "coordinates"}
        assert geometry["type"] == "Point"
        longitude, latitude = geometry["coordinates"]
        # Turin, and not the sea off Yemen that swapped coordinates would be.
        assert 7 < longitude < 8
        assert 45 < latitude < 46
    names = {feature["id"]: feature["properties"] for feature in document["features"]}
    assert [camera["name"] for camera in names["sites/montale"]["cameras"]] == ["devices/m"]
    assert names["sites/alimonda"]["planned"] == ["devices/m"]


def test_a_site_without_a_camera_is_no_place_on_the_map() -> None:
    empty = named(site_pb2.Site(display_name="Deposito"), "sites/deposito")
    edition = Edition(build(replace(records(), sites=[*records().sites, empty]), NOW, ROME), NOW)  # type: ignore[list-item]

    assert "sites/deposito" not in {feature["id"] for feature in as_geojson(edition)["features"]}
    assert "sites/deposito" in {site["name"] for site in content(edition.register)["sites"]}


def test_nothing_that_is_withheld_is_in_any_byte() -> None:
    text = json.dumps(content(EDITION.register), ensure_ascii=False) + json.dumps(
        as_geojson(EDITION), ensure_ascii=False
    )
    withheld = (
        "10.0.0", "cameras/alimonda", "/Streaming", "/secret", "SN-0042", "5.7.11", "Acme", "Anna", "Neri", "Bianchi",
        "5550100", "Verdi", "mrossi", "spaccio", "sopralluogo", "finestra", "di notte", "4321", "polygon", "bianchi",
        "piazza Montale 4",
    )  # fmt: skip
    stored = " ".join(str(record) for found in raw().values() for record in found)

    assert [value for value in withheld if value in text] == []
    # They are in the records, or this test would prove nothing.
    assert all(value in stored for value in withheld)
    assert re.search(r"\d+\.\d+\.\d+\.\d+", text) is None


def test_an_admission_of_a_device_that_is_gone_changes_nothing() -> None:
    more = {**records().admissions, "devices/gone": Admission("", ())}

    assert build(replace(records(), admissions=more), NOW, ROME) == register()
