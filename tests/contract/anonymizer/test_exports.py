from __future__ import annotations

import base64
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from anonymizer import cli, exports
from mesh import signing
from tests.contract.anonymizer import archive
from tests.contract.anonymizer.archive import NOON, OPTIC, SUPERVISOR, World

SECOND = timedelta(seconds=1)


@pytest.fixture
async def export(world: World) -> tuple[bytes, bytes]:
    """Clip and manifest of two segments with a gap between."""
    await world.record(NOON, 10)
    await world.record(NOON + 20 * SECOND, 10)
    return await world.export(archive.export_request(NOON, NOON + 30 * SECOND))


@pytest.fixture
def key(world: World, tmp_path: Path) -> Path:
    path = tmp_path / "city.pem"
    public = world.signer._key.public_key()
    path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def written(folder: Path, clip: bytes, manifest: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "clip.mp4").write_bytes(clip)
    (folder / f"clip.mp4{cli.MANIFEST}").write_bytes(manifest)
    return folder


async def test_the_manifest_says_what_whose_when_why_and_to_whom(world: World, export: tuple[bytes, bytes]) -> None:
    clip, manifest = export

    said = dict(signing.verify(manifest).payload)

    entry = (await world.entries())[-1]
    assert [piece["bytes"] for piece in said.pop("pieces")][-1] > 0
    assert said.pop("sha256")
    assert said.pop("software").startswith("argo ")
    assert said == {
        "type": "argo.export/1",
        "optic": OPTIC,
        "asked": ["2026-11-22T12:00:00.000000+00:00", "2026-11-22T12:00:30.000000+00:00"],
        "covered": [
            ["2026-11-22T12:00:00.000000+00:00", "2026-11-22T12:00:01.800000+00:00"],
            ["2026-11-22T12:00:20.000000+00:00", "2026-11-22T12:00:21.800000+00:00"],
        ],
        "pictures": 20,
        "media_type": "video/mp4",
        "masked": True,
        "bytes": len(clip),
        "who": SUPERVISOR,
        "through": "",
        "purpose": "traffic",
        "reason": "collision at noon",
        "case": "7/2026",
        "recipient": "authority/questura",
        "audit_entry": entry["sequence"],
        "exported": "2026-11-22T13:00:00.000000+00:00",
    }


async def test_a_whole_export_is_said_to_be_whole(
    export: tuple[bytes, bytes], key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path / "export", *export)

    statuses = [
        cli.main(["verify", str(path), "--key", str(key)])
        for path in (folder, folder / "clip.mp4", folder / f"clip.mp4{cli.MANIFEST}")
    ]
    without_key = cli.main(["verify", str(folder)])

    assert (statuses, without_key) == ([cli.WHOLE] * 3, cli.WHOLE)
    assert "compare that with the key" in capsys.readouterr().out


async def test_one_flipped_bit_anywhere_in_the_clip_is_found_and_its_piece_named(export: tuple[bytes, bytes]) -> None:
    clip, manifest = export
    said = signing.verify(manifest).payload
    ends = [sum(piece["bytes"] for piece in said["pieces"][: number + 1]) for number in range(len(said["pieces"]))]
    named = []
    for position in range(len(clip)):
        changed = bytearray(clip)
        changed[position] ^= 1 << position % 8
        (fault,) = exports.faults(said, io.BytesIO(changed))
        named.append(int(fault.split()[1]))

    expected = [next(number for number, end in enumerate(ends, 1) if position < end) for position in range(len(clip))]
    assert len(ends) > 1
    assert named == expected


async def test_one_flipped_bit_anywhere_in_the_manifest_is_found(world: World, export: tuple[bytes, bytes]) -> None:
    manifest, public = export[1], world.signer._key.public_key()
    found = 0
    for position in range(len(manifest)):
        changed = bytearray(manifest)
        changed[position] ^= 1 << position % 8
        with pytest.raises(signing.StatementBrokenError):
            signing.verify(bytes(changed), public)
        found += 1

    assert found == len(manifest)
    assert signing.verify(manifest, public).thumbprint == world.signer.thumbprint


async def test_every_bit_of_the_signature_counts_also_the_spare_ones_of_base64(export: tuple[bytes, bytes]) -> None:
    parts = json.loads(export[1])
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for name in ("payload", "protected", "signature"):
        for digit in digits.replace(parts[name][-1], ""):
            changed = {**parts, name: parts[name][:-1] + digit}
            with pytest.raises(signing.StatementBrokenError):
                signing.verify(signing.canonical(changed))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda clip: clip[:-1], "is cut off"),
        (lambda clip: clip + b"\0", "1 bytes were added"),
        (lambda clip: clip[:0], "is cut off"),
        (lambda clip: clip[:100] + b"x" + clip[101:], "piece 1 of"),
    ],
)
async def test_what_was_cut_or_added_is_named(
    export: tuple[bytes, bytes], key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, said: str
) -> None:
    folder = written(tmp_path / "export", change(export[0]), export[1])

    status = cli.main(["verify", str(folder), "--key", str(key)])

    assert status == cli.BROKEN
    assert said in capsys.readouterr().out


async def test_a_manifest_that_somebody_else_signed_is_not_ours(
    export: tuple[bytes, bytes], key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = signing.Signer(Ed25519PrivateKey.generate()).sign(signing.verify(export[1]).payload)
    folder = written(tmp_path / "export", export[0], forged)

    assert cli.main(["verify", str(folder), "--key", str(key)]) == cli.BROKEN
    assert "another key" in capsys.readouterr().out


async def test_what_cannot_be_looked_at_says_nothing_about_it(
    export: tuple[bytes, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path / "export", *export)
    no_key = tmp_path / "no.pem"
    no_key.write_text("nothing")
    statuses = [
        cli.main(["verify", str(tmp_path / "nowhere")]),
        cli.main(["verify", str(folder), "--key", str(tmp_path / "nowhere")]),
        cli.main(["verify", str(folder), "--key", str(no_key)]),
        cli.main(["verify", str(tmp_path)]),
    ]
    (folder / "clip.mp4").unlink()
    statuses.append(cli.main(["verify", str(folder)]))

    assert statuses == [cli.NOT_LOOKED_AT] * 5
    assert capsys.readouterr().err


def test_the_public_key_of_a_signing_key_is_printed_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private = Ed25519PrivateKey.generate()
    path = tmp_path / "signing.pem"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    assert cli.main(["public-key", str(path)]) == cli.WHOLE

    printed = capsys.readouterr()
    assert signing.read_public_key(printed.out.encode()) == private.public_key()
    assert printed.err == f"thumbprint {signing.Signer(private).thumbprint}\n"


def test_statements_are_plain_jws_that_others_can_check() -> None:
    """The example of RFC 8037: the key has the thumbprint of A.3, the signing input the signature of A.4."""
    private = Ed25519PrivateKey.from_private_bytes(
        base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    )
    signing_input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"

    assert signing.thumbprint_of(private.public_key()) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert signing._encode(private.sign(signing_input)) == (
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
