"""The camera simulator as a publisher that misbehaves: each fault ends in a named reason and heals without help."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1 import gateway_service_pb2_grpc
from argo.registry.v1 import site_pb2
from mesh.local.camera.encoding import Rendition
from mesh.local.camera.options import CameraOptions
from mesh.local.camera.script import parse_script
from mesh.local.camera.whip import WhipOptions, publish
from tests.contract.camera_gateway.cameras import write_clip
from tests.contract.camera_gateway.far_ends import device_lease, eventually, optic
from tests.contract.camera_gateway.gateway import NOWHERE, World, world

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

Session = gateway.Session
TOKEN = "canary-token"
FAULTS = {
    "hang-after-play": ("at 8 for 6 hang-after-play", {"STALL"}),
    # Of most noise aiortc's decoder makes no picture, and tells nobody; of some it makes one, which is broken.
    "garbage": ("at 8 for 8 garbage", {"STALL", "DECODE_ERRORS"}),
    # Gone without DELETE.
    "reset": ("at 8 reset", {"STALL", "END_OF_STREAM"}),
    # Its token is refused: as far as the gateway knows, nobody comes.
    "unauthorized": ("at 0 for 6 unauthorized", {""}),
    "resize": ("at 8 for 4 resize", {""}),
    "pts-jump": ("at 8 pts-jump seconds=1000", {""}),
    "audio": ("audio", {""}),
}
"""By the fault: its script, and the reasons of which one is told; none: the session goes on."""

ENDED = 22.0
"""Seconds after which all of it is over, and a stall that it caused is told."""


async def test_each_fault_of_a_publisher_is_named_and_heals(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.json"
    names = [f"o{number}" for number in range(1, len(FAULTS) + 1)]
    secrets.write_text(json.dumps({"cam": {"tokens": dict.fromkeys(names, TOKEN)}}))
    script = "; ".join(f"optic {number} {line}" for number, (line, _) in enumerate(FAULTS.values(), 1))
    camera = CameraOptions(
        (write_clip(tmp_path / "clip.mp4"),),
        optics=len(FAULTS),
        main=Rendition(size=(320, 240)),
        faults=parse_script(script),
    )
    histories: dict[str, list[Session]] = defaultdict(list)

    async with world(tmp_path, camera_credentials=secrets, stall_seconds=3.0) as running:
        optics = [optic(name, ingest=site_pb2.Optic.INGEST_WHIP) for name in names]
        running.registry.grant(device_lease(NOWHERE, *optics))
        watching = asyncio.create_task(watch(running, histories))
        await eventually(lambda: len(histories) == len(names))
        there = WhipOptions(f"http://{running.web}/whip/cam/o{{optic}}", TOKEN)
        async with publish(camera, there, random.Random(1)):
            begun = asyncio.get_running_loop().time()
            await eventually(lambda: asyncio.get_running_loop().time() > begun + ENDED)
            places = {name: len(history) for name, history in histories.items()}
            await eventually(lambda: all(works(histories[name][places[name] :]) for name in names))
            # The publishers say goodbye at the end.
            told = {
                fault: {session.reason for session in histories[name]} - {""}
                for fault, name in zip(FAULTS, names, strict=True)
            }
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    assert all(told[fault] <= reasons for fault, (_, reasons) in FAULTS.items()), told
    assert all(told[fault] for fault, (_, reasons) in FAULTS.items() if "" not in reasons), told


async def watch(running: World, histories: dict[str, list[Session]]) -> None:
    async with running.caller() as channel:
        stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
        async for update in stub.WatchSessions(gateway.WatchSessionsRequest()):
            for session in update.sessions:
                histories[session.optic.rpartition("/")[2]].append(session)


def works(history: list[Session]) -> bool:
    """Whether pictures are received and masked at the end of a history."""
    if len(history) < 2 or any(session.state != Session.STATE_STREAMING for session in history[-2:]):
        return False
    return history[-1].counters.frames_masked > history[0].counters.frames_masked
