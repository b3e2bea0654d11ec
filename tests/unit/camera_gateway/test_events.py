from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged() -> dict[str, str]:
    """Every event name in the gateway's code, with its level."""
    events: dict[str, str] = {}
    for path in (ROOT / "camera_gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
                and node.func.attr in LEVELS
            ):
                name = node.args[0]
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno}: no literal"
                events[str(name.value)] = "error" if node.func.attr == "exception" else node.func.attr
    return events


def test_the_catalogue_is_what_the_code_says() -> None:
    rows = re.findall(
        r"^\| `([a-z_.]+)` \| (\w+) \|", (ROOT / "docs/events/camera_gateway.md").read_text(), re.MULTILINE
    )

    assert dict(rows) == logged()


@pytest.mark.parametrize("event", sorted(logged()))
def test_event_names_are_dotted(event: str) -> None:
    assert re.fullmatch(r"[a-z]+(\.[a-z_]+)+", event)
