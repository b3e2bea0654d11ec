"""Alerting rules: each has its runbook, and none asks for a metric that no service exports."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Manifest = dict[str, Any]
ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "helm" / "argo" / "alerts").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
CODE = [ROOT / name for name in ("mesh", "registry", "camera_gateway", "detector", "anonymizer", "alerting")]
SECTIONS = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"]


def test_rules_and_runbooks_are_one_to_one() -> None:
    assert [path.stem for path in sorted(RUNBOOKS.glob("Argo*.md"))] == [path.stem for path in RULES]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_a_rule_is_complete(path: Path) -> None:
    rule = yaml.safe_load(path.read_text(encoding="utf-8"))
    runbook = (RUNBOOKS / f"{path.stem}.md").read_text(encoding="utf-8")

    assert rule["alert"] == path.stem
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    assert [line for line in runbook.splitlines() if line.startswith("## ")] == SECTIONS


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_a_rule_asks_for_metrics_that_exist(path: Path) -> None:
    expression = yaml.safe_load(path.read_text(encoding="utf-8"))["expr"]
    asked = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in re.findall(r"\bargo_\w+", expression)}
    exported = {
        re.sub(r"_total$", "", name)
        for folder in CODE
        for source in folder.rglob("*.py")
        for name in re.findall(r'"(argo_[a-z0-9_]+)"', source.read_text(encoding="utf-8"))
    }

    assert asked - exported == set()


def test_the_rules_are_rendered_with_their_runbooks(render: Callable[[str], list[Manifest]]) -> None:
    rules = next(manifest for manifest in render("full") if manifest["kind"] == "PrometheusRule")
    rendered = rules["spec"]["groups"][0]["rules"]

    assert [rule["alert"] for rule in rendered] == [path.stem for path in RULES]
    assert all(rule["annotations"]["runbook_url"].endswith(f"/{rule['alert']}.md") for rule in rendered)
