"""The registry's word about the lines and zones that count."""

from __future__ import annotations

import asyncio
from typing import Any

from alerting.assembly import Parts
from alerting.clients import RegistryClient
from alerting.domain.flows.places import Site
from alerting.flow_places import follow_places
from alerting.settings import AlertingSettings
from argo.registry.v1 import registry_service_pb2 as registry_v1
from argo.registry.v1 import registry_service_pb2_grpc as registry_grpc
from argo.registry.v1 import scene_pb2
from mesh.authority import CertificateAuthority
from mesh.rpc.channel import open_channel
from mesh.rpc.server import GrpcServer
from mesh.settings import ServiceSettings
from mesh.testing import serving, settings_of
from tests.contract.alerting.peers import Registry
from tests.integration.alerting.flow_support import GATE, SITE, SQUARE
from tests.integration.alerting.support import OPTIC


class Drawn(Registry):
    """A registry with a line and a zone."""

    async def ListLines(self, request: registry_v1.ListLinesRequest, _context: Any) -> Any:  # noqa: N802
        assert request.parent == "devices/-/optics/-"
        return registry_v1.ListLinesResponse(lines=[scene_pb2.Line(name=GATE, display_name="The  gate")])

    async def ListZones(self, request: registry_v1.ListZonesRequest, _context: Any) -> Any:  # noqa: N802
        assert request.parent == "devices/-/optics/-"
        return registry_v1.ListZonesResponse(zones=[scene_pb2.Zone(name=SQUARE)])


async def test_lines_and_zones_are_kept_with_their_names_and_their_site(
    parts: Parts, authority: CertificateAuthority, service_settings: AlertingSettings
) -> None:
    def register(server: GrpcServer) -> None:
        servicer = Drawn()  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED
        server.add(registry_grpc.add_RegistryServiceServicer_to_server, servicer, "argo.registry.v1.RegistryService")

    settings = settings_of(authority, "service/registry", ServiceSettings)
    async with (
        serving(settings, register) as server,
        open_channel(server.address, service_settings, peer="service/registry") as channel,
    ):
        following = asyncio.create_task(follow_places(RegistryClient(channel), parts.flows.store))
        while not (known := await parts.flows.store.describe_places([GATE, SQUARE])):
            await asyncio.sleep(0.02)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    assert known == {
        GATE: Site(GATE, OPTIC, SITE, "The gate", "Giardini Alimonda"),
        SQUARE: Site(SQUARE, OPTIC, SITE, "", "Giardini Alimonda"),
    }
