"""Everything that the gateway can be told by its environment."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import pydantic

from mesh.settings import ServiceSettings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class GatewaySettings(ServiceSettings):
    """The settings of the camera gateway; field ``F`` is the variable ``ARGO_<F in capitals>``."""

    registry: str = pydantic.Field(description="host:port of the registry")
    detector: str = pydantic.Field(description="host:port of the detector")
    anonymizer: str = pydantic.Field(description="host:port of the anonymizer")
    nats_url: str = pydantic.Field(description="URL of the NATS server")
    camera_networks: tuple[Network, ...] = pydantic.Field(
        min_length=1, description="networks in which cameras may be dialled; nothing else ever is"
    )
    camera_credentials: Path | None = pydantic.Field(
        None, description="JSON file of camera secrets by name; read again when it changes"
    )
    camera_ca: Path | None = pydantic.Field(
        None,
        description="PEM file of the authorities that sign the certificates of cameras with TLS; none: the system's",
    )
    dials: int = pydantic.Field(48, ge=1, le=4096, description="cameras that are being connected at once")
    dials_per_site: int = pydantic.Field(4, ge=1, le=4096, description="the same, of one site")
    web_listen: str = pydantic.Field("127.0.0.1:0", pattern=r"^.+:\d{1,5}$", description="host:port of WHIP")
    web_tls: bool = pydantic.Field(False, description="WHIP over HTTPS with this service's certificate")
    replica: str = pydantic.Field(
        default_factory=socket.gethostname,
        pattern=r"^[A-Za-z0-9._-]{1,128}$",
        description="unique name of this replica",
    )
    capacity: int = pydantic.Field(64, ge=1, le=4096, description="how many optics this replica may be leased")
    decode_threads: int = pydantic.Field(2, ge=1, le=256, description="threads that decode, for all optics together")
    decode_device: str = pydantic.Field(
        "",
        pattern=r"^[a-z0-9]*$",
        description="hardware that decodes: FFmpeg's name (cuda, vaapi, qsv), auto, or empty for software",
    )
    verdict_seconds: float = pydantic.Field(0.4, gt=0, le=10, description="how long a picture waits for its verdict")
    connect_seconds: float = pydantic.Field(10.0, gt=0, description="from the dial to the camera's consent")
    first_frame_seconds: float = pydantic.Field(10.0, gt=0, description="from there to the first picture")
    stall_seconds: float = pydantic.Field(5.0, gt=0, description="longest time without a picture")
    heartbeat_rate: float = pydantic.Field(0.5, gt=0, le=25, description="analysed frames per second of a still scene")
    lease_grace_seconds: float = pydantic.Field(
        15.0, ge=0, description="how long an optic goes on after its lease ended while the registry is away"
    )
    health_interval_seconds: float = pydantic.Field(5.0, ge=1, description="time between two coverage reports")
    max_media_streams: int = pydantic.Field(4, ge=1, description="files that may be processed at once")
