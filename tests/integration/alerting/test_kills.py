"""Three minutes of kill -9 under load: every event that was acknowledged to the detector is an alarm's exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.alarms import kill_at_random


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_nothing_is_lost_or_doubled_whatever_is_killed(tmp_path: Path) -> None:
    killing = await kill_at_random(tmp_path, 180.0)

    assert killing.kills > 0
    assert killing.is_whole, killing
