"""Real parts for tests: certificates, NATS, PostgreSQL, and a gRPC server over loopback with mutual TLS. No mocks."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import prometheus_client

from mesh.authority import CertificateAuthority
from mesh.embedded import EmbeddedNats, EmbeddedPostgres
from mesh.rpc.channel import open_channel
from mesh.rpc.server import GrpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import grpc

    from mesh.settings import S


def certificate_authority(folder: Path, *, trust_domain: str = "argo.local") -> CertificateAuthority:
    """An authority whose files lie in ``folder``."""
    return CertificateAuthority(folder, trust_domain=trust_domain)


def settings_of(authority: CertificateAuthority, path: str, settings_type: type[S], **values: Any) -> S:
    """The settings of a process with a fresh certificate for the identity ``path``.

    Args:
        authority: that signs it.
        path: for example ``"service/registry"``.
        settings_type: of the service.
        values: of the other fields.
    """
    files = authority.issue(path)
    return settings_type(
        tls_certificate=files.certificate,
        tls_key=files.key,
        tls_ca=files.ca,
        **{"trust_domain": authority.trust_domain, **values},
    )


def environment_of(authority: CertificateAuthority, path: str, **values: str) -> dict[str, str]:
    """The same as ``settings_of``, as the environment of a child process; ``values`` are named like the fields."""
    files = authority.issue(path)
    fields = {
        "tls_certificate": str(files.certificate),
        "tls_key": str(files.key),
        "tls_ca": str(files.ca),
        "trust_domain": authority.trust_domain,
        **values,
    }
    return {f"ARGO_{field.upper()}": value for field, value in fields.items()}


@asynccontextmanager
async def embedded_nats(folder: Path, authority: CertificateAuthority) -> AsyncIterator[EmbeddedNats]:
    """A NATS server with JetStream and mutual TLS for the block."""
    async with EmbeddedNats(folder, tls=authority.issue("system/nats")) as server:
        yield server


@asynccontextmanager
async def embedded_postgres(folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL server for the block."""
    async with EmbeddedPostgres(folder) as server:
        yield server


@asynccontextmanager
async def serving(settings: S, register: Callable[[GrpcServer], None]) -> AsyncIterator[GrpcServer]:
    """A gRPC server that says SERVING for the block; ``register`` adds the servicers."""
    server = GrpcServer(settings, prometheus_client.CollectorRegistry())
    register(server)
    await server.start()
    await server.serving()
    try:
        yield server
    finally:
        await server.stop(0)


@asynccontextmanager
async def calling(
    server: GrpcServer, authority: CertificateAuthority, path: str, *, peer: str, settings_type: type[S]
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a served server from the identity ``path``; ``peer`` is the identity path of the server."""
    settings = settings_of(authority, path, settings_type)
    async with open_channel(server.address, settings, peer=peer) as channel:
        yield channel
