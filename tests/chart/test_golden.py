"""The rendered manifests, checked in: a change of a template shows what it does to a cluster in the diff."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("golden", ["minimal", "full"])
def test_render_is_as_checked_in(golden: str, render_text: Callable[[str], dict[str, str]]) -> None:
    texts = render_text(golden)
    bodies = {path: "\n".join(line.rstrip() for line in texts[path].strip().splitlines()) for path in sorted(texts)}
    rendered = "".join(
        f"---\n# Source: {path}\n{body.removeprefix('---').strip()}\n" for path, body in bodies.items() if body
    )
    checked_in = GOLDEN / f"{golden}.yaml"
    if os.environ.get("WRITE_GOLDEN"):
        checked_in.write_text(rendered, encoding="utf-8")

    assert checked_in.read_text(encoding="utf-8") == rendered, "run make chart-golden and read the diff"
