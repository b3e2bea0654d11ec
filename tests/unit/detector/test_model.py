from __future__ import annotations

from typing import TYPE_CHECKING

import onnxruntime
import pytest

from detector import model
from detector.catalogue.cards import DEFAULT_MODEL
from mesh.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_gpu_is_named_only_when_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(model, "DEVICES", tmp_path)
    without = model.providers()
    (tmp_path / "nvidia0").touch()

    assert without == ["CPUExecutionProvider"]
    assert model.providers() == ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.mark.parametrize(("name", "message"), [("yolo", "catalogue"), (DEFAULT_MODEL, "argo models pull")])
def test_without_a_model_the_start_is_refused_with_what_to_do(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(StartupError, match=message):
        model.load(name, tmp_path, threads=1)


def test_a_file_with_another_digest_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / f"{DEFAULT_MODEL}.onnx").write_bytes(b"not the model")
    with pytest.raises(StartupError, match="will not be loaded"):
        model.load(DEFAULT_MODEL, tmp_path, threads=1)
