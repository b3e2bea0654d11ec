"""Every method for every kind of identity, generated from the contract."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import grpc
import pytest

from mesh.access import matrix
from mesh.authority import CertificateAuthority
from mesh.identity import Identity
from tests.contract.registry.methods import METHODS, call, methods_of, path_of
from tests.contract.registry.support import Registry

PEOPLE = ("operator", "supervisor", "administrator", "investigator", "auditor", "mobility")
IDENTITIES = (
    *(f"{kind}/mrossi" for kind in PEOPLE),
    *(f"tenants/amiat/{kind}/lbianchi" for kind in PEOPLE),
    "authority/questura", "system/5t",
    "service/registry", "service/camera-gateway", "service/detector", "service/anonymizer", "service/alerting",
)  # fmt: skip

ROWS = {path: row for path, row in matrix().rows.items() if path.startswith("/argo.registry.")}
READERS = {"operator", "supervisor", "administrator", "auditor", "service"}
EXPECTED = {
    "HoldLeases": {"service/camera-gateway"},
    "ImportFleet": {"administrator"},
    "ExportFleet": {"administrator"},
    "CreateProposal": {"supervisor", "administrator"},
    "ApproveProposal": {"supervisor", "administrator"},
    "RejectProposal": {"supervisor", "administrator"},
    "CreateHold": {"operator", "supervisor"},
    "ApproveHold": {"supervisor", "administrator"},
    "ReleaseHold": {"supervisor", "administrator"},
    "CreatePlacementRequest": {"operator", "supervisor", "administrator"},
}
"""What the design says of single methods, told apart from the product's own table: kinds, or one identity."""


def is_expected(method: str, identity: str) -> bool:
    name = method.rpartition("/")[2]
    standard = READERS if name.startswith(("Get", "List", "Watch")) else {"administrator"}
    caller = Identity("argo.local", identity)
    return bool({caller.kind, caller.role_path} & EXPECTED.get(name, standard))


def test_the_policy_names_every_method_that_is_served_and_no_other(registry: Registry) -> None:
    assert {path_of(method) for method in methods_of(*registry.services)} == set(ROWS)


@pytest.mark.parametrize("method", METHODS)
def test_the_policy_says_what_the_design_says(method: str) -> None:
    allowed = {identity for identity in IDENTITIES if is_expected(method, identity)}

    assert allowed == {
        identity
        for identity in IDENTITIES
        if ROWS[method].names(Identity("argo.local", identity), ROWS[method].callers)
    }


@pytest.mark.parametrize("identity", IDENTITIES)
async def test_an_identity_reaches_only_its_methods(registry: Registry, identity: str) -> None:
    async with registry.channel(identity) as channel:
        for path in ROWS:
            outcome = await call(channel, METHODS[path], unheard=not is_expected(path, identity))
            if is_expected(path, identity):
                assert outcome.code != grpc.StatusCode.UNIMPLEMENTED, path
                assert outcome.reason != "METHOD_NOT_ALLOWED", path
            else:
                assert (outcome.code, outcome.reason) == (
                    grpc.StatusCode.PERMISSION_DENIED, "METHOD_NOT_ALLOWED",
                ), path  # fmt: skip


async def test_a_certificate_of_another_authority_reaches_nothing(registry: Registry, tmp_path: Path) -> None:
    strangers = dataclasses.replace(registry, authority=CertificateAuthority(tmp_path / "strangers"))

    async with strangers.channel("administrator/mrossi") as channel:
        outcome = await call(channel, next(iter(METHODS.values())))

    assert outcome.code == grpc.StatusCode.UNAVAILABLE
