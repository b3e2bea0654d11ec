"""All of the anonymizer's environment."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import pydantic

from mesh.audit.settings import AuditSettings
from mesh.settings import ServiceSettings

RECORDING: Final = ("signing_key_file", "postgres_dsn", "registry")
"""What recording needs beside a store and a key: who signs, what is there and on record, and what is held."""


class AnonymizerSettings(AuditSettings, ServiceSettings):
    """What the anonymizer can be told."""

    web_listen: str = pydantic.Field(
        "127.0.0.1:0", pattern=r"^.+:\d{1,5}$", description="host:port of the live view (WHEP)"
    )
    web_public_url: str | None = pydantic.Field(
        None, pattern=r"^https?://[^/]+(/.*)?$", description="how browsers reach web_listen; none: by its own address"
    )
    web_tls_certificate: Path | None = pydantic.Field(None, description="PEM file for HTTPS on web_listen; none: HTTP")
    web_tls_key: Path | None = pydantic.Field(None, description="PEM file, the private key of that certificate")
    console_origin: str | None = pydantic.Field(
        None, pattern=r"^https?://[^/]+$", description="the origin whose pages may begin a live view"
    )
    recording_url: pydantic.SecretStr | None = pydantic.Field(
        None, description="file:///folder or s3://bucket/prefix of the recordings; none: nothing is recorded"
    )
    recording_key_file: Path | None = pydantic.Field(None, description="file with the key that wraps the data keys")
    recording_kms_key: str | None = pydantic.Field(
        None, description="instead of the file: id, alias or ARN of a key behind AWS' KMS API"
    )
    postgres_dsn: pydantic.SecretStr | None = pydantic.Field(
        None, description="connection string of the role anonymizer: index of the recordings, audit log"
    )
    migrate_on_start: bool = pydantic.Field(False, description="run every migration at start; local mode only")
    registry: str | None = pydantic.Field(
        None, description="host:port of the registry, which says what legal holds keep"
    )
    longest_clip_seconds: float = pydantic.Field(
        1800.0, gt=0, le=86_400, description="how much recording one clip may show"
    )
    erasure_period_seconds: float = pydantic.Field(
        600.0, gt=0, le=86_400, description="how often recordings are erased"
    )
    encoder: Literal["libx264", "auto", "h264_nvenc", "h264_qsv"] = pydantic.Field(
        "libx264", description="H.264 encoder; auto: in hardware where that works; libx264 where it does not"
    )
    redaction_threads: int = pydantic.Field(2, ge=1, le=256, description="threads for masking and encoding")
    max_streams: int = pydantic.Field(256, ge=1, description="Redact streams at once")

    @pydantic.model_validator(mode="after")
    def _belong_together(self) -> AnonymizerSettings:
        keys = [key for key in (self.recording_key_file, self.recording_kms_key) if key is not None]
        if self.recording_url is None:
            if keys:
                raise ValueError("a key of recordings is for nothing without ARGO_RECORDING_URL")
        else:
            if len(keys) != 1:
                raise ValueError("whoever records needs either ARGO_RECORDING_KEY_FILE or ARGO_RECORDING_KMS_KEY")
            if missing := [f"ARGO_{name.upper()}" for name in RECORDING if getattr(self, name) is None]:
                raise ValueError(f"whoever records needs {', '.join(missing)}, too")
        if (self.web_tls_certificate is None) != (self.web_tls_key is None):
            raise ValueError("ARGO_WEB_TLS_CERTIFICATE and ARGO_WEB_TLS_KEY are set together or not at all")
        return self
