"""``argo audit`` as an auditor runs it, on the database of a local mesh, on another one, and on a file."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pydantic
import pytest

from mesh import audit
from mesh.audit import Act, AuditEntry, AuditLog
from mesh.embedded import EmbeddedPostgres
from mesh.postgres import open_pool

ROOT = Path(__file__).parents[3]
SCHEMAS = ("registry", "anonymizer", "alerting")
ENTRY = AuditEntry(Act.DISCLOSURE, "operator/mrossi", "rapina in via Po", "alerts/a1", "authority/questura")


async def argo(*arguments: str, dsn: str | None = None, **more: str) -> tuple[int, str]:
    """Exit status and all output; with more variables in its environment."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}", "COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mesh.local.cli", "audit", *arguments,
        env=environment | more | ({"ARGO_POSTGRES_DSN": dsn} if dsn else {}),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    """The database of a local mesh in ``tmp_path``, with twelve entries in each log."""
    async with EmbeddedPostgres(tmp_path / "postgres") as server:
        (tmp_path / "ports.json").write_text(json.dumps({"postgres": server.port}))
        for schema in SCHEMAS:
            dsn = await server.ensure_service(schema)
            await audit.protect(server.dsn, schema=schema, service=schema)
            async with open_pool(pydantic.SecretStr(dsn), schema=schema) as pool:
                for _ in range(12):
                    await AuditLog(pool).append(ENTRY)
        yield server


async def tamper(postgres: EmbeddedPostgres, statement: str) -> None:
    """As somebody with every right on the database, who switches the guards off."""
    connection = await asyncpg.connect(postgres.dsn, server_settings={"search_path": "alerting"})
    await connection.execute("ALTER TABLE audit_entries DISABLE TRIGGER ALL")
    await connection.execute(statement)
    await connection.execute("ALTER TABLE audit_entries ENABLE TRIGGER ALL")
    await connection.close()


async def test_a_whole_log_is_said_to_be_whole(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    status, output = await argo("verify", "--state", str(tmp_path))

    assert status == 0, output
    assert re.findall(r"^(\w+): (\d+) entries, whole; anchor 12:[0-9a-f]{64}$", output, re.MULTILINE) == [
        ("registry", "12"),
        ("anonymizer", "12"),
        ("alerting", "12"),
    ]


SWAP = (
    "UPDATE audit_entries SET sequence = 99 WHERE sequence = 4; "
    "UPDATE audit_entries SET sequence = 4 WHERE sequence = 8; "
    "UPDATE audit_entries SET sequence = 8 WHERE sequence = 99"
)
INSERT = (
    "UPDATE audit_entries SET sequence = sequence + 100 WHERE sequence > 6; "
    "UPDATE audit_entries SET sequence = sequence - 99 WHERE sequence > 100; "
    "INSERT INTO audit_entries SELECT 7, recorded_at, act, who, 'altro', what, to_whom, case_reference, previous_hash, "
    "sha256('x') FROM audit_entries WHERE sequence = 6"
)


@pytest.mark.parametrize(
    ("statement", "sequence", "fault", "neighbours"),
    [
        ("UPDATE audit_entries SET who = 'operator/altro' WHERE sequence = 5", 5, "changed", (4, 6)),
        (
            "UPDATE audit_entries SET recorded_at = recorded_at - '1 h'::interval WHERE sequence = 5",
            5,
            "changed",
            (4, 6),
        ),
        ("DELETE FROM audit_entries WHERE sequence = 5", 5, "missing", (4, 6)),
        ("DELETE FROM audit_entries WHERE sequence BETWEEN 5 AND 7", 5, "missing", (4, 8)),
        (SWAP, 4, "out of place", (3, 5)),
        (INSERT, 7, "changed", (6, 8)),
    ],
)
async def test_what_a_superuser_did_is_named(
    postgres: EmbeddedPostgres, tmp_path: Path, statement: str, sequence: int, fault: str, neighbours: tuple[int, int]
) -> None:
    await tamper(postgres, statement)
    status, output = await argo("verify", "--state", str(tmp_path), "--schema", "alerting")

    assert status == 1, output
    assert f"alerting: NOT WHOLE at entry {sequence}: {fault}\n" in output
    assert ("time " in output) == (fault != "missing")
    assert re.search(rf"before +entry {neighbours[0]} of 20", output)
    assert re.search(rf"after +entry {neighbours[1]} of 20", output)


async def test_a_cut_at_the_end_is_found_with_an_anchor(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    where = ("--state", str(tmp_path), "--schema", "alerting")
    _, output = await argo("verify", *where)
    anchor = output.split("anchor ")[1].strip()
    await tamper(postgres, "DELETE FROM audit_entries WHERE sequence > 9")

    assert (await argo("verify", *where))[0] == 0
    status, output = await argo("verify", *where, "--anchor", anchor)
    assert status == 1
    assert "NOT WHOLE at entry 10: missing" in output


async def test_an_export_is_on_record_and_is_verified_without_the_database(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    file = tmp_path / "garante.jsonl"
    status, output = await argo(
        "export", "--state", str(tmp_path), "--schema", "alerting", "--output", str(file),
        "--who", "auditor/anna", "--why", "richiesta del Garante", "--to-whom", "authority/garante", "--case", "9/2026",
    )  # fmt: skip
    await postgres.stop()
    lines = file.read_text().splitlines()

    assert (status, len(lines)) == (0, 13), output
    assert json.loads(lines[-1])["act"] == "disclosure"
    assert json.loads(lines[-1])["to_whom"] == "authority/garante"
    assert (await argo("verify", "--file", str(file)))[0] == 0
    file.write_text("\n".join([*lines[:3], lines[3].replace("mrossi", "altro"), *lines[4:]]))
    status, output = await argo("verify", "--file", str(file))
    assert status == 1
    assert "NOT WHOLE at entry 4: changed" in output


async def test_a_mesh_that_does_not_run_is_verified_too(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    await postgres.stop()
    status, output = await argo("verify", "--state", str(tmp_path))

    assert status == 0, output


async def test_a_reader_without_any_other_right_can_verify(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    connection = await asyncpg.connect(postgres.dsn)
    await connection.execute("CREATE ROLE auditor LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA alerting TO auditor")
    await connection.execute("GRANT SELECT ON alerting.audit_entries TO auditor")
    await connection.close()
    dsn = f"postgresql://auditor:p@127.0.0.1:{postgres.port}/argo"

    assert (await argo("verify", "--schema", "alerting", dsn=dsn))[0] == 0
    status, output = await argo("verify", "--schema", "registry", dsn=dsn)
    assert status == 2
    assert "the database refuses" in output


@pytest.mark.parametrize(
    ("arguments", "dsn", "said"),
    [
        (("verify", "--anchor", "1:" + "00" * 32), None, "name it with --schema"),
        (("verify", "--schema", "alerting", "--anchor", "x"), None, "must be SEQUENCE:HASH"),
        (("verify", "--state", "nowhere"), None, "there is no database"),
        (("verify",), "postgresql://a:geheim@127.0.0.1:1/argo", "Connect call failed"),
        (("verify",), "geheim", "the database refuses"),
        (("protect", "--schema", "alerting", "--service", "x"), "geheim", "cannot be read"),
    ],
)
async def test_what_cannot_be_looked_at_is_neither_whole_nor_broken(
    arguments: tuple[str, ...], dsn: str | None, said: str
) -> None:
    status, output = await argo(*arguments, dsn=dsn)

    assert status == 2, output
    assert said in " ".join(output.split())
    assert "geheim" not in output
    assert "Traceback" not in output
