"""What the detector is put together from, by its settings."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from detector.domain.batching import BatchingParameters
from detector.domain.tiling import Attention
from detector.domain.tracker_parameters import TrackerParameters
from detector.model_watch import ModelSource
from detector.scheduling import Scheduler
from detector.stream import StreamParts

if TYPE_CHECKING:
    from detector.metrics import DetectorMetrics
    from detector.model import Model
    from detector.publisher import Publisher
    from detector.settings import DetectorSettings

GPU_BATCH_FRAMES: Final = 16


def model_source(settings: DetectorSettings) -> ModelSource:
    """Where it is written which model is wanted."""
    return ModelSource(settings.model, settings.model_name_file, settings.model_directory, settings.inference_threads)


def batching(settings: DetectorSettings, model: Model) -> BatchingParameters:
    """How batches are made for the device that this model runs on."""
    frames = settings.batch_frames or (GPU_BATCH_FRAMES if model.on_gpu else 1)
    return BatchingParameters(
        most_frames=frames,
        fill_seconds=settings.batch_fill_seconds if frames > 1 else 0.0,
        budget_seconds=settings.latency_budget_seconds,
    )


def make_scheduler(settings: DetectorSettings, model: Model, metrics: DetectorMetrics) -> Scheduler:
    """What feeds the model."""
    return Scheduler(model, batching(settings, model), metrics, lambda: Attention(settings.tiling, settings.tile_width))


def stream_parts(
    settings: DetectorSettings, scheduler: Scheduler, publisher: Publisher, metrics: DetectorMetrics
) -> StreamParts:
    """What every stream works with."""
    zone = ZoneInfo(settings.time_zone)
    return StreamParts(
        scheduler=scheduler,
        publisher=publisher,
        metrics=metrics,
        tracker=TrackerParameters(),
        new_id=lambda: secrets.randbits(64),
        local_time=lambda seconds: datetime.fromtimestamp(seconds, zone),
        observation_interval=settings.observation_interval_seconds,
        flow_interval=settings.flow_interval_seconds,
    )
