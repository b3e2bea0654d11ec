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
from argo.registry.v1 import scene_pb2, site_pb2
from mesh.authority import CertificateAuthority
from mesh.rpc.channel import open_channel
from mesh.rpc.server import GrpcServer
from mesh.settings import ServiceSettings
from mesh.testing import serving, settings_of
from tests.contract.alerting.peers import Registry
from tests.integration.alerting.flow_support import GATE, SITE, SQUARE
from tests.integration.alerting.support import OPTIC

YARD, FUTURE, NOWHERE = (f"devices/{device}/optics/main/lines/door" for device in ("yard", "future", "nowhere"))
OTHERS = (YARD, FUTURE, NOWHERE)


def basis(controller: str, regime: int = site_pb2.LegalBasis.REGIME_UNSPECIFIED) -> site_pb2.LegalBasis:
    return site_pb2.LegalBasis(
        controller=f"controllers/{controller}", regime=site_pb2.LegalBasis.Regime.ValueType(regime)
    )


class Drawn(Registry):
    """A registry with lines and a zone, of cameras of several controllers, under several laws."""

    async def ListDevices(self, _request: Any, _context: Any) -> registry_v1.ListDevicesResponse:  # noqa: N802
        law_enforcement = site_pb2.LegalBasis.REGIME_LAW_ENFORCEMENT
        return registry_v1.ListDevicesResponse(
            devices=[
                site_pb2.Device(name="devices/alimonda", site=SITE, legal_basis=basis("city")),
                site_pb2.Device(name="devices/yard", legal_basis=basis("questura", law_enforcement)),
                # Of a regime that this release does not know.
                site_pb2.Device(name="devices/future", legal_basis=basis("city", 7)),
            ]
        )

    async def ListLines(self, request: registry_v1.ListLinesRequest, _context: Any) -> Any:  # noqa: N802
        assert request.parent == "devices/-/optics/-"
        gate = scene_pb2.Line(name=GATE, display_name="The  gate")
        return registry_v1.ListLinesResponse(lines=[gate, *(scene_pb2.Line(name=name) for name in OTHERS)])

    async def ListZones(self, request: registry_v1.ListZonesRequest, _context: Any) -> Any:  # noqa: N802
        assert request.parent == "devices/-/optics/-"
        return registry_v1.ListZonesResponse(zones=[scene_pb2.Zone(name=SQUARE)])


async def test_lines_and_zones_are_kept_with_their_names_their_site_and_whose_they_are(
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
        while not (known := await parts.flows.store.describe_places([GATE, SQUARE, *OTHERS])):
            await asyncio.sleep(0.02)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    assert known == {
        GATE: Site(
            GATE, OPTIC, SITE, "The gate", "Giardini Alimonda", controller="controllers/city", law_enforcement=False
        ),
        SQUARE: Site(
            SQUARE, OPTIC, SITE, "", "Giardini Alimonda", controller="controllers/city", law_enforcement=False
        ),
        YARD: Site(YARD, "devices/yard/optics/main", "", controller="controllers/questura", law_enforcement=True),
        FUTURE: Site(FUTURE, "devices/future/optics/main", "", controller="controllers/city", law_enforcement=True),
        NOWHERE: Site(NOWHERE, "devices/nowhere/optics/main", "", controller="", law_enforcement=True),
    }
