"""The demonstration's records, made through the registry's API like anybody's."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from argo.registry.v1 import (
    proposal_service_pb2,
    proposal_service_pb2_grpc,
    registry_service_pb2_grpc,
    scene_pb2,
    site_pb2,
)
from argo.registry.v1 import registry_service_pb2 as api
from argo.type.v1 import geometry_pb2
from mesh.rpc.channel import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from mesh.local.demo.scene import Points, Scene
    from mesh.settings import ServiceSettings

SITE: Final = "sites/demo"
DEVICE_PREFIX: Final = "demo-camera-"
OPTIC_ID: Final = "main"
PROPOSER: Final = "administrator/local"
APPROVER: Final = "supervisor/second"

_DWELL: Final = Duration(seconds=1)
_REASON: Final = "demonstration"


@dataclass(frozen=True)
class CameraRecord:
    """What the registry is to know about a camera of the demonstration.

    Attributes:
        device_id: its id.
        display_name: what people call it.
        address: where it is dialled.
        path: of its stream.
        credentials: name of its secret; empty: none.
        scene: its line and zone.
    """

    device_id: str
    display_name: str
    address: str
    path: str
    credentials: str
    scene: Scene

    @property
    def optic(self) -> str:
        """Resource name of its one optic."""
        return f"devices/{self.device_id}/optics/{OPTIC_ID}"


class Registrar:
    """Makes and updates the records; what is live changes only with a second person, as everywhere.

    Args:
        proposer: channel to the registry, as an administrator.
        approver: channel to the registry, as somebody else who may approve.
    """

    def __init__(self, proposer: grpc.aio.Channel, approver: grpc.aio.Channel) -> None:
        self._stub: Any = registry_service_pb2_grpc.RegistryServiceStub(proposer)
        self._proposer: Any = proposal_service_pb2_grpc.ProposalServiceStub(proposer)
        self._approver: Any = proposal_service_pb2_grpc.ProposalServiceStub(approver)

    async def register(self, cameras: list[CameraRecord]) -> None:
        """Make the registry know exactly these cameras of the demonstration; other people's records are left alone.

        Raises:
            grpc.aio.AioRpcError: the registry refuses a record.
        """
        await self._remove_others({camera.device_id for camera in cameras})
        await self._ensure_site()
        for camera in cameras:
            await self._ensure_device(camera)
            await self._ensure_scene(camera.optic, camera.scene)

    async def _ensure_site(self) -> None:
        # The place of the sample video is Reading, but a city's records lie in the city: Turin's town hall.
        site = site_pb2.Site(name=SITE, display_name="Demonstration")
        site.location.latitude, site.location.longitude = 45.0733, 7.6816
        await _ensure(
            lambda: self._stub.CreateSite(
                api.CreateSiteRequest(site_id=SITE.partition("/")[2], site=site, reason=_REASON)
            ),
            lambda: self._stub.UpdateSite(
                api.UpdateSiteRequest(site=site, update_mask=_mask("display_name"), reason=_REASON)
            ),
        )

    async def _ensure_device(self, camera: CameraRecord) -> None:
        device = site_pb2.Device(
            name=f"devices/{camera.device_id}",
            display_name=camera.display_name,
            site=SITE,
            address=camera.address,
            credentials=camera.credentials,
            view=site_pb2.Device.VIEW_OBSERVATION,
            mobility=site_pb2.Device.MOBILITY_FIXED,
            legal_basis=site_pb2.LegalBasis(
                purpose=site_pb2.LegalBasis.PURPOSE_URBAN_SECURITY,
                dpia_reference="demonstration",
                sign_reference="demonstration",
            ),
        )
        optic = site_pb2.Optic(
            name=camera.optic,
            display_name=camera.display_name,
            ingest=site_pb2.Optic.INGEST_RTSP,
            main_stream_path=camera.path,
        )
        mask = _mask("display_name", "site", "address", "credentials")
        await _ensure(
            lambda: self._stub.CreateDevice(
                api.CreateDeviceRequest(device_id=camera.device_id, device=device, reason=_REASON)
            ),
            lambda: self._stub.UpdateDevice(api.UpdateDeviceRequest(device=device, update_mask=mask, reason=_REASON)),
        )
        mask = _mask("display_name", "main_stream_path")
        await _ensure(
            lambda: self._stub.CreateOptic(
                api.CreateOpticRequest(parent=device.name, optic_id=OPTIC_ID, optic=optic, reason=_REASON)
            ),
            lambda: self._stub.UpdateOptic(api.UpdateOpticRequest(optic=optic, update_mask=mask, reason=_REASON)),
        )

    async def _ensure_scene(self, optic: str, scene: Scene) -> None:
        zone = scene_pb2.Zone(
            name=f"{optic}/zones/area",
            display_name=scene.zone_name,
            polygon=geometry_pb2.Polygon(points=_points(scene.zone)),
            kind=scene_pb2.Zone.KIND_RESTRICTED,
        )
        line = scene_pb2.Line(
            name=f"{optic}/lines/line",
            display_name=scene.line_name,
            polyline=geometry_pb2.Polyline(points=_points(scene.line)),
        )
        zone_request = api.CreateZoneRequest(parent=optic, zone_id="area", zone=zone, reason=_REASON)
        line_request = api.CreateLineRequest(parent=optic, line_id="line", line=line, reason=_REASON)
        await _ensure(
            lambda: self._stub.CreateZone(zone_request), lambda: self._change("display_name", "polygon", zone=zone)
        )
        await _ensure(
            lambda: self._stub.CreateLine(line_request), lambda: self._change("display_name", "polyline", line=line)
        )
        for rule_id, rule in _rules(optic, scene, zone.name, line.name).items():
            await self._ensure_rule(optic, rule_id, rule)

    async def _ensure_rule(self, optic: str, rule_id: str, rule: scene_pb2.Rule) -> None:
        shadow = scene_pb2.Rule()
        shadow.CopyFrom(rule)
        shadow.mode = scene_pb2.Rule.MODE_SHADOW
        request = api.CreateRuleRequest(parent=optic, rule_id=rule_id, rule=shadow, reason=_REASON)
        await _ensure(lambda: self._stub.CreateRule(request), _nothing)
        await self._change("display_name", "classes", "mode", rule=rule)

    async def _change(self, *mask: str, **record: Any) -> None:
        """Change a record by its kind, alone where one person may, otherwise with the second one."""
        ((kind, changed),) = record.items()
        request_type = getattr(api, f"Update{kind.capitalize()}Request")
        request = request_type(**record, update_mask=_mask(*mask), reason=_REASON)
        try:
            await getattr(self._stub, f"Update{kind.capitalize()}")(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            await self._agree(changed.name, proposal_service_pb2.Proposal(**record, update_mask=_mask(*mask)))

    async def _agree(self, name: str, proposal: proposal_service_pb2.Proposal) -> None:
        request = proposal_service_pb2.CreateProposalRequest(
            parent=name.rsplit("/", 2)[0], proposal_id=f"demo-{uuid.uuid4().hex}", proposal=proposal, reason=_REASON
        )
        proposed = await self._proposer.CreateProposal(request)
        await self._approver.ApproveProposal(
            proposal_service_pb2.ApproveProposalRequest(name=proposed.name, etag=proposed.etag, reason=_REASON)
        )

    async def _remove_others(self, kept: set[str]) -> None:
        for device in (await self._stub.ListDevices(api.ListDevicesRequest(page_size=1000))).devices:
            device_id = device.name.partition("/")[2]
            if device_id.startswith(DEVICE_PREFIX) and device_id not in kept:
                await self._remove(device.name)

    async def _remove(self, device: str) -> None:
        stub = self._stub
        for optic in (await stub.ListOptics(api.ListOpticsRequest(parent=device))).optics:
            # Rules refer to zones and lines, so they go first.
            for rule in (await stub.ListRules(api.ListRulesRequest(parent=optic.name))).rules:
                await self._change("mode", rule=scene_pb2.Rule(name=rule.name, mode=scene_pb2.Rule.MODE_OFF))
                await stub.DeleteRule(api.DeleteRuleRequest(name=rule.name, reason=_REASON))
            for line in (await stub.ListLines(api.ListLinesRequest(parent=optic.name))).lines:
                await stub.DeleteLine(api.DeleteLineRequest(name=line.name, reason=_REASON))
            for zone in (await stub.ListZones(api.ListZonesRequest(parent=optic.name))).zones:
                await stub.DeleteZone(api.DeleteZoneRequest(name=zone.name, reason=_REASON))
            await stub.DeleteOptic(api.DeleteOpticRequest(name=optic.name, reason=_REASON))
        await stub.DeleteDevice(api.DeleteDeviceRequest(name=device, reason=_REASON))


@asynccontextmanager
async def open_registrar(target: str, settings_of: Callable[[str], ServiceSettings]) -> AsyncIterator[Registrar]:
    """A registrar for the block.

    Args:
        target: of the registry.
        settings_of: what a client needs to call as somebody, by identity path.
    """
    async with (
        open_channel(target, settings_of(PROPOSER), peer="service/registry") as proposer,
        open_channel(target, settings_of(APPROVER), peer="service/registry") as approver,
    ):
        yield Registrar(proposer, approver)


def _rules(optic: str, scene: Scene, zone: str, line: str) -> dict[str, scene_pb2.Rule]:
    return {
        "crossing": scene_pb2.Rule(
            name=f"{optic}/rules/crossing",
            display_name=f"crossing of {scene.line_name}",
            mode=scene_pb2.Rule.MODE_LIVE,
            priority=scene_pb2.PRIORITY_LOW,
            classes=scene.classes,
            line_crossing=scene_pb2.LineCrossing(line=line, direction=scene_pb2.LineCrossing.DIRECTION_ANY),
        ),
        "intrusion": scene_pb2.Rule(
            name=f"{optic}/rules/intrusion",
            display_name=f"somebody on {scene.zone_name}",
            mode=scene_pb2.Rule.MODE_LIVE,
            priority=scene_pb2.PRIORITY_MEDIUM,
            classes=scene.classes,
            zone_intrusion=scene_pb2.ZoneIntrusion(zone=zone, minimum_dwell=_DWELL),
        ),
    }


async def _ensure(create: Callable[[], Awaitable[object]], update: Callable[[], Awaitable[object]]) -> None:
    try:
        await create()
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
            raise
        await update()


async def _nothing() -> None:
    """What there is is changed afterwards."""


def _mask(*paths: str) -> FieldMask:
    return FieldMask(paths=paths)


def _points(points: Points) -> list[geometry_pb2.Point]:
    return [geometry_pb2.Point(x=x, y=y) for x, y in points]
