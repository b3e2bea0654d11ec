"""The camera simulator as a publisher that misbehaves, against the whole mesh: named, survived, healed without help.

What only spoils the picture is the same whatever it travels by; one such fault stands here for all of
`test_camera_faults`. All publishers misbehave at the same time; each test waits for what is said of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1.coverage_pb2 import HealthReport
from tests.e2e.misbehaving import Chronicle, Misbehaviour, healed, misbehaving, publisher, seen
from tests.e2e.street import Street, until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

Session = gateway.Session

LOST = {
    "hang-after-play": ("at 20 for 7 hang-after-play", {"STALL"}),
    # Of most noise aiortc's decoder makes no picture, and tells nobody; of some it makes one, which is broken.
    "garbage": ("at 20 for 10 garbage", {"STALL", "DECODE_ERRORS"}),
    # Gone without DELETE: what ends first says so.
    "reset": ("at 20 reset", {"STALL", "END_OF_STREAM"}),
    "offline": ("at 20 for 8 offline", {"STALL", "END_OF_STREAM"}),
}
"""By the fault: its script, and the reasons of which one is told."""

SURVIVED = {
    # Its token is refused: as far as the gateway knows, nobody comes.
    "unauthorized": "at 0 for 12 unauthorized",
    "resize": "at 20 for 6 resize",
    "pts-jump": "at 20 pts-jump seconds=1000",
    "audio": "audio",
    "black": "at 20 for 14 black",
}
"""What costs pictures at most."""

DEVICES = {fault: publisher(number) for number, fault in enumerate([*LOST, *SURVIVED], 1)}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chronicle(street: Street, sample: Path) -> AsyncIterator[Chronicle]:
    scripts = {fault: script for fault, (script, _) in LOST.items()} | SURVIVED
    cameras = {DEVICES[fault]: Misbehaviour([script], protocol="whip") for fault, script in scripts.items()}
    async with misbehaving(street, sample, cameras) as running:
        yield running


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_publisher_is_named_and_comes_back(chronicle: Chronicle, fault: str) -> None:
    reasons = LOST[fault][1]
    before = await seen(
        chronicle,
        DEVICES[fault],
        f"one of {reasons} is told",
        lambda history: any(session.reason in reasons for session in history),
    )
    assert next(session for session in before if session.reason in reasons).detail

    history = await healed(chronicle, DEVICES[fault])

    assert {session.reason for session in history} - {""} <= reasons
    assert history[-1].counters.unmasked_frames_out == 0
    lines = chronicle.log_lines(DEVICES[fault])
    assert {line["event"] for line in lines} >= {"camera.lost", "camera.restored", "whip.session_started"}
    assert "optic.failed" not in {line["event"] for line in lines}


@pytest.mark.parametrize("fault", SURVIVED)
async def test_a_publisher_that_only_loses_pictures_goes_on(chronicle: Chronicle, fault: str) -> None:
    await seen(
        chronicle,
        DEVICES[fault],
        "forty seconds are received",
        lambda history: history[-1].coverage.received_seconds > 40,
    )

    history = await healed(chronicle, DEVICES[fault])

    assert history[-1].attempts == 1
    assert {session.reason for session in history} == {""}
    assert history[-1].counters.unmasked_frames_out == 0


async def test_a_publisher_without_its_token_is_not_heard(chronicle: Chronicle) -> None:
    history = await healed(chronicle, DEVICES["unauthorized"])

    states = [session.state for session in history]
    assert Session.STATE_CONNECTING in states[: states.index(Session.STATE_STREAMING)]


async def test_a_change_of_resolution_is_followed_in_the_same_session(chronicle: Chronicle) -> None:
    def changed_twice(history: list[Session]) -> bool:
        widths = [session.width for session in history if session.width]
        return [width for width, after in pairwise([*widths, 0]) if width != after] == [320, 160, 320]

    history = await seen(chronicle, DEVICES["resize"], "both sizes, and the first again", changed_twice)

    assert {session.attempts for session in history} <= {0, 1}


async def test_the_sound_of_a_publisher_is_left_out(chronicle: Chronicle) -> None:
    await healed(chronicle, DEVICES["audio"])

    assert await chronicle.left_out("audio") >= 1


async def test_a_black_picture_is_told_and_untold(chronicle: Chronicle) -> None:
    ledger = chronicle.impairments[f"devices/{DEVICES['black']}/optics/main"]
    dark = HealthReport.IMPAIRMENT_IMAGE_TOO_DARK

    async def told() -> int | None:
        return next((place for place, present in enumerate(ledger) if dark in present), None)

    since = await until("the picture is told to be too dark", told, chronicle.patience)

    async def untold() -> bool | None:
        return any(dark not in present for present in ledger[since:]) or None

    assert await until("the picture is light again", untold, chronicle.patience)
