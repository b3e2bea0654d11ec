"""The state folder of a local mesh: one runner at a time, certificates, keys, data, logs."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from typing import IO, TYPE_CHECKING, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mesh.authority import CertificateAuthority
from mesh.local.errors import StateError
from mesh.local.ports import PortReservations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from mesh.tls import TlsFiles

MIN_FREE_BYTES: Final = 256 * 1024 * 1024
"""With less than this on the disk the databases would stop within minutes."""

ISSUER_FOLDER: Final = "issuer"
CHECKPOINTS_FOLDER: Final = "checkpoints"
SIGNING_KEY: Final = "signing.pem"

RECORDING_KEY_BYTES: Final = 32
"""AES-256."""


class StateFolder:
    """A folder that this process alone uses while the context lasts.

    Attributes:
        path: the folder, absolute.
        ports: its ports.
        authority: signs its certificates.
    """

    ports: PortReservations
    authority: CertificateAuthority

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: IO[str] | None = None

    @property
    def logs(self) -> Path:
        """Folder of the processes' logs."""
        return self.path / "logs"

    @property
    def issuer(self) -> Path:
        """Folder of the small provider of tokens."""
        return self.path / ISSUER_FOLDER

    @property
    def checkpoints(self) -> Path:
        """Folder of the signed heads of the audit logs."""
        return self.path / CHECKPOINTS_FOLDER

    @property
    def recordings(self) -> Path:
        """Folder of the masked, encrypted recordings."""
        return self.path / "recordings"

    @property
    def recording_key(self) -> Path:
        """File with the key of the recordings, in hexadecimal, for its owner only."""
        return self.path / "recording.key"

    @property
    def signing_key(self) -> Path:
        """File with the key that signs exports, reports of erasure and checkpoints, PEM, for its owner only."""
        return self.path / SIGNING_KEY

    def certificate(self, identity_path: str) -> TlsFiles:
        """A new certificate for an identity, for example ``service/registry``."""
        return self.authority.issue(identity_path, folder=self.path / "certificates")

    def __enter__(self) -> Self:
        """Take the folder.

        Raises:
            StateError: another runner has it, it cannot be written, or its disk is full.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._acquire()
            self._check_space()
            for folder in (self.logs, self.recordings, self.checkpoints):
                folder.mkdir(exist_ok=True, mode=0o700)
            self.authority = CertificateAuthority(self.path / "certificates")
            self._ensure_keys()
            self.ports = PortReservations(self.path / "ports.json")
        except OSError as error:
            self._release()
            raise StateError(
                f"the state folder {self.path} cannot be used: {error.strerror or error}",
                "check that it is writable and its disk is not full, or choose another one with --state",
            ) from None
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ports.close()
        self._release()

    def _acquire(self) -> None:
        # The lock is the kernel's: it ends with this process, however it ends, and no child inherits it.
        lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip()
            lock.close()
            raise StateError(
                f"the state folder {self.path} is in use by another argo" + (f" (process {owner})" if owner else ""),
                "stop that one first, or choose another folder with --state",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.path).free
        if free < MIN_FREE_BYTES:
            raise StateError(
                f"the disk of {self.path} is full: {free // 2**20} MiB left, {MIN_FREE_BYTES // 2**20} MiB needed",
                "free some space, or choose a folder on another disk with --state",
            )

    def _ensure_keys(self) -> None:
        _write_once(self.recording_key, lambda: secrets.token_hex(RECORDING_KEY_BYTES).encode() + b"\n")
        _write_once(
            self.signing_key,
            lambda: Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )


def _write_once(path: Path, make: Callable[[], bytes]) -> None:
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
