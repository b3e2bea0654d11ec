"""Places in time, end to end: gateway streams, the API, the log and the metrics, over a real PostgreSQL.

The four refusals are those that the registry exists for: a mobile camera without a decision, one past its end, a
camera without purpose, an address outside the network.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from argo.registry.v1 import lease_service_pb2, scene_pb2, site_pb2
from registry.domain.network import CameraNetworks
from tests.contract.registry.support import (
    NETWORKS,
    Administrator,
    Clock,
    Gateway,
    Registry,
    reason_name,
    running_registry,
)
from tests.unit.registry import lawful

CARRO = "devices/carro-1"
MOBILE = f"{CARRO}/optics/nord"
PALO = "devices/palo-12"
FIXED = f"{PALO}/optics/nord"
HOUR = timedelta(hours=1)


@asynccontextmanager
async def gateway(registry: Registry) -> AsyncIterator[Gateway]:
    async with registry.channel("service/camera-gateway") as channel, Gateway(channel, "gw-1") as held:
        yield held


async def mobile_camera(administrator: Administrator) -> None:
    await administrator.CreateSite(site_id="alimonda", site=lawful.site())
    await administrator.CreateSite(site_id="montale", site=lawful.site())
    await administrator.CreateDevice(device_id="carro-1", device=lawful.mobile_device())
    await administrator.CreateOptic(parent=CARRO, optic_id="nord", optic=lawful.optic())


async def place(administrator: Administrator, deployment_id: str, start: datetime, end: datetime, **more: Any) -> None:
    stay = lawful.deployment(start, end, **{"decision": f"COSP {deployment_id}", **more})
    await administrator.CreateDeployment(parent=CARRO, deployment_id=deployment_id, deployment=stay)


def first_optic(gw: Gateway, device: str) -> lease_service_pb2.OpticConfiguration:
    return gw.held[device].optics[0]


# ---- scenes in the configuration ------------------------------------------------------------------------------------


async def draw(administrator: Administrator, optic: str) -> None:
    """One of everything that says something about the view."""
    points = [scene_pb2.CalibrationPoint() for _ in range(4)]
    mask = scene_pb2.PrivacyMask(polygon=lawful.zone().polygon, reason="finestre")
    record = site_pb2.Optic(name=optic, calibration_points=points, privacy_masks=[mask])
    await administrator.UpdateOptic(optic=record)
    await administrator.CreateZone(parent=optic, zone_id="giochi", zone=lawful.zone())
    await administrator.CreateLine(parent=optic, line_id="varco", line=lawful.line())
    await administrator.CreateLane(parent=optic, lane_id="corsia", lane=lawful.lane())
    await administrator.CreateRule(parent=optic, rule_id="r", rule=lawful.rule(optic))


def drawn(configuration: lease_service_pb2.OpticConfiguration) -> list[int]:
    fields = ("zones", "lines", "lanes", "rules", "calibration_points")
    return [len(getattr(configuration, field)) for field in fields]


async def test_a_moved_camera_is_masked_whole_until_somebody_confirms(
    registry: Registry, administrator: Administrator
) -> None:
    await administrator.build()
    await administrator.CreateSite(site_id="montale", site=lawful.site())
    await draw(administrator, FIXED)
    async with gateway(registry) as gw:
        await gw.until(lambda: gw.held and drawn(first_optic(gw, PALO)) == [1, 1, 1, 1, 4])
        before = first_optic(gw, PALO)
        await administrator.UpdateDevice(device=site_pb2.Device(name=PALO, site="sites/montale"))
        await gw.until(lambda: first_optic(gw, PALO).site == "sites/montale")
        moved = first_optic(gw, PALO)
        await administrator.ConfirmScene(name=FIXED)
        await gw.until(lambda: not first_optic(gw, PALO).mask_whole_picture)
        after = first_optic(gw, PALO)

    assert not before.mask_whole_picture
    assert moved.mask_whole_picture
    assert drawn(moved) == [0, 0, 0, 0, 0]
    assert len(moved.privacy_masks) == 1
    assert drawn(after) == [1, 1, 1, 1, 4]
    assert before.version < moved.version < after.version
    # Nobody was ever shown the new place under the old drawing.
    told = [optic for lease in gw.told for optic in lease.lease.optics if optic.site == "sites/montale"]
    assert all(optic.mask_whole_picture or optic.version >= after.version for optic in told)


async def test_time_alone_ends_a_confirmation(registry: Registry, administrator: Administrator) -> None:
    now = registry.clock.now
    await mobile_camera(administrator)
    await draw(administrator, MOBILE)
    await place(administrator, "one", now, now + HOUR)
    await place(administrator, "two", now + HOUR, now + 2 * HOUR)
    await place(administrator, "three", now + 2 * HOUR, now + 3 * HOUR, site="sites/montale")
    async with gateway(registry) as gw:
        await gw.until(lambda: gw.held)
        assert first_optic(gw, CARRO).mask_whole_picture
        await administrator.ConfirmScene(name=MOBILE)
        await gw.until(lambda: not first_optic(gw, CARRO).mask_whole_picture)
        confirmed = first_optic(gw, CARRO)

        registry.clock.now = now + 1.5 * HOUR
        beats = len(gw.renewals)
        await gw.until(lambda: len(gw.renewals) > beats + 2)
        assert first_optic(gw, CARRO) == confirmed

        registry.clock.now = now + 2.5 * HOUR
        await gw.until(lambda: first_optic(gw, CARRO).mask_whole_picture)
        elsewhere = first_optic(gw, CARRO)

    assert (elsewhere.site, drawn(elsewhere)) == ("sites/montale", [0, 0, 0, 0, 0])
    assert elsewhere.version > confirmed.version
    assert not gw.withdrawals


async def test_a_new_optic_of_a_mobile_camera_is_masked_from_its_first_configuration(
    registry: Registry, administrator: Administrator
) -> None:
    now = registry.clock.now
    await mobile_camera(administrator)
    await place(administrator, "one", now, now + HOUR)
    async with gateway(registry) as gw:
        await gw.until(lambda: gw.held)
        await administrator.CreateOptic(parent=CARRO, optic_id="sud", optic=lawful.optic())
        await gw.until(lambda: len(gw.held[CARRO].optics) == 2)

    told = [optic for response in gw.told for optic in response.lease.optics]
    assert told
    assert all(optic.mask_whole_picture for optic in told)


async def test_scenes_are_told_in_the_log_and_counted(registry: Registry, administrator: Administrator) -> None:
    await administrator.build()
    await administrator.CreateSite(site_id="montale", site=lawful.site())
    await registry.sweep.once()
    with capture_logs() as logs:
        await administrator.UpdateDevice(device=site_pb2.Device(name=PALO, site="sites/montale"))
        await registry.sweep.once()
        masked = registry.metrics.get_sample_value("argo_registry_unconfirmed_scenes")
        await administrator.ConfirmScene(name=FIXED)
        await registry.sweep.once()

    told = [(each["event"], each["optic"], each["site"]) for each in logs if each["event"].startswith("scene.")]
    assert told == [("scene.unconfirmed", FIXED, "sites/montale"), ("scene.confirmed", FIXED, "sites/montale")]
    assert (masked, registry.metrics.get_sample_value("argo_registry_unconfirmed_scenes")) == (1, 0)


# ---- a real clock ---------------------------------------------------------------------------------------------------


async def test_a_camera_goes_dark_by_itself_when_its_deployment_ends(dsn: str, tmp_path: Path) -> None:
    clock = cast("Clock", lambda: datetime.now(UTC))
    async with (
        running_registry(dsn, tmp_path, clock=clock) as registry,
        registry.channel("administrator/mrossi") as channel,
        gateway(registry) as gw,
    ):
        administrator = Administrator(channel)
        await mobile_camera(administrator)
        now = datetime.now(UTC)
        await place(administrator, "short", now - HOUR, now + timedelta(seconds=3))
        await gw.until(lambda: gw.held)
        await gw.until(lambda: gw.withdrawals)

        assert datetime.now(UTC) >= now + timedelta(seconds=3)
        assert gw.withdrawals == [(CARRO, ["PLACEMENT_ENDED"])]
        assert not gw.held


# ---- the four refusals ----------------------------------------------------------------------------------------------

WITHOUT_PURPOSE = lawful.device().legal_basis
WITHOUT_PURPOSE.ClearField("purpose")

REFUSED = {
    "no decision": (lawful.mobile_device(), None, ["DECISION_MISSING"]),
    "past its end": (lawful.mobile_device(), (-2, -1), ["PLACEMENT_ENDED"]),
    "no purpose": (lawful.device(legal_basis=WITHOUT_PURPOSE), None, ["PURPOSE_MISSING"]),
    "outside the network": (lawful.device(address="10.0.0.12"), None, ["ADDRESS_OUTSIDE_NETWORK"]),
    "several at once": (
        lawful.mobile_device(legal_basis=site_pb2.LegalBasis(act="x")),
        (-2, -1),
        ["PURPOSE_MISSING", "DPIA_REFERENCE_MISSING", "SIGN_REFERENCE_MISSING", "PLACEMENT_ENDED"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_camera_that_may_not_run_gets_no_lease_and_everybody_is_told_why(
    dsn: str, tmp_path: Path, case: str
) -> None:
    device, hours, reasons = REFUSED[case]
    # A record outside the networks cannot be stored, but they can be made narrower afterwards.
    later = CameraNetworks(NETWORKS.networks[1:]) if case == "outside the network" else NETWORKS
    with capture_logs() as logs:
        async with (
            running_registry(dsn, tmp_path / "first") as before,
            before.channel("administrator/mrossi") as channel,
        ):
            await store(Administrator(channel), device, hours, before.clock.now)
            await before.sweep.once()
        async with (
            running_registry(dsn, tmp_path, networks=later, clock=before.clock) as registry,
            registry.channel("administrator/mrossi") as channel,
            gateway(registry) as gw,
        ):
            administrator = Administrator(channel)
            await assert_only_a_lawful_one_is_leased(administrator, gw)
            assert [
                told_by(await administrator.GetDevice(name="devices/refused")),
                told_by(await administrator.GetOptic(name="devices/refused/optics/nord")),
            ] == [reasons, reasons]
            counted = {
                reason: registry.metrics.get_sample_value("argo_registry_refused_devices", {"reason": reason})
                for reason in reasons
            }
            assert counted == dict.fromkeys(reasons, 1)
    last = [each for each in logs if each["event"] == "optic.refused"][-1]
    assert (last["optic"], last["reasons"]) == ("devices/refused/optics/nord", reasons)


async def test_an_optic_that_joins_a_refused_device_is_told_of_too(dsn: str, tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with (
            running_registry(dsn, tmp_path) as registry,
            registry.channel("administrator/mrossi") as channel,
        ):
            administrator = Administrator(channel)
            await administrator.CreateSite(site_id="alimonda", site=lawful.site())
            await administrator.CreateDevice(device_id="carro-1", device=lawful.mobile_device())
            for optic in ("nord", "sud"):
                await registry.sweep.once()
                await administrator.CreateOptic(parent=CARRO, optic_id=optic, optic=lawful.optic())
            await registry.sweep.once()
    told = [(each["optic"], each["reasons"]) for each in logs if each["event"] == "optic.refused"]

    assert told == [(f"{CARRO}/optics/{optic}", ["DECISION_MISSING"]) for optic in ("nord", "sud")]


async def assert_only_a_lawful_one_is_leased(administrator: Administrator, gw: Gateway) -> None:
    """Beside a lawful one that is leased the other has had its chance."""
    await administrator.CreateDevice(device_id="lawful", device=lawful.device(address="fd00:a::1"))
    await administrator.CreateOptic(parent="devices/lawful", optic_id="nord", optic=lawful.optic())
    await gw.until(lambda: gw.held)
    beats = len(gw.renewals)
    await gw.until(lambda: len(gw.renewals) > beats + 2)

    assert list(gw.held) == ["devices/lawful"]


async def store(
    administrator: Administrator, device: site_pb2.Device, hours: tuple[int, int] | None, now: datetime
) -> None:
    await administrator.CreateSite(site_id="alimonda", site=lawful.site())
    await administrator.CreateDevice(device_id="refused", device=device)
    await administrator.CreateOptic(parent="devices/refused", optic_id="nord", optic=lawful.optic())
    if hours is not None:
        stay = lawful.deployment(now + hours[0] * HOUR, now + hours[1] * HOUR)
        await administrator.CreateDeployment(parent="devices/refused", deployment_id="d", deployment=stay)


def told_by(record: site_pb2.Device | site_pb2.Optic) -> Sequence[str]:
    return [reason_name(refusal.reason) for refusal in record.refusals]
