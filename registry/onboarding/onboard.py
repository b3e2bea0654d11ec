"""``argo-registry onboard``: a camera says what it is, a person says what it is for and whether to store that."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from argo.registry.v1 import fleet_service_pb2, site_pb2
from mesh.local.terminal import failure, run
from registry.domain.network import RTSP_PORT, DeviceAddress
from registry.onboarding.access import access_of, access_options, reason_option, require_reason
from registry.onboarding.camera import CameraError, CameraReport, Contact, read_camera
from registry.onboarding.client import Access, FleetClient, fleet_client
from registry.onboarding.proposal import Wanted, propose, warnings
from registry.onboarding.report import plain, print_problems, summary

Row = fleet_service_pb2.ImportFleetRequest.Row
_OUT = Console(highlight=False, soft_wrap=True)
_VIEWS = {"context": "VIEW_CONTEXT", "observation": "VIEW_OBSERVATION", "hybrid": "VIEW_HYBRID"}
_MOBILITIES = {"fixed": "MOBILITY_FIXED", "mobile": "MOBILITY_MOBILE"}


@click.command()
@click.argument("address", metavar="ADDRESS[:PORT]")
@click.option("--id", "device_id", required=True, help="Id of the record, e.g. alimonda-1.")
@click.option("--site", default="", help="Id of the site where it stands.")
@click.option("--view", type=click.Choice(list(_VIEWS)), required=True, help="What it is there to see.")
@click.option("--mobility", type=click.Choice(list(_MOBILITIES)), default="fixed", show_default=True)
@click.option("--credentials", default="", help="Name of the secret with its user and password  [default: cameras/ID]")
@click.option("--user", default="", help="User of the camera; the password is asked for.")
@click.option("--password-file", type=click.File(encoding="utf-8"), help="Read the password from there instead.")
@click.option("--tls", is_flag=True, help="Speak HTTPS with the camera; its certificate is not verified.")
@click.option(
    "--firmware-table",
    type=click.File(encoding="utf-8-sig"),
    help="CSV file with manufacturer, model and oldest (the oldest good firmware).",
)
@click.option("--yes", is_flag=True, help="Store without asking.")
@reason_option
@access_options
def onboard(address: str, device_id: str, reason: str, *, yes: bool, **options: Any) -> None:
    """Ask the camera at ADDRESS over ONVIF what it is, propose its record, and store that if you agree."""
    require_reason(reason)
    access = access_of(options)
    contact = _contact(address, options)
    oldest = _oldest_firmware(options["firmware_table"])
    wanted = Wanted(
        device_id=device_id,
        site=f"sites/{options['site'].removeprefix('sites/')}" if options["site"] else "",
        credentials=options["credentials"] or (f"cameras/{device_id}" if contact.user else ""),
        view=site_pb2.Device.View.Value(_VIEWS[options["view"]]),
        mobility=site_pb2.Device.Mobility.Value(_MOBILITIES[options["mobility"]]),
    )
    rows = run(lambda: _examine(access, contact, wanted, oldest))
    if rows is None:
        raise click.exceptions.Exit(130)
    if not yes:
        click.confirm("Store this record?", abort=True)
    run(lambda: _store(access, rows, reason))


def _contact(address: str, options: Mapping[str, Any]) -> Contact:
    try:
        parsed = DeviceAddress.parse(address)
    except ValueError as error:
        raise click.BadParameter(str(error).replace("554", "80"), param_hint="ADDRESS") from None
    if isinstance(parsed.host, str):
        raise click.BadParameter("must be an IP address: what a name leads to can change", param_hint="ADDRESS")
    tls, user = options["tls"], options["user"]
    port = parsed.port if parsed.port != RTSP_PORT else 443 if tls else 80
    password = ""
    if options["password_file"] is not None:
        password = options["password_file"].readline().rstrip("\r\n")
    elif user:
        password = click.prompt("Password of the camera", hide_input=True, default="", show_default=False)
    return Contact(host=str(parsed.host), port=port, tls=tls, user=user, password=password)


def _oldest_firmware(table: Any) -> Mapping[tuple[str, str], str]:
    if table is None:
        return {}
    try:
        return {
            (row["manufacturer"].strip().lower(), row["model"].strip().lower()): row["oldest"].strip()
            for row in csv.DictReader(table)
        }
    except (KeyError, AttributeError, csv.Error, UnicodeDecodeError):
        raise click.BadParameter(
            "must be CSV with the columns manufacturer, model and oldest", param_hint="--firmware-table"
        ) from None


async def _examine(
    access: Access, contact: Contact, wanted: Wanted, oldest: Mapping[tuple[str, str], str]
) -> Sequence[Row]:
    """Asks the registry whether the camera may be dialled, then the camera; prints what is proposed.

    Raises:
        ClickException: the registry refuses the address or the record, or the camera cannot be read.
    """
    async with fleet_client(access) as client:
        await _require_place(client, contact, wanted)
        try:
            report = await asyncio.to_thread(read_camera, contact, _now)
            device, optics = propose(report, contact, wanted)
        except CameraError as error:
            raise failure(plain(f"the camera at {contact.host}: {error}").plain) from None
        rows = _over_stored(await client.receive(), device, optics)
        _print_proposal(rows, report)
        for warning in warnings(report, contact, oldest, _now()):
            _OUT.print(plain(f"! {warning}"))
        answer = await client.send(rows, "dry run", validate_only=True)
        if answer.problems:
            print_problems(_OUT, answer.problems)
            raise failure("the registry would not take this record; nothing was stored")
        return rows


async def _require_place(client: FleetClient, contact: Contact, wanted: Wanted) -> None:
    """Lets the registry judge the address before anything is sent there: it knows the camera networks."""
    device = site_pb2.Device(
        name=f"devices/{wanted.device_id}", address=contact.host, view=wanted.view, mobility=wanted.mobility
    )
    record = fleet_service_pb2.FleetRecord(device=device)
    answer = await client.send([Row(source=contact.host, record=record)], "dry run", validate_only=True)
    if answer.problems:
        print_problems(_OUT, answer.problems)
        raise failure("the camera was not dialled")


def _over_stored(
    stored: Sequence[fleet_service_pb2.FleetRecord], device: site_pb2.Device, optics: Sequence[site_pb2.Optic]
) -> list[Row]:
    """Rows of the import; of records that are stored already, only what the camera says changes."""
    known = {inner.name: inner for inner in (getattr(each, str(each.WhichOneof("record"))) for each in stored)}

    def merged(proposed: Any) -> Any:
        record = type(proposed)()
        if proposed.name in known:
            record.CopyFrom(known[proposed.name])
        record.MergeFrom(proposed)
        return record

    records = [fleet_service_pb2.FleetRecord(device=merged(device))]
    records += [fleet_service_pb2.FleetRecord(optic=merged(optic)) for optic in optics]
    return [Row(source=str(record.WhichOneof("record")), record=record) for record in records]


def _print_proposal(rows: Sequence[Row], report: CameraReport) -> None:
    device = rows[0].record.device
    table = Table("field", "value", box=box.SIMPLE_HEAD)
    for field in ("name", "site", "model", "serial_number", "firmware_version", "address", "credentials"):
        table.add_row(field, plain(getattr(device, field) or "-"))
    for row in rows[1:]:
        optic = row.record.optic
        paths = " and ".join(path for path in (optic.main_stream_path, optic.sub_stream_path) if path)
        table.add_row(f"optic {optic.name.rpartition('/')[2]}", plain(paths))
    sizes = ", ".join(f"{stream.width}x{stream.height} {stream.encoding}" for stream in report.streams)
    table.add_row("streams", plain(sizes))
    _OUT.print(table)


async def _store(access: Access, rows: Sequence[Row], reason: str) -> None:
    async with fleet_client(access) as client:
        answer = await client.send(rows, reason)
    print_problems(_OUT, answer.problems)
    _OUT.print(summary(answer, answer.problems, stored=answer.stored))
    if answer.problems:
        raise failure("nothing was stored")


def _now() -> datetime:
    return datetime.now(UTC)
