"""``argo-registry``: fleets and cameras into the registry, and fleets out of it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from argo.registry.v1 import fleet_service_pb2
from mesh.local.terminal import failure, run
from registry.onboarding import geojson, spreadsheet
from registry.onboarding.access import access_of, access_options, reason_option, require_reason
from registry.onboarding.client import Access, fleet_client
from registry.onboarding.files import FileError, FleetFile, decode
from registry.onboarding.onboard import onboard
from registry.onboarding.report import all_problems, print_problems, summary
from registry.onboarding.turin import FULL_SIZE, turin_fleet

_Read = Callable[[str], FleetFile]
_Write = Callable[[Iterable[fleet_service_pb2.FleetRecord]], str]
_FORMATS: Mapping[str, tuple[_Read, _Write]] = {
    ".csv": (spreadsheet.read, spreadsheet.write),
    ".geojson": (geojson.read, geojson.write),
    ".json": (geojson.read, geojson.write),
}
_OUT = Console(highlight=False, soft_wrap=True)

Record = fleet_service_pb2.FleetRecord


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Bring fleets and cameras into the registry, and fleets out of it.

    The registry is that of the local mesh (`argo up`), unless --registry and a certificate name another one.
    """


@main.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE.csv|FILE.geojson")
@click.option("--dry-run", is_flag=True, help="Only report; store nothing.")
@click.option("--partial", is_flag=True, help="Store the valid records although others are not.")
@reason_option
@access_options
def import_(file: Path, reason: str, *, dry_run: bool, partial: bool, **options: Any) -> None:
    """Import a fleet: report every problem first, then store all of it, or nothing."""
    access = access_of(options)
    content = _read(file)
    _finish(run(lambda: _import(access, content, reason, dry_run=dry_run, partial=partial)))


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), metavar="FILE|-")
@click.option("--format", "form", type=click.Choice(["csv", "geojson"]), help="For '-'; a file has it in its name.")
@access_options
def export(file: Path, form: str | None, **options: Any) -> None:
    """Write the records of your controller, ready to be imported again."""
    access = access_of(options)
    _, write = _format_of(file, form)

    async def receive() -> list[Record]:
        async with fleet_client(access) as client:
            return await client.receive()

    records = run(receive)
    if records is None:
        raise click.exceptions.Exit(130)
    _write(file, write(records))
    click.echo(f"{len(records)} records", err=True)


@main.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--size", default="turin", show_default=True, help=f"Number of devices, or turin for {FULL_SIZE}.")
@click.option("--seed", default=0, show_default=True, help="The same seed and day give the same fleet.")
@click.option("--format", "form", type=click.Choice(["csv", "geojson"]), help="For '-'.")
@click.option("--store", is_flag=True, help="Import it instead of writing a file.")
@click.option("--dry-run", is_flag=True, help="With --store: only report.")
@reason_option
@access_options
def fleet(
    file: Path | None,
    size: str,
    seed: int,
    form: str | None,
    reason: str,
    *,
    store: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Make up a lawful fleet of the size of Turin's, or a smaller one, as a file or in the registry."""
    if (file is None) == (not store):
        raise click.UsageError("name a FILE, or say --store")
    records = _make_up(size, seed)
    if file is not None:
        _, write = _format_of(file, form)
        _write(file, write(records))
        return
    access = access_of(options)
    content = FleetFile([_row(number, record) for number, record in enumerate(records, 1)])
    _finish(run(lambda: _import(access, content, reason, dry_run=dry_run, partial=False)))


def _make_up(size: str, seed: int) -> list[Record]:
    if size != "turin" and not (size.isdecimal() and 1 <= int(size) <= FULL_SIZE):
        raise click.BadParameter(f"must be turin, or 1 to {FULL_SIZE}", param_hint="--size")
    return turin_fleet(seed, now=datetime.now(UTC), devices=FULL_SIZE if size == "turin" else int(size))


def _row(number: int, record: Record) -> fleet_service_pb2.ImportFleetRequest.Row:
    return fleet_service_pb2.ImportFleetRequest.Row(source=f"record {number}", record=record)


async def _import(access: Access, file: FleetFile, reason: str, *, dry_run: bool, partial: bool) -> int:
    """Validates, reports, stores; answers the exit status."""
    if not dry_run:
        require_reason(reason)
    async with fleet_client(access) as client:
        if any(file.absent.values()):
            file.keep_absent(_by_name(await client.receive()))
        answer = fleet_service_pb2.ImportFleetResponse()
        if file.rows:
            answer = await client.send(file.rows, reason or "dry run", validate_only=True)
        problems = all_problems(file.problems, answer)
        print_problems(_OUT, problems)
        if dry_run or (problems and not partial):
            _OUT.print(summary(answer, problems, stored=False) + "; nothing was stored", markup=False)
            return 1 if problems else 0
        if not answer.created + answer.updated:
            _OUT.print(summary(answer, problems, stored=True) + "; there is nothing to store", markup=False)
            return 1 if problems else 0
        answer = await client.send(file.rows, reason, partial=partial)
    late = all_problems(file.problems, answer)
    if late != problems:
        print_problems(_OUT, answer.problems)
    _OUT.print(
        summary(answer, late, stored=answer.stored) + ("" if answer.stored else "; nothing was stored"), markup=False
    )
    return 1 if late else 0


def _by_name(records: Sequence[Record]) -> dict[str, Any]:
    inner = [getattr(record, str(record.WhichOneof("record"))) for record in records]
    return {record.name: record for record in inner}


def _finish(status: int | None) -> None:
    """Ends with the status of the work; None: it was interrupted."""
    raise click.exceptions.Exit(130 if status is None else status)


def _read(file: Path) -> FleetFile:
    read, _ = _format_of(file, None)
    try:
        return read(decode(file.read_bytes()))
    except FileError as error:
        raise failure(f"{file} cannot be imported: {error}") from None
    except OSError as error:
        raise failure(f"{file} cannot be read: {error.strerror}") from None


def _format_of(file: Path, form: str | None) -> tuple[_Read, _Write]:
    suffix = f".{form}" if form is not None else ".csv" if str(file) == "-" else file.suffix.lower()
    if suffix not in _FORMATS:
        raise click.BadParameter("must end in .csv or .geojson", param_hint="FILE")
    return _FORMATS[suffix]


def _write(file: Path, text: str) -> None:
    """Writes the whole file or none of it; only its owner may read it, since it holds the addresses of cameras."""
    if str(file) == "-":
        sys.stdout.write(text)
        return
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", dir=file.parent, delete=False) as draft:
            draft.write(text)
        os.replace(draft.name, file)  # noqa: PTH105 - of a name, not of a path
    except OSError as error:
        raise failure(f"{file} cannot be written: {error.strerror}") from None


main.add_command(onboard)


if __name__ == "__main__":
    main()
