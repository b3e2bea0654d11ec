"""A camera over SOAP: what is read of it, what is proposed, what people are warned of, and what is never dialled."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from argo.registry.v1 import site_pb2
from mesh.testing import certificate_authority
from registry.onboarding.camera import CameraError, CameraReport, Contact, read_camera
from registry.onboarding.proposal import Wanted, propose, warnings
from tests.contract.registry.onvif_device import OnvifDevice

WANTED = Wanted(
    "alimonda-1", "sites/alimonda", "cameras/alimonda", site_pb2.Device.VIEW_CONTEXT, site_pb2.Device.MOBILITY_FIXED
)


def now() -> datetime:
    return datetime.now(UTC)


def contact_of(device: OnvifDevice, **changes: Any) -> Contact:
    return replace(Contact("127.0.0.1", device.port, user="argo", password=device.password), **changes)


async def report_of(device: OnvifDevice, **changes: Any) -> CameraReport:
    async with device.running():
        return await asyncio.to_thread(read_camera, contact_of(device, **changes), now)


@pytest.mark.parametrize(
    ("device", "encoding"),
    [
        (OnvifDevice(), "H265"),
        (OnvifDevice(media2=False), "H264"),
        (OnvifDevice(get_services=False), "H264"),
        (OnvifDevice(password=""), "H265"),
    ],
    ids=["media2", "media", "before GetServices", "without password"],
)
async def test_a_camera_says_what_it_is(device: OnvifDevice, encoding: str) -> None:
    report = await report_of(device, **({} if device.password else {"user": "", "password": ""}))

    assert (report.manufacturer, report.model, report.firmware) == ("Panoptes", "Q4", "5.3.0")
    assert [stream.encoding for stream in report.streams] == [encoding] * 8
    proposed, optics = propose(report, Contact("127.0.0.1", 80), WANTED)
    assert (proposed.name, proposed.address, proposed.model) == ("devices/alimonda-1", "127.0.0.1", "Panoptes Q4")
    assert [(optic.name, optic.main_stream_path, optic.sub_stream_path) for optic in optics[:2]] == [
        ("devices/alimonda-1/optics/optic-1", "/Streaming/Channels/101", "/Streaming/Channels/102"),
        ("devices/alimonda-1/optics/optic-2", "/Streaming/Channels/201", "/Streaming/Channels/202"),
    ]
    assert (len(optics), optics[0].policy.analysis_width) == (4, 640)


async def test_a_camera_is_read_over_https_though_nobody_vouches_for_its_certificate(tmp_path: Path) -> None:
    files = certificate_authority(tmp_path).issue("system/camera")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    device = OnvifDevice(tls=tls)

    report = await report_of(device, tls=True)

    assert (report.model, len(report.streams)) == ("Q4", 8)
    with pytest.raises(CameraError, match="does not answer"):
        await report_of(device, tls=False)


async def test_the_password_is_tried_once_and_no_other_is() -> None:
    device = OnvifDevice()
    with pytest.raises(CameraError, match="refuses this user and password"):
        await report_of(device, password="sbagliata")

    # Without, by WS-Security, by HTTP digest.
    assert [name for name, _ in device.calls] == ["GetDeviceInformation"] * 3
    assert "sbagliata" not in repr(contact_of(device, password="sbagliata"))


async def test_a_camera_that_wants_a_password_is_not_read_without() -> None:
    with pytest.raises(CameraError, match="give --user"):
        await report_of(OnvifDevice(), user="", password="")


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (OnvifDevice(stream_host="10.9.9.9"), "points to another address, 10.9.9.9"),
        (OnvifDevice(service_host="10.9.9.9"), "points to another address, 10.9.9.9"),
        (OnvifDevice(service_host="localhost"), "points to another address, localhost"),
        (OnvifDevice(redirect="http://10.9.9.9/onvif/device_service"), "redirects to another place"),
    ],
)
async def test_nothing_but_the_camera_is_dialled(device: OnvifDevice, words: str) -> None:
    with pytest.raises(CameraError, match=words):
        await report_of(device)


async def test_a_camera_that_does_not_answer() -> None:
    device = OnvifDevice()
    async with device.running():
        pass

    with pytest.raises(CameraError, match="does not answer"):
        await asyncio.to_thread(read_camera, contact_of(device), now)


async def test_an_answer_without_end_is_cut() -> None:
    with pytest.raises(CameraError, match="more than 2 MiB"):
        await report_of(OnvifDevice(firmware="x" * 3 * 2**20))


async def warned(device: OnvifDevice, **changes: Any) -> str:
    report = await report_of(device, **changes)
    oldest = {("panoptes", "q4"): "5.3.0"}
    return "\n".join(warnings(report, contact_of(device, **changes), oldest, now()))


async def test_people_are_warned_of_what_is_wrong() -> None:
    good = await warned(OnvifDevice(), tls=False)
    assert good.splitlines() == [
        "it serves HTTPS, but was asked without: use --tls, and switch HTTP off on it",
        "its pictures travel in clear (rtsp, not rtsps)",
    ]
    assert "answers without a password" in await warned(OnvifDevice(password=""), user="", password="")
    assert "serves no HTTPS" in await warned(OnvifDevice(https=False))
    assert re.search(r"off by \+(29|30) s", await warned(OnvifDevice(clock_offset=timedelta(seconds=30))))
    assert re.search(r"off by -(29|30) s", await warned(OnvifDevice(clock_offset=timedelta(seconds=-30))))
    assert "5.2.9 is older than 5.3.0" in await warned(OnvifDevice(firmware="5.2.9"))


def report(**changes: Any) -> CameraReport:
    plain = CameraReport("Vedetta", "1", "1.0", "1", (), timedelta(0), https=True, open_to_all=False)
    return replace(plain, **changes)


@pytest.mark.parametrize(
    ("firmware", "words"),
    [("V5.6.3 build 190923", "is of 2019-09-23"), ("1.0", "is unknown"), ("V5.6.3 build 261001", "")],
)
def test_firmware_without_an_entry_is_judged_by_its_day_or_said_to_be_unknown(firmware: str, words: str) -> None:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    told = [
        line
        for line in warnings(report(firmware=firmware), Contact("10.0.0.1", 80, tls=True), {}, at)
        if "firmware" in line
    ]

    assert bool(told) == bool(words)
    assert all(words in line for line in told)


@pytest.mark.parametrize(
    ("user", "password", "default"), [("admin", "12345", True), ("Admin", "admin", True), ("admin", "x", False)]
)
def test_passwords_of_makers_are_known(user: str, password: str, *, default: bool) -> None:
    contact = Contact("10.0.0.1", 80, tls=True, user=user, password=password)

    assert any("makers ship" in line for line in warnings(report(), contact, {}, now())) == default
