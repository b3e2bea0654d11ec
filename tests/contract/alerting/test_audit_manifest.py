"""An export for the Garante, checked where nobody has the database: file, signed manifest and public key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from argo.alerting.v1 import audit_service_pb2 as v1
from mesh.local.commands.audit import audit_group
from tests.contract.alerting.test_audit_service import exporter, filled, key

__all__ = ["exporter", "filled", "key"]


class Export:
    """What the auditor has saved."""

    def __init__(self, folder: Path) -> None:
        self.file, self.manifest = folder / "garante.jsonl", folder / "garante.manifest"
        self.key = folder / "public.pem"

    async def take(self, exporter: Any, key: Ed25519PrivateKey, reason: str = "request of 30 November") -> None:
        """Asks the service for it, and for its public key."""
        request = v1.ExportAuditLogRequest(reason=reason, recipient="authority/garante", case_reference="G 9/2026")
        parts = [answer async for answer in exporter.ExportAuditLog(request)]
        self.file.write_bytes(b"".join(part.content for part in parts))
        self.manifest.write_bytes(parts[-1].signed_manifest)
        self.key.write_bytes(public(key))

    def verify(self) -> Result:
        """``argo audit verify`` as anybody runs it."""
        arguments = ["--file", self.file, "--manifest", self.manifest, "--key", self.key]
        return CliRunner().invoke(audit_group, ["verify", *map(str, arguments)])


def public(key: Ed25519PrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form)


@pytest.fixture
async def export(filled: None, exporter: Any, key: Ed25519PrivateKey, tmp_path: Path) -> Export:
    saved = Export(tmp_path)
    await saved.take(exporter, key)
    return saved


async def test_an_export_is_whole_with_its_manifest(export: Export) -> None:
    result = export.verify()

    assert result.exit_code == 0, result.output
    assert result.output.startswith("garante.jsonl: 5 entries, whole; anchor 5:")


@pytest.mark.parametrize("line", range(5))
async def test_a_line_that_is_edited_is_found(export: Export, line: int) -> None:
    lines = export.file.read_text().splitlines(keepends=True)
    lines[line] = lines[line].replace("rossi", "bossi").replace("verdi", "bianchi").replace("auditor/", "auditor/x")
    lines[line] = lines[line].replace("alerts: 3", "alerts: 2")
    assert "".join(lines) != export.file.read_text()
    export.file.write_text("".join(lines))

    result = export.verify()

    assert (result.exit_code, "NOT WHOLE: garante.jsonl is not the export" in result.output) == (1, True)


async def test_an_export_that_is_cut_at_its_end_is_whole_by_itself_and_not_by_its_manifest(export: Export) -> None:
    export.file.write_text("".join(export.file.read_text().splitlines(keepends=True)[:3]))

    alone = CliRunner().invoke(audit_group, ["verify", "--file", str(export.file)])

    assert (alone.exit_code, export.verify().exit_code) == (0, 1)


async def test_one_flipped_bit_anywhere_in_the_manifest_is_found(export: Export) -> None:
    genuine = export.manifest.read_bytes()
    for position in range(0, len(genuine), 7):
        export.manifest.write_bytes(genuine[:position] + bytes([genuine[position] ^ 1]) + genuine[position + 1 :])
        assert export.verify().exit_code != 0, position


async def test_a_manifest_of_another_export_or_key_is_not_ours(
    export: Export, exporter: Any, key: Ed25519PrivateKey, tmp_path: Path
) -> None:
    other = Export(tmp_path / "later")
    other.file.parent.mkdir()
    await other.take(exporter, key, "again")
    assert other.verify().exit_code == 0
    mixed = Export(tmp_path)
    mixed.manifest = other.manifest
    assert mixed.verify().exit_code == 1

    export.key.write_bytes(public(Ed25519PrivateKey.generate()))
    result = export.verify()
    assert (result.exit_code, "not genuine" in result.output) == (1, True)


@pytest.mark.parametrize("left_out", ["--file", "--key"])
async def test_a_manifest_needs_the_file_and_the_key(export: Export, left_out: str) -> None:
    arguments = {"--file": export.file, "--manifest": export.manifest, "--key": export.key}
    given = [str(word) for name, path in arguments.items() if name != left_out for word in (name, path)]

    result = CliRunner().invoke(audit_group, ["verify", *given])

    assert (result.exit_code, "a manifest is of an export" in result.output) == (2, True)


@pytest.mark.parametrize("content", ["", "{}", "no statement", "[1, 2]"])
async def test_what_is_no_manifest_is_told_plainly(export: Export, content: str) -> None:
    export.manifest.write_text(content)

    result = export.verify()

    assert result.exit_code in (1, 2), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
