from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import pydantic
import pytest

from mesh.settings import ServiceSettings, SettingsError, describe, load

REQUIRED = {"ARGO_TLS_CERTIFICATE": "/c.pem", "ARGO_TLS_KEY": "/k.pem", "ARGO_TLS_CA": "/ca.pem"}


class GatewaySettings(ServiceSettings):
    camera_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    labels: tuple[str, ...] | None = None
    postgres_dsn: pydantic.SecretStr = pydantic.SecretStr("")
    nats_url: str = "nats://localhost"
    capacity: int = pydantic.Field(4, ge=1)
    model_directory: Path | None = None


def test_every_field_is_read_from_its_variable() -> None:
    settings = load(GatewaySettings, {**REQUIRED, "ARGO_CAPACITY": "9", "ARGO_LOG_LEVEL": "debug", "HOME": "/root"})

    assert settings.capacity == 9
    assert settings.log_level == "debug"
    assert settings.tls.key == settings.tls_key


def test_lists_are_comma_separated() -> None:
    environ = {**REQUIRED, "ARGO_CAMERA_NETWORKS": "10.0.0.0/8, fd00::/8", "ARGO_LABELS": "a,b,"}

    settings = load(GatewaySettings, environ)

    assert settings.camera_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert settings.labels == ("a", "b")


def test_an_empty_variable_counts_as_absent() -> None:
    assert load(GatewaySettings, {**REQUIRED, "ARGO_OTLP_ENDPOINT": "", "ARGO_CAPACITY": ""}).capacity == 4


def test_every_problem_is_named_at_once_and_no_value_is_shown() -> None:
    environ = {
        "ARGO_TLS_KEY": "/k.pem",
        "ARGO_CAPACITY": "hunter2",
        "ARGO_CAMERA_NETWORKS": "10.0.0.0/8,hunter2",
        "ARGO_TRACE_SAMPLE_RATIO": "7",
        "ARGO_GRPC_LISTEN": "hunter2",
        "ARGO_POSTGRESS_DSN": "postgresql://argo:hunter2@db",
    }

    with pytest.raises(SettingsError) as caught:
        load(GatewaySettings, environ)

    named = {problem.split(":")[0].split(" ")[0] for problem in caught.value.problems}
    assert named == {*environ, "ARGO_TLS_CERTIFICATE", "ARGO_TLS_CA"} - {"ARGO_TLS_KEY"}
    assert "ARGO_CAMERA_NETWORKS (item 2)" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    settings = load(GatewaySettings, REQUIRED)

    with pytest.raises(pydantic.ValidationError):
        settings.capacity = 5


def test_description_masks_secrets() -> None:
    environ = {
        **REQUIRED,
        "ARGO_POSTGRES_DSN": "postgresql://argo:hunter2@db/argo",
        "ARGO_NATS_URL": "nats://argo:hunter2@nats:4222",
        "ARGO_CAMERA_NETWORKS": "10.0.0.0/8",
    }

    described = describe(load(GatewaySettings, environ))

    assert "hunter2" not in repr(described)
    assert described["camera_networks"] == ["10.0.0.0/8"]
    assert described["capacity"] == 4
    assert described["nats_url"] == "nats://***@nats:4222"
