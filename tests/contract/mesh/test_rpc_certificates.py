"""Mutual TLS: which certificates either side accepts, and their rotation."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from mesh import testing
from mesh.authority import CertificateAuthority
from mesh.rpc.channel import open_channel
from mesh.rpc.server import GrpcServer
from mesh.settings import ServiceSettings
from mesh.tls import client_context
from tests.contract.mesh.support import PEER, failure_of


async def test_a_caller_without_a_certificate_is_refused(
    server: GrpcServer, authority: CertificateAuthority, stub_of: Any
) -> None:
    credentials = grpc.ssl_channel_credentials(authority.ca_file.read_bytes())
    async with grpc.aio.secure_channel(server.address, credentials) as channel:
        error = await failure_of(stub_of(channel).get(StringValue(), timeout=10))

    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority_is_refused(
    server: GrpcServer, authority: CertificateAuthority, stub_of: Any, tmp_path: Any
) -> None:
    stranger = testing.certificate_authority(tmp_path / "stranger").issue("service/detector")
    credentials = grpc.ssl_channel_credentials(
        authority.ca_file.read_bytes(), stranger.key.read_bytes(), stranger.certificate.read_bytes()
    )
    async with grpc.aio.secure_channel(server.address, credentials) as channel:
        error = await failure_of(stub_of(channel).get(StringValue(), timeout=10))

    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_with_another_identity_is_not_spoken_to(
    server: GrpcServer, authority: CertificateAuthority, stub_of: Any
) -> None:
    async with testing.calling(
        server, authority, "service/detector", peer="service/anonymizer", settings_type=ServiceSettings
    ) as channel:
        error = await failure_of(stub_of(channel).create(StringValue()))

    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_person_cannot_pose_as_a_server(authority: CertificateAuthority, echo: Any, stub_of: Any) -> None:
    # The operator is called like the service; its certificate is not for servers.
    settings = testing.settings_of(authority, "operator/registry", ServiceSettings)
    async with (
        testing.serving(settings, echo.register) as impostor,
        testing.calling(impostor, authority, "service/detector", peer=PEER, settings_type=ServiceSettings) as channel,
    ):
        error = await failure_of(stub_of(channel).create(StringValue()))

    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def served_certificate(address: str, client: ServiceSettings) -> bytes | None:
    host, _, port = address.rpartition(":")
    context = client_context(client.tls)
    context.set_alpn_protocols(["h2"])
    _reader, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname="registry")
    certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return certificate


async def test_both_sides_take_over_a_rotated_certificate(
    authority: CertificateAuthority, echo: Any, stub_of: Any
) -> None:
    async def tell_certificate(_request: StringValue, context: Any) -> StringValue:
        return StringValue(value=context.auth_context()["x509_pem_cert"][0].decode())

    echo.get = tell_certificate
    settings = testing.settings_of(authority, PEER, ServiceSettings)
    client = testing.settings_of(authority, "service/detector", ServiceSettings)
    async with (
        testing.serving(settings, echo.register) as server,
        open_channel(server.address, client, peer=PEER) as channel,
    ):
        stub = stub_of(channel)
        shown = {(await stub.get(StringValue())).value}
        served = {await served_certificate(server.address, client)}
        stream = stub.exchange()
        await stream.write(StringValue(value="before"))
        before = await stream.read()

        authority.issue(PEER)
        authority.issue("service/detector")

        shown.add((await stub.get(StringValue())).value)
        served.add(await served_certificate(server.address, client))
        await stream.write(StringValue(value="after"))
        after = await stream.read()
        stream.cancel()

    assert len(shown) == 2
    assert len(served) == 2
    assert (before.value, after.value) == ("before", "after"), "an open stream outlives the rotation"


async def test_a_half_written_rotation_keeps_the_old_certificate(
    server: GrpcServer, authority: CertificateAuthority
) -> None:
    client = testing.settings_of(authority, "service/detector", ServiceSettings)
    before = await served_certificate(server.address, client)
    (authority.folder / "service-registry.pem").write_text("half a certifica")

    assert await served_certificate(server.address, client) == before
