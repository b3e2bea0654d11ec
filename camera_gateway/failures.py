"""Names the reason of whatever ended a camera's session, without quoting what the camera said."""

from __future__ import annotations

import ssl
from typing import Final

import aiohttp

from camera_gateway.domain import networks
from camera_gateway.domain.liveness import Reason
from camera_gateway.rtsp.messages import ProtocolError
from camera_gateway.rtsp.sdp import NoVideoError
from camera_gateway.rtsp.trust import CertificateUntrustedError
from camera_gateway.sources import SourceError


class StatusError(Exception):
    """The camera answered a request with an error status."""

    def __init__(self, method: str, status: int) -> None:
        super().__init__(f"{method} was answered {status}")
        self.method = method
        self.status = status


class BasicRefusedError(Exception):
    """The camera asks for the password in clear text, on a connection that is not encrypted."""


class ConnectionEndedError(Exception):
    """The camera closed the connection."""


STATUS_REASONS: Final = {401: Reason.UNAUTHORIZED, 403: Reason.UNAUTHORIZED, 404: Reason.NOT_FOUND}

BASIC_REFUSED: Final = (
    'the camera wants the password in clear text: let it use Digest or TLS, or say "plain_basic": true in its secret'
)

_FAILURES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], Reason, str], ...]] = (
    (
        networks.AddressRefusedError,
        Reason.ADDRESS_OUTSIDE_CAMERA_NETWORKS,
        "the address is outside the camera networks",
    ),
    (BasicRefusedError, Reason.UNAUTHORIZED, BASIC_REFUSED),
    (
        (
            CertificateUntrustedError,
            ssl.SSLCertVerificationError,
            aiohttp.ServerFingerprintMismatch,
            aiohttp.ClientConnectorCertificateError,
        ),
        Reason.CERTIFICATE_UNTRUSTED,
        "it was not believed",
    ),
    ((ssl.SSLError, aiohttp.ClientConnectorSSLError), Reason.PROTOCOL_ERROR, "what answers does not speak TLS"),
    (NoVideoError, Reason.UNSUPPORTED_CODEC, ""),
    (ProtocolError, Reason.PROTOCOL_ERROR, ""),
    (
        (
            ConnectionEndedError,
            ConnectionResetError,
            BrokenPipeError,
            aiohttp.ServerDisconnectedError,
            aiohttp.ClientPayloadError,
        ),
        Reason.END_OF_STREAM,
        "the camera hung up",
    ),
    (OSError, Reason.UNREACHABLE, "no connection"),
    (aiohttp.ClientError, Reason.PROTOCOL_ERROR, "what answers does not speak HTTP"),
)
"""What ends a session, the more special first."""


def as_failure(error: Exception) -> SourceError:
    """The named failure that ``error`` is."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, StatusError):
        reason = STATUS_REASONS.get(error.status, Reason.REJECTED)
        return SourceError(reason, f"{error.method} was answered {error.status}")
    for kinds, reason, detail in _FAILURES:
        if isinstance(error, kinds):
            return SourceError(reason, detail or str(error))
    return SourceError(Reason.INTERNAL, type(error).__name__)
