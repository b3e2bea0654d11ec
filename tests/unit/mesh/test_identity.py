from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mesh.authority import CertificateAuthority
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
        (["spiffe://argo.local/tenants/amiat/service/registry"], "IDENTITY_MALFORMED"),
        (["spiffe://argo.local/tenants/amiat/system/5t"], "IDENTITY_MALFORMED"),
        (["spiffe://argo.local/tenants/amiat/authority/questura"], "IDENTITY_MALFORMED"),
        (["spiffe://argo.local/tenants/Amiat/operator/x"], "IDENTITY_MALFORMED"),
        (["spiffe://argo.local/tenants//operator/x"], "IDENTITY_MALFORMED"),
        (["spiffe://argo.local/tenants/a/tenants/b/operator/x"], "IDENTITY_MALFORMED"),
        (["spiffe://argo.local/tenants/amiat/operator/x/y"], "IDENTITY_MALFORMED"),
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
        ("investigator/mrossi", "investigator"),
        ("tenants/amiat/auditor/mrossi", "tenants/amiat/auditor"),
        ("authority/questura", "authority/questura"),
    ],
)
def test_a_person_is_not_named_in_logs(path: str, principal: str) -> None:
    assert Identity("argo.local", path).principal == principal


def test_the_current_identity_ends_with_its_block() -> None:
    with acting_as(Identity("argo.local", "operator/mrossi")):
        assert current_identity().path == "operator/mrossi"

    with pytest.raises(Unauthenticated):
        current_identity()


@pytest.mark.parametrize("kind", ["operator", "supervisor", "administrator", "investigator", "auditor", "mobility"])
def test_a_person_may_belong_to_a_tenant(kind: str) -> None:
    identity = Identity.parse(f"spiffe://argo.local/tenants/amiat/{kind}/mrossi")

    assert (identity.tenant, identity.kind, identity.name) == ("amiat", kind, "mrossi")
    assert identity.role_path == f"{kind}/mrossi"
    assert identity.path == f"tenants/amiat/{kind}/mrossi"
    assert not identity.is_machine


@pytest.mark.parametrize(
    ("path", "tenant", "machine"),
    [
        ("operator/mrossi", "", False),
        ("authority/questura", "questura", False),
        ("service/registry", "", True),
        ("system/5t", "", True),
    ],
)
def test_the_city_its_machines_and_authorities(path: str, tenant: str, *, machine: bool) -> None:
    identity = Identity.parse(f"spiffe://argo.local/{path}")

    assert (identity.tenant, identity.is_machine, identity.role_path) == (tenant, machine, path)


def test_a_certificate_names_its_tenant(tmp_path: Path) -> None:
    tenant, person = "a" * 63, "very-long-name-of-somebody"
    files = CertificateAuthority(tmp_path).issue(f"tenants/{tenant}/operator/{person}")
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value

    identity = identify(names.get_values_for_type(x509.UniformResourceIdentifier), "argo.local")
    assert (identity.tenant, identity.name) == (tenant, person)
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
