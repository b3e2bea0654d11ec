"""What an auditor asks the log, and takes along as a signed file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alerting.assembly import Parts
from alerting.settings import AlertingSettings
from argo.alerting.v1 import audit_service_pb2 as v1
from argo.alerting.v1.audit_service_pb2_grpc import AuditServiceStub
from mesh.audit import Act, AuditEntry, ChainWalk
from mesh.audit.files import from_lines
from mesh.authority import CertificateAuthority
from mesh.errors import ArgoError
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error
from mesh.settings import ServiceSettings
from mesh.signing import verify
from mesh.testing import calling, serving
from tests.integration.alerting import support

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]
ENTRIES = (
    AuditEntry(Act.CONSULTATION, "operator/rossi", "duty", "alerts/a1"),
    AuditEntry(Act.DISCLOSURE, "operator/rossi", "fight", "alerts/a1", "authority/questura", "RGNR 1/2026"),
    AuditEntry(Act.CONSULTATION, "investigator/verdi", "testimony", "observations", "", "RGNR 1/2026"),
    AuditEntry(Act.ERASURE, "service/alerting", "seven days after capture", "alerts: 3"),
)


async def refusal(call: Awaitable[object]) -> ArgoError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


@pytest.fixture
async def filled(parts: Parts) -> None:
    for entry in ENTRIES:
        await parts.log.append(entry)


@pytest.fixture
async def auditor(connect: Connect) -> Any:
    return AuditServiceStub(await connect("auditor/bianchi"))


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"actor": "operator/rossi"}, [1, 2]),
        ({"acts": [v1.AuditEntry.ACT_COMMUNICATION, v1.AuditEntry.ACT_ERASURE]}, [2, 4]),
        ({"case_reference": "RGNR 1/2026"}, [2, 3]),
        ({"case_reference": "RGNR 1/2026", "actor": "investigator/verdi"}, [3]),
        ({"subject_prefix": "alerts/"}, [1, 2]),
        ({"recipient": "authority/questura"}, [2]),
        ({"actor": "operator/ross_"}, []),
        ({"subject_prefix": "%"}, []),
    ],
)
async def test_an_auditor_asks_by_what_was_done(
    filled: None, auditor: Any, fields: dict[str, Any], found: list[int]
) -> None:
    listed = await auditor.ListAuditEntries(v1.ListAuditEntriesRequest(reason="yearly check", **fields))

    assert [entry.sequence for entry in listed.entries] == found


async def test_an_auditor_asks_by_time(filled: None, auditor: Any, pool: Pool) -> None:
    times = [row["recorded_at"] for row in await pool.fetch("SELECT recorded_at FROM audit_entries ORDER BY sequence")]
    request = v1.ListAuditEntriesRequest(reason="yearly check")
    request.start_time.FromDatetime(times[1])
    request.end_time.FromDatetime(times[3])

    assert [entry.sequence for entry in (await auditor.ListAuditEntries(request)).entries] == [2, 3]
    request.start_time.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    request.ClearField("end_time")
    assert list((await auditor.ListAuditEntries(request)).entries) == []


async def test_the_question_is_on_record_itself(filled: None, auditor: Any, pool: Pool) -> None:
    await auditor.ListAuditEntries(
        v1.ListAuditEntriesRequest(reason="complaint 7", actor="operator/rossi", page_size=1)
    )

    row = await pool.fetchrow("SELECT act, who, why, what FROM audit_entries ORDER BY sequence DESC LIMIT 1")
    assert tuple(row) == (
        "consultation", "auditor/bianchi", "complaint 7", "audit entries after 0, of operator/rossi",
    )  # fmt: skip


async def test_pages_go_on_under_the_same_question(filled: None, auditor: Any) -> None:
    fields: dict[str, Any] = {"reason": "x", "actor": "operator/rossi", "page_size": 1}
    first = await auditor.ListAuditEntries(v1.ListAuditEntriesRequest(**fields))
    second = await auditor.ListAuditEntries(v1.ListAuditEntriesRequest(page_token=first.next_page_token, **fields))

    assert [entry.sequence for entry in (*first.entries, *second.entries)] == [1, 2]


@pytest.mark.parametrize(
    "fields",
    [{"acts": [99]}, {"acts": [0]}, {"actor": "a\nb"}, {"page_size": -1}, {"page_token": "MTox"}, {"page_token": "é"}],
)
async def test_a_question_that_makes_no_sense_is_refused(auditor: Any, fields: dict[str, Any]) -> None:
    error = await refusal(auditor.ListAuditEntries(v1.ListAuditEntriesRequest(reason="x", **fields)))

    assert (error.code, error.violations[0].field) == ("INVALID_ARGUMENT", next(iter(fields)))


# --- the export -------------------------------------------------------------------------------------------------------


@pytest.fixture
def key(tmp_path: Path) -> Ed25519PrivateKey:
    made = Ed25519PrivateKey.generate()
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "signing.pem").write_bytes(pem)
    return made


@pytest.fixture
async def exporter(
    pool: Pool, service_settings: AlertingSettings, authority: CertificateAuthority, tmp_path: Path, key: object
) -> AsyncIterator[Any]:
    signing = service_settings.model_copy(update={"signing_key_file": tmp_path / "signing.pem"})
    async with (
        serving(signing, support.parts(pool, signing).register) as server,
        calling(
            server, authority, "auditor/bianchi", peer="service/alerting", settings_type=ServiceSettings
        ) as channel,
    ):
        yield AuditServiceStub(channel)


async def test_the_whole_log_goes_out_signed_and_on_record_first(
    filled: None, exporter: Any, key: Ed25519PrivateKey
) -> None:
    request = v1.ExportAuditLogRequest(
        reason="request of 30 November", recipient="authority/garante", case_reference="G 9/2026"
    )
    parts = [answer async for answer in exporter.ExportAuditLog(request)]

    content = b"".join(part.content for part in parts)
    rows = list(from_lines(content.decode().splitlines()))
    walk = ChainWalk()
    walk.take(rows)
    assert walk.finish() is None
    assert [row["act"] for row in rows] == ["consultation", "disclosure", "consultation", "erasure", "disclosure"]
    assert (rows[-1]["who"], rows[-1]["to_whom"]) == ("auditor/bianchi", "authority/garante")
    said = verify(parts[-1].signed_manifest, key.public_key()).payload
    assert said["sha256"] == hashlib.sha256(content).hexdigest()
    assert (said["entries"], said["anchor"], said["log"], said["case"]) == (5, str(walk.head), "alerting", "G 9/2026")
    assert json.loads(content.splitlines()[0])["who"] == "operator/rossi"


@pytest.mark.parametrize(
    ("fields", "field"), [({"recipient": "authority/garante"}, "reason"), ({"reason": "x"}, "recipient")]
)
async def test_an_export_says_why_and_to_whom(exporter: Any, pool: Pool, fields: dict[str, str], field: str) -> None:
    error = await refusal(anext(aiter(exporter.ExportAuditLog(v1.ExportAuditLogRequest(**fields)))))

    assert error.violations[0].field == field
    assert await pool.fetchval("SELECT count(*) FROM audit_entries") == 0


async def test_without_a_log_nothing_goes_out(filled: None, exporter: Any, pool: Pool) -> None:
    await pool.execute("REVOKE INSERT ON audit_entries FROM CURRENT_USER")
    request = v1.ExportAuditLogRequest(reason="x", recipient="authority/garante")

    assert (await refusal(anext(aiter(exporter.ExportAuditLog(request))))).reason == "AUDIT_UNAVAILABLE"
    listing = v1.ListAuditEntriesRequest(reason="x")
    assert (await refusal(exporter.ListAuditEntries(listing))).reason == "AUDIT_UNAVAILABLE"


async def test_without_a_key_there_is_no_export(auditor: Any) -> None:
    request = v1.ExportAuditLogRequest(reason="x", recipient="authority/garante")

    assert (await refusal(anext(aiter(auditor.ExportAuditLog(request))))).reason == "NO_SIGNING_KEY"
