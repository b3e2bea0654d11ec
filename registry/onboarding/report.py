"""What ``argo-registry`` tells people about an import."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from argo.registry.v1 import fleet_service_pb2
from registry.onboarding.files import FileProblem

Response = fleet_service_pb2.ImportFleetResponse


def all_problems(found_here: Iterable[FileProblem], answer: Response) -> list[Response.Problem]:
    """Problems of the file and of its records in one list."""
    return [
        *(Response.Problem(source=each.source, field=each.field, description=each.description) for each in found_here),
        *answer.problems,
    ]


def print_problems(console: Console, problems: Sequence[Response.Problem]) -> None:
    """One line for each problem; what comes from the file is shown as it is, without any effect on the terminal."""
    if not problems:
        return
    table = Table("where", "record", "field", "what is wrong", box=box.SIMPLE_HEAD)
    for problem in problems:
        cells = (problem.source, problem.name, problem.field, problem.description)
        table.add_row(*(plain(cell) for cell in cells))
    console.print(table)


def plain(text: str) -> Text:
    """A text from elsewhere, without any effect on the terminal: no markup, and no escape sequences."""
    return Text("".join(character if character.isprintable() else "\ufffd" for character in text), overflow="fold")


def summary(answer: Response, problems: Sequence[Response.Problem], *, stored: bool) -> str:
    """The counts in one line."""
    would = "" if stored else " would be"
    places = len({problem.source for problem in problems})
    wrong = f"; {_count(len(problems), 'problem')} in {_count(places, 'place')}" if problems else ""
    return f"{answer.created}{would} made, {answer.updated} changed, {answer.unchanged} as they are{wrong}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
