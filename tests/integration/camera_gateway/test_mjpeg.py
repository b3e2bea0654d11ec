"""Motion JPEG cameras: an HTTP server by aiohttp, in every shape that matters."""

from __future__ import annotations

import asyncio
import hashlib
import io
import ipaddress
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import av
import pytest
from aiohttp import web

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.registry.v1 import lease_service_pb2 as lease
from argo.registry.v1 import site_pb2
from mesh.testing import certificate_authority
from tests.contract.camera_gateway.cameras import moving_square
from tests.contract.camera_gateway.far_ends import device_lease, eventually, optic
from tests.contract.camera_gateway.gateway import session_when, world

if TYPE_CHECKING:
    from pathlib import Path

Session = gateway.Session
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MJPEG = site_pb2.Optic.INGEST_MJPEG
PATH = "/axis-cgi/mjpg/video.cgi?fps=10"


def jpeg(number: int) -> bytes:
    buffer = io.BytesIO()
    frame = av.VideoFrame.from_ndarray(moving_square(320, 240, number), format="rgb24")
    with av.open(buffer, "w", format="image2pipe") as container:
        stream = container.add_stream("mjpeg", rate=10, options={"strict": "unofficial"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuvj422p"
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


PICTURES = [jpeg(number) for number in range(20)]


async def pictures(request: web.Request, spoil: Callable[[int, bytes], bytes] = lambda _, data: data) -> Any:
    response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=--cut"})
    await response.prepare(request)
    for number in range(10_000):
        data = spoil(number, PICTURES[number % len(PICTURES)])
        head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        await response.write(head + data + b"\r\n")
        await asyncio.sleep(0.05)
    return response


@asynccontextmanager
async def camera(handle: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """``host:port`` of an HTTP server."""
    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    try:
        yield f"{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def mjpeg_lease(address: str, **fields: Any) -> lease.DeviceLease:
    return device_lease(address, optic(stream_path=PATH, ingest=MJPEG), **fields)


def settled(session: Session) -> bool:
    return session.state in (Session.STATE_STREAMING, Session.STATE_BACKING_OFF, Session.STATE_REFUSED)


async def test_pictures_reach_the_detector_and_broken_ones_cost_themselves(tmp_path: Path) -> None:
    asked: list[str] = []

    async def handle(request: web.Request) -> Any:
        asked.append(f"{request.host} {request.path_qs}")
        return await pictures(request, lambda number, data: b"no picture" if 3 <= number < 7 else data)

    async with camera(handle) as address, world(tmp_path) as running:
        running.registry.grant(mjpeg_lease(address))
        await eventually(lambda: len(running.anonymizer.frames) >= 5)
        seen = await session_when(running, lambda session: session.counters.frames_broken > 0)

    frame = running.anonymizer.frames[-1].frame
    assert (frame.width, frame.height) == (320, 240)
    assert (seen.state, seen.attempts) == (Session.STATE_STREAMING, 1)
    assert 1 <= seen.counters.frames_broken <= 4
    assert asked == [f"{address} {PATH}"]


@pytest.mark.parametrize(("word", "reason"), [("canary-word", ""), ("canary-wrong", "UNAUTHORIZED")])
async def test_digest(tmp_path: Path, word: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    async def handle(request: web.Request) -> Any:
        fields = dict(re.findall(r'(\w+)="([^"]*)"', request.headers.get("Authorization", "")))
        secret, act = md5("canary-user:cam:canary-word"), md5(f"GET:{PATH}")
        if fields.get("response") != md5(f"{secret}:n0:{act}"):
            challenge = {"WWW-Authenticate": 'Digest realm="cam", nonce="n0"'}
            return web.Response(status=401, headers=challenge)
        return await pictures(request)

    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"cam": {"username": "canary-user", "password": word}}))
    async with camera(handle) as address, world(tmp_path, camera_credentials=secrets) as running:
        running.registry.grant(mjpeg_lease(address))
        seen = await session_when(running, settled)

    assert seen.reason == reason
    assert "canary" not in str(seen) + "".join(capsys.readouterr())


@pytest.mark.parametrize(("leave", "state"), [(False, Session.STATE_BACKING_OFF), (True, Session.STATE_STREAMING)])
async def test_basic_in_clear_text_needs_leave(
    tmp_path: Path,
    leave: bool,  # noqa: FBT001
    state: Session.State.ValueType,
) -> None:
    sent: list[str] = []

    async def handle(request: web.Request) -> Any:
        if "Authorization" not in request.headers:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="cam"'})
        sent.append(request.headers["Authorization"])
        return await pictures(request)

    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"cam": {"username": "u", "password": "p", "plain_basic": leave}}))
    async with camera(handle) as address, world(tmp_path, camera_credentials=secrets) as running:
        running.registry.grant(mjpeg_lease(address))
        seen = await session_when(running, settled)

    assert seen.state == state
    assert sent == (["Basic dTpw"] if leave else [])


async def test_https_with_a_pinned_certificate(tmp_path: Path) -> None:
    files = certificate_authority(tmp_path / "cameras").issue("system/camera")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.certificate, files.key)
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(files.certificate.read_text())).hexdigest()
    secrets = tmp_path / "secrets.json"
    async with camera(pictures, tls=tls) as address:
        seen = []
        for pin in (digest, "00" * 32, ""):
            secrets.write_text(json.dumps({"cam": {"certificate_sha256": pin}}))
            async with world(tmp_path, camera_credentials=secrets) as running:
                running.registry.grant(mjpeg_lease(address, transport=site_pb2.Device.TRANSPORT_TLS))
                seen.append((await session_when(running, settled)).reason)

    assert seen == ["", "CERTIFICATE_UNTRUSTED", "CERTIFICATE_UNTRUSTED"]


async def redirect_to(location: str) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    return handle


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "[::1]"])
async def test_a_redirect_out_of_the_camera_networks_is_not_followed(tmp_path: Path, host: str) -> None:
    asked: list[str] = []

    async def count(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    networks = (ipaddress.ip_network("127.0.0.2/32"),)
    async with (
        camera(count) as inner,
        camera(await redirect_to(f"http://{host}:{inner.split(':')[1]}/secret"), "127.0.0.2") as address,
        world(tmp_path, camera_networks=networks) as running,
    ):
        running.registry.grant(mjpeg_lease(address))
        seen = await session_when(running, settled)

    assert (seen.state, seen.reason) == (Session.STATE_REFUSED, "ADDRESS_OUTSIDE_CAMERA_NETWORKS")
    assert not asked


async def test_a_redirect_inside_the_camera_networks_is_followed(tmp_path: Path) -> None:
    async with (
        camera(pictures) as target,
        camera(await redirect_to(f"http://{target}/moved"), "127.0.0.2") as address,
        world(tmp_path) as running,
    ):
        running.registry.grant(mjpeg_lease(address))
        seen = await session_when(running, settled)

    assert seen.state == Session.STATE_STREAMING


def bomb(_: int, data: bytes) -> bytes:
    """A start of frame that promises 65 500 x 65 500 pixels."""
    return re.sub(
        rb"\xff\xc0(...)....", lambda found: b"\xff\xc0" + found[1] + b"\xff\xdc\xff\xdc", data, flags=re.DOTALL
    )


SPOILERS = {"spoilt": lambda _, data: data[:40], "bomb": bomb, "huge": lambda _, data: data + bytes(9 << 20)}
ANSWERS = {
    "missing": (404, {}),
    "loop": (307, {"Location": "/loop"}),
    "elsewhere": (301, {"Location": "file:///etc/passwd"}),
    "page": (200, {"Content-Type": "text/html"}),
}


async def answers(request: web.Request) -> Any:
    kind = request.match_info["path"]
    if kind in ANSWERS:
        status, headers = ANSWERS[kind]
        return web.Response(status=status, headers=headers)
    return await pictures(request, SPOILERS[kind])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing", "NOT_FOUND"),
        ("loop", "PROTOCOL_ERROR"),
        ("elsewhere", "PROTOCOL_ERROR"),
        ("page", "UNSUPPORTED_CODEC"),
        ("spoilt", "DECODE_ERRORS"),
        ("bomb", "DECODE_ERRORS"),
        ("huge", "PROTOCOL_ERROR"),
    ],
)
async def test_what_is_no_picture_is_named(tmp_path: Path, path: str, reason: str) -> None:
    async with camera(answers) as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path=f"/{path}", ingest=MJPEG)))
        seen = await session_when(running, lambda session: bool(session.reason))

    assert seen.reason == reason
    assert not running.anonymizer.frames
