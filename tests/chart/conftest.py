"""Renders the chart through Helm's own engine; no helm binary and no cluster are needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

Manifest = dict[str, Any]
Render = Callable[[str], list[Manifest]]

HERE = Path(__file__).parent
CHART = HERE.parents[1] / "helm" / "argo"
SCENARIOS = sorted(path.stem for path in (HERE / "values").glob("*.yaml"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize("scenario", SCENARIOS)


@pytest.fixture(scope="session")
def chart() -> Iterator[helm_python.Chart]:
    with helm_python.Chart.load(CHART) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def values_of() -> Callable[[str], dict[str, Any]]:
    def read(scenario: str) -> dict[str, Any]:
        values: dict[str, Any] = yaml.safe_load((HERE / "values" / f"{scenario}.yaml").read_text(encoding="utf-8"))
        return values

    return read


@pytest.fixture(scope="session")
def render_text(
    chart: helm_python.Chart, values_of: Callable[[str], dict[str, Any]]
) -> Callable[[str], dict[str, str]]:
    @functools.cache
    def render(scenario: str) -> dict[str, str]:
        return chart.render(values_of(scenario), name="argo", namespace="argo")

    return render


@pytest.fixture(scope="session")
def render(render_text: Callable[[str], dict[str, str]]) -> Render:
    """The manifests of a scenario, in the order of their template files."""

    @functools.cache
    def manifests(scenario: str) -> list[Manifest]:
        texts = render_text(scenario)
        documents = [yaml.safe_load_all(texts[path]) for path in sorted(texts) if path.endswith(".yaml")]
        return [manifest for stream in documents for manifest in stream if manifest]

    return manifests


@pytest.fixture(scope="session")
def pods() -> Callable[[list[Manifest]], dict[str, Manifest]]:
    """The pod templates of manifests, by "Kind/name" of the object that makes the pods."""

    def templates(manifests: list[Manifest]) -> dict[str, Manifest]:
        return {
            f"{manifest['kind']}/{manifest['metadata']['name']}": manifest["spec"]["template"]
            for manifest in manifests
            if "template" in manifest.get("spec", {})
        }

    return templates
