"""Every fault that the camera simulator knows, against the whole mesh: named, survived, and healed without help.

All cameras misbehave at the same time; each test waits for what is said of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from argo.camera_gateway.v1.coverage_pb2 import HealthReport
from argo.registry.v1 import site_pb2
from mesh.local.camera.faults import FaultKind
from tests.e2e.misbehaving import Chronicle, Misbehaviour, healed, misbehaving, optic_of, seen
from tests.e2e.street import Street, until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

Session = gateway.Session
BACKING_OFF, REFUSED, STREAMING = Session.STATE_BACKING_OFF, Session.STATE_REFUSED, Session.STATE_STREAMING

LOST = {
    "hang-after-connect": (["at 0 for 40 hang-after-connect"], BACKING_OFF, "CONNECT_TIMEOUT"),
    "offline": (["at 32 for 8 offline"], BACKING_OFF, "END_OF_STREAM"),
    "unauthorized": (["at 0 for 36 unauthorized"], BACKING_OFF, "UNAUTHORIZED"),
    "not-found": (["at 0 for 36 not-found"], BACKING_OFF, "NOT_FOUND"),
    "redirect": (
        ["at 0 for 36 redirect to=rtsp://10.255.0.1/stream"],
        REFUSED,
        "ADDRESS_OUTSIDE_CAMERA_NETWORKS",
    ),
    "hang-after-play": (["at 32 for 9 hang-after-play"], BACKING_OFF, "STALL"),
    # Every twenty seconds, and not for ever: each time the wait before the dial may be longer.
    "reset": (["at 24 reset", "at 44 reset", "at 64 reset"], BACKING_OFF, "END_OF_STREAM"),
    "garbage": (["at 32 for 20 garbage"], BACKING_OFF, "DECODE_ERRORS"),
    "garbage-behind-keys": (["at 32 for 20 garbage"], BACKING_OFF, "DECODE_ERRORS"),
}
"""By device: the script, and the state and reason that the camera comes into. What is to befall a running stream comes
so late that it runs by then, on a busy machine too."""

KEYS_ONLY = "garbage-behind-keys"
"""Wanted no more often than its key pictures come: nothing else is decoded."""

OVER_HTTP = "-over-http"
LOST |= {
    fault + OVER_HTTP: ([line.replace("rtsp:", "http:") for line in script], state, reason)
    for fault, (script, state, reason) in LOST.items()
    if fault != KEYS_ONLY
}
"""The same of cameras that send Motion JPEG."""

IMPAIRED = {
    "freeze": (["after 4 for 52 freeze"], HealthReport.IMPAIRMENT_FROZEN),
    "black": (["after 8 for 14 black"], HealthReport.IMPAIRMENT_IMAGE_TOO_DARK),
    "bright": (["after 8 for 14 bright"], HealthReport.IMPAIRMENT_IMAGE_TOO_BRIGHT),
    "blur": (["after 32 for 16 blur"], HealthReport.IMPAIRMENT_IMAGE_TOO_BLURRY),
    "fog": (["after 32 for 26 fog"], HealthReport.IMPAIRMENT_LOW_VISIBILITY),
    "scene-change": (["after 32 for 16 scene-change"], HealthReport.IMPAIRMENT_GLOBAL_SCENE_CHANGE),
    "clock-jump": (
        ["after 4 clock-jump seconds=90", "after 26 clock-jump seconds=-90"],
        HealthReport.IMPAIRMENT_CLOCK_DRIFT,
    ),
    "clock-drift": (
        ["after 4 for 10 clock-drift rate=0.5", "after 24 for 10 clock-drift rate=-0.5"],
        HealthReport.IMPAIRMENT_CLOCK_DRIFT,
    ),
}
"""By device: the script, and the impairment that comes and goes while the stream goes on."""

UDP = site_pb2.Device.TRANSPORT_UDP
UNNAMED = {
    # A key picture is some fifteen packets: half of them come whole.
    "loss": Misbehaviour(["after 4 for 20 loss rate=0.05"], UDP),
    "reorder": Misbehaviour(["after 4 for 20 reorder rate=0.3"], UDP),
    "resize": Misbehaviour(["after 6 for 8 resize"]),
    "pts-jump": Misbehaviour(["after 6 pts-jump seconds=1000"]),
    "timestamps-backwards": Misbehaviour(["after 6 for 4 timestamps-backwards seconds=0.5"]),
    "no-sender-reports": Misbehaviour(["no-sender-reports"]),
    "audio": Misbehaviour(["audio"]),
    "metadata": Misbehaviour(["metadata"]),
}
"""What costs pictures at most, and neither the session nor the picture's worth."""


def device_of(fault: str) -> str:
    return f"faulty-{fault}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chronicle(street: Street, sample: Path) -> AsyncIterator[Chronicle]:
    lost = {
        fault: Misbehaviour(
            script,
            rate=1.0 if fault == KEYS_ONLY else Misbehaviour.rate,
            protocol="mjpeg" if fault.endswith(OVER_HTTP) else "rtsp",
        )
        for fault, (script, _, _) in LOST.items()
    }
    impaired = {fault: Misbehaviour(script) for fault, (script, _) in IMPAIRED.items()}
    cameras = lost | impaired | UNNAMED
    named = {device_of(fault): camera for fault, camera in cameras.items()}
    async with misbehaving(street, sample, named) as running:
        yield running


async def test_every_fault_of_the_simulator_has_its_camera() -> None:
    faults = {fault.removesuffix(OVER_HTTP) for fault in [*LOST, *IMPAIRED, *UNNAMED]}
    assert {kind.value for kind in FaultKind} == faults - {KEYS_ONLY}


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_camera_is_named_and_comes_back(chronicle: Chronicle, fault: str) -> None:
    _, state, reason = LOST[fault]
    before = await seen(
        chronicle,
        device_of(fault),
        f"{reason} is told",
        lambda history: any((session.state, session.reason) == (state, reason) for session in history),
    )
    assert next(session for session in before if session.reason == reason).detail

    history = await healed(chronicle, device_of(fault))

    assert history[-1].counters.unmasked_frames_out == 0
    lines = chronicle.log_lines(device_of(fault))
    lost = [line for line in lines if line["event"] == "camera.lost"]
    assert reason.lower() in {line["reason"] for line in lost}
    assert all(line["whole_device"] for line in lost)
    assert "camera.restored" in {line["event"] for line in lines}
    assert "optic.failed" not in {line["event"] for line in lines}


async def test_a_camera_that_is_reset_again_and_again_comes_back_each_time(chronicle: Chronicle) -> None:
    def came_back_twice(history: list[Session]) -> bool:
        states = [session.state for session in history]
        return list(pairwise(filter({BACKING_OFF, STREAMING}.__contains__, states))).count((BACKING_OFF, STREAMING)) > 1

    history = await seen(chronicle, device_of("reset"), "two returns", came_back_twice)

    assert {session.reason for session in history if session.state == BACKING_OFF} == {"END_OF_STREAM"}


@pytest.mark.parametrize("fault", IMPAIRED)
async def test_an_impaired_picture_is_told_and_untold_while_the_stream_goes_on(
    chronicle: Chronicle, fault: str
) -> None:
    impairment = IMPAIRED[fault][1]
    ledger = chronicle.impairments[optic_of(device_of(fault))]

    async def told() -> int | None:
        return next((place for place, present in enumerate(ledger) if impairment in present), None)

    since = await until(f"{fault}: the impairment is told", told, chronicle.patience)

    async def untold() -> bool | None:
        return any(not present for present in ledger[since:]) or None

    await until(f"{fault}: the impairment is over", untold, chronicle.patience)

    history = await healed(chronicle, device_of(fault))
    assert history[-1].attempts == 1
    assert history[-1].counters.unmasked_frames_out == 0
    everything = set().union(*ledger) - {HealthReport.IMPAIRMENT_SIGNAL_LOSS}
    assert everything == {impairment}


@pytest.mark.parametrize("fault", ["clock-jump", "clock-drift"])
async def test_a_wrong_clock_is_an_event(chronicle: Chronicle, fault: str) -> None:
    async def events() -> list[str] | None:
        names = [line["event"] for line in chronicle.log_lines(device_of(fault))]
        return names if "optic.clock_restored" in names else None

    names = await until(f"{fault}: the clock is right again", events, chronicle.patience)

    assert (names.count("optic.clock_drift"), names.count("optic.clock_restored")) == (1, 1)


@pytest.mark.parametrize("fault", UNNAMED)
async def test_a_fault_of_the_stream_costs_pictures_at_most(chronicle: Chronicle, fault: str) -> None:
    # Past the end of each script.
    history = await seen(
        chronicle,
        device_of(fault),
        "half a minute is received",
        lambda history: history[-1].coverage.received_seconds > 30,
    )
    await healed(chronicle, device_of(fault))

    assert history[-1].attempts == 1
    assert history[-1].counters.unmasked_frames_out == 0
    names = {line["event"] for line in chronicle.log_lines(device_of(fault))}
    assert not names & {"camera.lost", "optic.failed", "optic.clock_drift"}


async def test_a_lost_packet_costs_the_pictures_that_need_it(chronicle: Chronicle) -> None:
    history = await seen(
        chronicle, device_of("loss"), "broken pictures", lambda history: history[-1].counters.frames_broken > 0
    )

    assert history[-1].counters.frames_received > history[-1].counters.frames_broken


async def test_packets_that_overtake_each_other_cost_nothing(chronicle: Chronicle) -> None:
    history = await seen(
        chronicle,
        device_of("reorder"),
        "half a minute is received",
        lambda history: history[-1].coverage.received_seconds > 30,
    )

    assert history[-1].counters.frames_broken == 0


async def test_a_change_of_resolution_is_followed_in_the_same_session(chronicle: Chronicle) -> None:
    def changed_twice(history: list[Session]) -> bool:
        widths = [session.width for session in history if session.width]
        return [width for width, after in pairwise([*widths, 0]) if width != after] == [320, 160, 320]

    history = await seen(chronicle, device_of("resize"), "both sizes, and the first again", changed_twice)

    assert {session.attempts for session in history} <= {0, 1}


async def test_pictures_from_the_past_are_counted_and_dropped(chronicle: Chronicle) -> None:
    async def dropped() -> float | None:
        return await chronicle.dropped(device_of("timestamps-backwards"), "out_of_order") or None

    assert await until("pictures from the past", dropped, chronicle.patience)


@pytest.mark.parametrize("kind", ["audio", "metadata"])
async def test_tracks_that_are_no_video_are_left_out(chronicle: Chronicle, kind: str) -> None:
    await healed(chronicle, device_of(kind))

    assert await chronicle.left_out(kind) >= 1
    # The simulator sends a track to whoever sets it up; nothing came.
    assert await chronicle.dropped(device_of(kind), "not_asked_for") == 0
