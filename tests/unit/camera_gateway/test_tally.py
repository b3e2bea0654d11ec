from __future__ import annotations

import time

import prometheus_client
import pytest

from camera_gateway.domain.coverage import Stage
from camera_gateway.metrics import GatewayMetrics
from camera_gateway.tally import Tally

OPTIC = "devices/one/optics/main"


@pytest.fixture
def registry() -> prometheus_client.CollectorRegistry:
    return prometheus_client.CollectorRegistry()


@pytest.fixture
def tally(registry: prometheus_client.CollectorRegistry) -> Tally:
    return Tally(OPTIC, GatewayMetrics(registry))


def dropped(registry: prometheus_client.CollectorRegistry, reason: str) -> float | None:
    return registry.get_sample_value("argo_gateway_frames_dropped_total", {"optic": OPTIC, "reason": reason})


def test_what_came_too_late_to_be_decoded_is_counted_strains_and_explains_the_gap(
    tally: Tally, registry: prometheus_client.CollectorRegistry
) -> None:
    tally.on_dropped("decoder_behind", 20)
    tally.on_dropped("decoder_behind", 2)

    gaps = tally.coverage.close(time.time() + 60).gaps
    load, _ = tally.take_load()
    assert {gap.stage: gap.reason for gap in gaps} == dict.fromkeys(Stage, "decoder_behind")
    assert dropped(registry, "decoder_behind") == 22
    assert load.is_strained


def test_once_pictures_come_again_the_next_gap_has_another_reason(tally: Tally) -> None:
    tally.on_dropped("decoder_behind", 20)
    tally.on_received(1, 640, 360)

    gaps = tally.coverage.close(time.time() + 60).gaps

    assert {gap.reason for gap in gaps} == {"gap"}


def test_pictures_that_gave_way_to_newer_ones_were_offered_and_are_counted_wherever_they_did(
    tally: Tally, registry: prometheus_client.CollectorRegistry
) -> None:
    tally.on_dropped("superseded", 3)
    tally.on_superseded()

    load, _ = tally.take_load()
    assert tally.counts.frames_superseded == 4
    assert (load.offered, load.strained) == (3, 4)
    assert dropped(registry, "superseded") == 4
