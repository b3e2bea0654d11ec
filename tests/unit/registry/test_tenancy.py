from __future__ import annotations

import pytest

from argo.registry.v1 import site_pb2
from mesh.errors import PermissionDenied
from mesh.identity import Identity
from registry.resources import RESOURCES
from registry.tenancy import fill_owner, keep_owner, require_city_administrator, visible_to
from tests.unit.registry import lawful


def identity(path: str) -> Identity:
    return Identity("argo.local", path)


@pytest.mark.parametrize(
    ("path", "kind", "seen"),
    [
        ("service/alerting", "device", None),
        ("system/5t", "device", None),
        ("operator/mrossi", "device", "controllers/city"),
        ("administrator/mrossi", "device", "controllers/city"),
        ("administrator/mrossi", "controller", None),
        ("supervisor/mrossi", "controller", "controllers/city"),
        ("tenants/amiat/administrator/mrossi", "controller", "controllers/amiat"),
        ("tenants/amiat/operator/mrossi", "device", "controllers/amiat"),
        ("authority/questura", "device", "controllers/questura"),
    ],
)
def test_who_sees_what(path: str, kind: str, seen: str | None) -> None:
    assert visible_to(identity(path), kind) == seen


@pytest.mark.parametrize("path", ["tenants/amiat/administrator/x", "supervisor/x", "service/registry", "authority/x"])
def test_only_the_citys_administrators_keep_the_list_of_controllers(path: str) -> None:
    require_city_administrator(identity("administrator/x"))
    with pytest.raises(PermissionDenied):
        require_city_administrator(identity(path))


@pytest.mark.parametrize("kind", ["site", "device"])
def test_an_empty_controller_becomes_the_authors(kind: str) -> None:
    record = getattr(lawful, kind)(**({"legal_basis": None} if kind == "device" else {}))

    assert fill_owner(RESOURCES[kind], record, "controllers/amiat") == []
    assert controller_of(record) == "controllers/amiat"
    assert fill_owner(RESOURCES[kind], record, "controllers/amiat") == []
    assert [each.field for each in fill_owner(RESOURCES[kind], record, "controllers/city")] == [
        {"site": "site.controller", "device": "device.legal_basis.controller"}[kind]
    ]


def test_a_record_keeps_its_controller() -> None:
    stored, changed = lawful.site(controller="controllers/amiat"), lawful.site()

    assert keep_owner(RESOURCES["site"], stored, changed) == []
    assert changed.controller == "controllers/amiat"
    changed.controller = "controllers/city"
    assert [each.field for each in keep_owner(RESOURCES["site"], stored, changed)] == ["site.controller"]


@pytest.mark.parametrize("kind", ["controller", "optic", "zone", "rule", "deployment"])
def test_other_records_name_no_controller_of_their_own(kind: str) -> None:
    record = RESOURCES[kind].message(name="x")

    assert fill_owner(RESOURCES[kind], record, "controllers/amiat") == []
    assert keep_owner(RESOURCES[kind], record, record) == []
    assert record == RESOURCES[kind].message(name="x")


def controller_of(record: site_pb2.Site | site_pb2.Device) -> str:
    return record.controller if isinstance(record, site_pb2.Site) else record.legal_basis.controller
