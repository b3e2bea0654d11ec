"""What an overload does to optics of different priority: who is shed first, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import prometheus_client
import pytest
from structlog.testing import capture_logs

from argo.registry.v1 import lease_service_pb2 as lease
from argo.registry.v1 import scene_pb2
from camera_gateway.attention import Attention
from camera_gateway.domain.sharing import UNLIMITED, Pace
from camera_gateway.governor import Governor
from camera_gateway.metrics import GatewayMetrics
from camera_gateway.session import OpticSession
from camera_gateway.tally import Tally

if TYPE_CHECKING:
    from camera_gateway.fleet import Fleet

HIGH, MEDIUM, LOW = scene_pb2.PRIORITY_HIGH, scene_pb2.PRIORITY_MEDIUM, scene_pb2.PRIORITY_LOW
RATE, HEARTBEAT = 5.0, 0.5


@dataclass
class Session:
    """What the governor knows of an optic: real accounts, no camera."""

    optic: str
    priority: scene_pb2.Priority.ValueType
    metrics: GatewayMetrics
    attention: Attention = field(default_factory=Attention)

    def __post_init__(self) -> None:
        self.tally = Tally(self.optic, self.metrics)
        self.configuration = lease.OpticConfiguration(
            policy=scene_pb2.Policy(analysed_frame_rate=RATE, heartbeat_frame_rate=HEARTBEAT, priority=self.priority)
        )

    @property
    def pace(self) -> Pace:
        return cast("Pace", OpticSession.pace.fget(self))  # type: ignore[attr-defined]  # a property


@dataclass
class Optics:
    """A fleet of them."""

    sessions: list[Session]


@pytest.fixture
def optics() -> list[Session]:
    metrics = GatewayMetrics(prometheus_client.CollectorRegistry())
    return [Session(f"o{number}", priority, metrics) for number, priority in enumerate([LOW, HIGH, MEDIUM, LOW])]


def second(governor: Governor, optics: list[Session], now: float, *, late: bool) -> None:
    """A second in which every optic's scene moves and as much is offered as it may."""
    for session in optics:
        session.attention.moving_until = now + 3.0
        session.tally.on_received(5, 640, 360)
        for _ in range(round(min(RATE, session.attention.allowance.rate))):
            session.tally.on_offered(1.0 if late else 0.0)
    governor.decide(1.0, now)


def test_under_overload_the_urgent_keep_their_rate_and_nobody_falls_below_its_heartbeat(
    optics: list[Session],
) -> None:
    governor = Governor(cast("Fleet", Optics(optics)), optics[0].metrics)
    seen = []
    with capture_logs() as lines:
        for now in range(40):
            second(governor, optics, float(now), late=True)
            seen.append([session.attention.allowance.rate for session in optics])
        for now in range(40, 140):
            second(governor, optics, float(now), late=False)

    shed = [rates for rates in seen if rates[0] < UNLIMITED]
    assert shed[0] != shed[-1]
    for low, high, medium, other_low in shed:
        assert low == pytest.approx(other_low)
        assert high >= medium >= low >= HEARTBEAT - 1e-9
        # Whoever is less urgent gets more than the minimum only once the more urgent have all that they want.
        assert low <= HEARTBEAT + 1e-9 or medium == pytest.approx(RATE)
        assert medium <= HEARTBEAT + 1e-9 or high == pytest.approx(RATE)
    assert [session.attention.allowance.rate for session in optics] == [UNLIMITED] * 4
    assert [line["event"] for line in lines] == ["overload.began", "overload.ended"]
    assert lines[0]["optics"] == 4
