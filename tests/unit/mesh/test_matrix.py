"""Deciding by the permission matrix."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.access import Caller, load, matrix
from mesh.errors import PermissionDenied
from mesh.identity import Grant, Identity

TEXT = """
[rights]
deferred = "look back"
[purposes]
security = "led"
traffic = "gdpr"
[roles]
operator = { rights = [], purposes = ["security"] }
supervisor = { rights = ["deferred"], purposes = ["security"] }
[groups]
people = ["operator", "supervisor"]
[tenants]
welcome = ["argo.kept.v1"]
[tokens]
carriers = ["system"]
[methods."argo.test.v1.ClipService"]
ReadClip.callers = ["supervisor", "service/alerting"]
ReadClip.right = "deferred"
ReadClip.purposes = ["security"]
ReadClip.break_glass = ["operator"]
[methods."argo.kept.v1.NoteService"]
GetNote = { callers = ["people"] }
"""
CLIP, NOTE = "/argo.test.v1.ClipService/ReadClip", "/argo.kept.v1.NoteService/GetNote"
MATRIX = load(TEXT)


def identity(path: str) -> Identity:
    return Identity("argo.local", path)


def bearer(*roles: str, rights: frozenset[str] = frozenset(), purposes: str = "security", taken: str = "") -> Caller:
    identities = tuple(identity(f"{role}/mrossi") for role in roles)
    grant = Grant(rights=rights, purposes=frozenset({purposes}), token_id="t1")
    return Caller(identities, grant, frozenset({taken} - {""}))


def reason_of(caller: Caller, method: str) -> str:
    with pytest.raises(PermissionDenied) as caught:
        MATRIX.admit(caller, method)
    return caught.value.reason


def test_a_certificate_has_what_its_role_brings() -> None:
    supervisor = MATRIX.by_certificate(identity("supervisor/mrossi"))
    operator = MATRIX.by_certificate(identity("operator/mrossi"))

    assert MATRIX.admit(supervisor, CLIP).path == "supervisor/mrossi"
    assert reason_of(operator, CLIP) == "METHOD_NOT_ALLOWED"
    assert MATRIX.admit(MATRIX.by_certificate(identity("service/alerting")), CLIP).path == "service/alerting"
    assert reason_of(MATRIX.by_certificate(identity("service/detector")), CLIP) == "METHOD_NOT_ALLOWED"


def test_the_first_role_that_is_admitted_acts() -> None:
    caller = bearer("operator", "supervisor", rights=frozenset({"deferred"}))

    assert MATRIX.admit(caller, CLIP).path == "supervisor/mrossi"
    assert MATRIX.admit(caller, NOTE).path == "operator/mrossi"


def test_a_role_without_its_right_is_not_enough() -> None:
    assert reason_of(bearer("supervisor"), CLIP) == "RIGHT_MISSING"


def test_traffic_asks_for_no_clip_of_security() -> None:
    caller = bearer("supervisor", rights=frozenset({"deferred"}), purposes="traffic")

    assert reason_of(caller, CLIP) == "PURPOSE_NOT_ALLOWED"


def test_who_breaks_the_glass_acts_in_its_own_role_and_for_the_same_purpose() -> None:
    assert MATRIX.admit(bearer("operator", taken="deferred"), CLIP).path == "operator/mrossi"
    assert reason_of(bearer("operator", taken="deferred", purposes="traffic"), CLIP) == "PURPOSE_NOT_ALLOWED"
    assert reason_of(bearer("operator", taken="export"), CLIP) == "METHOD_NOT_ALLOWED"


def test_the_people_of_tenants_reach_only_what_keeps_them_apart() -> None:
    caller = MATRIX.by_certificate(identity("tenants/amiat/supervisor/lbianchi"))

    assert MATRIX.admit(caller, NOTE).path == "tenants/amiat/supervisor/lbianchi"
    assert reason_of(caller, CLIP) == "METHOD_NOT_ALLOWED"


def test_what_has_no_row_is_refused() -> None:
    assert reason_of(MATRIX.by_certificate(identity("supervisor/x")), "/argo.test.v1.ClipService/Other") == (
        "METHOD_NOT_ALLOWED"
    )


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ('["people"]', '["poeple"]', "argo.kept.v1.NoteService/GetNote: there is no poeple"),
        ('right = "deferred"', 'right = "deffered"', "there is no deffered"),
        ('ReadClip.purposes = ["security"]', 'ReadClip.purposes = ["safety"]', "there is no safety"),
        ('break_glass = ["operator"]', 'break_glass = ["anybody"]', "there is no anybody"),
        ('break_glass = ["operator"]', 'brake_glass = ["operator"]', "a row has callers"),
        ('["operator", "supervisor"]', '["operator", "visor"]', "group people: there is no visor"),
    ],
)
def test_a_mistake_in_the_file_is_named(right: str, wrong: str, place: str) -> None:
    with pytest.raises(ValueError, match=place):
        load(TEXT.replace(right, wrong))


def test_every_role_that_a_row_names_can_be_shown_by_a_certificate() -> None:
    for role in matrix().roles:
        assert Identity.parse(f"spiffe://argo.local/{role}/x").kind == role


def test_no_service_opens_methods_past_the_matrix() -> None:
    root = Path(__file__).parents[3]
    services = ("registry", "camera_gateway", "detector", "anonymizer", "alerting")
    offenders = [
        path.relative_to(root)
        for service in services
        for path in (root / service).rglob("*.py")
        if "grpc.open(" in path.read_text() or "server.open(" in path.read_text()
    ]

    assert offenders == []
