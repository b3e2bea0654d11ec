"""All that the detector can be told."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pydantic

from detector.catalogue.cards import DEFAULT_MODEL
from detector.domain.tiling import TILE_WIDTH, Tiling
from mesh.settings import ServiceSettings


class DetectorSettings(ServiceSettings):
    """The environment of the detector."""

    nats_url: str = pydantic.Field(description="where events go: tls://host:port, several separated by commas")
    model: str = pydantic.Field(DEFAULT_MODEL, description="name of the model's card in the catalogue")
    model_name_file: Path | None = pydantic.Field(
        None, description="a file that holds that name instead; the model is changed while serving when it changes"
    )
    model_watch_seconds: float = pydantic.Field(
        5.0, gt=0, le=3600, description="how often that file, the card and the model's file are looked at"
    )
    model_directory: Path = pydantic.Field(Path("models"), description="where model files lie")
    inference_threads: int = pydantic.Field(1, ge=1, le=256, description="CPU threads of one inference")
    batch_frames: int = pydantic.Field(0, ge=0, le=64, description="largest batch; 0: 1 on a CPU, 16 on a GPU")
    batch_fill_seconds: float = pydantic.Field(0.01, ge=0, le=1, description="how long a frame waits for others")
    latency_budget_seconds: float = pydantic.Field(
        0.5, gt=0, le=10, description="a live frame that has waited longer is answered with: not analysed"
    )
    tiling: Tiling = pydantic.Field(
        Tiling.OFF,
        description="how frames wider than a tile are looked at: off (whole), grid (in all tiles as well), "
        "motion (in those where something moves or was seen, and the others in turn)",
    )
    tile_width: int = pydantic.Field(
        TILE_WIDTH,
        ge=64,
        le=7680,
        description="about how wide a tile is, pixels; an optic's policy says how wide its frames are",
    )
    event_interval_seconds: float = pydantic.Field(0.2, gt=0, le=10, description="events are published this often")
    observation_interval_seconds: float = pydantic.Field(2.0, gt=0, le=60, description="so are observations")
    flow_interval_seconds: float = pydantic.Field(
        10.0, gt=0, le=60, description="so are counts; whoever keeps them does so by the minute"
    )
    outbox_capacity: int = pydantic.Field(
        20_000, ge=1, description="events, observations and counts each, kept while NATS is away; the oldest go first"
    )
    time_zone: str = pydantic.Field("Europe/Rome", description="of the schedules of rules, an IANA name")

    @pydantic.field_validator("time_zone")
    @classmethod
    def _exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("not the name of a time zone, for example Europe/Rome") from error
        return name
