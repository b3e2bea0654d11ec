from __future__ import annotations

from typing import TYPE_CHECKING

import onnxruntime
import pytest

from detector import model, providers
from detector.catalogue.cards import DEFAULT_MODEL
from mesh.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("device", "library", "expected"),
    [
        (False, None, [providers.CPU]),
        (False, "libnvinfer.so.10", [providers.CPU]),
        (True, None, [providers.CUDA, providers.CPU]),
        (True, "libnvinfer.so.10", [providers.TENSORRT, providers.CUDA, providers.CPU]),
    ],
)
def test_a_provider_is_named_only_when_what_it_needs_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, device: bool, library: str | None, expected: list[str]
) -> None:
    built = [providers.TENSORRT, providers.CUDA, providers.CPU]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: built)
    monkeypatch.setattr(providers, "DEVICES", tmp_path)
    monkeypatch.setattr(providers, "find_library", lambda _name: library)
    if device:
        (tmp_path / "nvidia0").touch()

    assert providers.providers() == expected


def test_a_gpu_build_without_cuda_stays_on_the_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [providers.CPU])
    monkeypatch.setattr(providers, "DEVICES", tmp_path)
    (tmp_path / "nvidia0").touch()

    assert providers.providers() == [providers.CPU]


@pytest.mark.parametrize(("name", "message"), [("yolo", "catalogue"), (DEFAULT_MODEL, "argo models pull")])
def test_without_a_model_the_start_is_refused_with_what_to_do(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(StartupError, match=message):
        model.load(name, tmp_path, threads=1)


def test_a_file_with_another_digest_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / f"{DEFAULT_MODEL}.onnx").write_bytes(b"not the model")
    with pytest.raises(StartupError, match="will not be loaded"):
        model.load(DEFAULT_MODEL, tmp_path, threads=1)
