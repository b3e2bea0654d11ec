from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest

Manifest = dict[str, Any]
CHART = Path(__file__).parents[2] / "helm" / "argo"
# Kinds of other projects, whose schemas kubernetes-validate does not carry.
CUSTOM = {"Certificate", "PodMonitor", "PrometheusRule", "ScaledObject"}
COMPONENTS = {
    "registry": "registry",
    "cameraGateway": "camera-gateway",
    "detector": "detector",
    "anonymizer": "anonymizer",
    "alerting": "alerting",
}


def test_manifests_are_valid_kubernetes_objects(scenario: str, render: Callable[[str], list[Manifest]]) -> None:
    version = kubernetes_validate.latest_version()
    manifests = render(scenario)

    for manifest in manifests:
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)

    assert len(manifests) >= 6


def test_names_are_unique(scenario: str, render: Callable[[str], list[Manifest]]) -> None:
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in render(scenario)]

    assert sorted(set(names)) == sorted(names)


def test_lint_finds_nothing(scenario: str, values_of: Callable[[str], dict[str, Any]]) -> None:
    findings = helm_python.lint(CHART, values_of(scenario), strict=True)

    assert findings["errors"] == []
    assert [message["error"] for message in findings["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("key", COMPONENTS)
def test_a_component_renders_alone(key: str, render: Callable[[str], list[Manifest]]) -> None:
    manifests = render(f"solo-{key}")
    name = f"argo-{COMPONENTS[key]}"

    assert {manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "Deployment"} == {name}
    assert all(manifest["metadata"]["name"].startswith(name) for manifest in manifests)


def test_the_components_alone_are_the_whole_but_for_the_shared_objects(
    render: Callable[[str], list[Manifest]],
) -> None:
    def deployments(scenario: str) -> dict[str, Any]:
        return {
            manifest["metadata"]["name"]: manifest["spec"]["template"]["spec"]
            for manifest in render(scenario)
            if manifest["kind"] == "Deployment"
        }

    alone = {name: pod for key in COMPONENTS for name, pod in deployments(f"solo-{key}").items()}

    assert deployments("minimal") == alone


def test_no_component_at_all_is_refused(chart: helm_python.Chart) -> None:
    values: dict[str, Any] = {key: {"enabled": False} for key in COMPONENTS}

    with pytest.raises(helm_python.HelmRenderError, match="no component is enabled"):
        chart.render({**values, "cameraNetworks": ["10.20.0.0/16"]}, name="argo", namespace="argo")


def test_two_autoscalers_on_one_deployment_are_refused(chart: helm_python.Chart) -> None:
    values = {
        "cameraNetworks": ["10.20.0.0/16"],
        "alerting": {"autoscaling": {"enabled": True}, "keda": {"enabled": True}},
    }

    with pytest.raises(helm_python.HelmRenderError, match="choose one"):
        chart.render(values, name="argo", namespace="argo")
