"""Tokens over a real server, with the provider's keys over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from aiohttp import web
from google.protobuf.wrappers_pb2 import StringValue

from mesh import testing
from mesh.authority import CertificateAuthority
from mesh.http import serve_web
from mesh.identity import current_grant, current_identity
from mesh.local.issuer import LocalIssuer
from mesh.rpc.server import GrpcServer
from mesh.settings import ServiceSettings
from tests.contract.mesh.support import PEER, details_of, failure_of

FLOWS, CLIP, ALERTS = (
    "/argo.alerting.v1.FlowService/ListFlows",
    "/argo.anonymizer.v1.RecordingService/ReadClip",
    "/argo.alerting.v1.AlertService/WatchAlerts",
)
NOW = datetime.now(UTC)


async def tell(_request: Any, _context: Any) -> bytes:
    grant = current_grant()
    return f"{current_identity().path} {grant.token_id} {grant.machine}".encode()


async def tell_for_ever(request: Any, context: Any) -> AsyncIterator[bytes]:
    while True:
        yield await tell(request, context)
        await asyncio.sleep(0.01)


def register(server: GrpcServer) -> None:
    def add(_servicer: object, grpc_server: grpc.aio.Server) -> None:
        handlers: dict[str, Any] = {
            FLOWS: grpc.unary_unary_rpc_method_handler(tell),
            CLIP: grpc.unary_stream_rpc_method_handler(tell_for_ever),
            ALERTS: grpc.unary_stream_rpc_method_handler(tell_for_ever),
        }
        for path, handler in handlers.items():
            service, method = path.strip("/").split("/")
            grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))

    server.add(add, object(), "argo.Some")


class World:
    """A server that believes a provider, and channels to it."""

    def __init__(self, server: GrpcServer, issuer: LocalIssuer, authority: CertificateAuthority) -> None:
        self.server, self.issuer, self.authority = server, issuer, authority

    def token(self, *roles: str, **claims: Any) -> str:
        return self.issuer.issue("rossi", roles, NOW, **claims)

    @asynccontextmanager
    async def call(self, method: str, token: str | None, path: str = "system/gateway") -> AsyncIterator[Any]:
        async with testing.calling(
            self.server, self.authority, path, peer=PEER, settings_type=ServiceSettings
        ) as channel:
            metadata = (("authorization", f"Bearer {token}"),) if token is not None else ()
            kind = "unary_unary" if method == FLOWS else "unary_stream"
            yield getattr(channel, kind)(method)(b"", metadata=metadata)

    async def answer(self, method: str, token: str | None, path: str = "system/gateway") -> str:
        async with self.call(method, token, path) as call:
            said = await (call if method == FLOWS else call.read())
            assert isinstance(said, bytes)
            return said.decode()

    async def reason(self, method: str, token: str | None, path: str = "system/gateway") -> str:
        async with self.call(method, token, path) as call:
            error = await failure_of(call if method == FLOWS else call.read())
        return str(details_of(error)[0].reason)


@asynccontextmanager
async def provider(folder: Path) -> AsyncIterator[LocalIssuer]:
    """A provider with a discovery document, over HTTP."""
    holder: list[LocalIssuer] = []

    async def document(_request: web.Request) -> web.Response:
        issuer = holder[0].issuer
        return web.json_response({"issuer": issuer, "jwks_uri": f"{issuer}/jwks"})

    async def keys(_request: web.Request) -> web.Response:
        return web.json_response(dict(holder[0].keys))

    application = web.Application()
    application.add_routes([web.get("/realm/.well-known/openid-configuration", document), web.get("/realm/jwks", keys)])
    async with serve_web(application, "127.0.0.1:0", grace_seconds=0.1) as address:
        holder.append(LocalIssuer(folder, issuer=f"http://{address}/realm"))
        yield holder[0]


@asynccontextmanager
async def world_of(folder: Path, authority: CertificateAuthority, **fields: Any) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        issuer = await stack.enter_async_context(provider(folder))
        settings = testing.settings_of(authority, PEER, ServiceSettings, oidc_issuer=issuer.issuer, **fields)
        server = await stack.enter_async_context(testing.serving(settings, register))
        yield World(server, issuer, authority)


@pytest.fixture
async def world(tmp_path: Path, authority: CertificateAuthority) -> AsyncIterator[World]:
    async with world_of(tmp_path / "issuer", authority) as made:
        yield made


async def test_the_person_acts_and_the_machine_is_kept(world: World) -> None:
    said = await world.answer(FLOWS, world.token("mobility", jti="t1"))

    assert said == "mobility/rossi t1 system/gateway"


async def test_the_log_names_the_machine_and_not_the_person(world: World) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await world.answer(FLOWS, world.token("mobility"))

    lines = [line for line in logs if line["event"] == "rpc.completed"]
    assert [(line["principal"], line["machine"]) for line in lines] == [("mobility", "system/gateway")]
    assert "rossi" not in str(logs)


async def test_traffic_asks_for_a_clip_of_security_and_is_refused_and_logged(world: World) -> None:
    token = world.token("supervisor", purposes=["traffic"])

    with structlog.testing.capture_logs() as logs:
        assert await world.reason(CLIP, token) == "PURPOSE_NOT_ALLOWED"

    assert [(line["method"], line["reason"]) for line in logs if line["event"] == "access.refused"] == [
        (CLIP, "PURPOSE_NOT_ALLOWED")
    ]
    assert (await world.answer(CLIP, world.token("supervisor"))).startswith("supervisor/rossi")


async def test_a_token_of_another_tenant_reaches_no_service_that_knows_none(world: World) -> None:
    assert await world.reason(FLOWS, world.token("mobility", tenant="amiat")) == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": int((NOW - timedelta(minutes=5)).timestamp())}, "TOKEN_EXPIRED"),
        ({"aud": "another"}, "TOKEN_AUDIENCE"),
        ({"iss": "http://127.0.0.1/other"}, "TOKEN_ISSUER"),
        ({"preferred_username": "x/y"}, "TOKEN_CLAIM"),
    ],
)
async def test_a_bad_token_is_refused_whatever_the_certificate_may(
    world: World, claims: dict[str, Any], reason: str
) -> None:
    assert await world.reason(FLOWS, world.token("mobility", **claims)) == reason
    assert await world.reason(FLOWS, world.token("mobility", **claims), "operator/rossi") == reason


@pytest.mark.parametrize("header", ["", "x", "a.b.c"])
async def test_nonsense_is_no_token(world: World, header: str) -> None:
    assert await world.reason(FLOWS, header) == "TOKEN_MALFORMED"


async def test_a_rotated_key_is_followed(world: World) -> None:
    before = world.token("mobility")
    await world.answer(FLOWS, before)
    verifier: Any = world.server.tokens
    world.issuer.rotate()
    # As if the bound between two looks had passed.
    verifier._keys._tried_at -= 3600

    assert (await world.answer(FLOWS, world.token("mobility"))).startswith("mobility/rossi")
    assert await world.reason(FLOWS, before) == "TOKEN_KEY_UNKNOWN"


async def test_a_stream_ends_with_its_token(tmp_path: Path, authority: CertificateAuthority) -> None:
    # Within the leeway: believed for a moment, and not for as long as a stream may last.
    async with world_of(tmp_path / "patient", authority, oidc_leeway_seconds=300) as world:
        a_minute_ago = datetime.now(UTC) - timedelta(seconds=60)
        token = world.token("mobility", "operator", exp=int(a_minute_ago.timestamp()))

        assert (await world.answer(FLOWS, token)).startswith("mobility/rossi")
        assert await world.reason(ALERTS, token) == "TOKEN_EXPIRED"


async def test_certificates_alone_do_where_tokens_are_not_required(world: World) -> None:
    assert (await world.answer(FLOWS, None, "mobility/bianchi")).startswith("mobility/bianchi")


async def test_where_tokens_are_required_a_certificate_alone_does_for_services_only(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    async with world_of(tmp_path / "strict", authority, oidc_required=True) as world:
        assert await world.reason(FLOWS, None, "mobility/bianchi") == "TOKEN_REQUIRED"
        assert await world.reason(FLOWS, None) == "TOKEN_REQUIRED"
        assert await world.reason(FLOWS, None, "authority/questura") == "TOKEN_REQUIRED"
        assert (await world.answer(FLOWS, world.token("mobility"))).startswith("mobility/rossi")
        assert (await world.answer(CLIP, None, "service/alerting")).startswith("service/alerting")


async def test_a_server_that_believes_nobody_says_so(server: GrpcServer, authority: CertificateAuthority) -> None:
    async with testing.calling(
        server, authority, "service/detector", peer=PEER, settings_type=ServiceSettings
    ) as channel:
        codec = (StringValue.SerializeToString, StringValue.FromString)
        get = channel.unary_unary("/argo.test.v1.EchoService/GetEcho", *codec)
        error = await failure_of(get(StringValue(), metadata=(("authorization", "Bearer x.y.z"),)))

    assert details_of(error)[0].reason == "TOKENS_NOT_ACCEPTED"
