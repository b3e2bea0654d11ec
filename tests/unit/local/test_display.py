from __future__ import annotations

from rich.console import Console

from argo.camera_gateway.v1 import gateway_service_pb2 as gateway
from mesh.local.demo.display import table
from mesh.local.demo.tally import Tally
from mesh.local.supervisor import Supervisor

OPTIC = "devices/demo-camera-1/optics/main"


def _rendered(session: gateway.Session) -> str:
    tally = Tally({OPTIC: "rtsp://192.0.2.7:8554/a/rather/long/path"}, started_at=0.0)
    tally.optics[OPTIC].latencies += [0.25, 0.75]
    tally.on_sessions(gateway.WatchSessionsResponse(sessions=[session]))
    console = Console(width=80, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table(tally, Supervisor()))
    return capture.get()


def test_table_fits_a_narrow_terminal_without_cutting_a_figure() -> None:
    counters = gateway.Counters(frames_received=123456, frames_analysed=54321, frames_masked=54320, tracks=999)
    text = _rendered(gateway.Session(optic=OPTIC, state=gateway.Session.STATE_STREAMING, counters=counters))

    assert max(map(len, text.splitlines())) <= 80
    for figure in ("demo-camera-1", "STREAMING", "123456", "54321", "54320", "999", "0.25/0.75 s"):
        assert figure in text
    assert "…" not in text


def test_reason_of_an_optic_that_is_not_streaming_is_told() -> None:
    text = _rendered(
        gateway.Session(optic=OPTIC, state=gateway.Session.STATE_BACKING_OFF, detail="the camera asks for a password")
    )

    assert "BACKING_OFF" in text
    assert "the camera asks for a password" in text
