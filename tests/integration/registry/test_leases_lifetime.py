"""How a lease is prolonged, and what ends it."""

from __future__ import annotations

from datetime import timedelta

from argo.registry.v1 import site_pb2
from tests.contract.registry.records import OPTIC
from tests.contract.registry.support import Administrator, Clock, Registry, Request
from tests.integration.registry.gateways import gateway, hold
from tests.unit.registry import lawful


async def test_renewals_prolong(registry: Registry, administrator: Administrator) -> None:
    await administrator.build()
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: len([renewal for renewal in gw.renewals if renewal.devices]) >= 3)
        ends = [renewal.expire_time.ToDatetime() for renewal in gw.renewals if renewal.devices]

    assert ends == sorted(set(ends))
    assert set(gw.renewals[-1].devices) == {"devices/palo-12"}


async def test_a_change_that_ends_admission_ends_the_lease(registry: Registry, administrator: Administrator) -> None:
    await administrator.build(devices=2)
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: len(gw.held) == 2)
        bare = site_pb2.Device(name="devices/palo-12", legal_basis=site_pb2.LegalBasis(act="x"))
        await administrator.UpdateDevice(device=bare)
        await gw.until(lambda: gw.withdrawals)

        assert gw.withdrawals == [
            ("devices/palo-12", ["PURPOSE_MISSING", "DPIA_REFERENCE_MISSING", "SIGN_REFERENCE_MISSING"])
        ]
        await administrator.UpdateDevice(
            device=site_pb2.Device(name="devices/palo-12", legal_basis=lawful.device().legal_basis)
        )
        await gw.until(lambda: len(gw.held) == 2)


async def test_a_deleted_device_ends_its_lease(registry: Registry, administrator: Administrator) -> None:
    await administrator.build()
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: gw.held)
        await administrator.DeleteOptic(name=OPTIC)
        await administrator.DeleteDevice(name="devices/palo-12")
        await gw.until(lambda: gw.withdrawals)

        assert gw.withdrawals == [("devices/palo-12", ["DELETED"])]


async def test_a_mobile_device_goes_dark_by_time_alone(registry: Registry, administrator: Administrator) -> None:
    start = registry.clock.now
    await administrator.CreateSite(site_id="alimonda", site=lawful.site())
    await administrator.CreateSite(site_id="montale", site=lawful.site())
    await administrator.CreateDevice(device_id="carro-1", device=lawful.mobile_device())
    await administrator.CreateOptic(parent="devices/carro-1", optic_id="nord", optic=lawful.optic())
    day = timedelta(days=1)
    for number, site in ((1, "sites/alimonda"), (2, "sites/montale")):
        stay = lawful.deployment(start + number * day, start + (number + 1) * day, site=site)
        await administrator.CreateDeployment(parent="devices/carro-1", deployment_id=f"d{number}", deployment=stay)
    async with gateway(registry, "gw-1") as gw:
        await gw.until(lambda: gw.renewals)
        assert not gw.held

        registry.clock.now = start + day
        await gw.until(lambda: gw.held)
        first = gw.held["devices/carro-1"].optics[0]
        registry.clock.now = start + 2 * day
        await gw.until(lambda: gw.held["devices/carro-1"].optics[0].site == "sites/montale")
        second = gw.held["devices/carro-1"].optics[0]
        registry.clock.now = start + 3 * day
        await gw.until(lambda: gw.withdrawals)

        assert first.site == "sites/alimonda"
        assert second.version > first.version
        assert gw.withdrawals == [("devices/carro-1", ["PLACEMENT_ENDED"])]


async def test_a_device_that_a_gateway_should_not_have_is_taken_from_it(registry: Registry) -> None:
    announce = Request(announce=Request.Announce(replica="gw-1", capacity=1))
    heartbeat = Request(heartbeat=Request.Heartbeat(devices=["devices/ghost"]))

    response = await hold(registry, announce, heartbeat)

    assert response.withdrawal.device == "devices/ghost"
    assert [refusal.reason for refusal in response.withdrawal.reasons] == [9]


def test_the_clock_of_a_test_stands_still() -> None:
    clock = Clock()

    assert clock() == clock()
