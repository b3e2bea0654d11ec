"""How good rules and counts are on PETS09-S2L1, whose annotation (gt.txt) lies beside the video."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import labels
from bench.results import Result

SCENE = Path(__file__).parent / "scenes" / "pets09_s2l1.json"
INTRUSION = "lawn"
"""The zone where nobody ought to walk; in the others people come and go all the time."""
DETECTION_BOUND, FALSE_ALARM_BOUND, DELAY_BOUND = 0.95, 1.0, 1.0
"""Share of the episodes; false alarms in ten minutes; seconds."""
CROSSING_BOUND, OCCUPANCY_BOUND = 0.05, 0.10
_TEN_MINUTES_OF_A_DAY = 144


def measure(video: Path) -> list[Result]:
    """All figures; not judged without the annotation."""
    annotation = video.with_name("gt.txt")
    if not annotation.exists():
        return [Result("rules on labelled video", f"no {annotation.name} beside {video.name}")]
    print("bench: argo score on labelled video", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        truth, card = Path(folder, "truth.json"), Path(folder, "card.json")
        labels.main([str(annotation), str(SCENE), str(truth)])
        command = [sys.executable, "-m", "mesh.local.cli", "score", str(video), str(truth), "--json", str(card)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        scored: dict[str, Any] = json.loads(card.read_text())
    rules = [result for rule in scored["rules"] for result in _rule(rule)]
    return [*rules, _crossings(scored["counts"]), *_occupancies(scored["counts"])]


def _rule(rule: dict[str, Any]) -> list[Result]:
    name = rule["rule"].rpartition("/")[2]
    judged = name == INTRUSION
    found, delay = rule["detection_rate"], rule["mean_time_to_detect_seconds"]
    alarms = rule["false_alarms_per_optic_day"]["value"] / _TEN_MINUTES_OF_A_DAY
    seconds = delay["value"] if delay else float("inf")
    return [
        Result(
            f"{name}: detection rate",
            f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})",
            f"{rule['detected']} episodes told, {len(rule['missed'])} missed",
            None,
            f">= {DETECTION_BOUND:g}",
            found["value"] >= DETECTION_BOUND if judged else None,
        ),
        Result(
            f"{name}: false alarms in ten minutes",
            f"{alarms:.2f}",
            bound=f"<= {FALSE_ALARM_BOUND:g}",
            holds=alarms <= FALSE_ALARM_BOUND if judged else None,
        ),
        Result(
            f"{name}: mean time to detect",
            f"{seconds:.2f} s",
            bound=f"<= {DELAY_BOUND:g} s",
            holds=seconds <= DELAY_BOUND if judged else None,
        ),
    ]


def _crossings(counts: list[dict[str, Any]]) -> Result:
    """Over all lines and both ways together: a few dozen crossings are what the sequence has."""
    lines = [each for each in counts if "/lines/" in each["place"]]
    counted, true = sum(each["counted"] for each in lines), sum(each["true"] for each in lines)
    off = sum(abs(each["counted"] - each["true"]) for each in lines) / true
    return Result(
        "counts over lines: error, line by line and way by way",
        f"{off:.1%}",
        f"{counted:.0f} counted, {true:.0f} true",
        None,
        f"<= {CROSSING_BOUND:.0%}",
        off <= CROSSING_BOUND,
    )


def _occupancies(counts: list[dict[str, Any]]) -> list[Result]:
    return [
        Result(
            f"occupancy of {each['place'].rpartition('/')[2]}: mean absolute error",
            f"{each['error']:.1%}",
            f"{each['counted']:.2f} counted, {each['true']:.2f} true",
            None,
            f"<= {OCCUPANCY_BOUND:.0%}",
            each["error"] <= OCCUPANCY_BOUND,
        )
        for each in counts
        if "/zones/" in each["place"]
    ]
