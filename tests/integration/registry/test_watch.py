"""WatchOptics: snapshot, deltas, bookmarks, resuming, bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from argo.registry.v1 import registry_service_pb2_grpc, site_pb2
from argo.registry.v1.registry_service_pb2 import WatchOpticsRequest
from mesh.errors import ResourceExhausted
from tests.contract.registry.support import Administrator, Registry, refusal_of, running_registry
from tests.unit.registry import lawful

OPTIC = "devices/palo-12/optics/nord"


class Watcher:
    """Reads a watch step by step."""

    def __init__(
        self, channel: grpc.aio.Channel, parent: str = "", resume_token: str = "", *, batched: bool = False
    ) -> None:
        stub: Any = registry_service_pb2_grpc.RegistryServiceStub(channel)
        request = WatchOpticsRequest(parent=parent, resume_token=resume_token, batched=batched)
        self._call = stub.WatchOptics(request)
        self.token = resume_token

    async def until(self, condition: Callable[[Any], object]) -> list[Any]:
        """The changes up to the first answer that fulfils the condition."""
        seen: list[Any] = []
        async with asyncio.timeout(20):
            while True:
                response = await self._call.read()
                self.token = response.resume_token or self.token
                if response.WhichOneof("change") != "bookmark":
                    seen.append(response)
                if condition(response):
                    return seen

    async def bookmark(self) -> list[Any]:
        return await self.until(lambda response: response.WhichOneof("change") == "bookmark")

    def cancel(self) -> None:
        self._call.cancel()


@pytest.fixture
async def channel(registry: Registry) -> AsyncIterator[grpc.aio.Channel]:
    async with registry.channel("operator/lbianchi") as opened:
        yield opened


async def settled(administrator: Administrator, registry: Registry) -> None:
    """Waits until admission has looked at every device with all its optics, which is a change of its own."""
    stored = "SELECT name FROM devices UNION ALL SELECT name FROM optics"
    async with asyncio.timeout(20):
        while sorted(row["name"] for row in await registry.pool.fetch(stored)) != looked_at(registry):
            await asyncio.sleep(0.02)


def looked_at(registry: Registry) -> list[str]:
    devices = registry.desk.fleet.devices.items()
    return sorted(each for name, device in devices if device.verdict for each in (name, *device.verdict.optics))


async def test_snapshot_then_changes(
    registry: Registry, administrator: Administrator, channel: grpc.aio.Channel
) -> None:
    await administrator.build(devices=2)
    await settled(administrator, registry)
    watcher = Watcher(channel)
    snapshot = await watcher.bookmark()
    assert [response.updated.optic for response in snapshot] == [
        "devices/palo-12/optics/nord", "devices/palo-13/optics/nord",
    ]  # fmt: skip
    assert not any(response.resume_token for response in snapshot)
    assert watcher.token

    await administrator.CreateZone(parent=OPTIC, zone_id="z", zone=lawful.zone())
    changed = (await watcher.until(lambda response: response.HasField("updated")))[-1].updated
    assert (changed.optic, len(changed.zones)) == (OPTIC, 1)
    assert changed.version > snapshot[0].updated.version
    await administrator.DeleteZone(name=f"{OPTIC}/zones/z")
    await administrator.DeleteOptic(name=OPTIC)
    await watcher.until(lambda response: response.deleted == OPTIC)
    await watcher.bookmark()


async def test_in_batches_the_same_comes_in_fewer_answers(
    registry: Registry, administrator: Administrator, channel: grpc.aio.Channel
) -> None:
    devices = await administrator.build(devices=3, optics=("nord", "sud"))
    await settled(administrator, registry)
    one_by_one = await Watcher(channel).bookmark()
    watcher = Watcher(channel, batched=True)
    (snapshot,) = await watcher.bookmark()
    assert list(snapshot.batch.updated) == [response.updated for response in one_by_one]

    await administrator.UpdateDevice(device=site_pb2.Device(name=devices[0], display_name="y"))
    (change,) = await watcher.until(lambda response: response.HasField("batch"))
    assert [optic.optic for optic in change.batch.updated] == [f"{devices[0]}/optics/nord", f"{devices[0]}/optics/sud"]
    assert change.resume_token
    await administrator.DeleteOptic(name=f"{devices[0]}/optics/sud")
    await watcher.until(lambda response: response.deleted == f"{devices[0]}/optics/sud")


async def test_one_device_alone(registry: Registry, administrator: Administrator, channel: grpc.aio.Channel) -> None:
    await administrator.build(devices=2)
    await settled(administrator, registry)
    watcher = Watcher(channel, "devices/palo-13")
    assert len(await watcher.bookmark()) == 1

    await administrator.UpdateOptic(optic=site_pb2.Optic(name=OPTIC, display_name="x"))
    await administrator.UpdateOptic(optic=site_pb2.Optic(name="devices/palo-13/optics/nord", display_name="y"))
    seen = await watcher.until(lambda response: response.updated.display_name.endswith("y"))
    assert {response.updated.optic for response in seen} == {"devices/palo-13/optics/nord"}


async def test_resuming_at_another_replica_misses_nothing(
    dsn: str, tmp_path: Path, registry: Registry, administrator: Administrator, channel: grpc.aio.Channel
) -> None:
    await administrator.build(devices=3)
    await settled(administrator, registry)
    watcher = Watcher(channel)
    await watcher.bookmark()
    watcher.cancel()
    await administrator.UpdateOptic(optic=site_pb2.Optic(name=OPTIC, display_name="x"))
    await administrator.DeleteOptic(name="devices/palo-13/optics/nord")
    async with (
        running_registry(dsn, tmp_path / "two", clock=registry.clock) as other,
        other.channel("operator/lbianchi") as elsewhere,
    ):
        missed = await Watcher(elsewhere, resume_token=watcher.token).bookmark()

    assert [response.updated.optic or response.deleted for response in missed] == [
        OPTIC, "devices/palo-13/optics/nord",
    ]  # fmt: skip
    assert missed[0].updated.display_name.endswith("x")
    assert missed[1].deleted


async def test_a_token_that_is_too_old_or_not_ours_is_refused(dsn: str, tmp_path: Path) -> None:
    async with (
        running_registry(dsn, tmp_path, resume_changes=3) as registry,
        registry.channel("administrator/mrossi") as channel,
    ):
        administrator = Administrator(channel)
        watcher = Watcher(channel)
        await watcher.bookmark()
        watcher.cancel()
        await administrator.build(devices=2)

        old = await refusal_of(Watcher(channel, resume_token=watcher.token).bookmark())
        assert (old.code, old.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_TOO_OLD")
        forged = await refusal_of(Watcher(channel, resume_token="AAAA").bookmark())
        assert (forged.code, forged.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN")
        other = await refusal_of(Watcher(channel, "devices/palo-12", watcher.token).bookmark())
        assert other.reason == "INVALID_RESUME_TOKEN"
        wrong = await refusal_of(Watcher(channel, "sites/x").bookmark())
        assert (wrong.reason, wrong.fields) == ("INVALID_NAME", ["parent"])


async def test_a_watcher_that_does_not_read_is_cut(dsn: str, tmp_path: Path) -> None:
    async with running_registry(dsn, tmp_path, watch_buffer=3) as registry:
        async with registry.channel("administrator/mrossi") as channel:
            await Administrator(channel).build()
        await settled(Administrator(channel), registry)
        slow = registry.watch.follow(WatchOpticsRequest(), None)
        await anext(slow)
        await anext(slow)
        for name in ("a", "b", "c", "d", "e"):
            await registry.pool.execute("UPDATE optics SET display_name = $1", name)
            sequence = await registry.pool.fetchval("SELECT sequence FROM change_clock")
            async with asyncio.timeout(20):
                while registry.desk.fleet.sequence < sequence:
                    await asyncio.sleep(0.01)
        with pytest.raises(ResourceExhausted) as cut:
            await anext(slow)

        assert cut.value.reason == "WATCHER_TOO_SLOW"
        assert registry.watch.watchers == 0


async def test_a_stopping_registry_sends_its_watchers_elsewhere(registry: Registry, channel: grpc.aio.Channel) -> None:
    watcher = Watcher(channel)
    await watcher.bookmark()
    await registry.watch.drain()

    refusal = await refusal_of(watcher.until(lambda _response: False))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
