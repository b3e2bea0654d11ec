from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import grpc
import prometheus_client
import pytest
import structlog
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from mesh import testing
from mesh.errors import ERRORS, ArgoError, FieldViolation, InvalidArgument, StartupError, Unavailable
from mesh.identity import current_identity
from mesh.rpc.channel import open_channel, wait_until_ready
from mesh.rpc.server import GrpcServer
from mesh.rpc.status import from_rpc_error
from mesh.settings import ServiceSettings
from mesh.tls import client_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mesh.authority import CertificateAuthority

PEER = "service/registry"


@pytest.fixture
async def server(authority: CertificateAuthority, echo: Any) -> AsyncIterator[GrpcServer]:
    async with testing.serving(testing.settings_of(authority, PEER, ServiceSettings), echo.register) as running:
        yield running


@pytest.fixture
async def stub(server: GrpcServer, authority: CertificateAuthority, stub_of: Any) -> AsyncIterator[Any]:
    caller = "service/detector"
    async with testing.calling(server, authority, caller, peer=PEER, settings_type=ServiceSettings) as channel:
        yield stub_of(channel)


async def _failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def _details(error: grpc.aio.AioRpcError) -> list[Any]:
    status = rpc_status.from_call(error)
    assert status is not None
    kinds = {
        kind.DESCRIPTOR.full_name: kind
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)
    }
    messages = []
    for detail in status.details:
        message = kinds[detail.type_url.rpartition("/")[2]]()
        detail.Unpack(message)
        messages.append(message)
    return messages


async def test_unary_and_streams_answer(stub: Any) -> None:
    request = StringValue(value="x")

    assert await stub.get(request) == request
    assert [message async for message in stub.watch(request)] == [request, request]
    assert [message async for message in stub.exchange(iter([request, request, request]))] == [request] * 3


@pytest.mark.parametrize("code", sorted(ERRORS))
async def test_every_error_reaches_the_caller_with_one_error_info(stub: Any, echo: Any, code: str) -> None:
    async def fail(_request: StringValue, _context: Any) -> StringValue:
        raise ERRORS[code]("told to the caller", reason="TOLD", metadata={"limit": "7"})

    echo.get = fail

    error = await _failure(stub.create(StringValue()))

    assert error.code().name == code
    assert error.details() == "told to the caller"
    assert _details(error) == [error_details_pb2.ErrorInfo(reason="TOLD", domain="argo", metadata={"limit": "7"})]


async def test_violations_and_retry_delay_are_told_and_read_back(stub: Any, echo: Any) -> None:
    violations = (FieldViolation("zone.polygon[2].x", "must lie within 0 and 1"),)

    async def fail(_request: StringValue, _context: Any) -> StringValue:
        raise InvalidArgument("wrong", reason="ZONE_INVALID", violations=violations, retry_after=1.5)

    echo.get = fail

    error = await _failure(stub.get(StringValue()))
    read = from_rpc_error(error)

    assert isinstance(read, InvalidArgument)
    assert (read.message, read.reason, read.violations) == ("wrong", "ZONE_INVALID", violations)
    assert _details(error)[2].retry_delay.ToMilliseconds() == 1500


async def test_error_of_a_stream_reaches_the_caller(stub: Any, echo: Any) -> None:
    async def fail_after_one(request: StringValue, _context: Any) -> Any:
        yield request
        raise ERRORS["OUT_OF_RANGE"]("too old", reason="RESUME_TOKEN_TOO_OLD")

    echo.watch = fail_after_one
    call = stub.watch(StringValue(value="x"))

    assert await call.read() == StringValue(value="x")
    error = await _failure(call.read())
    assert error.code() is grpc.StatusCode.OUT_OF_RANGE
    assert _details(error)[0].reason == "RESUME_TOKEN_TOO_OLD"


@pytest.mark.parametrize("method", ["create", "watch"])
async def test_unexpected_error_leaks_nothing_and_is_logged(stub: Any, echo: Any, method: str) -> None:
    async def fail(_request: StringValue, _context: Any) -> StringValue:
        raise RuntimeError("postgresql://argo:hunter2@db/argo")

    echo.get = fail
    echo.watch = fail

    with structlog.testing.capture_logs() as logs:
        call = getattr(stub, method)(StringValue(), metadata=(("x-request-id", "abc123"),))
        error = await _failure(call if method == "create" else call.read())

    told = repr((error.details(), error.trailing_metadata(), _details(error)))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == "internal error"
    assert "hunter2" not in told
    assert "RuntimeError" not in told
    assert _details(error)[0].metadata["requestId"] == "abc123"
    failed = [entry for entry in logs if entry["event"] == "rpc.failed"]
    assert len(failed) == 1
    assert failed[0]["log_level"] == "error"


async def test_every_unary_call_is_one_line_in_the_log(stub: Any) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await stub.get(StringValue())

    assert [entry["event"] for entry in logs] == ["rpc.completed"]
    assert logs[0]["method"] == "/argo.test.v1.EchoService/GetEcho"
    assert logs[0]["code"] == "OK"
    assert logs[0]["principal"] == "service/detector"
    assert len(logs[0]["request_id"]) == 32


async def test_streams_log_their_opening_and_their_end(stub: Any, echo: Any) -> None:
    async def endless(request: StringValue, _context: Any) -> Any:
        while True:
            yield request
            await asyncio.sleep(0.01)

    echo.watch = endless
    with structlog.testing.capture_logs() as logs:
        call = stub.watch(StringValue())
        await call.read()
        call.cancel()
        async with asyncio.timeout(10):
            while not any(entry["event"] == "rpc.closed" for entry in logs):
                await asyncio.sleep(0.01)

    assert [entry["event"] for entry in logs] == ["rpc.opened", "rpc.closed"]
    assert logs[1]["code"] == "CANCELLED"
    assert {entry["log_level"] for entry in logs} == {"info"}


async def test_the_handler_knows_the_caller(stub: Any, echo: Any) -> None:
    async def tell(_request: StringValue, _context: Any) -> StringValue:
        return StringValue(value=current_identity().uri)

    async def tell_twice(_request: StringValue, _context: Any) -> Any:
        yield StringValue(value=current_identity().path)
        await asyncio.sleep(0)
        yield StringValue(value=current_identity().path)

    echo.get, echo.watch = tell, tell_twice

    assert (await stub.get(StringValue())).value == "spiffe://argo.local/service/detector"
    assert [message.value async for message in stub.watch(StringValue())] == ["service/detector"] * 2


async def test_a_method_that_no_policy_lists_is_refused(stub: Any) -> None:
    error = await _failure(stub.unlisted(StringValue()))

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert _details(error)[0].reason == "METHOD_NOT_ALLOWED"


async def test_an_identity_outside_the_policy_is_refused(
    server: GrpcServer, authority: CertificateAuthority, stub_of: Any
) -> None:
    caller = "operator/mrossi"
    async with testing.calling(server, authority, caller, peer=PEER, settings_type=ServiceSettings) as channel:
        stub = stub_of(channel)

        assert await stub.get(StringValue(value="x")) == StringValue(value="x")
        error = await _failure(stub.create(StringValue()))

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "mrossi" not in (error.details() or "")


async def test_another_trust_domain_is_refused(
    server: GrpcServer, authority: CertificateAuthority, stub_of: Any
) -> None:
    # Signed by the very authority that the server trusts, so that only the domain is wrong.
    authority.trust_domain = "elsewhere.example"
    async with testing.calling(
        server, authority, "service/detector", peer=PEER, settings_type=ServiceSettings
    ) as channel:
        error = await _failure(stub_of(channel).get(StringValue()))

    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert _details(error)[0].reason == "TRUST_DOMAIN_MISMATCH"


async def test_a_caller_without_a_certificate_is_refused(
    server: GrpcServer, authority: CertificateAuthority, stub_of: Any
) -> None:
    credentials = grpc.ssl_channel_credentials(authority.ca_file.read_bytes())
    async with grpc.aio.secure_channel(server.address, credentials) as channel:
        error = await _failure(stub_of(channel).get(StringValue(), timeout=10))

    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_of_another_authority_is_refused(
    server: GrpcServer, authority: CertificateAuthority, stub_of: Any, tmp_path: Any
) -> None:
    stranger = testing.certificate_authority(tmp_path / "stranger").issue("service/detector")
    credentials = grpc.ssl_channel_credentials(
        authority.ca_file.read_bytes(), stranger.key.read_bytes(), stranger.certificate.read_bytes()
    )
    async with grpc.aio.secure_channel(server.address, credentials) as channel:
        error = await _failure(stub_of(channel).get(StringValue(), timeout=10))

    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_with_another_identity_is_not_spoken_to(
    server: GrpcServer, authority: CertificateAuthority, stub_of: Any
) -> None:
    async with testing.calling(
        server, authority, "service/detector", peer="service/anonymizer", settings_type=ServiceSettings
    ) as channel:
        error = await _failure(stub_of(channel).create(StringValue()))

    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_person_cannot_pose_as_a_server(authority: CertificateAuthority, echo: Any, stub_of: Any) -> None:
    # The operator is called like the service; its certificate is not for servers.
    settings = testing.settings_of(authority, "operator/registry", ServiceSettings)
    async with (
        testing.serving(settings, echo.register) as impostor,
        testing.calling(impostor, authority, "service/detector", peer=PEER, settings_type=ServiceSettings) as channel,
    ):
        error = await _failure(stub_of(channel).create(StringValue()))

    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_unary_call_ends_at_the_cap(authority: CertificateAuthority, echo: Any, stub_of: Any) -> None:
    async def never(_request: StringValue, _context: Any) -> StringValue:
        await asyncio.Event().wait()
        raise AssertionError

    echo.get = never
    settings = testing.settings_of(authority, PEER, ServiceSettings)
    server = GrpcServer(settings, prometheus_client.CollectorRegistry(), unary_deadline_seconds=0.05)
    echo.register(server)
    await server.start()
    async with testing.calling(
        server, authority, "service/detector", peer=PEER, settings_type=ServiceSettings
    ) as channel:
        error = await _failure(stub_of(channel).create(StringValue(), timeout=60))
    await server.stop(0)

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert _details(error)[0].reason == "DEADLINE_CAP"


async def test_health_is_not_serving_until_told_and_while_draining(authority: CertificateAuthority, echo: Any) -> None:
    settings = testing.settings_of(authority, PEER, ServiceSettings)
    server = GrpcServer(settings, prometheus_client.CollectorRegistry())
    echo.register(server)
    await server.start()
    status = health_pb2.HealthCheckResponse
    async with testing.calling(server, authority, "system/probe", peer=PEER, settings_type=ServiceSettings) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        async def check() -> list[Any]:
            names = ("", "argo.test.v1.EchoService")
            return [(await health.Check(health_pb2.HealthCheckRequest(service=name))).status for name in names]

        with structlog.testing.capture_logs() as logs:
            cold = await check()
            await server.serving()
            warm = await check()
            watch = health.Watch(health_pb2.HealthCheckRequest(service=""))
            seen = [(await watch.read()).status]
            await server.drain()
            seen.append((await watch.read()).status)
            draining = await check()
            watch.cancel()
    await server.stop(0)

    assert cold == [status.NOT_SERVING] * 2
    assert warm == [status.SERVING] * 2
    assert seen == [status.SERVING, status.NOT_SERVING]
    assert draining == [status.NOT_SERVING] * 2
    assert logs == []


async def test_reflection_lists_the_services(server: GrpcServer, authority: CertificateAuthority) -> None:
    files = authority.issue("administrator/mrossi")
    credentials = grpc.ssl_channel_credentials(
        files.ca.read_bytes(), files.key.read_bytes(), files.certificate.read_bytes()
    )

    def listed() -> list[str]:
        with grpc.secure_channel(server.address, credentials) as channel:
            return list(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert "argo.test.v1.EchoService" in await asyncio.to_thread(listed)
    assert "grpc.health.v1.Health" in await asyncio.to_thread(listed)


async def test_a_message_of_a_raw_4k_frame_passes(stub: Any) -> None:
    frame = StringValue(value="y" * (3840 * 2160 * 3 // 2))

    assert len((await stub.get(frame)).value) == len(frame.value)


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
        served = {await _served_certificate(server.address, client)}
        stream = stub.exchange()
        await stream.write(StringValue(value="before"))
        before = await stream.read()

        authority.issue(PEER)
        authority.issue("service/detector")

        shown.add((await stub.get(StringValue())).value)
        served.add(await _served_certificate(server.address, client))
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
    before = await _served_certificate(server.address, client)
    (authority.folder / "service-registry.pem").write_text("half a certifica")

    assert await _served_certificate(server.address, client) == before


async def _served_certificate(address: str, client: ServiceSettings) -> bytes | None:
    host, _, port = address.rpartition(":")
    context = client_context(client.tls)
    context.set_alpn_protocols(["h2"])
    _reader, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname="registry")
    certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return certificate


async def test_a_taken_port_is_told_plainly(server: GrpcServer, authority: CertificateAuthority) -> None:
    settings = testing.settings_of(authority, PEER, ServiceSettings, grpc_listen=server.address)
    second = GrpcServer(settings, prometheus_client.CollectorRegistry())

    with pytest.raises(StartupError, match=r"cannot listen on 127\.0\.0\.1") as caught:
        await second.start()

    assert "another port" in caught.value.remedy


async def test_reading_calls_are_tried_again_while_the_peer_restarts(
    authority: CertificateAuthority, echo: Any, stub_of: Any
) -> None:
    calls = []

    async def unavailable_twice(request: StringValue, _context: Any) -> StringValue:
        calls.append(request)
        if len(calls) < 3:
            raise Unavailable("warming up", reason="WARMING_UP")
        return request

    echo.get = unavailable_twice
    settings = testing.settings_of(authority, PEER, ServiceSettings)
    async with (
        testing.serving(settings, echo.register) as server,
        testing.calling(server, authority, "service/detector", peer=PEER, settings_type=ServiceSettings) as channel,
    ):
        stub = stub_of(channel)
        answer = await stub.get(StringValue(value="x"))
        calls.clear()
        error = await _failure(stub.create(StringValue(value="x")))

    assert answer.value == "x"
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert len(calls) == 1, "a call that changes something is not repeated behind the caller's back"


async def test_waiting_for_a_peer_that_is_not_there_ends(authority: CertificateAuthority) -> None:
    settings = testing.settings_of(authority, "service/detector", ServiceSettings)
    async with open_channel("127.0.0.1:1", settings, peer=PEER) as channel:
        with pytest.raises(Unavailable) as caught:
            await wait_until_ready(channel, 0.2)

    assert caught.value.reason == "PEER_UNREACHABLE"


async def test_request_id_follows_a_call_to_the_next_service(
    authority: CertificateAuthority, echo: Any, stub_of: Any
) -> None:
    seen = []

    async def note(request: StringValue, context: Any) -> StringValue:
        seen.append(dict(context.invocation_metadata())["x-request-id"])
        return request

    echo.get = note
    settings = testing.settings_of(authority, PEER, ServiceSettings)
    async with (
        testing.serving(settings, echo.register) as server,
        testing.calling(server, authority, "service/detector", peer=PEER, settings_type=ServiceSettings) as channel,
    ):
        with structlog.contextvars.bound_contextvars(request_id="from-the-first"):
            await stub_of(channel).get(StringValue())

    assert seen == ["from-the-first"]


async def test_a_peer_that_is_away_is_unavailable_and_not_internal(
    stub: Any, echo: Any, authority: Any, stub_of: Any
) -> None:
    settings = testing.settings_of(authority, PEER, ServiceSettings)

    async def call_on(request: StringValue, _context: Any) -> StringValue:
        async with open_channel("127.0.0.1:1", settings, peer="service/alerting") as channel:
            answer: StringValue = await stub_of(channel).create(request)
            return answer

    echo.get = call_on

    error = await _failure(stub.create(StringValue()))

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert _details(error)[0].reason == "DEPENDENCY_UNAVAILABLE"
    assert "127.0.0.1" not in json.dumps(error.details())


def test_every_error_has_a_code_of_grpc() -> None:
    assert set(ERRORS) <= {code.name for code in grpc.StatusCode}
    assert all(issubclass(kind, ArgoError) for kind in ERRORS.values())
