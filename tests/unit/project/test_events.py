"""The names of log events are an interface: literals in the code, and each explained in the catalogue."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# Lines of libraries come through under this name, with the library's own level (mesh/logging.py).
LIBRARY = "library.logged"
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
COLUMNS = ["event", "level", "when", "fields", "what to do"]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def _catalogue(root: Path) -> dict[str, list[list[str]]]:
    """The rows of docs/events/*.md, by the event that they explain."""
    rows: dict[str, list[list[str]]] = {}
    for path in sorted((root / "docs" / "events").glob("*.md")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("|"):
                cells = _cells(line)
                rows.setdefault(cells[0].strip("`"), []).append(cells)
    return rows


def _loggers(module: ast.Module) -> set[str]:
    """The names that hold a structlog logger."""
    return {
        target.id
        for node in ast.walk(module)
        if isinstance(node, ast.Assign) and "structlog.get_logger" in ast.unparse(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _log_calls(module: ast.Module) -> Iterator[ast.Call]:
    loggers = _loggers(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            origin = node.func.value
            while isinstance(origin, ast.Call | ast.Attribute):  # log.bind(...).info(...)
                origin = origin.func if isinstance(origin, ast.Call) else origin.value
            if isinstance(origin, ast.Name) and origin.id in loggers:
                yield node


def _literals(argument: ast.expr) -> list[str]:
    """The names that an event argument can be: one, or the two of a conditional; none where it is computed."""
    if isinstance(argument, ast.IfExp):
        return [*_literals(argument.body), *_literals(argument.orelse)]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [argument.value]
    return []


@pytest.fixture(scope="module")
def events(modules: Mapping[Path, ast.Module], root: Path) -> dict[str, str]:
    """Where each event is logged, by its name; a computed name stands under its source text."""
    found = {}
    for path, module in modules.items():
        for call in _log_calls(module):
            place = f"{path.relative_to(root)}:{call.lineno}"
            for name in (_literals(call.args[0]) if call.args else []) or [ast.unparse(call)]:
                found[name] = place
    return found


def test_the_scan_finds_the_events(events: dict[str, str]) -> None:
    assert "service.ready" in events
    assert len(events) > 30


def test_event_names_are_dotted_literals(events: dict[str, str]) -> None:
    assert {name: place for name, place in events.items() if not NAME.fullmatch(name)} == {}


def test_every_event_is_in_the_catalogue(events: dict[str, str], root: Path) -> None:
    catalogue = _catalogue(root)

    assert {name: place for name, place in events.items() if name not in catalogue} == {}


def test_the_catalogue_names_no_event_that_is_never_logged(events: dict[str, str], root: Path) -> None:
    names = {name for name in _catalogue(root) if NAME.fullmatch(name)}

    assert sorted(names - events.keys() - {LIBRARY}) == []


def test_rows_of_the_catalogue_are_complete(root: Path) -> None:
    for name, rows in _catalogue(root).items():
        for row in rows:
            if NAME.fullmatch(name):
                assert len(row) == len(COLUMNS), row
                assert row[1] in LEVELS or name == LIBRARY, row
                assert row[2], row
                assert row[4], row


def test_the_index_names_every_area(root: Path) -> None:
    index = (root / "docs" / "events.md").read_text(encoding="utf-8")
    areas = sorted(path.name for path in (root / "docs" / "events").glob("*.md"))

    assert [area for area in areas if f"events/{area}" not in index] == []


def test_runbooks_and_index_speak_of_events_that_exist(events: dict[str, str], root: Path) -> None:
    pages = [root / "docs" / "events.md", *sorted((root / "docs" / "runbooks").glob("*.md"))]
    spoken_of = {
        name: path.name
        for path in pages
        for name in re.findall(r'event *=+ *"([^"]+)"', path.read_text(encoding="utf-8"))
    }

    assert {name: page for name, page in spoken_of.items() if name not in events} == {}
