"""Recordings to read: a real store, a real PostgreSQL, and RecordingService behind a real gRPC server."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pydantic
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from anonymizer import sql
from anonymizer.database import Database
from anonymizer.domain.frame import MaskedFrame, Size
from anonymizer.domain.holding import Holds
from anonymizer.domain.segments import SegmentName
from anonymizer.encoder import EncodedPicture, Encoder
from anonymizer.erasure_index import ErasureIndex
from anonymizer.erasure_service import ErasureServicer
from anonymizer.index import SegmentIndex
from anonymizer.muxing import fragmented_mp4
from anonymizer.playback import Archive
from anonymizer.recording_service import RecordingServicer
from anonymizer.store import RecordingStore, open_objects
from anonymizer.wrapping import FileWrapping
from argo.anonymizer.v1 import erasure_service_pb2_grpc, recording_service_pb2_grpc
from argo.anonymizer.v1 import recording_service_pb2 as pb
from mesh.postgres import Pool, open_pool
from mesh.rpc.status import from_rpc_error
from mesh.settings import ServiceSettings
from mesh.signing import Signer
from mesh.testing import calling, serving, settings_of

if TYPE_CHECKING:
    from mesh.authority import CertificateAuthority
    from mesh.embedded import EmbeddedPostgres
    from mesh.rpc.server import GrpcServer

OPTIC = "devices/piazza-1/optics/north"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
SMALL, LARGE = Size(128, 96), Size(160, 128)
OPERATOR, SUPERVISOR, ALERTING = "operator/rossi", "supervisor/bianchi", "service/alerting"


@dataclass
class World:
    """An archive with its clock, and who asks it."""

    server: GrpcServer
    authority: CertificateAuthority
    pool: Pool
    folder: Path
    store: RecordingStore
    index: SegmentIndex
    signer: Signer
    database: Database
    now: datetime = NOON + timedelta(hours=1)
    holds: Holds = field(default_factory=Holds)

    async def record(
        self, start: datetime, count: int = 50, *, size: Size = SMALL, retention: timedelta = WEEK, indexed: bool = True
    ) -> SegmentName:
        """A segment of `count` pictures at five per second."""
        pictures = film(start, count, size)
        segment = SegmentName(OPTIC, start, timedelta(seconds=(count - 1) / 5), retention)
        content = fragmented_mp4(pictures)
        await self.store.write(segment, content)
        if indexed:
            await self.index.add([(segment, len(content))], start + timedelta(minutes=1))
        return segment

    @asynccontextmanager
    async def stub(self, path: str) -> AsyncIterator[Any]:
        async with calling(
            self.server, self.authority, path, peer="service/anonymizer", settings_type=ServiceSettings
        ) as channel:
            yield recording_service_pb2_grpc.RecordingServiceStub(channel)

    async def listed(
        self, start: datetime, end: datetime, path: str = SUPERVISOR, **fields: Any
    ) -> pb.ListRecordingsResponse:
        request = pb.ListRecordingsRequest(optic=OPTIC, access=access(), **fields)
        fill(request.interval, start, end)
        async with self.stub(path) as stub:
            response: pb.ListRecordingsResponse = await stub.ListRecordings(request)
            return response

    async def read(
        self, request: pb.ReadClipRequest, path: str = SUPERVISOR
    ) -> tuple[bytes, list[pb.ReadClipResponse]]:
        async with self.stub(path) as stub:
            parts = [part async for part in stub.ReadClip(request)]
        return b"".join(part.content for part in parts), parts

    async def export(self, request: pb.ExportClipRequest, path: str = SUPERVISOR) -> tuple[bytes, bytes]:
        async with self.stub(path) as stub:
            parts = [part async for part in stub.ExportClip(request)]
        assert [part.WhichOneof("part") for part in parts[-2:]] == ["content", "signed_manifest"]
        return b"".join(part.content for part in parts), parts[-1].signed_manifest

    async def entries(self) -> list[Any]:
        rows: list[Any] = await self.pool.fetch("SELECT * FROM audit_entries ORDER BY sequence")
        return rows


def film(start: datetime, count: int, size: Size = SMALL) -> list[EncodedPicture]:
    encoder = Encoder(size)
    times = (start.timestamp() + number / 5 for number in range(count))
    return [encoder.encode(MaskedFrame.blank(number, time, size)) for number, time in enumerate(times)]


def access(**fields: str) -> pb.Access:
    return pb.Access(**{"purpose": "traffic", "reason": "collision at noon", "case_reference": "7/2026", **fields})


def read_request(start: datetime, end: datetime, **fields: Any) -> pb.ReadClipRequest:
    request = pb.ReadClipRequest(**{"optic": OPTIC, "access": access(), **fields})
    fill(request.interval, start, end)
    return request


def export_request(start: datetime, end: datetime, **fields: Any) -> pb.ExportClipRequest:
    values = {"optic": OPTIC, "access": access(), "recipient": "authorities/questura", **fields}
    request = pb.ExportClipRequest(**values)
    fill(request.interval, start, end)
    return request


def fill(interval: Any, start: datetime, end: datetime) -> None:
    interval.start_time.FromDatetime(start)
    interval.end_time.FromDatetime(end)


@asynccontextmanager
async def fresh_pool(server: EmbeddedPostgres) -> AsyncIterator[Pool]:
    """A database of its own with every migration applied."""
    name = f"s{uuid.uuid4().hex}"
    dsn = pydantic.SecretStr(await server.ensure_service(name))
    async with open_pool(dsn, schema=name, min_size=1, max_size=4) as pool:
        await sql.migrate(pool, "pre")
        await sql.migrate(pool, "post")
        yield pool


@asynccontextmanager
async def archive(authority: CertificateAuthority, pool: Pool, folder: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        store = RecordingStore(open_objects(folder.as_uri()), FileWrapping(b"\1" * 32))
        database = Database(pool)
        index = SegmentIndex(database)
        signer = Signer(Ed25519PrivateKey.generate())
        executor = stack.enter_context(ThreadPoolExecutor(1))
        worlds: list[World] = []
        shown = Archive(store, index, executor, lambda: worlds[0].holds, lambda: worlds[0].now)

        def register(server: GrpcServer) -> None:
            server.add(
                recording_service_pb2_grpc.add_RecordingServiceServicer_to_server,
                RecordingServicer(shown, database, signer, timedelta(minutes=30)),
                "argo.anonymizer.v1.RecordingService",
            )
            server.add(
                erasure_service_pb2_grpc.add_ErasureServiceServicer_to_server,
                ErasureServicer(store, ErasureIndex(database), database),
                "argo.anonymizer.v1.ErasureService",
            )

        settings = settings_of(authority, "service/anonymizer", ServiceSettings)
        server = await stack.enter_async_context(serving(settings, register))
        worlds.append(World(server, authority, pool, folder, store, index, signer, database))
        yield worlds[0]


def reason_of(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """Code and reason of a refusal."""
    refused = from_rpc_error(error)
    return refused.code, refused.reason
