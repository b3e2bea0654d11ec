"""Mutual TLS from three PEM files that may be replaced while the process runs (certificate rotation)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class TlsFiles:
    """Where a process finds its certificate.

    Attributes:
        certificate: PEM file of the certificate chain, leaf first.
        key: PEM file of the private key.
        ca: PEM file of the authorities whose certificates are trusted.
    """

    certificate: Path
    key: Path
    ca: Path

    @property
    def version(self) -> tuple[int, ...]:
        """Changes when one of the files was replaced, in place or (as Kubernetes does it) behind a symbolic link."""
        stats = [path.stat() for path in (self.certificate, self.key, self.ca)]
        return tuple(number for stat in stats for number in (stat.st_mtime_ns, stat.st_ino))

    def read(self) -> TlsBundle:
        """Reads the three files.

        Raises:
            StartupError: one of them cannot be read.
        """
        try:
            # The version comes first: a rotation in between is then seen as a change again, never missed.
            version = self.version
            return TlsBundle(self.certificate.read_bytes(), self.key.read_bytes(), self.ca.read_bytes(), version)
        except OSError as error:
            raise StartupError(
                f"cannot read {error.filename}: {error.strerror}",
                "set ARGO_TLS_CERTIFICATE, ARGO_TLS_KEY and ARGO_TLS_CA to readable PEM files",
            ) from error


@dataclass(frozen=True)
class TlsBundle:
    """The content of the three files at one moment.

    Attributes:
        certificate: PEM of the chain.
        key: PEM of the private key.
        ca: PEM of the trusted authorities.
        version: of the files, see ``TlsFiles.version``.
    """

    certificate: bytes
    key: bytes
    ca: bytes
    version: tuple[int, ...]

    def __repr__(self) -> str:
        return "TlsBundle(***)"


class TlsWatch:
    """Keeps the newest bundle that could be read of a set of files.

    A rotation that is half done (certificate written, key not yet) leaves the previous bundle in use until the pair
    fits.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Reads the files.

        Raises:
            StartupError: they cannot be read, or the key is not that of the certificate.
        """
        self.files = files
        self.bundle = files.read()
        try:
            _check_pair(files)
        except (ssl.SSLError, OSError) as error:
            raise StartupError(
                f"the key {files.key} does not fit the certificate {files.certificate}, or one of them is no PEM",
                "issue the certificate again",
            ) from error

    def changed(self) -> bool:
        """Looks at the files again; true if there is a new bundle in ``bundle``."""
        try:
            if self.files.version == self.bundle.version:
                return False
            bundle = self.files.read()
            _check_pair(self.files)
        except (OSError, StartupError):
            # ssl.SSLError is an OSError: the new pair is not complete yet.
            return False
        self.bundle = bundle
        return True


def _check_pair(files: TlsFiles) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """A context for clients that authenticate themselves, TLS 1.2 or later; host names are checked.

    Raises:
        StartupError: the files cannot be read.
    """
    files.read()
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(files.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.certificate, files.key)
    return context


def server_context(files: TlsFiles, *, require_client: bool = False) -> ssl.SSLContext:
    """A context for HTTPS servers (console, WHIP, WHEP), TLS 1.2 or later.

    Args:
        files: the server's certificate, and the authorities for its clients.
        require_client: whether a client must show a certificate of those authorities.

    Raises:
        StartupError: the files cannot be read.
    """
    files.read()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.certificate, files.key)
    context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_NONE
    return context
