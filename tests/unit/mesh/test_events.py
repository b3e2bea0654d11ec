from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
LEVELS = {"debug", "info", "warning", "error", "exception"}


def _sources() -> list[Path]:
    folders = (".", "access", "audit", "rpc")
    return sorted(source for folder in folders for source in (ROOT / "mesh" / folder).glob("*.py"))


def _logged() -> dict[str, str]:
    """Every logged event and its level; a name that is no literal fails here."""
    found = {}
    for source in _sources():
        for node in ast.walk(ast.parse(source.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
                and node.func.attr in LEVELS
            ):
                for name in _literals(node.args[0]):
                    found[name] = "error" if node.func.attr == "exception" else node.func.attr
    return found


def _literals(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return [*_literals(node.body), *_literals(node.orelse)]
    assert isinstance(node, ast.Constant), f"an event name must be a literal: {ast.unparse(node)}"
    assert isinstance(node.value, str)
    return [node.value]


def _catalogue() -> dict[str, str]:
    text = (ROOT / "docs" / "events" / "mesh.md").read_text()
    rows = re.findall(r"^\| `([a-z_.]+)` \| ([a-z ]+) \|", text, re.MULTILINE)
    return dict(rows)


def test_the_catalogue_lists_exactly_what_is_logged() -> None:
    listed = {name: level for name, level in _catalogue().items() if name != "library.logged"}

    assert _logged() == listed


def test_event_names_are_dotted_and_constant() -> None:
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name in _catalogue())
