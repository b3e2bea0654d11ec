"""Checkpoints: the head of the log at some time, signed, to be kept where nobody of the database writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mesh.audit.chain import Anchor
from mesh.signing import Signer, StatementBrokenError, verify

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CHECKPOINT: Final = "argo.audit-checkpoint/1"
"""What kind of statement a checkpoint is, and its version."""


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log.

    Attributes:
        log: whose, for example ``"alerting"``.
        anchor: number and hash of the newest entry.
        taken_at: when, in UTC.
    """

    log: str
    anchor: Anchor
    taken_at: datetime

    def sign(self, signer: Signer) -> bytes:
        """As a signed statement, see ``mesh.signing``."""
        return signer.sign(
            {
                "hash": self.anchor.hash.hex(),
                "kind": CHECKPOINT,
                "log": self.log,
                "sequence": self.anchor.sequence,
                "taken_at": self.taken_at.astimezone(UTC).isoformat(),
            }
        )

    @classmethod
    def read(cls, statement: bytes, trusted: Ed25519PublicKey | None = None) -> Checkpoint:
        """Checks a statement and reads it.

        Args:
            statement: as ``sign`` gave it.
            trusted: the key that must have signed it; none: any.

        Raises:
            StatementBrokenError: it was changed, signed with another key, or is something else.
        """
        payload = verify(statement, trusted).payload
        if payload.get("kind") != CHECKPOINT:
            raise StatementBrokenError("it is no checkpoint of an audit log")
        try:
            return cls(
                log=str(payload["log"]),
                anchor=Anchor.parse(f"{payload['sequence']}:{payload['hash']}"),
                taken_at=datetime.fromisoformat(payload["taken_at"]),
            )
        except (KeyError, TypeError, ValueError):
            raise StatementBrokenError("it is no checkpoint of an audit log") from None
