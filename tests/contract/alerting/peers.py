"""The console's peers, as servers of their contracts over mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from anonymizer.access import admit
from argo.anonymizer.v1 import live_view_service_pb2 as live_v1
from argo.anonymizer.v1 import live_view_service_pb2_grpc as live_grpc
from argo.anonymizer.v1 import recording_service_pb2 as recording_v1
from argo.anonymizer.v1 import recording_service_pb2_grpc as recording_grpc
from argo.camera_gateway.v1 import gateway_service_pb2 as gateway_v1
from argo.camera_gateway.v1 import gateway_service_pb2_grpc as gateway_grpc
from argo.registry.v1 import admission_pb2, site_pb2
from argo.registry.v1 import registry_service_pb2 as registry_v1
from argo.registry.v1 import registry_service_pb2_grpc as registry_grpc
from mesh.identity import current_identity
from mesh.rpc.server import GrpcServer
from tests.integration.alerting.support import OPTIC

TOKEN = "a secret of the sign-in link"
WHEP_ORIGIN = "https://video.example"


class Anonymizer(live_grpc.LiveViewServiceServicer):
    """The contract's other side; what it was asked for is kept."""

    def __init__(self) -> None:
        self.asked: list[live_v1.CreateViewingRequest] = []

    async def CreateViewing(self, request: live_v1.CreateViewingRequest, _context: Any) -> live_v1.Viewing:  # noqa: N802
        self.asked.append(request)
        return live_v1.Viewing(whep_url=f"{WHEP_ORIGIN}/whep/1", token="bearer")


class Recordings(recording_grpc.RecordingServiceServicer):
    """The contract's other side; what it was asked for is kept, and the anonymizer's own check is made."""

    def __init__(self) -> None:
        self.alarms: list[recording_v1.ReadAlarmClipRequest] = []
        self.clips: list[recording_v1.ReadClipRequest] = []

    async def ReadAlarmClip(  # noqa: N802
        self, request: recording_v1.ReadAlarmClipRequest, _context: Any
    ) -> AsyncIterator[recording_v1.ReadClipResponse]:
        admit(current_identity(), request.access, "/argo.anonymizer.v1.RecordingService/ReadAlarmClip")
        self.alarms.append(request)
        for content in (b"alarm ", b"clip"):
            yield recording_v1.ReadClipResponse(content=content)

    async def ReadClip(  # noqa: N802
        self, request: recording_v1.ReadClipRequest, _context: Any
    ) -> AsyncIterator[recording_v1.ReadClipResponse]:
        admit(current_identity(), request.access, "/argo.anonymizer.v1.RecordingService/ReadClip")
        self.clips.append(request)
        yield recording_v1.ReadClipResponse(content=b"clip")


class Gateway(gateway_grpc.GatewayServiceServicer):
    async def WatchSessions(  # noqa: N802
        self, _request: gateway_v1.WatchSessionsRequest, _context: Any
    ) -> AsyncIterator[gateway_v1.WatchSessionsResponse]:
        yield gateway_v1.WatchSessionsResponse(
            sessions=[gateway_v1.Session(optic=OPTIC, state=gateway_v1.Session.STATE_STREAMING)]
        )
        await asyncio.Event().wait()


class Registry(registry_grpc.RegistryServiceServicer):
    async def ListSites(self, _request: Any, _context: Any) -> registry_v1.ListSitesResponse:  # noqa: N802
        return registry_v1.ListSitesResponse(
            sites=[site_pb2.Site(name="sites/alimonda", display_name="Giardini Alimonda")]
        )

    async def ListDevices(self, _request: Any, _context: Any) -> registry_v1.ListDevicesResponse:  # noqa: N802
        return registry_v1.ListDevicesResponse(
            devices=[
                site_pb2.Device(name="devices/alimonda", site="sites/alimonda", display_name="Pole 3"),
                site_pb2.Device(name="devices/single", site="sites/alimonda", display_name="Pole 4"),
            ]
        )

    async def ListOptics(self, request: registry_v1.ListOpticsRequest, _context: Any) -> Any:  # noqa: N802
        assert request.parent == "devices/-"
        quiet = site_pb2.Optic(name="devices/alimonda/optics/south", display_name="South <img src=x>")
        single = site_pb2.Optic(
            name="devices/single/optics/main",
            display_name="Pole 4",
            refusals=[
                admission_pb2.Refusal(reason=reason, description=f"refused <{number}>")
                for number, reason in enumerate(
                    (
                        admission_pb2.Refusal.REASON_DPIA_REFERENCE_MISSING,
                        admission_pb2.Refusal.REASON_SIGN_REFERENCE_MISSING,
                    )
                )
            ],
        )
        return registry_v1.ListOpticsResponse(optics=[site_pb2.Optic(name=OPTIC, display_name="North"), quiet, single])


class Peers:
    """The three services that the console talks to, in one server per identity."""

    def __init__(self) -> None:
        self.anonymizer = Anonymizer()  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED
        self.recordings = Recordings()  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED
        self.targets: dict[str, str] = {}

    def servicers(self) -> dict[str, Callable[[GrpcServer], None]]:
        def registry(server: GrpcServer) -> None:
            name = "argo.registry.v1.RegistryService"
            servicer = Registry()  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED
            server.add(registry_grpc.add_RegistryServiceServicer_to_server, servicer, name)
            server.open({f"/{name}/*": ("service/alerting",)})

        def gateway(server: GrpcServer) -> None:
            name = "argo.camera_gateway.v1.GatewayService"
            servicer = Gateway()  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED
            server.add(gateway_grpc.add_GatewayServiceServicer_to_server, servicer, name)
            server.open({f"/{name}/*": ("service/alerting",)})

        def anonymizer(server: GrpcServer) -> None:
            name = "argo.anonymizer.v1.LiveViewService"
            server.add(live_grpc.add_LiveViewServiceServicer_to_server, self.anonymizer, name)
            server.open({f"/{name}/*": ("service/alerting",)})
            recordings = "argo.anonymizer.v1.RecordingService"
            server.add(recording_grpc.add_RecordingServiceServicer_to_server, self.recordings, recordings)

        return {"registry": registry, "camera-gateway": gateway, "anonymizer": anonymizer}
