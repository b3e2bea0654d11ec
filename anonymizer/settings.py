"""All of the anonymizer's environment."""

from __future__ import annotations

from pathlib import Path

import pydantic

from mesh.settings import ServiceSettings


class AnonymizerSettings(ServiceSettings):
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
    registry: str | None = pydantic.Field(
        None, description="host:port of the registry, which says what legal holds keep; needed for recordings"
    )
    erasure_period_seconds: float = pydantic.Field(
        600.0, gt=0, le=86_400, description="how often recordings are erased"
    )
    redaction_threads: int = pydantic.Field(2, ge=1, le=256, description="threads for masking and encoding")
    max_streams: int = pydantic.Field(256, ge=1, description="Redact streams at once")

    @pydantic.model_validator(mode="after")
    def _belong_together(self) -> AnonymizerSettings:
        if (self.recording_url is None) != (self.recording_key_file is None):
            raise ValueError("ARGO_RECORDING_URL and ARGO_RECORDING_KEY_FILE are set together or not at all")
        if self.recording_url is not None and self.registry is None:
            raise ValueError("ARGO_RECORDING_URL needs ARGO_REGISTRY: without it nobody says what must not be erased")
        if (self.web_tls_certificate is None) != (self.web_tls_key is None):
            raise ValueError("ARGO_WEB_TLS_CERTIFICATE and ARGO_WEB_TLS_KEY are set together or not at all")
        return self
