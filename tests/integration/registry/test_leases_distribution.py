"""How devices are shared among several gateways, at one registry or two."""

from __future__ import annotations

from pathlib import Path

import grpc

from argo.registry.v1 import site_pb2
from tests.contract.registry.support import Administrator, Registry, running_registry
from tests.integration.registry.gateways import devices_by_replica, gateway


async def test_capacity_is_respected_in_whole_devices(registry: Registry, administrator: Administrator) -> None:
    await administrator.build(devices=3, optics=("a", "b"))
    async with gateway(registry, "gw-1", capacity=5) as gw:
        await gw.until(lambda: len(gw.held) == 2 and gw.renewals)
        assert len((await devices_by_replica(registry))["gw-1"]) == 2
        async with gateway(registry, "gw-2", capacity=2) as other:
            await other.until(lambda: other.held)

            assert not set(gw.held) & set(other.held)
            assert not gw.withdrawals


async def test_a_joining_gateway_gets_a_fair_share(registry: Registry, administrator: Administrator) -> None:
    names = await administrator.build(devices=4)
    async with gateway(registry, "gw-1") as first:
        await first.until(lambda: len(first.held) == 4)
        async with gateway(registry, "gw-2") as second:
            await second.until(lambda: len(second.held) == 2)

            assert sorted([*first.held, *second.held]) == names
            assert [reasons for _, reasons in first.withdrawals] == [["REBALANCED"], ["REBALANCED"]]


async def test_a_dead_gateways_devices_move_when_its_leases_end(
    registry: Registry, administrator: Administrator
) -> None:
    names = await administrator.build(devices=4)
    async with gateway(registry, "gw-2") as survivor:
        async with gateway(registry, "gw-1") as victim:
            await survivor.until(lambda: len(survivor.held) == 2)
            await victim.until(lambda: len(victim.held) == 2)
            # Which of the two came first is not said: the first may have had all four and given two up since.
            held, given_up = set(victim.held), len(victim.withdrawals)
            victim.silence()
            await victim.until(lambda: not victim.held)
            # By then its leases had run out, and nobody else had them before.
            assert {device for device, _ in victim.withdrawals[given_up:]} == held
        await survivor.until(lambda: sorted(survivor.held) == names)

        assert await devices_by_replica(registry) == {"gw-2": set(names)}


async def test_leases_survive_a_reconnect(registry: Registry, administrator: Administrator) -> None:
    names = await administrator.build(devices=2)
    async with gateway(registry, "gw-2", capacity=0):
        async with gateway(registry, "gw-1") as before:
            await before.until(lambda: len(before.held) == 2)
            versions = {name: lease.optics[0].version for name, lease in before.held.items()}
        assert await devices_by_replica(registry) == {"gw-1": set(names)}
        async with gateway(registry, "gw-1") as after:
            await after.until(lambda: len(after.held) == 2)

            assert {name: lease.optics[0].version for name, lease in after.held.items()} == versions
            assert not after.withdrawals


async def test_a_draining_gateway_hands_over(registry: Registry, administrator: Administrator) -> None:
    names = await administrator.build(devices=2)
    async with gateway(registry, "gw-1") as leaving:
        await leaving.until(lambda: len(leaving.held) == 2)
        async with gateway(registry, "gw-2", capacity=100) as staying:
            await staying.until(lambda: staying.held)
            for name in list(leaving.held):
                await leaving.release(name)
            await staying.until(lambda: sorted(staying.held) == names)

            # It is alive and has room, and yet is not offered again what it gave back.
            beats = len(leaving.renewals)
            await leaving.until(lambda: len(leaving.renewals) > beats + 2)
            assert not leaving.held


async def test_two_registries_share_the_work_and_no_device_is_leased_twice(
    dsn: str, tmp_path: Path, registry: Registry, administrator: Administrator
) -> None:
    async with (
        running_registry(dsn, tmp_path / "two", clock=registry.clock) as other,
        gateway(registry, "gw-1") as first,
        gateway(other, "gw-2") as second,
    ):
        names = await administrator.build(devices=6)
        await first.until(lambda: len(first.held) == 3)
        await second.until(lambda: len(second.held) == 3)
        assert sorted([*first.held, *second.held]) == names

        name = next(iter(second.held))
        await administrator.UpdateOptic(optic=site_pb2.Optic(name=f"{name}/optics/nord", display_name="x"))
        await second.until(lambda: second.held[name].optics[0].display_name.endswith(" / x"))
        bare = site_pb2.Device(name=name, legal_basis=site_pb2.LegalBasis(act="x"))
        await administrator.UpdateDevice(device=bare)
        await second.until(lambda: name not in second.held)
        await first.until(lambda: first.renewals)
        assert name not in first.held


async def test_a_gateway_goes_on_at_another_registry(
    dsn: str, tmp_path: Path, registry: Registry, administrator: Administrator
) -> None:
    await administrator.build(devices=2)
    async with running_registry(dsn, tmp_path / "two", clock=registry.clock) as other:
        async with gateway(other, "gw-1") as before:
            await before.until(lambda: len(before.held) == 2)
            await other.desk.drain()
            await before.until(lambda: before.error)
            assert before.error is not None
            assert (before.error.code, before.error.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        async with gateway(registry, "gw-1") as after:
            await after.until(lambda: len(after.held) == 2)
            assert not after.withdrawals
