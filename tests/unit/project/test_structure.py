"""Bounds that keep the code readable, and rules of the domain that no linter knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

LONGEST_FUNCTION = 40
LONGEST_MODULE = 400
LONGEST_COMPOSITION_ROOT = 80
SERVICES = ("registry", "camera_gateway", "detector", "anonymizer", "alerting")
# Time, randomness and files come into the domain as arguments.
CLOCKS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.monotonic",
    "time.perf_counter", "uuid.uuid4", "secrets.token_hex", "secrets.token_bytes", "os.urandom", "open",
}  # fmt: skip
GLOBAL_RANDOM = ("random.", "np.random.rand", "numpy.random.rand", "np.random.seed")

Modules = Mapping[Path, ast.Module]


def _functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the signature to the end, without the docstring: what explains is not what burdens."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_functions_are_short(modules: Modules, root: Path) -> None:
    long = {
        f"{path.relative_to(root)}:{function.lineno} {function.name}": _body_lines(function)
        for path, module in modules.items()
        for function in _functions(module)
        if _body_lines(function) > LONGEST_FUNCTION
    }

    assert long == {}


def test_modules_are_short(modules: Modules, root: Path) -> None:
    lengths = {str(path.relative_to(root)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules}

    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


@pytest.mark.parametrize("service", SERVICES)
def test_composition_roots_are_small(service: str, root: Path) -> None:
    text = (root / service / "__main__.py").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip()]

    assert len(lines) <= LONGEST_COMPOSITION_ROOT


def _calls(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def test_the_domain_has_no_clock_and_no_dice(modules: Modules, root: Path) -> None:
    found = [
        f"{path.relative_to(root)}:{line} {call}"
        for path, module in modules.items()
        if "domain" in path.relative_to(root).parts
        for line, call in _calls(module)
        if call in CLOCKS or call.removeprefix("datetime.") in CLOCKS or call.startswith(GLOBAL_RANDOM)
    ]

    assert found == []


def _assigned(module: ast.Module) -> list[ast.expr]:
    """What of a module's subscripts is written to, such as os.environ in os.environ["A"] = "b"."""
    subscripts = (node for node in ast.walk(module) if isinstance(node, ast.Subscript))
    return [subscript.value for subscript in subscripts if isinstance(subscript.ctx, ast.Store)]


def test_only_settings_read_the_environment(modules: Modules, root: Path) -> None:
    readers = {
        path.relative_to(root).as_posix()
        for path, module in modules.items()
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
        if node not in _assigned(module)
    }

    assert {
        name for name in readers if name.split("/")[0] in SERVICES and not name.startswith("detector/catalogue/")
    } == set()
