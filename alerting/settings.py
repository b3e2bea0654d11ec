"""Everything that alerting can be told."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from alerting.domain.alerts import Priority
from alerting.domain.annunciation import Policy
from alerting.domain.escalation import Patience
from mesh.audit.settings import AuditSettings
from mesh.settings import ServiceSettings


class AlertingSettings(AuditSettings, ServiceSettings):
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
    console_url: str | None = pydantic.Field(
        None, pattern=r"^https?://[^/]+$", description="how browsers reach the console, also from the provider"
    )
    console_oidc_client_id: str | None = pydantic.Field(
        None, description="what the identity provider knows the console as; none: nobody signs in there"
    )
    console_oidc_client_secret: pydantic.SecretStr | None = pydantic.Field(
        None, description="the console's secret at the identity provider; none: it is a public client"
    )
    authorities: tuple[str, ...] = pydantic.Field(
        ("polizia-locale", "questura", "carabinieri", "vigili-del-fuoco"),
        description="tenants that an operator may dispatch alerts to",
    )
    group_seconds: float = pydantic.Field(
        30.0, ge=0, description="events of one rule and place within this time of each other are one alert"
    )
    open_flows: bool = pydantic.Field(
        False, description="serve what is published for everybody over HTTP, without a session"
    )
    publisher: str = pydantic.Field(
        "ARGO", min_length=1, max_length=100, description="who publishes counts, in DATEX II"
    )
    open_flow_minutes: Annotated[Literal[5, 15, 60], pydantic.BeforeValidator(int)] = pydantic.Field(
        5, description="length of the intervals of what is published for everybody; longer ones withhold less"
    )
    open_flow_grace_seconds: float = pydantic.Field(
        120.0, ge=30, description="how long a published interval waits for late counts; what comes later is left out"
    )
    flow_relative_error: float | None = pydantic.Field(
        None,
        ge=0,
        le=1,
        description="one standard error of the detector's counts, as a share of them",
    )
    webhooks: Path | None = pydantic.Field(
        None, description="JSON file of the authorities' webhooks, see docs/dispatch.md; none: they watch"
    )
    webhook_ca: Path | None = pydantic.Field(
        None, description="PEM file of the authorities that sign the webhooks' certificates; none: the system's"
    )
    authority_networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = pydantic.Field(
        (), description="networks that webhooks may lie in; none: no webhook is called"
    )
    webhook_timeout_seconds: float = pydantic.Field(10.0, gt=0, description="for one attempt, from dialling to the end")
    webhook_patience_seconds: float = pydantic.Field(
        86400.0, gt=0, description="a webhook that has refused a dispatch for so long is given up"
    )
    cap_sender: str = pydantic.Field(
        "argo@city.example", pattern=r"^[^\s,<&]+$", description="who sends CAP messages, unique in the world"
    )
    cap_exercise: bool = pydantic.Field(False, description="CAP messages say that nobody is to act on them")
    merge_seconds: float = pydantic.Field(
        10.0, ge=0, description="events of one kind, seen by several optics of a place within this time, are one alert"
    )
    incident_seconds: float = pydantic.Field(
        120.0, ge=0, description="alerts of a place within this time of each other are one incident"
    )
    neighbour_metres: float = pydantic.Field(
        60.0, ge=0, description="sites within this distance of each other are one place"
    )
    chatter_count: int = pydantic.Field(
        5, ge=1, description="a rule that raised so many alerts at one place in chatter_seconds chatters"
    )
    chatter_seconds: float = pydantic.Field(
        600.0, gt=0, description="see chatter_count; after as long without an event it is calm again"
    )
    alarm_budget: int = pydantic.Field(
        10, ge=2, description="alarms per operator in ten minutes; what is more goes into one alarm of the flood"
    )
    acknowledge_high_seconds: float = pydantic.Field(
        60.0, gt=0, description="a high alert that nobody took on for so long is escalated, and again after as long"
    )
    acknowledge_medium_seconds: float = pydantic.Field(180.0, gt=0, description="the same of medium priority")
    acknowledge_low_seconds: float = pydantic.Field(600.0, gt=0, description="the same of low priority")
    longest_shelving_seconds: float = pydantic.Field(
        28800.0, gt=0, le=604800, description="how long something may be set aside at most"
    )
    due_seconds: float = pydantic.Field(1.0, gt=0, description="how often is looked for what is due")
    search_optic_hours: float = pydantic.Field(
        100.0, gt=0, description="optics times hours that one person may search without the approval of a second"
    )
    search_matches: int = pydantic.Field(
        1000, ge=1, description="tracks that such a search may have to look at without the approval of a second person"
    )
    search_matches_approved: int = pydantic.Field(
        50_000, ge=1, description="tracks that a search may have to look at with the approval of a second person"
    )
    searches_per_hour: int = pydantic.Field(30, ge=1, description="searches of one person for one case")
    search_kept_seconds: float = pydantic.Field(
        3600.0, gt=0, le=86400, description="how long the pages of a search can be read"
    )
    bookmark_seconds: float = pydantic.Field(10.0, gt=0, description="how often a quiet watch looks and says so")
    erasure_seconds: float = pydantic.Field(60.0, gt=0, description="how often expired data is erased")
    maximum_watches: int = pydantic.Field(256, ge=1, description="open watches of alerts at once")

    @property
    def patience(self) -> Patience:
        """How long an alert waits for somebody."""
        return {
            Priority.HIGH: timedelta(seconds=self.acknowledge_high_seconds),
            Priority.MEDIUM: timedelta(seconds=self.acknowledge_medium_seconds),
            Priority.LOW: timedelta(seconds=self.acknowledge_low_seconds),
        }

    @property
    def policy(self) -> Policy:
        """How alarms are put together."""
        return Policy(
            window=timedelta(seconds=self.group_seconds),
            merge_window=timedelta(seconds=self.merge_seconds),
            incident_window=timedelta(seconds=self.incident_seconds),
            chatter_count=self.chatter_count,
            chatter_window=timedelta(seconds=self.chatter_seconds),
            budget=self.alarm_budget,
            patience=self.patience,
        )

    @pydantic.model_validator(mode="after")
    def _can_sign_in(self) -> AlertingSettings:
        if self.console_oidc_client_id is not None:
            needed = {
                "ARGO_OIDC_ISSUER": self.oidc_issuer,
                "ARGO_CONSOLE_URL": self.console_url,
                "ARGO_CONSOLE_TOKEN": self.console_token,
            }
            if missing := [name for name, value in needed.items() if value is None]:
                raise ValueError(f"signing in at the identity provider needs {', '.join(missing)}, too")
        return self
