"""``python -m alerting export-flows``: a document of counts in a file; standard output is the log's."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import prometheus_client

from alerting import contracts, migrations
from alerting.domain.alerts import ALERTING
from alerting.domain.audience import Audience
from alerting.flow_contracts import place_name
from alerting.flow_desk import Question
from alerting.flow_export import Format, Order
from alerting.flow_parts import FlowParts
from alerting.metrics import Metrics
from alerting.open_web import interval_of
from alerting.records import Records
from alerting.settings import AlertingSettings
from alerting.signals import ChangeSignal
from alerting.store.database import Database
from mesh import postgres
from mesh.audit import AuditLog
from mesh.errors import ArgoError


async def export_flows_command(settings: AlertingSettings, arguments: list[str]) -> int:
    """Writes the document; the exit status is 1 when there is nothing to tell."""
    options = _parser().parse_args(arguments)
    if options.exact and not options.reason:
        _parser().error("--exact needs a --reason: the look goes on record")
    async with postgres.open_pool(settings.postgres_dsn, schema=migrations.SCHEMA) as pool:
        database = Database(pool)
        signal = ChangeSignal(database, maximum_watches=1)
        metrics = Metrics(prometheus_client.CollectorRegistry())
        parts = FlowParts(settings, database, Records(AuditLog(pool)), signal, metrics, lambda: datetime.now(UTC))
        try:
            order = _order(options)
            if options.exact:
                body = await parts.export.exact_document(Audience(ALERTING), order)
            else:
                body = await parts.export.open_document(order)
        except ArgoError as error:
            sys.stderr.write(f"export-flows: {error.message}\n")
            return 2
    if body is None:
        sys.stderr.write("export-flows: there is nothing to tell\n")
        return 1
    options.output.write_bytes(body)
    return 0


def _order(options: argparse.Namespace) -> Order:
    places = tuple(sorted({place_name(name, "--place") for name in options.place}))
    sites = tuple(sorted({contracts.site_name(name, "--site") for name in options.site}))
    question = Question(places, sites, timedelta(minutes=options.minutes), options.reason)
    return Order(Format(options.format), question, interval_of(options.start, options.end))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="alerting export-flows", description=__doc__)
    parser.add_argument("--format", choices=[form.value for form in Format], required=True)
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    parser.add_argument("--minutes", type=int, choices=(5, 15, 60), default=5, help="length of an interval")
    parser.add_argument("--place", action="append", default=[], help="a line or zone; may be repeated")
    parser.add_argument("--site", action="append", default=[], help="sites/{site}; may be repeated")
    parser.add_argument("--start", help="in ISO 8601; without it, and --end: the newest interval")
    parser.add_argument("--end", help="in ISO 8601")
    parser.add_argument(
        "--exact", action="store_true", help="the exact figures, on record, instead of the published ones"
    )
    parser.add_argument("--reason", default="", help="why the exact figures are wanted")
    return parser
