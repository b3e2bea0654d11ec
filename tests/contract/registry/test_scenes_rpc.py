"""Scenes: what is drawn at one place says nothing at another until somebody confirms it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from argo.registry.v1 import site_pb2
from tests.contract.registry.records import OPTIC
from tests.contract.registry.support import REASON, Administrator, Registry, refusal_of
from tests.unit.registry import lawful

Code = grpc.StatusCode
CARRO = "devices/carro-1"
MOBILE = f"{CARRO}/optics/nord"
HOUR = timedelta(hours=1)


async def is_confirmed(administrator: Administrator, optic: str) -> bool:
    """As it is told by both ways of reading; no third answer is left unsaid."""
    got = await administrator.GetOptic(name=optic)
    (listed,) = (each for each in (await administrator.ListOptics(parent="devices/-")).optics if each.name == optic)
    assert got == listed
    assert got.scene != site_pb2.Optic.SCENE_UNSPECIFIED
    return bool(got.scene == site_pb2.Optic.SCENE_CONFIRMED)


async def move(administrator: Administrator, site: str) -> None:
    await administrator.UpdateDevice(device=site_pb2.Device(name="devices/palo-12", site=site))


@pytest.fixture
async def two_sites(administrator: Administrator) -> Administrator:
    """A fixed device at one of two sites, and a mobile one that has not been placed."""
    await administrator.build()
    await administrator.CreateSite(site_id="montale", site=lawful.site())
    await administrator.CreateDevice(device_id="carro-1", device=lawful.mobile_device(address="10.0.0.99"))
    await administrator.CreateOptic(parent=CARRO, optic_id="nord", optic=lawful.optic())
    return administrator


async def place(administrator: Administrator, deployment_id: str, start: datetime, end: datetime, **more: Any) -> None:
    stay = lawful.deployment(start, end, **{"decision": f"COSP {deployment_id}", **more})
    await administrator.CreateDeployment(parent=CARRO, deployment_id=deployment_id, deployment=stay)


# ---- fixed devices --------------------------------------------------------------------------------------------------


async def test_what_is_drawn_where_a_fixed_device_stands_is_confirmed(two_sites: Administrator) -> None:
    assert await is_confirmed(two_sites, OPTIC)


async def test_a_fixed_device_that_is_moved_has_to_be_confirmed_anew(two_sites: Administrator) -> None:
    await move(two_sites, "sites/montale")
    assert not await is_confirmed(two_sites, OPTIC)

    confirmed = await two_sites.ConfirmScene(name=OPTIC)

    assert confirmed.scene == site_pb2.Optic.SCENE_CONFIRMED
    assert await is_confirmed(two_sites, OPTIC)


async def test_there_and_back_is_moved_too(two_sites: Administrator) -> None:
    await move(two_sites, "sites/montale")
    await move(two_sites, "sites/alimonda")

    assert not await is_confirmed(two_sites, OPTIC)


async def test_other_changes_of_a_device_leave_its_scenes(two_sites: Administrator) -> None:
    await two_sites.UpdateDevice(device=site_pb2.Device(name="devices/palo-12", firmware_version="9"))

    assert await is_confirmed(two_sites, OPTIC)


# ---- mobile devices -------------------------------------------------------------------------------------------------


async def test_a_mobile_device_is_confirmed_for_each_stay(registry: Registry, two_sites: Administrator) -> None:
    now = registry.clock.now
    await place(two_sites, "one", now, now + HOUR)
    await place(two_sites, "two", now + HOUR, now + 2 * HOUR)
    await place(two_sites, "three", now + 2 * HOUR, now + 3 * HOUR, site="sites/montale")
    await place(two_sites, "four", now + 4 * HOUR, now + 5 * HOUR, site="sites/montale")
    assert not await is_confirmed(two_sites, MOBILE)
    await two_sites.ConfirmScene(name=MOBILE)

    told = {}
    for hours in (0.0, 0.9, 1.0, 1.9, 2.0, 3.5, 4.5):
        registry.clock.now = now + hours * HOUR
        told[hours] = await is_confirmed(two_sites, MOBILE)

    assert told == {0.0: True, 0.9: True, 1.0: True, 1.9: True, 2.0: False, 3.5: False, 4.5: False}


async def test_nobody_confirms_a_scene_of_a_device_that_stands_nowhere(two_sites: Administrator) -> None:
    refusal = await refusal_of(two_sites.ConfirmScene(name=MOBILE))

    assert (refusal.code, refusal.reason, refusal.metadata) == (
        Code.FAILED_PRECONDITION, "DEVICE_STANDS_NOWHERE", {"device": CARRO},
    )  # fmt: skip


async def test_a_stay_that_was_over_does_not_go_on_unseen(registry: Registry, two_sites: Administrator) -> None:
    """The registry's own clock is that of PostgreSQL here: a record is late when it is stored late."""
    now = datetime.now(UTC)
    await place(two_sites, "one", now - 2 * HOUR, now - HOUR)
    registry.clock.now = now - 1.5 * HOUR
    await two_sites.ConfirmScene(name=MOBILE)
    assert await is_confirmed(two_sites, MOBILE)

    await place(two_sites, "late", now - HOUR, now + HOUR)
    registry.clock.now = now

    assert not await is_confirmed(two_sites, MOBILE)


@pytest.mark.parametrize("change", ["extended after its end", "moved and moved back", "deleted and made again"])
async def test_changes_of_a_deployment_that_may_hide_a_move(
    registry: Registry, two_sites: Administrator, change: str
) -> None:
    now = datetime.now(UTC)
    end = now - HOUR if change == "extended after its end" else now + HOUR
    await place(two_sites, "one", now - 2 * HOUR, end)
    registry.clock.now = now - 1.5 * HOUR
    await two_sites.ConfirmScene(name=MOBILE)
    name = f"{CARRO}/deployments/one"
    if change == "extended after its end":
        longer = site_pb2.Deployment(name=name, decision="COSP 99")
        longer.end_time.FromDatetime(now + HOUR)
        await two_sites.UpdateDeployment(deployment=longer)
    elif change == "moved and moved back":
        for number, site in enumerate(("sites/montale", "sites/alimonda")):
            moved = site_pb2.Deployment(name=name, site=site, decision=f"COSP 10{number}")
            await two_sites.UpdateDeployment(deployment=moved)
    else:
        await two_sites.DeleteDeployment(name=name)
        await place(two_sites, "one", now - 2 * HOUR, end)

    assert not await is_confirmed(two_sites, MOBILE)


async def test_an_extension_in_time_under_a_new_decision_keeps_the_scene(
    registry: Registry, two_sites: Administrator
) -> None:
    now = registry.clock.now
    await place(two_sites, "one", now - HOUR, now + HOUR)
    await two_sites.ConfirmScene(name=MOBILE)
    longer = site_pb2.Deployment(name=f"{CARRO}/deployments/one", decision="COSP 99")
    longer.end_time.FromDatetime(now + 3 * HOUR)
    await two_sites.UpdateDeployment(deployment=longer)
    registry.clock.now = now + 2 * HOUR

    assert await is_confirmed(two_sites, MOBILE)


async def test_a_follow_on_needs_its_own_decision(registry: Registry, two_sites: Administrator) -> None:
    now = registry.clock.now
    await place(two_sites, "one", now, now + HOUR)

    same = lawful.deployment(now + HOUR, now + 2 * HOUR, decision="COSP one")
    refusal = await refusal_of(two_sites.CreateDeployment(parent=CARRO, deployment_id="two", deployment=same))

    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "NEW_DECISION_NEEDED")


# ---- on record ------------------------------------------------------------------------------------------------------


async def test_who_confirmed_and_why_is_on_record(registry: Registry, two_sites: Administrator) -> None:
    await move(two_sites, "sites/montale")
    await two_sites.ConfirmScene(name=OPTIC)

    remembered = await registry.pool.fetch(
        "SELECT author, reason, record ->> 'site' AS site FROM change WHERE collection = 'scenes' AND name = $1 "
        "ORDER BY sequence",
        OPTIC,
    )
    assert [tuple(row) for row in remembered] == [
        ("administrator/mrossi", REASON, "sites/alimonda"),
        ("administrator/mrossi", REASON, None),
        ("administrator/mrossi", REASON, "sites/montale"),
    ]
    last = await registry.pool.fetchrow(
        "SELECT who, why, what FROM audit_entries WHERE act = 'alteration' ORDER BY sequence DESC LIMIT 1"
    )
    assert tuple(last) == ("administrator/mrossi", REASON, OPTIC)


async def test_what_cannot_be_confirmed(two_sites: Administrator) -> None:
    assert (await refusal_of(two_sites.ConfirmScene(name=OPTIC, reason=" "))).fields == ["reason"]
    assert (await refusal_of(two_sites.ConfirmScene(name="devices/palo-12"))).fields == ["name"]
    assert (await refusal_of(two_sites.ConfirmScene(name=OPTIC, etag="old"))).reason == "ETAG_MISMATCH"
    assert (await refusal_of(two_sites.ConfirmScene(name="devices/palo-12/optics/x"))).code == Code.NOT_FOUND
