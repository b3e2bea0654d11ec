"""``argo score``: how good rules and counts are on labelled video."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.table import Table

from argo.type.v1 import object_class_pb2
from mesh.local.commands.media_mesh import media_mesh, threads_option
from mesh.local.commands.progress import frame_progress
from mesh.local.media import MediaFile, Wanted, process
from mesh.local.outputs import whole_text_file
from mesh.local.scorecard.card import Replay, Scorecard, ZoneMean, score
from mesh.local.scorecard.matching import Told
from mesh.local.scorecard.report import as_json, count_rows, rule_rows, unsettled
from mesh.local.scorecard.truth import Crossings, Truth
from mesh.local.terminal import OUT, run

if TYPE_CHECKING:
    from argo.camera_gateway.v1 import media_service_pb2 as media
    from argo.detector.v1 import bus_pb2

_PREFIX: Final = "OBJECT_CLASS_"
_INTERVAL_SECONDS: Final = 1.0
"""Of the counts: the tail of the video that is shorter than this is not counted."""


@click.command("score")
@click.argument("source", metavar="VIDEO", type=click.Path(path_type=Path))
@click.argument("truth", metavar="TRUTH.json", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--json", "target", type=click.Path(path_type=Path, dir_okay=False), help="Write the scorecard here, too."
)
@threads_option
def score_command(source: Path, truth: Path, target: Path | None, threads: int | None) -> None:
    """Replay VIDEO along the real road and say how well its rules and counts fit the labels in TRUTH.json."""
    card = run(lambda: _score(source, truth, threads))
    if card is None:
        raise click.exceptions.Exit(130)
    if target is not None:
        with whole_text_file(target) as file:
            json.dump(as_json(card), file, indent=2)
    _show(card)


async def _score(source: Path, labels: Path, threads: int | None) -> Scorecard:
    truth = Truth.read(labels)
    with MediaFile(source) as file:
        frame_rate = truth.frame_rate or file.frame_rate
        wanted = Wanted(configuration=truth.scene(), frame_rate=truth.frame_rate)
        collected = _Collected(float(file.seconds_per_tick(truth.frame_rate)))
        interval = {"ARGO_FLOW_INTERVAL_SECONDS": str(_INTERVAL_SECONDS)}
        async with media_mesh("detector", "camera-gateway", threads=threads, detector=interval) as channel:
            with frame_progress() as progress:
                task = progress.add_task("scoring", total=file.frames or None)
                async for response in process(channel, file, wanted):
                    collected.take(response)
                    progress.advance(task)
    return score(truth, collected.replay(frame_rate), frame_rate)


@dataclass
class _Collected:
    """What the detector says, in seconds from the first frame."""

    seconds_per_tick: float
    first: float | None = None
    frames: int = 0
    told: list[Told] = field(default_factory=list)
    crossings: list[Crossings] = field(default_factory=list)
    occupancy: list[ZoneMean] = field(default_factory=list)
    intervals: list[tuple[float, float]] = field(default_factory=list)

    def take(self, response: media.ProcessMediaResponse) -> None:
        time = max(0.0, response.presentation_timestamp * self.seconds_per_tick)
        self.first = time if self.first is None else self.first
        self.frames += 1
        for event in response.verdict.events:
            seconds = event.capture_time.time.ToNanoseconds() / 1e9 - self.first
            measured = event.measurement
            explanation = (
                f"{measured.quantity} {measured.value:.3g} {measured.unit} (threshold {measured.threshold:.3g})"
            )
            self.told.append(Told(event.rule, seconds, explanation))
        if response.verdict.HasField("flow"):
            self._count(response.verdict.flow, self.first)

    def _count(self, flow: bus_pb2.FlowBatch, first: float) -> None:
        start, length = flow.start_time.ToNanoseconds() / 1e9 - first, flow.interval.ToNanoseconds() / 1e9
        self.intervals.append((start, length))
        self.crossings += [
            Crossings(
                line=line.line,
                object_class=_class(line.object_class),
                left_to_right=line.left_to_right,
                right_to_left=line.right_to_left,
            )
            for line in flow.lines
        ]
        self.occupancy += [
            ZoneMean(zone.zone, _class(zone.object_class), start, length, zone.mean_occupancy) for zone in flow.zones
        ]

    def replay(self, frame_rate: float) -> Replay:
        return Replay(
            frames=self.frames,
            seconds=self.frames / frame_rate if frame_rate else 0.0,
            told=tuple(self.told),
            crossings=tuple(self.crossings),
            occupancy=tuple(self.occupancy),
            intervals=tuple(self.intervals),
        )


def _class(number: int) -> str:
    return object_class_pb2.ObjectClass.Name(number).removeprefix(_PREFIX).lower()  # type: ignore[arg-type]


def _show(card: Scorecard) -> None:
    rules = Table("rule", "detected", "detection rate", "false alarms a day", "time to detect", "repeated", "unjudged")
    for row in rule_rows(card):
        rules.add_row(*row)
    counts = Table("count", "counted", "true", "error")
    for row in count_rows(card):
        counts.add_row(*row)
    for table in (rules, counts):
        if table.row_count:
            OUT.print(table)
    for line in unsettled(card):
        OUT.print(line, soft_wrap=True)
    OUT.print(f"{card.replay.frames} frames, {card.replay.seconds:.0f} s; intervals are of 95 %", soft_wrap=True)
