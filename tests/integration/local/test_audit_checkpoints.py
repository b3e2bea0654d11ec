"""Signed heads outside the database: what a superuser cut off or wrote anew as a whole is found by them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import prometheus_client
import pydantic
import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.audit import Anchor, AuditLog
from mesh.audit.anchorage import Anchorage, CheckpointStore, open_store
from mesh.audit.checkpoints import Checkpoint
from mesh.embedded import EmbeddedPostgres
from mesh.errors import Unavailable
from mesh.postgres import open_pool
from mesh.signing import Signer, StatementBrokenError
from tests.integration.local.test_audit_command import ENTRY, argo, postgres, tamper

__all__ = ["postgres"]

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
REWRITE = (
    "CREATE TEMP TABLE old AS SELECT * FROM audit_entries ORDER BY sequence; DELETE FROM audit_entries; "
    "SELECT append_audit_entry(act, replace(who, 'mrossi', 'altro'), why, what, to_whom, case_reference) "
    "FROM (SELECT * FROM old ORDER BY sequence) AS old"
)


class Kept:
    """The service's side: its log, its key, where its checkpoints are; and a clock."""

    def __init__(self, log: AuditLog, url: str, key: Ed25519PrivateKey) -> None:
        self.log, self.signer, self.now = log, Signer(key), NOW
        self.store = CheckpointStore(open_store(url), key.public_key())
        self.registry = prometheus_client.CollectorRegistry()
        self.anchorage = self.restarted(self.registry)

    def restarted(self, registry: prometheus_client.CollectorRegistry | None = None) -> Anchorage:
        return Anchorage(
            lambda: self.log,
            "alerting",
            registry or prometheus_client.CollectorRegistry(),
            lambda: self.now,
            kept=(self.store, self.signer),
        )


@pytest.fixture
def key(tmp_path: Path) -> Ed25519PrivateKey:
    made = Ed25519PrivateKey.generate()
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "signing.pem").write_bytes(pem)
    public = made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    return made


@asynccontextmanager
async def log_of(server: EmbeddedPostgres) -> AsyncIterator[AuditLog]:
    async with open_pool(pydantic.SecretStr(await server.ensure_service("alerting")), schema="alerting") as pool:
        yield AuditLog(pool)


@pytest.fixture
async def kept(postgres: EmbeddedPostgres, tmp_path: Path, key: Ed25519PrivateKey) -> AsyncIterator[Kept]:
    async with log_of(postgres) as log:
        yield Kept(log, (tmp_path / "checkpoints").as_uri(), key)


async def test_a_checkpoint_is_taken_when_the_log_has_grown_and_only_then(kept: Kept) -> None:
    with structlog.testing.capture_logs() as logs:
        first = await kept.anchorage.once()
        again = await kept.anchorage.once()
        await kept.log.append(ENTRY)
        second = await kept.restarted().once()

    assert first is not None
    assert second is not None
    assert again is None
    assert (first.anchor.sequence, second.anchor.sequence) == (12, 13)
    assert [line["anchor"] for line in logs if line["event"] == "audit.checkpoint_taken"] == [
        str(first.anchor),
        str(second.anchor),
    ]
    assert await kept.store.newest("alerting") == second


async def test_a_log_that_was_cut_is_told_by_the_service_itself_and_gets_no_new_checkpoint(
    kept: Kept,
    postgres: EmbeddedPostgres,
) -> None:
    good = await kept.anchorage.once()
    await tamper(postgres, "DELETE FROM audit_entries WHERE sequence > 9")
    for _ in range(5):
        await kept.log.append(ENTRY)

    for anchorage in (kept.anchorage, kept.restarted()):
        with structlog.testing.capture_logs() as logs:
            assert await anchorage.once() is None
        assert [line["event"] for line in logs] == ["audit.broken"]
    assert await kept.store.newest("alerting") == good
    assert kept.registry.get_sample_value("argo_audit_broken") == 1


@pytest.mark.parametrize(
    ("statement", "sequence", "fault"),
    [
        ("DELETE FROM audit_entries WHERE sequence > 9", 10, "missing"),
        (REWRITE, 12, "changed"),
        ("DELETE FROM audit_entries", 1, "missing"),
    ],
)
async def test_the_first_entry_that_does_not_fit_a_checkpoint_is_named(
    kept: Kept,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
    statement: str,
    sequence: int,
    fault: str,
) -> None:
    await kept.anchorage.once()
    where = ("--schema", "alerting", "--state", str(tmp_path))
    assert (await argo("verify", *where))[0] == 0
    await tamper(postgres, statement)

    status, output = await argo("verify", *where)

    assert status == 1, output
    assert f"alerting: NOT WHOLE at entry {sequence}: {fault}\n" in output


async def test_between_which_days_a_chain_was_written_anew_is_said(
    kept: Kept,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
) -> None:
    await kept.anchorage.once()
    for _ in range(3):
        kept.now += timedelta(days=1)
        await kept.log.append(ENTRY)
        await kept.anchorage.once()
    anew = "UPDATE audit_entries SET why = 'altro' WHERE sequence = 14"
    await tamper(postgres, f"{anew}; {REWRITE.replace('mrossi', 'nessuno')}")

    status, output = await argo("verify", "--schema", "alerting", "--state", str(tmp_path))

    # The clock of the new chain is another one, so that already the first checkpoint does not fit.
    assert status == 1, output
    assert "alerting: NOT WHOLE at entry 12: changed" in output


async def test_checkpoints_elsewhere_need_the_key_that_signed_them(
    kept: Kept,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
) -> None:
    await kept.anchorage.once()
    elsewhere = tmp_path / "elsewhere"
    os.rename(tmp_path / "checkpoints", elsewhere)  # noqa: PTH104
    verify = ("verify", "--schema", "alerting", "--checkpoints", elsewhere.as_uri())
    dsn = postgres.dsn

    assert (await argo(*verify, "--key", str(tmp_path / "public.pem"), dsn=dsn))[0] == 0
    status, output = await argo(*verify, dsn=dsn)
    assert (status, "--key" in output) == (2, True)


async def test_a_checkpoint_that_somebody_else_made_is_refused(kept: Kept, tmp_path: Path) -> None:
    await kept.log.append(ENTRY)
    stranger = Signer(Ed25519PrivateKey.generate())
    await kept.store.keep(Checkpoint("alerting", Anchor(13, bytes(32)), NOW), stranger)

    with pytest.raises(
        StatementBrokenError, match=r"alerting/2026-11-30/0{18}13\.json: it was signed with another key"
    ):
        await kept.restarted().once()
    status, output = await argo("verify", "--schema", "alerting", "--state", str(tmp_path))
    assert status == 1, output
    assert "not genuine" in output


async def test_a_checkpoint_of_another_log_is_refused(kept: Kept, tmp_path: Path) -> None:
    await kept.store.keep(Checkpoint("registry", Anchor(12, bytes(32)), NOW), kept.signer)
    (tmp_path / "checkpoints" / "registry").rename(tmp_path / "checkpoints" / "alerting")

    with pytest.raises(StatementBrokenError, match="it is of the log of registry"):
        await kept.store.newest("alerting")


async def test_none_is_ever_written_over(kept: Kept) -> None:
    good = await kept.anchorage.once()
    assert good is not None

    await kept.store.keep(Checkpoint("alerting", Anchor(good.anchor.sequence, bytes(32)), NOW), kept.signer)

    assert await kept.store.newest("alerting") == good


async def test_a_store_that_cannot_be_written_is_told_once_and_stops_nothing(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").rmdir()
    (tmp_path / "checkpoints").write_text("in the way")

    with structlog.testing.capture_logs() as logs:
        await kept.anchorage.attempt()
        await kept.anchorage.attempt()

    assert [line["event"] for line in logs] == ["audit.checkpoint_postponed"]
    with pytest.raises(Unavailable):
        await kept.anchorage.once()
    await kept.log.append(ENTRY)
