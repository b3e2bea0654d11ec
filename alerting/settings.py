"""Everything that alerting can be told."""

from __future__ import annotations

import pydantic

from mesh.settings import ServiceSettings


class AlertingSettings(ServiceSettings):
    """The environment of alerting and its console."""

    nats_url: str = pydantic.Field(description="of the NATS server, e.g. tls://nats:4222")
    postgres_dsn: pydantic.SecretStr = pydantic.Field(description="connection string of the role alerting")
    migrate_on_start: bool = pydantic.Field(False, description="run every migration before serving; local mode only")
    registry: str = pydantic.Field(description="host:port of the registry")
    camera_gateway: str = pydantic.Field(description="host:port of the camera gateway")
    anonymizer: str = pydantic.Field(description="host:port of the anonymizer")
    web_listen: str = pydantic.Field("127.0.0.1:0", pattern=r"^.+:\d{1,5}$", description="host:port of the console")
    whep_origins: tuple[str, ...] = pydantic.Field(
        (),
        description="origins that live video comes from, e.g. https://video.argo.example; the page may reach no other",
    )
    console_operator: str = pydantic.Field(
        "console", pattern=r"^[A-Za-z0-9._-]{1,63}$", description="who signs in by the console's link"
    )
    console_token: pydantic.SecretStr | None = pydantic.Field(
        None, min_length=16, description="secret in the console's sign-in link; none: nobody can sign in"
    )
    authorities: tuple[str, ...] = pydantic.Field(
        ("polizia-locale", "questura", "carabinieri", "vigili-del-fuoco"),
        description="tenants that an operator may dispatch alerts to",
    )
    group_seconds: float = pydantic.Field(
        30.0, ge=0, description="events of one rule and place within this time of each other are one alert"
    )
    flow_relative_error: float | None = pydantic.Field(
        None,
        ge=0,
        le=1,
        description="one standard error of the detector's counts, as a share of them",
    )
    bookmark_seconds: float = pydantic.Field(10.0, gt=0, description="how often a quiet watch looks and says so")
    erasure_seconds: float = pydantic.Field(60.0, gt=0, description="how often expired data is erased")
    maximum_watches: int = pydantic.Field(256, ge=1, description="open watches of alerts at once")
