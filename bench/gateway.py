"""The camera gateway: what it adds to decoding, what one core carries, a frame's way, and an outage of everything."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import gateway_copies, gateway_core, gateway_decode, gateway_outage
from bench.gateway_films import LIGHT, MAIN, SUB, Form, write_film
from bench.results import Result

OUTAGE_SECONDS = 600.0
LOAD_SECONDS = 15.0


def measure(video: Path) -> list[Result]:
    """What it adds to decoding, what one core carries, and a frame's way."""
    with _films(video, SUB, MAIN) as (sub, main):
        _say("the gateway's sessions beside bare decoding")
        results = gateway_decode.measure(sub)
        _say("one core")
        results += gateway_core.measure(sub, main, LOAD_SECONDS)
        return results + gateway_copies.measure(sub)


def measure_outage(video: Path, seconds: float) -> list[Result]:
    """Six hundred optics for so many seconds, all cut for a fifth of them."""
    with _films(video, LIGHT) as (light,):
        _say(f"six hundred optics, {seconds:g} s")
        return gateway_outage.measure(light, seconds)


@contextlib.contextmanager
def _films(video: Path, *forms: Form) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory() as folder:
        yield [write_film(video, Path(folder) / f"{number}.mp4", form) for number, form in enumerate(forms)]


def _say(step: str) -> None:
    print(f"bench: {step}", file=sys.stderr, flush=True)
