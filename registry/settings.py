"""All of the registry's environment."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pydantic

from mesh.audit.settings import AuditSettings
from mesh.settings import ServiceSettings
from registry.domain.network import CameraNetworks


class RegistrySettings(AuditSettings, ServiceSettings):
    """What the registry can be told."""

    postgres_dsn: pydantic.SecretStr = pydantic.Field(description="postgresql://… of the registry's role")
    camera_networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = pydantic.Field(
        min_length=1, description="the segregated networks in which devices may have addresses"
    )
    camera_host_names: bool = pydantic.Field(False, description="whether a device may be named instead of numbered")
    lease_seconds: float = pydantic.Field(10.0, ge=1, le=300, description="life of a lease that is not renewed")
    sweep_seconds: float = pydantic.Field(1.0, gt=0, le=4, description="how often time alone is looked at")
    resume_changes: int = pydantic.Field(10_000, ge=1, description="how many changes back a watch may resume")
    watch_buffer: int = pydantic.Field(4096, ge=16, description="changes that may wait for a watcher before it is cut")
    bookmark_seconds: float = pydantic.Field(10.0, gt=0, description="how often a quiet watch gets a bookmark")
    web_listen: str = pydantic.Field(
        "127.0.0.1:0", pattern=r"^.+:\d{1,5}$", description="host:port of the public register, plain HTTP"
    )
    register_seconds: float = pydantic.Field(
        5.0, gt=0, le=300, description="how often the public register is made anew"
    )
    time_zone: str = pydantic.Field("Europe/Rome", description="of the public register's dates, an IANA name")
    migrate_on_start: bool = pydantic.Field(False, description="apply the migrations at start; the local mode does")

    @pydantic.field_validator("time_zone")
    @classmethod
    def _exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("not the name of a time zone, for example Europe/Rome") from error
        return name

    @property
    def networks(self) -> CameraNetworks:
        """Where cameras may be."""
        return CameraNetworks(self.camera_networks, host_names_allowed=self.camera_host_names)

    @property
    def lease_duration(self) -> timedelta:
        """Life of a lease that is not renewed."""
        return timedelta(seconds=self.lease_seconds)
