"""What the audit log keeps of tokens, machines and broken glass."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alerting.assembly import Parts
from alerting.settings import AlertingSettings
from argo.alerting.v1 import alert_service_pb2 as v1
from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceStub
from mesh.authority import CertificateAuthority
from mesh.local.issuer import LocalIssuer
from mesh.postgres import Pool
from mesh.rpc.server import GrpcServer
from mesh.settings import ServiceSettings
from mesh.testing import calling, serving


@pytest.fixture
def issuer(tmp_path: Path) -> LocalIssuer:
    return LocalIssuer(tmp_path / "issuer")


@pytest.fixture
async def believing(parts: Parts, service_settings: AlertingSettings, issuer: LocalIssuer) -> AsyncIterator[GrpcServer]:
    told = {"oidc_issuer": issuer.issuer, "oidc_jwks_url": issuer.keys_file.as_uri()}
    async with serving(service_settings.model_copy(update=told), parts.register) as server:
        yield server


@pytest.mark.parametrize(
    ("claims", "who", "why"),
    [
        ({"roles": ["operator"]}, "operator/rossi", "duty (token t1 by way of system/gateway)"),
        (
            {"roles": ["authority"], "tenant": "questura"},
            "authority/questura",
            "duty (person rossi; token t1 by way of system/gateway)",
        ),
    ],
)
async def test_the_machine_and_the_token_are_on_record(
    believing: GrpcServer, authority: CertificateAuthority, issuer: LocalIssuer, pool: Pool, claims: dict[str, Any],
    who: str, why: str,
) -> None:  # fmt: skip
    token = issuer.issue("rossi", claims.pop("roles"), datetime.now(UTC), jti="t1", **claims)
    async with calling(
        believing, authority, "system/gateway", peer="service/alerting", settings_type=ServiceSettings
    ) as channel:
        metadata = (("authorization", f"Bearer {token}"),)
        await AlertServiceStub(channel).ListAlerts(v1.ListAlertsRequest(reason="duty"), metadata=metadata)

    rows = await pool.fetch("SELECT who, why FROM audit_entries")
    assert [tuple(row) for row in rows] == [(who, why)]
