"""A database per test, messages as a detector sends them, and the service over loopback."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import prometheus_client
import pydantic

from alerting import migrations
from alerting.assembly import Parts
from alerting.dispatch_messages import rendered
from alerting.domain.coverage import Span
from alerting.domain.holds import HeldInterval
from alerting.domain.search.atlas import Atlas
from alerting.metrics import Metrics
from alerting.search_desk import ReadAtlas
from alerting.service.coverage import ReadRecorded
from alerting.settings import AlertingSettings
from alerting.store.alerts import AlertStore
from alerting.store.database import Database
from alerting.store.dispatches import Outbox
from alerting.store.holds import HoldStore
from alerting.upkeep import ReadHolds
from argo.detector.v1 import bus_pb2
from argo.registry.v1 import scene_pb2
from argo.type.v1 import media_pb2, object_class_pb2
from mesh.authority import CertificateAuthority
from mesh.bus import Delivery
from mesh.embedded import EmbeddedPostgres
from mesh.errors import InvalidArgument
from mesh.postgres import Pool, open_pool
from mesh.testing import settings_of

OPTIC = "devices/alimonda/optics/north"
MIGRATIONS = Path(__file__).parents[3] / "alerting" / "sql" / "migrations"
LIVE = scene_pb2.Rule.MODE_LIVE
SHADOW = scene_pb2.Rule.MODE_SHADOW


def event(
    *,
    event_id: str = "",
    captured: datetime | None = None,
    mode: scene_pb2.Rule.Mode.ValueType = LIVE,
    rule: str = "no-entry",
    priority: scene_pb2.Priority.ValueType = scene_pb2.PRIORITY_MEDIUM,
    place_display_name: str = "",
) -> bus_pb2.Event:
    """An event as a detector publishes it; captured now if not told otherwise."""
    capture_time = media_pb2.CaptureTime(source=media_pb2.CaptureTime.SOURCE_ARRIVAL)
    capture_time.time.FromDatetime(captured or datetime.now(UTC))
    return bus_pb2.Event(
        event_id=event_id or str(uuid.uuid4()),
        optic=OPTIC,
        site="sites/alimonda",
        rule=f"{OPTIC}/rules/{rule}",
        rule_version=1,
        topic="FieldDetector/ObjectsInside",
        mode=mode,
        priority=priority,
        capture_time=capture_time,
        measurement=bus_pb2.Measurement(quantity="dwell", unit="s", value=4.25, threshold=1.0),
        place=f"{OPTIC}/zones/flower-bed",
        classes=[object_class_pb2.OBJECT_CLASS_PERSON],
        tracks=[7],
        model_digest="ab" * 32,
        place_display_name=place_display_name,
    )


def batch(*events: bus_pb2.Event) -> bus_pb2.EventBatch:
    """Events in one message."""
    return bus_pb2.EventBatch(optic=OPTIC, events=events)


def delivery(attempt: int = 1) -> Delivery:
    """What the bus tells about a message."""
    return Delivery(
        subject="argo.v1.event.alimonda.north",
        message_id="",
        sequence=1,
        attempt=attempt,
        published=datetime.now(UTC),
        headers={},
    )


@asynccontextmanager
async def fresh_pool(server: EmbeddedPostgres) -> AsyncIterator[Pool]:
    """A migrated schema of its own, with a role that owns nothing else."""
    schema = f"alerting_{uuid.uuid4().hex[:12]}"
    dsn = pydantic.SecretStr(await server.ensure_service(schema))
    async with open_pool(dsn, schema=schema) as pool:
        await migrations.migrate(pool, "pre")
        await migrations.migrate(pool, "post")
        yield pool


def settings(authority: CertificateAuthority, **values: Any) -> AlertingSettings:
    """The settings of a service under test; nothing is dialled at the peers' addresses unless they are given."""
    defaults = {
        "nats_url": "nats://127.0.0.1:1",
        "postgres_dsn": "postgresql://127.0.0.1:1/none",
        "registry": "127.0.0.1:1",
        "camera_gateway": "127.0.0.1:1",
        "anonymizer": "127.0.0.1:1",
        "bookmark_seconds": 0.2,
        # Tests of other things raise many alerts at once.
        "alarm_budget": 1000,
    }
    return settings_of(authority, "service/alerting", AlertingSettings, **{**defaults, **values})


def refuse(error: InvalidArgument) -> NoReturn:
    """Makes whatever is left out an error."""
    raise error


async def nothing_held() -> list[HeldInterval]:
    """What a registry without holds says."""
    return []


async def empty_atlas() -> Atlas:
    """What a registry without sites says."""
    return Atlas()


async def untold(_optics: Sequence[str], _span: Span) -> None:
    """When an optic was recorded: nobody says."""


def parts(
    pool: Pool,
    service_settings: AlertingSettings,
    read_holds: ReadHolds = nothing_held,
    read_atlas: ReadAtlas = empty_atlas,
    read_recorded: ReadRecorded = untold,
) -> Parts:
    """Everything between the transports and the database."""
    metrics = Metrics(prometheus_client.CollectorRegistry())
    return Parts(service_settings, pool, metrics, read_holds, read_atlas, read_recorded)


def alert_store(pool: Pool) -> AlertStore:
    """Of the alerts in a database."""
    return AlertStore(Database(pool), Outbox(rendered))


def hold_store(pool: Pool) -> HoldStore:
    """Of what is held, in a database."""
    return HoldStore(Database(pool))


async def count(pool: Pool, table: str) -> int:
    """Rows of a table."""
    rows: int = await pool.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - a literal of the test
    return rows


def days_ago(days: float) -> datetime:
    """A time in the past."""
    return datetime.now(UTC) - timedelta(days=days)


def authority_in(folder: Path) -> CertificateAuthority:
    """An authority whose files lie in ``folder``."""
    return CertificateAuthority(folder)
