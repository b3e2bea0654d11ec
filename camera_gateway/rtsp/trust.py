"""Whose certificate is believed to be a camera's."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import hmac
import ssl
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from pathlib import Path


class CertificateUntrustedError(Exception):
    """The certificate is not the pinned one."""


@functools.lru_cache(maxsize=2)
def _signed_by(authorities: Path | None, _changed: int) -> ssl.SSLContext:
    # To read a system's authorities takes some 20 ms, which every camera of a site would take in turn.
    return ssl.create_default_context(cafile=authorities)


@dataclasses.dataclass(frozen=True, slots=True)
class CameraTrust:
    """How a camera proves itself inside TLS: by an authority and its host name, or by its very certificate.

    Attributes:
        authorities: PEM file of the authorities that sign the cameras' certificates; None: the system's.
        certificate_sha256: hexadecimal SHA-256 of the certificate (DER); it is then the only one believed, whoever
            signed it, since cameras mostly sign their own. Empty: none is pinned.
    """

    authorities: Path | None = None
    certificate_sha256: str = ""

    def context(self) -> ssl.SSLContext:
        """For a connection to the camera.

        Raises:
            OSError, ssl.SSLError: the file of authorities cannot be read.
        """
        if self.certificate_sha256:
            # `check` looks at the certificate itself, which says more than a signature.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        changed = 0 if self.authorities is None else self.authorities.stat().st_mtime_ns
        return _signed_by(self.authorities, changed)

    def for_http(self) -> ssl.SSLContext | aiohttp.Fingerprint:
        """The same for aiohttp, which compares a pinned certificate before it sends anything.

        Raises:
            OSError, ssl.SSLError: the file of authorities cannot be read.
        """
        pinned = self.certificate_sha256.replace(":", "")
        return aiohttp.Fingerprint(bytes.fromhex(pinned)) if pinned else self.context()

    def check(self, certificate: bytes | None) -> None:
        """Compare the certificate (DER) of an open connection with the pinned one, if one is pinned.

        Raises:
            CertificateUntrustedError: it is another.
        """
        if not self.certificate_sha256:
            return
        found = hashlib.sha256(certificate or b"").hexdigest()
        if not hmac.compare_digest(found, self.certificate_sha256.replace(":", "").lower()):
            raise CertificateUntrustedError
