from __future__ import annotations

import pytest

from argo.alerting.v1 import alert_service_pb2 as alerting
from argo.camera_gateway.v1 import coverage_pb2
from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from mesh.local.demo.tally import Tally, percentile

OPTIC = "devices/demo-camera-1/optics/main"


def _session(received: int, elapsed: float, *, unmasked: int = 0) -> gateway.Session:
    return gateway.Session(
        optic=OPTIC,
        state=gateway.Session.STATE_STREAMING,
        counters=gateway.Counters(frames_received=received, frames_masked=received, unmasked_frames_out=unmasked),
        coverage=coverage_pb2.Coverage(elapsed_seconds=elapsed, received_seconds=elapsed),
    )


def _alert(name: str, *, captured: float, created: float, optic: str = OPTIC) -> alerting.Alert:
    alert = alerting.Alert(name=f"alerts/{name}", optic=optic)
    alert.capture_time.FromNanoseconds(int(captured * 1e9))
    alert.create_time.FromNanoseconds(int(created * 1e9))
    return alert


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([3.0], 0.95, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.95, 95.0),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def test_counters_go_on_over_a_restart_of_the_gateway() -> None:
    tally = Tally({OPTIC: "street.avi"}, started_at=0.0)
    for received, elapsed in ((10, 1.0), (50, 5.0), (3, 0.5), (20, 2.0)):
        tally.on_sessions(gateway.WatchSessionsResponse(sessions=[_session(received, elapsed)]))

    optic = tally.optics[OPTIC]
    assert optic.total("frames_received") == 70
    assert optic.total("elapsed_seconds") == 7.0


def test_session_that_starts_anew_before_any_frame_loses_nothing() -> None:
    tally = Tally({OPTIC: "street.avi"}, started_at=0.0)
    for received, elapsed in ((50, 5.0), (0, 0.1), (60, 6.0)):
        tally.on_sessions(gateway.WatchSessionsResponse(sessions=[_session(received, elapsed)]))

    assert tally.optics[OPTIC].total("frames_received") == 110


def test_unmasked_frames_of_every_session_are_reported() -> None:
    tally = Tally({OPTIC: "street.avi"}, started_at=0.0)
    tally.on_sessions(gateway.WatchSessionsResponse(sessions=[_session(10, 1.0, unmasked=1)]))
    tally.on_sessions(gateway.WatchSessionsResponse(sessions=[_session(2, 0.2, unmasked=0)]))

    assert tally.report(seconds=2.0, restarts={})["unmasked_frames_out"] == 1


def test_ended_session_is_unknown_and_keeps_its_counts() -> None:
    tally = Tally({OPTIC: "street.avi"}, started_at=0.0)
    tally.on_sessions(gateway.WatchSessionsResponse(sessions=[_session(10, 1.0)]))
    tally.on_sessions(gateway.WatchSessionsResponse(ended=[OPTIC, "devices/other/optics/main"]))

    optic = tally.optics[OPTIC]
    assert (optic.state, optic.total("frames_received")) == ("UNKNOWN", 10)


def test_alert_counts_once_however_often_it_changes() -> None:
    tally = Tally({OPTIC: "street.avi"}, started_at=100.0)
    tally.on_alert(_alert("a", captured=110.0, created=110.2), received_at=110.5)
    tally.on_alert(_alert("a", captured=110.0, created=110.2), received_at=140.0)

    assert tally.alerts == 1
    assert tally.optics[OPTIC].latencies == pytest.approx([0.5])


def test_alerts_from_before_and_of_other_optics_do_not_count() -> None:
    tally = Tally({OPTIC: "street.avi"}, started_at=100.0)
    tally.on_alert(_alert("old", captured=90.0, created=91.0), received_at=101.0)
    tally.on_alert(_alert("b", captured=110.0, created=110.2, optic="devices/x/optics/y"), received_at=110.5)

    assert tally.alerts == 0


def test_report_has_what_the_contract_of_the_command_says() -> None:
    tally = Tally({OPTIC: "street.avi"}, started_at=0.0)
    tally.on_sessions(gateway.WatchSessionsResponse(sessions=[_session(10, 1.0)]))
    tally.on_alert(_alert("a", captured=1.0, created=1.2), received_at=1.25)
    report = tally.report(seconds=60.04, restarts={"detector": 1})

    assert report["seconds"] == 60.0
    assert report["restarts"] == {"detector": 1}
    optics = report["optics"]
    assert isinstance(optics, dict)
    assert optics[OPTIC] == {
        "source": "street.avi",
        "state": "STREAMING",
        "detail": "",
        "frames_received": 10,
        "frames_analysed": 0,
        "frames_masked": 10,
        "frames_unverdicted": 0,
        "unmasked_frames_out": 0,
        "tracks": 0,
        "events": 0,
        "coverage": {
            "received_seconds": 1.0,
            "analysed_seconds": 0.0,
            "masked_seconds": 0.0,
            "lost_seconds": 0.0,
            "elapsed_seconds": 1.0,
        },
        "alerts": 1,
        "capture_to_alert_seconds": {"count": 1, "p50": 0.25, "p95": 0.25},
    }
