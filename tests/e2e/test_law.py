"""The law of the camera, obeyed by the whole mesh: placements that end, cameras that move, holds that keep."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.type import interval_pb2

from anonymizer.domain.segments import SegmentName
from argo.registry.v1 import (
    admission_pb2,
    hold_service_pb2,
    hold_service_pb2_grpc,
    registry_service_pb2,
    registry_service_pb2_grpc,
    scene_pb2,
    site_pb2,
)
from tests.e2e.street import OPTIC, REASON, Street, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

pb = registry_service_pb2
HOLD = "holds/e2e"
SITE = "sites/demo"
TERM = timedelta(seconds=20)
"""Longer than a segment: what is over before its segment is whole is not written at all."""


@contextlib.asynccontextmanager
async def administrating(street: Street) -> AsyncIterator[Any]:
    async with street.channel("registry", "administrator/e2e") as channel:
        yield registry_service_pb2_grpc.RegistryServiceStub(channel)


def device_of(address: str, mobility: site_pb2.Device.Mobility.ValueType, site: str = "") -> site_pb2.Device:
    return site_pb2.Device(
        address=address,
        site=site,
        view=site_pb2.Device.VIEW_CONTEXT,
        mobility=mobility,
        legal_basis=site_pb2.LegalBasis(
            purpose=site_pb2.LegalBasis.PURPOSE_URBAN_SECURITY, dpia_reference="dpia 3", sign_reference="sign 3"
        ),
    )


async def make(stub: Any, device_id: str, device: site_pb2.Device) -> str:
    await stub.CreateDevice(pb.CreateDeviceRequest(device_id=device_id, device=device, reason=REASON))
    request = pb.CreateOpticRequest(
        parent=f"devices/{device_id}",
        optic_id="main",
        optic=site_pb2.Optic(main_stream_path="/stream", ingest=site_pb2.Optic.INGEST_RTSP),
        reason=REASON,
    )
    name: str = (await stub.CreateOptic(request)).name
    return name


async def masked_whole(street: Street, optic: str) -> float:
    """How many frames of an optic were masked whole so far."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{street.mesh.environments.health('anonymizer')}/metrics") as response,
    ):
        text = await response.text()
    pattern = rf'argo_anonymizer_frames_total{{basis="whole_picture",optic="{optic}"}} (\S+)'
    match = re.search(pattern, text)
    return float(match[1]) if match else 0.0


async def test_a_mobile_camera_goes_dark_by_itself_when_its_placement_ends(street: Street, sample: Path) -> None:
    address = await street.play("mobile-camera", sample)
    async with administrating(street) as stub:
        optic = await make(stub, "mobile-camera", device_of(address, site_pb2.Device.MOBILITY_MOBILE))
        assert await refusals(stub, "devices/mobile-camera") == [admission_pb2.Refusal.REASON_DECISION_MISSING]
        assert await street.session(optic) is None

        end = datetime.now(UTC) + timedelta(hours=1)
        deployment = site_pb2.Deployment(site=SITE, decision="COSP 7/2026", reason="degrado")
        deployment.decision_time.FromDatetime(end - timedelta(days=2))
        deployment.start_time.FromDatetime(end - timedelta(days=1))
        deployment.end_time.FromDatetime(end)
        await stub.CreateDeployment(
            pb.CreateDeploymentRequest(
                parent="devices/mobile-camera", deployment_id="first", deployment=deployment, reason=REASON
            )
        )
        await street.streaming(optic)
        assert await masked_whole(street, optic) > 0  # nobody has confirmed what it sees there

        end = datetime.now(UTC) + timedelta(seconds=5)
        shorter = site_pb2.Deployment(name="devices/mobile-camera/deployments/first")
        shorter.end_time.FromDatetime(end)
        await stub.UpdateDeployment(
            pb.UpdateDeploymentRequest(
                deployment=shorter, update_mask=FieldMask(paths=["end_time"]), reason="the square is calm again"
            )
        )
        await asyncio.sleep((end - datetime.now(UTC)).total_seconds())

        async def dark() -> bool | None:
            return True if await street.session(optic) is None else None

        await until("the camera is dark", dark)
        assert await refusals(stub, "devices/mobile-camera") == [admission_pb2.Refusal.REASON_PLACEMENT_ENDED]


async def refusals(stub: Any, device: str) -> list[admission_pb2.Refusal.Reason.ValueType]:
    record = await stub.GetDevice(pb.GetDeviceRequest(name=device))
    return [refusal.reason for refusal in record.refusals]


async def test_a_moved_camera_shows_nothing_until_somebody_confirms_what_it_sees(street: Street, sample: Path) -> None:
    address = await street.play("moved-camera", sample)
    async with administrating(street) as stub:
        optic = await make(stub, "moved-camera", device_of(address, site_pb2.Device.MOBILITY_FIXED, SITE))
        await street.streaming(optic)
        assert await masked_whole(street, optic) == 0

        elsewhere = site_pb2.Site(display_name="Elsewhere")
        elsewhere.location.latitude, elsewhere.location.longitude = 45.05, 7.65
        await stub.CreateSite(pb.CreateSiteRequest(site_id="elsewhere", site=elsewhere, reason=REASON))
        moved = site_pb2.Device(name="devices/moved-camera", site="sites/elsewhere")
        await stub.UpdateDevice(
            pb.UpdateDeviceRequest(device=moved, update_mask=FieldMask(paths=["site"]), reason="moved")
        )

        async def withheld() -> bool | None:
            return True if await masked_whole(street, optic) > 5 else None

        await until("the whole picture is masked", withheld)
        assert (await stub.GetOptic(pb.GetOpticRequest(name=optic))).scene == site_pb2.Optic.SCENE_UNCONFIRMED

        confirmed = await stub.ConfirmScene(pb.ConfirmSceneRequest(name=optic, reason="seen on the spot"))
        assert confirmed.scene == site_pb2.Optic.SCENE_CONFIRMED

        async def shown() -> bool | None:
            before = await masked_whole(street, optic)
            await asyncio.sleep(2)
            return True if await masked_whole(street, optic) == before else None

        await until("the picture is masked by verdicts again", shown)


async def test_a_hold_and_only_a_hold_stops_erasure(street: Street) -> None:
    async with administrating(street) as stub:
        await street.streaming(OPTIC)
        await set_retention(stub, TERM)
        try:
            first = await until("a short-lived segment", lambda: any_segment(street, lambda _segment: True))
            await until("its erasure", lambda: gone(street, first))

            await hold(street)
            overdue = await until("a segment that outlives its term", lambda: any_segment(street, is_overdue))
            async with street.channel("registry", "supervisor/third") as channel:
                request = hold_service_pb2.ReleaseHoldRequest(name=HOLD, reason="the act was withdrawn")
                await hold_stub(channel).ReleaseHold(request)
            await until("its erasure after the release", lambda: gone(street, overdue))
        finally:
            await set_retention(stub, timedelta(days=7))


async def set_retention(stub: Any, retention: timedelta) -> None:
    optic = site_pb2.Optic(name=OPTIC, policy=scene_pb2.Policy())
    optic.policy.retention.FromTimedelta(retention)
    mask = FieldMask(paths=["policy.retention"])
    await stub.UpdateOptic(pb.UpdateOpticRequest(optic=optic, update_mask=mask, reason=REASON))


def hold_stub(channel: grpc.aio.Channel) -> Any:
    return hold_service_pb2_grpc.HoldServiceStub(channel)


async def hold(street: Street) -> None:
    """Proposed by one, approved by two others."""
    now = datetime.now(UTC)
    interval = interval_pb2.Interval()
    interval.start_time.FromDatetime(now - timedelta(hours=1))
    interval.end_time.FromDatetime(now + timedelta(hours=1))
    proposed = hold_service_pb2.Hold(
        scope=OPTIC, interval=interval, authority="Procura della Repubblica di Torino", act="RGNR 1234/2026"
    )
    proposed.expire_time.FromDatetime(now + timedelta(days=60))
    async with street.channel("registry", "operator/first") as channel:
        request = hold_service_pb2.CreateHoldRequest(hold_id="e2e", hold=proposed, reason="asked by the prosecutor")
        await hold_stub(channel).CreateHold(request)
    state = hold_service_pb2.Hold.STATE_UNSPECIFIED
    for approver in ("supervisor/second", "supervisor/third"):
        async with street.channel("registry", approver) as channel:
            approval = hold_service_pb2.ApproveHoldRequest(name=HOLD, reason="the act was seen")
            state = (await hold_stub(channel).ApproveHold(approval)).state
    assert state == hold_service_pb2.Hold.STATE_ACTIVE


def segments(street: Street) -> dict[SegmentName, Path]:
    """The short-lived segments of the optic that are in the store."""
    folder = street.mesh.state.recordings
    found = {
        SegmentName.parse(str(path.relative_to(folder))): path for path in folder.glob("segments/**/*_20.mp4.aesgcm")
    }
    return {segment: path for segment, path in found.items() if segment.optic == OPTIC}


async def any_segment(street: Street, wanted: Callable[[SegmentName], bool]) -> Path | None:
    return next((path for segment, path in segments(street).items() if wanted(segment)), None)


def is_overdue(segment: SegmentName) -> bool:
    """Well beyond its term, with several turns of erasure since."""
    return datetime.now(UTC) > segment.expires + segment.duration + timedelta(seconds=8)


async def gone(_street: Street, path: Path) -> bool | None:
    return None if path.exists() else True  # noqa: ASYNC240 - a test may look at its own small file
