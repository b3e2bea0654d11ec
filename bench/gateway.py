"""The camera gateway: what it adds to decoding, what one core carries, a frame's way, and an outage of everything."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench import gateway_copies, gateway_core, gateway_decode, gateway_outage
from bench.gateway_films import LIGHT, MAIN, SUB, write_film
from bench.results import Result

SHORT_OUTAGE_SECONDS = 120.0
LOAD_SECONDS = 20.0


def measure(video: Path, seconds: float) -> list[Result]:
    """All figures of the gateway; ``seconds`` are those of the run with the outage."""
    with tempfile.TemporaryDirectory() as folder:
        sub, main, light = (
            write_film(video, Path(folder) / f"{name}.mp4", form)
            for name, form in (("sub", SUB), ("main", MAIN), ("light", LIGHT))
        )
        _say("the gateway's sessions beside bare decoding")
        results = gateway_decode.measure(sub)
        _say("one core")
        results += gateway_core.measure(sub, main, LOAD_SECONDS)
        results += gateway_copies.measure(sub)
        _say(f"six hundred optics, {seconds:g} s")
        return results + gateway_outage.measure(light, seconds)


def _say(step: str) -> None:
    print(f"bench: {step}", file=sys.stderr, flush=True)
