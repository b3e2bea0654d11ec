from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import pytest

from mesh.access import matrix

CHART = Path(__file__).parents[2] / "helm" / "argo"
NETWORKS = {"cameraNetworks": ["10.20.0.0/16"]}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "cameraNetworks"),
        ({"cameraNetworks": ["0.0.0.0/0"]}, "cameraNetworks"),
        ({"cameraNetworks": ["not a network"]}, "cameraNetworks"),
        ({**NETWORKS, "detectr": {}}, "detectr"),
        ({**NETWORKS, "detector": {"replica": 2}}, "replica"),
        ({**NETWORKS, "detector": {"replicas": "two"}}, "replicas"),
        ({**NETWORKS, "detector": {"models": {"volume": {"hostPath": {"path": "/models"}}}}}, "volume"),
        ({**NETWORKS, "tls": {"mode": "none"}}, "mode"),
        ({**NETWORKS, "image": {"tag": "latest"}}, "tag"),
        ({**NETWORKS, "nats": {"url": "nats://nats:4222"}}, "url"),
        ({**NETWORKS, "anonymizer": {"recording": {"url": "file:///recordings"}}}, "url"),
        ({**NETWORKS, "alerting": {"ingress": {"enabled": True}}}, "host"),
        ({**NETWORKS, "registry": {"postgres": {"existingSecret": ""}}}, "existingSecret"),
    ],
)
def test_wrong_values_are_refused_by_name(chart: helm_python.Chart, values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(helm_python.HelmError, match=complaint):
        chart.validate_schema(values)


def _objects(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "properties" in node and node.get("type") == "object":
            yield path, node
        for key, child in node.items():
            yield from _objects(child, f"{path}/{key}")


def test_every_object_of_the_schema_is_closed() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    objects = dict(_objects(schema))

    assert [path for path, node in objects.items() if node.get("additionalProperties") is not False] == []
    assert len(objects) > 20


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = schema["definitions"][node["$ref"].rsplit("/", 1)[1]]
    return node


def _missing(schema: dict[str, Any], node: dict[str, Any], values: dict[str, Any], path: str) -> Iterator[str]:
    for key, child in _resolve(schema, node).get("properties", {}).items():
        if key not in values:
            yield f"{path}{key}"
        elif isinstance(values[key], dict):
            yield from _missing(schema, child, values[key], f"{path}{key}.")


def test_every_key_of_the_schema_has_a_default(chart: helm_python.Chart) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    assert list(_missing(schema, schema, chart.values, "")) == []


def test_every_value_is_explained() -> None:
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    key = re.compile(r"^ *[A-Za-z][\w]*:")
    unexplained = [
        f"{number}: {line.strip()}"
        for number, line in enumerate(lines, start=1)
        if key.match(line) and not line.endswith(":") and not _explained(lines, number - 1)
    ]

    assert unexplained == []


def _explained(lines: list[str], index: int) -> bool:
    """A value is explained by the comment above it, or above the block of passed-on YAML that it stands in."""
    indent = len(lines[index]) - len(lines[index].lstrip())
    above = lines[index - 1].strip()
    if above.startswith("# -- "):
        return True
    for line in reversed(lines[:index]):
        depth = len(line) - len(line.lstrip())
        if line.strip().startswith("# -- ") and depth < indent:
            return True
        if not line.strip() or (depth == 0 and not line.startswith("#")):
            return False
    return False


def test_roles_are_mapped_to_those_of_the_permission_matrix() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    named = schema["properties"]["oidc"]["properties"]["roleMap"]["additionalProperties"]["enum"]

    assert sorted(named) == sorted(matrix().roles)
