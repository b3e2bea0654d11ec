"""Alerting as a process with NATS and PostgreSQL, a detector that publishes, an operator who watches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pydantic

from argo.detector.v1 import bus_pb2
from argo.registry.v1 import scene_pb2
from argo.type.v1 import media_pb2, object_class_pb2
from mesh.authority import CertificateAuthority
from mesh.bus import Bus, StreamSpec
from mesh.embedded import EmbeddedNats, EmbeddedPostgres, free_port
from mesh.errors import Unavailable
from mesh.postgres import Pool, open_pool
from mesh.testing import environment_of

ROOT = Path(__file__).parents[1]
EVENTS = StreamSpec("ARGO_EVENTS", ("argo.v1.event.>",))


def event(number: int, priority: scene_pb2.Priority.ValueType, *, site: str | None = None) -> bus_pb2.Event:
    """An event of a device, a site and a rule of its own, captured now."""
    optic = f"devices/d{number}/optics/main"
    captured = media_pb2.CaptureTime(source=media_pb2.CaptureTime.SOURCE_ARRIVAL)
    captured.time.FromDatetime(datetime.now(UTC))
    return bus_pb2.Event(
        event_id=str(uuid.uuid4()),
        optic=optic,
        site=site or f"sites/s{number}",
        rule=f"{optic}/rules/no-entry",
        rule_version=1,
        topic="FieldDetector/ObjectsInside",
        mode=scene_pb2.Rule.MODE_LIVE,
        priority=priority,
        capture_time=captured,
        measurement=bus_pb2.Measurement(quantity="dwell", unit="s", value=4.25, threshold=1.0),
        place=f"{optic}/zones/lawn",
        classes=[object_class_pb2.OBJECT_CLASS_PERSON],
    )


@dataclass
class AlarmWorld:
    """What the measurements need; entered by ``alarm_world``."""

    authority: CertificateAuthority
    nats: EmbeddedNats
    postgres: EmbeddedPostgres
    publisher: Bus
    pool: Pool
    dsn: str
    target: str
    process: asyncio.subprocess.Process | None = None
    _reader: asyncio.Task[None] | None = field(default=None)

    async def start_alerting(self) -> None:
        """Starts the service and waits until it is ready."""
        nowhere = "127.0.0.1:1"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ARGO_")}
        environ |= environment_of(
            self.authority, "service/alerting", postgres_dsn=self.dsn, nats_url=self.nats.url, grpc_listen=self.target,
            migrate_on_start="true", registry=nowhere, camera_gateway=nowhere, anonymizer=nowhere,
        )  # fmt: skip
        environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "protos/gen")])
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "alerting", env=environ, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                if json.loads(line).get("event") == "service.ready":
                    self._reader = asyncio.create_task(_drain(self.process.stdout), name="alerting-log")
                    return
        raise RuntimeError("alerting ended before it was ready")

    async def kill_alerting(self) -> None:
        """Kills the service without a word."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        if self._reader is not None:
            await self._reader

    async def publish(self, message: bus_pb2.Event) -> None:
        """Publishes until the stream has it, as a detector does."""
        device = message.optic.split("/")[1]
        batch = bus_pb2.EventBatch(optic=message.optic, events=[message])
        while True:
            with contextlib.suppress(Unavailable):
                await self.publisher.publish(f"argo.v1.event.{device}.main", batch, message_id=message.event_id)
                return
            await asyncio.sleep(0.1)


async def _drain(stream: asyncio.StreamReader) -> None:
    async for _ in stream:
        pass


@asynccontextmanager
async def alarm_world(folder: Path) -> AsyncIterator[AlarmWorld]:
    """Everything up, with the service ready, for the block."""
    authority = CertificateAuthority(folder / "authority")
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(EmbeddedNats(folder / "nats", tls=authority.issue("system/nats")))
        postgres = await stack.enter_async_context(EmbeddedPostgres(folder / "postgres"))
        dsn = await postgres.ensure_service("alerting")
        pool = await stack.enter_async_context(open_pool(pydantic.SecretStr(dsn), schema="alerting", max_size=2))
        publisher = await stack.enter_async_context(
            Bus.connect(nats.url, name="detector", tls=authority.issue("service/detector"))
        )
        await publisher.wait_connected(20)
        await publisher.declare(EVENTS)
        world = AlarmWorld(authority, nats, postgres, publisher, pool, dsn, f"127.0.0.1:{free_port()}")
        await world.start_alerting()
        try:
            yield world
        finally:
            await world.kill_alerting()
