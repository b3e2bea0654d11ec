from __future__ import annotations

import asyncio
import time

import pytest

from argo.registry.v1 import lease_service_pb2 as lease
from camera_gateway.fleet import Fleet
from camera_gateway.leases import LeaseHolder
from tests.unit.camera_gateway.test_devices import DEVICES, Workshop, device_lease, settle

FAST, SLOW = DEVICES


class Call:
    """A HoldLeases call: answers what it was told to, and refuses two messages at a time as grpc's core does."""

    def __init__(self, *answers: lease.HoldLeasesResponse) -> None:
        self._answers = list(answers)
        self._writing = False
        self.released: list[str] = []
        self.done = False

    async def write(self, request: lease.HoldLeasesRequest) -> None:
        assert not self._writing, "two messages at a time"
        self._writing = True
        await asyncio.sleep(0)
        self._writing = False
        if request.WhichOneof("message") == "release":
            self.released.append(request.release.device)

    async def read(self) -> lease.HoldLeasesResponse:
        if not self._answers:
            await asyncio.Event().wait()
        return self._answers.pop(0)

    async def done_writing(self) -> None:
        self.done = True

    def cancel(self) -> None: ...


class Registry:
    def __init__(self, call: Call) -> None:
        self._call = call

    def hold_leases(self) -> Call:
        return self._call


def granted(device: str) -> lease.HoldLeasesResponse:
    made = device_lease(device, {"x": ("/1", False)}, "10.0.0.1")
    made.expire_time.FromSeconds(int(time.time()) + 3600)
    return lease.HoldLeasesResponse(lease=made)


async def test_a_device_that_takes_its_time_to_close_keeps_no_other_from_being_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = asyncio.Event()
    call, fleet = Call(granted(FAST), granted(SLOW)), Fleet(Workshop())
    drop = fleet.drop

    async def drop_slowly(device: str, reason: object) -> None:
        if device == SLOW:
            await closed.wait()
        await drop(device, reason)  # type: ignore[arg-type]

    monkeypatch.setattr(fleet, "drop", drop_slowly)
    holder = LeaseHolder(Registry(call), fleet, replica="one", capacity=8, grace=1.0)
    running = asyncio.create_task(holder.run())
    await settle()
    assert {session.optic.partition("/optics/")[0] for session in fleet.sessions} == {FAST, SLOW}

    draining = asyncio.create_task(holder.drain())
    await settle()
    given_back, done = list(call.released), call.done
    closed.set()
    await draining
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert (given_back, done) == ([FAST], False)
    assert (call.released, call.done) == ([FAST, SLOW], True)
    assert not fleet.sessions


async def test_many_devices_are_given_back_one_message_at_a_time() -> None:
    names = [f"devices/d{number}" for number in range(20)]
    call, fleet = Call(*map(granted, names)), Fleet(Workshop())
    holder = LeaseHolder(Registry(call), fleet, replica="one", capacity=64, grace=1.0)
    running = asyncio.create_task(holder.run())
    while len(fleet.sessions) < len(names):
        await asyncio.sleep(0)

    await holder.drain()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert sorted(call.released) == sorted(names)
    assert call.done
