from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from argo.registry.v1 import scene_pb2, site_pb2
from argo.type.v1 import object_class_pb2
from mesh.errors import InvalidArgument
from registry.masks import clear_output_only, merge
from registry.records import KEPT_BY_DATABASE, columns, etag, from_row, to_row
from registry.resources import RESOURCES
from tests.unit.registry import lawful

DATABASE = {"version": 1, "create_time": "2026-11-22T10:00:00+00:00", "update_time": "2026-11-22T10:00:00.5+00:00"}


def stored(kind: str, record: Any) -> Any:
    """The record after a row was made of it and read again."""
    resource = RESOURCES[kind]
    row = dict.fromkeys(columns(resource)) | json.loads(to_row(resource, record)) | DATABASE
    return from_row(resource, json.dumps(row))


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("site", lawful.site(name="sites/a")),
        ("device", lawful.device(name="devices/a")),
        ("optic", lawful.optic(name="devices/a/optics/b")),
        ("zone", lawful.zone(name="devices/a/optics/b/zones/c")),
        ("line", lawful.line(name="devices/a/optics/b/lines/c")),
        ("rule", lawful.rule("devices/a/optics/b", name="devices/a/optics/b/rules/c", classes=[1, 3])),
        *(
            ("rule", lawful.rule_of(kind, "devices/a/optics/b", name="devices/a/optics/b/rules/c"))
            for kind in lawful.RULE_KINDS
        ),
    ],
)
def test_a_row_holds_the_whole_record(kind: str, record: Any) -> None:
    again = stored(kind, record)
    assert again.etag
    clear_output_only(RESOURCES[kind], again)

    assert again == record


def test_zero_is_not_unset_in_a_flattened_message() -> None:
    record = lawful.site(name="sites/a")
    record.location.latitude = record.location.longitude = 0.0

    assert stored("site", record).HasField("location")
    record.ClearField("location")
    assert not stored("site", record).HasField("location")


def test_durations_survive_to_the_millisecond() -> None:
    record = lawful.rule("devices/a/optics/b", name="devices/a/optics/b/rules/c")
    record.zone_intrusion.zone = "devices/a/optics/b/zones/z"
    record.zone_intrusion.minimum_dwell.FromMilliseconds(1500)

    again = stored("rule", record)

    assert again.zone_intrusion.minimum_dwell.ToMilliseconds() == 1500
    assert again.WhichOneof("parameters") == "zone_intrusion"


@pytest.mark.parametrize("kind", lawful.RULE_KINDS)
def test_a_rule_that_leaves_all_to_its_defaults_stays_so(kind: str) -> None:
    record = scene_pb2.Rule(name="devices/a/optics/b/rules/c")
    parameters = getattr(record, kind)
    for place in set(lawful.PLACES) & set(parameters.DESCRIPTOR.fields_by_name):
        setattr(parameters, place, f"devices/a/optics/b/{place}s/x")

    assert getattr(stored("rule", record), kind) == parameters


def test_output_only_fields_have_no_column() -> None:
    for resource in RESOURCES.values():
        assert not KEPT_BY_DATABASE & set(columns(resource))
        assert not set(resource.output_only) & set(columns(resource))


def test_an_etag_tells_versions_and_lives_apart() -> None:
    made = datetime(2026, 11, 22, 10, tzinfo=UTC)

    assert etag("sites/a", made, 1) == etag("sites/a", made.astimezone(timezone(timedelta(hours=1))), 1)
    assert etag("sites/a", made, 1) != etag("sites/a", made, 2)
    assert etag("sites/a", made, 1) != etag("sites/a", made + timedelta(microseconds=1), 1)
    assert etag("sites/a", made, 1) != etag("sites/b", made, 1)


# ---- masks ---------------------------------------------------------------------------------------------------------


def merged(kind: str, before: Any, request: Any, *paths: str) -> Any:
    return merge(RESOURCES[kind], before, request, FieldMask(paths=paths))


def test_without_a_mask_every_set_field_changes() -> None:
    after = merged("site", lawful.site(), site_pb2.Site(lot="3"))

    assert after == lawful.site(lot="3")


def test_a_mask_changes_what_it_names_and_nothing_else() -> None:
    after = merged("site", lawful.site(), site_pb2.Site(lot="3", district="1"), "lot")

    assert after == lawful.site(lot="3")


def test_a_named_field_that_is_unset_is_cleared() -> None:
    assert merged("site", lawful.site(), site_pb2.Site(), "lot", "location") == lawful.site(lot="", location=None)


def test_a_path_reaches_inside() -> None:
    request = site_pb2.Device(legal_basis=site_pb2.LegalBasis(sign_reference="C-200", act="x"))

    after = merged("device", lawful.device(), request, "legal_basis.sign_reference")

    assert after.legal_basis.sign_reference == "C-200"
    assert after.legal_basis.dpia_reference == "DPIA 2026/4"
    assert after.legal_basis.act == ""


def test_a_star_replaces_all_but_what_the_registry_keeps() -> None:
    before = lawful.site(name="sites/a", etag="e")

    after = merged("site", before, site_pb2.Site(display_name="x"), "*")

    assert after == site_pb2.Site(name="sites/a", etag="e", display_name="x")


def test_repeated_fields_are_replaced() -> None:
    request = scene_pb2.Rule(classes=[object_class_pb2.OBJECT_CLASS_CAR])

    after = merged("rule", lawful.rule(classes=[1, 2]), request, "classes")

    assert list(after.classes) == [3]


def test_another_kind_of_parameters_takes_the_place_of_the_first() -> None:
    request = scene_pb2.Rule(zone_intrusion=scene_pb2.ZoneIntrusion(zone="z"))

    assert merged("rule", lawful.rule(), request).WhichOneof("parameters") == "zone_intrusion"


@pytest.mark.parametrize("path", ["name", "etag", "create_time", "refusals", "create_time.seconds"])
def test_output_only_paths_are_ignored(path: str) -> None:
    request = site_pb2.Device(name="devices/z", etag="z")

    assert merged("device", lawful.device(name="devices/a"), request, path) == lawful.device(name="devices/a")


@pytest.mark.parametrize("path", ["colour", "legal_basis.colour", "display_name.x", "refusals.reason", "", "*.x"])
def test_unknown_paths_are_all_named(path: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        merged("device", lawful.device(), site_pb2.Device(), "display_name", path, "nonsense")

    assert refused.value.reason == "UNKNOWN_FIELD"
    assert len(refused.value.violations) == 2


def test_a_star_stands_alone() -> None:
    with pytest.raises(InvalidArgument):
        merged("site", lawful.site(), site_pb2.Site(), "*", "lot")
