from __future__ import annotations

import re
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MAKE_TARGET = re.compile(r"`make ([a-z][a-z-]*)")


def _pages(files: list[Path]) -> list[Path]:
    return [path for path in files if path.suffix == ".md"]


def test_links_lead_somewhere(repository_files: list[Path], root: Path) -> None:
    broken = [
        f"{page.relative_to(root)}: {target}"
        for page in _pages(repository_files)
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:|#", target) and not (page.parent / target.split("#")[0]).exists()
    ]

    assert broken == []


def test_make_targets_in_the_docs_exist(repository_files: list[Path], root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    spoken_of = {
        target: str(page.relative_to(root))
        for page in _pages(repository_files)
        for target in MAKE_TARGET.findall(page.read_text(encoding="utf-8"))
    }

    assert {target: page for target, page in spoken_of.items() if target not in targets} == {}
    assert spoken_of


def test_every_decision_is_in_the_index(root: Path) -> None:
    folder = root / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))

    assert [record for record in records if f"]({record})" not in index] == []
    numbers = [record[:4] for record in records]
    assert len(numbers) == len(set(numbers)), "two decisions have one number"


def test_every_runbook_is_in_the_index(root: Path) -> None:
    folder = root / "docs" / "runbooks"
    index = (folder / "README.md").read_text(encoding="utf-8")

    assert [path.name for path in sorted(folder.glob("Argo*.md")) if f"]({path.name})" not in index] == []
