from __future__ import annotations

import pytest

from detector.settings import DetectorSettings
from mesh.settings import SettingsError, load

REQUIRED = {"ARGO_TLS_CERTIFICATE": "c", "ARGO_TLS_KEY": "k", "ARGO_TLS_CA": "a", "ARGO_NATS_URL": "tls://127.0.0.1:1"}


def test_the_defaults_are_enough() -> None:
    settings = load(DetectorSettings, REQUIRED)

    assert settings.model == "centernet-mobilenetv3"
    assert settings.inference_threads == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ARGO_TIME_ZONE", "Europe/Atlantis"),
        ("ARGO_TIME_ZONE", "../etc/passwd"),
        ("ARGO_INFERENCE_THREADS", "0"),
        ("ARGO_LATENCY_BUDGET_SECONDS", "soon"),
        ("ARGO_NATS_URL", ""),
        ("ARGO_MODELL", "centernet"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(DetectorSettings, {**REQUIRED, name: value})
