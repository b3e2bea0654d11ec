"""Rules about the files of the repository: what must be there, and what must never be."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

# Joined at run time: this file is searched too.
INDEX_HOSTS = ["pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org", "deb.debian" + ".org"]
MACHINE_PATHS = [f"{slash}{folder}/" for slash, folder in (("/", "work"), ("/", "root"), ("/opt", "/pypi"))]
CHECKED = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".in",
    ".yaml",
    ".yml",
    ".json",
    ".proto",
    ".sql",
    ".tpl",
    ".sh",
    ".html",
    ".js",
    "",
}
WEIGHTS_AND_FOOTAGE = {
    ".onnx", ".pt", ".pth", ".safetensors", ".tflite", ".weights", ".npz",
    ".mp4", ".avi", ".mkv", ".webm", ".mov", ".h264", ".h265", ".264", ".265", ".ts", ".jpg", ".jpeg",
}  # fmt: skip
LARGEST_FILE_BYTES = 1_000_000


def _texts(files: list[Path]) -> list[tuple[Path, str]]:
    return [(path, path.read_text(encoding="utf-8")) for path in files if path.suffix in CHECKED]


@pytest.mark.parametrize("needle", [*INDEX_HOSTS, *MACHINE_PATHS])
def test_no_file_names_a_package_index_or_a_machine(needle: str, repository_files: list[Path], root: Path) -> None:
    found = [str(path.relative_to(root)) for path, text in _texts(repository_files) if needle in text]

    assert found == []


def test_no_weights_and_no_footage(repository_files: list[Path], root: Path) -> None:
    assert [str(path.relative_to(root)) for path in repository_files if path.suffix in WEIGHTS_AND_FOOTAGE] == []


def test_no_large_files(repository_files: list[Path], root: Path) -> None:
    large = [str(path.relative_to(root)) for path in repository_files if path.stat().st_size > LARGEST_FILE_BYTES]

    assert large == []


def test_no_private_keys(repository_files: list[Path], root: Path) -> None:
    header = "-----BEGIN " + "PRIVATE KEY-----"

    assert [str(path.relative_to(root)) for path, text in _texts(repository_files) if header in text] == []


def test_the_licence_is_one_everywhere(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    publiccode = yaml.safe_load((root / "publiccode.yml").read_text(encoding="utf-8"))
    chart = yaml.safe_load((root / "helm" / "argo" / "Chart.yaml").read_text(encoding="utf-8"))

    assert (root / "LICENSE").read_text(encoding="utf-8").startswith("EUROPEAN UNION PUBLIC LICENCE v. 1.2\n")
    assert project["license"] == "EUPL-1.2"
    assert publiccode["legal"]["license"] == "EUPL-1.2"
    assert chart["annotations"]["artifacthub.io/license"] == "EUPL-1.2"


def test_the_version_is_one_everywhere(root: Path) -> None:
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    publiccode = yaml.safe_load((root / "publiccode.yml").read_text(encoding="utf-8"))
    chart = yaml.safe_load((root / "helm" / "argo" / "Chart.yaml").read_text(encoding="utf-8"))

    assert chart["version"] == version
    assert chart["appVersion"] == version
    assert publiccode["softwareVersion"] == version


def test_publiccode_has_what_the_standard_asks(root: Path) -> None:
    publiccode = yaml.safe_load((root / "publiccode.yml").read_text(encoding="utf-8"))

    assert publiccode["publiccodeYmlVersion"] in {"0.4", "0.4.0"}
    assert {
        "name",
        "url",
        "platforms",
        "developmentStatus",
        "softwareType",
        "description",
        "legal",
    } <= publiccode.keys()
    assert {"maintenance", "localisation"} <= publiccode.keys()
    assert publiccode["maintenance"]["contacts"]
    for language in ("en", "it"):
        description = publiccode["description"][language]
        assert len(description["shortDescription"]) <= 150
        assert 150 <= len(description["longDescription"]) <= 10_000
        assert description["features"]


@pytest.mark.parametrize("extra", ["registry", "camera-gateway", "detector", "anonymizer", "alerting"])
def test_every_image_is_locked_to_the_tested_versions(extra: str, root: Path) -> None:
    def pins(name: str) -> dict[str, str]:
        text = (root / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, flags=re.MULTILINE))

    tested, locked = pins("runtime"), pins(extra)
    accelerator = {name for name in locked if name.startswith("nvidia-")}

    assert len(locked) > 20
    assert {name: locked[name] for name in locked.keys() - accelerator} == {
        name: tested[name] for name in locked.keys() - accelerator
    }
    assert not accelerator or extra == "detector"


@pytest.mark.parametrize("path", ["runtime", "dev", "bench", "build"])
def test_every_locked_package_has_its_hash(path: str, root: Path) -> None:
    text = (root / "requirements" / f"{path}.txt").read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z0-9.-]+==)", text, flags=re.MULTILINE)[1:]

    assert blocks
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_what_pyproject_asks_for_is_locked(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [item for extra in project["optional-dependencies"].values() for item in extra]
    names = {re.split(r"[\[>=<]", item)[0] for item in wanted} - {"argo"}
    asked = set(re.findall(r"^([a-z0-9.-]+)==", (root / "requirements" / "runtime.in").read_text(), flags=re.MULTILINE))

    assert names == asked
