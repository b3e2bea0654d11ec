"""UDP, TLS and authentication against GStreamer's RTSP server, which is not ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.registry.v1 import site_pb2
from argo.type.v1 import media_pb2
from mesh.testing import certificate_authority
from tests.contract.camera_gateway.cameras import gstreamer_camera
from tests.contract.camera_gateway.far_ends import device_lease, eventually, optic
from tests.contract.camera_gateway.gateway import session_when, world

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.tls import TlsFiles

Session = gateway.Session
UDP, TLS = site_pb2.Device.TRANSPORT_UDP, site_pb2.Device.TRANSPORT_TLS
SENDER_REPORT = media_pb2.CaptureTime.SOURCE_SENDER_REPORT

pytestmark = pytest.mark.gstreamer


@pytest.mark.parametrize("codec", ["h264", "h265"])
async def test_pictures_travel_over_udp_with_the_camera_s_clock(tmp_path: Path, codec: str) -> None:
    async with gstreamer_camera(codec, "--only", "udp") as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream"), transport=UDP))

        await eventually(lambda: len(running.anonymizer.frames) >= 5)
        await eventually(lambda: running.anonymizer.frames[-1].frame.capture_time.source == SENDER_REPORT)
        seen = await session_when(running, lambda session: session.counters.frames_masked > 0)

    assert seen.attempts == 1
    assert (seen.width, seen.height) == (320, 240)
    assert seen.counters.frames_broken == 0


async def test_a_camera_that_refuses_the_transport_is_named(tmp_path: Path) -> None:
    async with gstreamer_camera("h264", "--only", "tcp") as address, world(tmp_path) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream"), transport=UDP))

        seen = await session_when(running, lambda session: session.state == Session.STATE_BACKING_OFF)

    assert seen.reason == "REJECTED"
    assert "SETUP was answered 461" in seen.detail


def pem_of(camera: TlsFiles, folder: Path) -> str:
    """Key and certificate in one file, as GStreamer wants them."""
    path = folder / "camera.pem"
    path.write_bytes(camera.key.read_bytes() + camera.certificate.read_bytes())
    return str(path)


def fingerprint(camera: TlsFiles) -> str:
    return x509.load_pem_x509_certificate(camera.certificate.read_bytes()).fingerprint(hashes.SHA256()).hex(":")


async def outcome(folder: Path, address: str, secret: dict[str, Any], **settings: Any) -> Session:
    """How a session over TLS fares."""
    secrets = folder / "secrets.json"
    secrets.write_text(json.dumps({"cam": secret}))
    async with world(folder, camera_credentials=secrets, **settings) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream"), transport=TLS))
        ended = (Session.STATE_STREAMING, Session.STATE_BACKING_OFF, Session.STATE_REFUSED)
        return await session_when(running, lambda session: session.state in ended)


async def test_a_camera_with_a_certificate_of_a_known_authority_is_believed(tmp_path: Path) -> None:
    authority = certificate_authority(tmp_path / "cameras")
    pem = pem_of(authority.issue("system/camera"), tmp_path)
    async with gstreamer_camera("h264", "--certificate", pem) as address:
        believed = await outcome(tmp_path, address, {}, camera_ca=authority.ca_file)
        unknown = await outcome(tmp_path, address, {})

    assert believed.state == Session.STATE_STREAMING
    assert (unknown.state, unknown.reason) == (Session.STATE_BACKING_OFF, "CERTIFICATE_UNTRUSTED")


async def test_a_pinned_certificate_is_believed_and_no_other(tmp_path: Path) -> None:
    camera = certificate_authority(tmp_path / "cameras").issue("system/camera")
    async with gstreamer_camera("h264", "--certificate", pem_of(camera, tmp_path)) as address:
        pinned = await outcome(tmp_path, address, {"certificate_sha256": fingerprint(camera)})
        other = await outcome(tmp_path, address, {"certificate_sha256": "00" * 32})

    assert pinned.state == Session.STATE_STREAMING
    assert other.reason == "CERTIFICATE_UNTRUSTED"


async def test_a_camera_without_tls_is_no_camera_with_tls(tmp_path: Path) -> None:
    async with gstreamer_camera("h264") as address:
        seen = await outcome(tmp_path, address, {"certificate_sha256": "00" * 32})

    assert seen.state == Session.STATE_BACKING_OFF
    assert seen.reason in ("PROTOCOL_ERROR", "END_OF_STREAM")


@pytest.mark.parametrize(("leave", "reason"), [(False, "UNAUTHORIZED"), (True, "")])
async def test_a_password_goes_out_in_clear_text_only_with_leave(
    tmp_path: Path,
    leave: bool,  # noqa: FBT001
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret = {"username": "canary-user", "password": "canary-word", "plain_basic": leave}
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"cam": secret}))
    basic = ("--basic", "--user", "canary-user", "--password", "canary-word")
    async with gstreamer_camera("h264", *basic) as address, world(tmp_path, camera_credentials=secrets) as running:
        running.registry.grant(device_lease(address, optic(stream_path="/stream")))

        seen = await session_when(
            running, lambda session: session.state in (Session.STATE_STREAMING, Session.STATE_BACKING_OFF)
        )

    assert seen.reason == reason
    assert ("clear text" in seen.detail) is not leave
    assert "canary" not in str(seen) + "".join(capsys.readouterr())


async def test_inside_tls_basic_is_answered(tmp_path: Path) -> None:
    camera = certificate_authority(tmp_path / "cameras").issue("system/camera")
    options = ("--certificate", pem_of(camera, tmp_path), "--basic", "--user", "u", "--password", "p")
    secret = {"username": "u", "password": "p", "certificate_sha256": fingerprint(camera)}
    async with gstreamer_camera("h264", *options) as address:
        seen = await outcome(tmp_path, address, secret)

    assert seen.state == Session.STATE_STREAMING
