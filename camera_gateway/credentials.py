"""The cameras' secrets, by the name that the registry knows them by.

The file is a JSON object: ``{"name": {"username": "…", "password": "…", "tokens": {"optic": "…"}}}``; ``tokens`` are
the bearer tokens with which a device's optics publish to the gateway. Two more keys are for cameras that need them:
``plain_basic`` lets the password be sent in clear text where the camera knows nothing but Basic, and
``certificate_sha256`` pins the certificate of a camera that speaks TLS. The file is read again when it changes (a
rotated Kubernetes secret), and one that cannot be read leaves the last good one in force.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pydantic
import structlog

from camera_gateway.rtsp.authentication import Credentials
from mesh.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger(__name__)


class CameraSecret(pydantic.BaseModel):
    """The secret of one device."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    username: str = ""
    password: pydantic.SecretStr = pydantic.SecretStr("")
    tokens: dict[str, pydantic.SecretStr] = {}
    plain_basic: bool = False
    certificate_sha256: str = pydantic.Field("", pattern=r"^([0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31})?$")


_FILE = pydantic.TypeAdapter(dict[str, CameraSecret])


class CredentialStore:
    """Looks up secrets in a file.

    Args:
        path: the file, or None: there are no secrets.

    Raises:
        StartupError: the file cannot be read at the start.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._version: tuple[int, int] | None = None
        self._secrets: dict[str, CameraSecret] = {}
        if path is not None:
            try:
                self._load(path)
            except (OSError, ValueError):
                raise StartupError(
                    "the file of camera secrets cannot be read",
                    "set ARGO_CAMERA_CREDENTIALS to a JSON object of secrets by name, or leave it out",
                ) from None

    def credentials(self, name: str) -> Credentials | None:
        """The user and password under ``name``; None when there are none."""
        secret = self._find(name)
        if secret is None or not secret.username:
            return None
        return Credentials(secret.username, secret.password.get_secret_value(), plain_basic=secret.plain_basic)

    def certificate(self, name: str) -> str:
        """The SHA-256 of the only certificate that is believed to be the camera's; empty: none is pinned."""
        secret = self._find(name)
        return "" if secret is None else secret.certificate_sha256

    def token(self, name: str, optic: str) -> str | None:
        """The bearer token with which the optic with this id publishes; None when it may not."""
        secret = self._find(name)
        token = None if secret is None else secret.tokens.get(optic)
        return None if token is None else token.get_secret_value() or None

    def _find(self, name: str) -> CameraSecret | None:
        if self._path is not None:
            try:
                self._load(self._path)
            except (OSError, ValueError) as error:
                log.warning("credentials.unreadable", error=type(error).__name__)
        return self._secrets.get(name)

    def _load(self, path: Path) -> None:
        status = path.stat()
        version = (status.st_mtime_ns, status.st_ino)
        if version != self._version:
            self._version = version
            self._secrets = _FILE.validate_json(path.read_bytes())
