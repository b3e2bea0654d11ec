"""The chart and the code cannot drift: what the chart renders is what the settings of each service accept."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from mesh import settings

Manifest = dict[str, Any]
Render = Callable[[str], list[Manifest]]
Pods = Callable[[list[Manifest]], dict[str, Manifest]]

PACKAGES = ("registry", "camera_gateway", "detector", "anonymizer", "alerting")
# What Kubernetes would put in: the shape matters, not the value.
REFERENCED = {
    "ARGO_POSTGRES_DSN": "postgresql://argo:not-a-password@postgres:5432/argo",
    "ARGO_CONSOLE_TOKEN": "not-a-token-but-long-enough",
    "ARGO_CONSOLE_OIDC_CLIENT_SECRET": "not-a-secret",
    "ARGO_REPLICA": "argo-camera-gateway-7d9f8-abcde",
    "AWS_ACCESS_KEY_ID": "not-an-id",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
}


def _settings_type(package: str) -> type[settings.ServiceSettings]:
    module = importlib.import_module(f"{package}.settings")
    own = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, settings.ServiceSettings) and member.__module__ == module.__name__
    ]

    assert len(own) == 1, f"{package}.settings defines {len(own)} settings types"
    return own[0]


def _environment(template: Manifest) -> dict[str, str]:
    variables = template["spec"]["containers"][0]["env"]
    names = [variable["name"] for variable in variables]

    assert sorted(set(names)) == sorted(names), "a variable is given twice"
    return {variable["name"]: variable.get("value") or REFERENCED[variable["name"]] for variable in variables}


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("scenario_name", ["minimal", "full", "existing-secrets"])
def test_settings_accept_what_the_chart_renders(package: str, scenario_name: str, render: Render, pods: Pods) -> None:
    name = package.replace("_", "-")
    environment = _environment(pods(render(scenario_name))[f"Deployment/argo-{name}"])

    loaded = settings.load(_settings_type(package), environment)

    assert loaded.grpc_listen == "0.0.0.0:8443"
    assert loaded.http_listen == "0.0.0.0:9090"
    assert loaded.trust_domain == "argo.local"


@pytest.mark.parametrize("package", ["registry", "anonymizer", "alerting"])
@pytest.mark.parametrize("phase", ["pre", "post"])
def test_migrations_run_with_the_settings_of_their_service(
    package: str, phase: str, render: Render, pods: Pods
) -> None:
    templates = pods(render("minimal"))
    job = templates[f"Job/argo-{package}-migrate-{phase}"]

    assert _environment(job) == _environment(templates[f"Deployment/argo-{package}"])
    assert job["spec"]["containers"][0]["args"] == ["migrate", "--phase", phase]


def test_the_scaler_counts_what_alerting_consumes(render: Render) -> None:
    scaler = next(manifest for manifest in render("full") if manifest["kind"] == "ScaledObject")
    trigger = scaler["spec"]["triggers"][0]["metadata"]
    source = inspect.getsource(importlib.import_module("alerting.consumer"))

    assert f'"{trigger["stream"]}", durable="{trigger["consumer"]}"' in " ".join(source.split())
