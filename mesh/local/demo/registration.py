"""The demonstration's records, made through the registry's API like anybody's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from argo.registry.v1 import registry_service_pb2 as api
from argo.registry.v1 import registry_service_pb2_grpc, scene_pb2, site_pb2
from argo.type.v1 import geometry_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mesh.local.demo.scene import Points, Scene

SITE: Final = "sites/demo"
DEVICE_PREFIX: Final = "demo-camera-"
OPTIC_ID: Final = "main"

_DWELL: Final = Duration(seconds=1)


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
    """Makes and updates the records.

    Args:
        channel: to the registry, as an administrator.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = registry_service_pb2_grpc.RegistryServiceStub(channel)

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
            lambda: self._stub.CreateSite(api.CreateSiteRequest(site_id=SITE.partition("/")[2], site=site)),
            lambda: self._stub.UpdateSite(api.UpdateSiteRequest(site=site, update_mask=_mask("display_name"))),
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
                controller="demonstration",
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
            lambda: self._stub.CreateDevice(api.CreateDeviceRequest(device_id=camera.device_id, device=device)),
            lambda: self._stub.UpdateDevice(api.UpdateDeviceRequest(device=device, update_mask=mask)),
        )
        mask = _mask("display_name", "main_stream_path")
        await _ensure(
            lambda: self._stub.CreateOptic(api.CreateOpticRequest(parent=device.name, optic_id=OPTIC_ID, optic=optic)),
            lambda: self._stub.UpdateOptic(api.UpdateOpticRequest(optic=optic, update_mask=mask)),
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
        await _ensure(
            lambda: self._stub.CreateZone(api.CreateZoneRequest(parent=optic, zone_id="area", zone=zone)),
            lambda: self._stub.UpdateZone(
                api.UpdateZoneRequest(zone=zone, update_mask=_mask("display_name", "polygon"))
            ),
        )
        await _ensure(
            lambda: self._stub.CreateLine(api.CreateLineRequest(parent=optic, line_id="line", line=line)),
            lambda: self._stub.UpdateLine(
                api.UpdateLineRequest(line=line, update_mask=_mask("display_name", "polyline"))
            ),
        )
        for rule_id, rule in _rules(optic, scene, zone.name, line.name).items():
            await self._ensure_rule(optic, rule_id, rule)

    async def _ensure_rule(self, optic: str, rule_id: str, rule: scene_pb2.Rule) -> None:
        await _ensure(
            lambda: self._stub.CreateRule(api.CreateRuleRequest(parent=optic, rule_id=rule_id, rule=rule)),
            lambda: self._stub.UpdateRule(
                api.UpdateRuleRequest(rule=rule, update_mask=_mask("display_name", "classes"))
            ),
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
                await stub.DeleteRule(api.DeleteRuleRequest(name=rule.name))
            for line in (await stub.ListLines(api.ListLinesRequest(parent=optic.name))).lines:
                await stub.DeleteLine(api.DeleteLineRequest(name=line.name))
            for zone in (await stub.ListZones(api.ListZonesRequest(parent=optic.name))).zones:
                await stub.DeleteZone(api.DeleteZoneRequest(name=zone.name))
            await stub.DeleteOptic(api.DeleteOpticRequest(name=optic.name))
        await stub.DeleteDevice(api.DeleteDeviceRequest(name=device))


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


def _mask(*paths: str) -> FieldMask:
    return FieldMask(paths=paths)


def _points(points: Points) -> list[geometry_pb2.Point]:
    return [geometry_pb2.Point(x=x, y=y) for x, y in points]
