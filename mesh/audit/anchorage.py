"""Keeping checkpoints outside the database: in an object store, and as lines of the service's log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import unquote, urlsplit

import asyncpg
import obstore
import prometheus_client
import structlog
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from mesh.audit.chain import Anchor
from mesh.audit.checkpoints import Checkpoint
from mesh.errors import StartupError, Unavailable
from mesh.signing import Signer, StatementBrokenError, read_signing_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from mesh.audit.log import AuditLog
    from mesh.audit.settings import AuditSettings
    from mesh.lifecycle import Application

log = structlog.get_logger()

# obstore raises Python's own errors where there is one.
_PRESENT: Final = (AlreadyExistsError, FileExistsError)


def open_store(url: str) -> ObjectStore:
    """A local folder (``file://``), which is made, or a bucket.

    Raises:
        StartupError: it is no such URL.
    """
    try:
        if url.startswith("file://"):
            return LocalStore(unquote(urlsplit(url).path), mkdir=True)
        return from_url(url)
    except (BaseError, ValueError, OSError) as error:
        raise StartupError(
            f"the checkpoints' store cannot be opened ({type(error).__name__})",
            "set ARGO_AUDIT_CHECKPOINT_URL to file:///folder or to a bucket, e.g. s3://bucket/prefix",
        ) from None


class CheckpointStore:
    """Checkpoints as objects ``{log}/{day}/{sequence}.json``; none is ever written over."""

    def __init__(self, objects: ObjectStore, trusted: Ed25519PublicKey | None = None) -> None:
        """Takes the store, and the key that must have signed what is read; without one any may have."""
        self._objects = objects
        self._trusted = trusted

    async def keep(self, checkpoint: Checkpoint, signer: Signer) -> None:
        """Keeps one. Another replica may have kept the same before.

        Raises:
            Unavailable: the store does not answer.
        """
        day = checkpoint.taken_at.date().isoformat()
        name = f"{checkpoint.log}/{day}/{checkpoint.anchor.sequence:020}.json"
        try:
            await obstore.put_async(self._objects, name, checkpoint.sign(signer), mode="create")
        except _PRESENT:
            return
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def newest(self, name: str) -> Checkpoint | None:
        """The newest one of a log, or none.

        Raises:
            Unavailable: the store does not answer.
            StatementBrokenError: it is not genuine; it is named.
        """
        days = await self._days(name)
        return await self._last_of(days[-1], name) if days else None

    async def daily(self, name: str) -> list[Checkpoint]:
        """The last one of every day, oldest first: enough to say on which day a chain was written anew.

        Raises:
            Unavailable: the store does not answer.
            StatementBrokenError: one is not genuine; it is named.
        """
        found = [await self._last_of(day, name) for day in await self._days(name)]
        return [checkpoint for checkpoint in found if checkpoint is not None]

    async def _days(self, name: str) -> list[str]:
        try:
            listing = await obstore.list_with_delimiter_async(self._objects, f"{name}/")
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        return sorted(listing["common_prefixes"])

    async def _last_of(self, day: str, name: str) -> Checkpoint | None:
        try:
            listing = await obstore.list_with_delimiter_async(self._objects, f"{day.rstrip('/')}/")
            paths = sorted(entry["path"] for entry in listing["objects"])
            if not paths:
                return None
            content = await (await obstore.get_async(self._objects, paths[-1])).bytes_async()
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        try:
            checkpoint = Checkpoint.read(bytes(content), self._trusted)
        except StatementBrokenError as error:
            raise StatementBrokenError(f"{paths[-1]}: {error}") from None
        if checkpoint.log != name:
            raise StatementBrokenError(f"{paths[-1]}: it is of the log of {checkpoint.log}")
        return checkpoint


_FAILURES: Final = (Unavailable, StatementBrokenError, asyncpg.PostgresError)


class Anchorage:
    """Takes checkpoints of a log, and looks whether the log still holds the one before."""

    def __init__(
        self,
        audit_log: Callable[[], AuditLog],
        name: str,
        metrics: prometheus_client.CollectorRegistry,
        clock: Callable[[], datetime],
        *,
        kept: tuple[CheckpointStore, Signer] | None,
    ) -> None:
        """Takes what it works with.

        Args:
            audit_log: the log, as it can be read now.
            name: of the log, for example ``"alerting"``.
            metrics: where its own go.
            clock: tells the time, in UTC.
            kept: where checkpoints are kept, and who signs them; none: they are lines of the service's log alone.
        """
        self._audit_log = audit_log
        self._name = name
        self._kept = kept
        self._clock = clock
        self._last: Anchor | None = None
        self._postponed = False
        self._broken = prometheus_client.Gauge(
            "argo_audit_broken", "Whether the audit log lacks an entry that a checkpoint names.", registry=metrics
        )
        self._taken = prometheus_client.Gauge(
            "argo_audit_checkpoint_timestamp_seconds", "When the newest checkpoint was kept.", registry=metrics
        )

    async def run(self, period_seconds: float) -> NoReturn:
        """Takes one whenever the log has grown, for ever."""
        while True:
            await self.attempt()
            await asyncio.sleep(period_seconds)

    async def attempt(self) -> None:
        """Takes one if it can; what keeps it from that is told once. Also the last act of a service that stops."""
        try:
            await self.once()
            self._postponed = False
        except _FAILURES as error:
            if not self._postponed:
                log.warning("audit.checkpoint_postponed", error_reason=getattr(error, "reason", str(error)))
            self._postponed = True

    async def once(self) -> Checkpoint | None:
        """Looks, and takes a checkpoint if the log has grown and still holds the one before.

        Raises:
            Unavailable: the database or the store does not answer.
            StatementBrokenError: the newest checkpoint that is kept is not genuine.
        """
        if self._last is None and self._kept is not None:
            newest = await self._kept[0].newest(self._name)
            self._last = newest.anchor if newest is not None else None
        if self._last is not None and await self._audit_log().hash_of(self._last.sequence) != self._last.hash:
            # What is broken is not signed: the last good checkpoint stays the newest.
            log.error("audit.broken", anchor=str(self._last))
            self._broken.set(1)
            return None
        self._broken.set(0)
        head = Anchor(*await self._audit_log().head())
        if head.sequence == (self._last.sequence if self._last is not None else 0):
            return None
        checkpoint = Checkpoint(self._name, head, self._clock())
        if self._kept is not None:
            store, signer = self._kept
            await store.keep(checkpoint, signer)
        log.info("audit.checkpoint_taken", anchor=str(head))
        self._last = head
        self._taken.set(checkpoint.taken_at.timestamp())
        return checkpoint


def signer_of(settings: AuditSettings) -> Signer | None:
    """Who signs for a service; none: it was given no key.

    Raises:
        StartupError: the key cannot be read.
    """
    return Signer(read_signing_key(settings.signing_key_file)) if settings.signing_key_file is not None else None


def keep_checkpoints(
    application: Application[Any], settings: AuditSettings, audit_log: Callable[[], AuditLog], name: str
) -> None:
    """Has a service take checkpoints of its log for as long as it runs, and one when it stops.

    Args:
        application: the service.
        settings: where they are kept, and with which key they are signed.
        audit_log: the log, as it can be read now; raises ``Unavailable`` when it cannot.
        name: of the log.

    Raises:
        StartupError: the store or the key cannot be used.
    """
    kept, signer = None, signer_of(settings)
    if settings.audit_checkpoint_url is not None:
        if signer is None:
            raise StartupError(
                "checkpoints of the audit log are to be kept, and no key signs them", "set ARGO_SIGNING_KEY_FILE, too"
            )
        kept = (CheckpointStore(open_store(settings.audit_checkpoint_url.get_secret_value())), signer)
    anchorage = Anchorage(audit_log, name, application.metrics, lambda: datetime.now(UTC), kept=kept)
    application.spawn("checkpoints", anchorage.run(settings.audit_checkpoint_seconds))
    application.on_drain("checkpoints", anchorage.attempt)


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(
        f"the checkpoints' store does not answer ({type(error).__name__})", reason="CHECKPOINT_STORE_UNAVAILABLE"
    )
