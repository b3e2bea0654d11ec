from __future__ import annotations

import pytest

from mesh.errors import PermissionDenied, Unauthenticated
from mesh.identity import Identity, acting_as, current_identity, identify

NAMES = ["registry", "spiffe://argo.local/service/registry", "localhost"]


def test_identity_is_found_among_the_alternative_names() -> None:
    identity = identify(NAMES, "argo.local")

    assert identity == Identity("argo.local", "service/registry")
    assert (identity.kind, identity.name) == ("service", "registry")
    assert identity.uri == "spiffe://argo.local/service/registry"


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["registry"], "IDENTITY_MISSING"),
        ([], "IDENTITY_MISSING"),
        ([*NAMES, "spiffe://argo.local/administrator/x"], "IDENTITY_MISSING"),
        (["spiffe://argo.local/robot/x"], "IDENTITY_MALFORMED"),
        (["spiffe://argo.local/service/"], "IDENTITY_MALFORMED"),
        (["spiffe://argo.local/service/a/b"], "IDENTITY_MALFORMED"),
        (["spiffe://argo.local/service/a\n"], "IDENTITY_MALFORMED"),
        (["spiffe://argo.local/service/*"], "IDENTITY_MALFORMED"),
    ],
)
def test_a_certificate_without_one_good_identity_is_refused(names: list[str], reason: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        identify(names, "argo.local")

    assert caught.value.reason == reason


def test_another_trust_domain_is_refused() -> None:
    with pytest.raises(PermissionDenied):
        identify(NAMES, "argo.example")


@pytest.mark.parametrize(
    ("path", "principal"),
    [
        ("service/registry", "service/registry"),
        ("system/probe", "system/probe"),
        ("operator/mrossi", "operator"),
        ("administrator/mrossi", "administrator"),
    ],
)
def test_a_person_is_not_named_in_logs(path: str, principal: str) -> None:
    assert Identity("argo.local", path).principal == principal


def test_the_current_identity_ends_with_its_block() -> None:
    with acting_as(Identity("argo.local", "operator/mrossi")):
        assert current_identity().path == "operator/mrossi"

    with pytest.raises(Unauthenticated):
        current_identity()
