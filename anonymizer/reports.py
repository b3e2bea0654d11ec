"""The signed daily report of erasure: what was erased, what a hold kept, per optic."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from anonymizer.exports import instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anonymizer.domain.holding import Holds
    from anonymizer.erasure import HeldSegments
    from anonymizer.erasure_index import ErasureIndex, Tally
    from anonymizer.store import RecordingStore
    from mesh.signing import Signer

log = structlog.get_logger(__name__)

ERASURE: Final = "argo.erasure/1"
"""What kind of statement a report is, and its version."""

_SETTLING: Final = timedelta(minutes=10)
"""Longer than any transaction: what another replica counted before midnight is committed by then."""


class ErasureReports:
    """Writes a report for every day that is over.

    What it counts is settled in three steps, each of which may be repeated: the rows of the report are marked, the
    report goes into the store, it goes on record and the rows are forgotten.

    Args:
        store: takes the reports.
        index: knows what was erased.
        signer: signs them.
        software: which version of ARGO.
    """

    def __init__(self, store: RecordingStore, index: ErasureIndex, signer: Signer, software: str) -> None:
        self._store = store
        self._index = index
        self._signer = signer
        self._software = software
        self._last: date | None = None

    async def write_due(self, now: datetime, held: HeldSegments, holds: Holds, *, registry_lost: bool) -> None:
        """Writes the report of the last day that is over (UTC), with all that stands in no earlier one.

        Args:
            now: aware.
            held: what holds keep beyond its term now.
            holds: that keep it.
            registry_lost: whether the registry does not say what is held now.

        Raises:
            Unavailable: the store or the index does not answer; the report is written at the next turn.
        """
        day = (now.astimezone(UTC) - _SETTLING).date() - timedelta(days=1)
        if self._last is not None and self._last >= day:
            return
        last = await self._settle_kept()
        if last is None or last < day:
            await self._write(day, last, self._held(held, holds, now), registry_lost=registry_lost)
        self._last = max(day, last or day)

    async def _settle_kept(self) -> date | None:
        """Puts on record what is in the store and is not yet; the newest day that is on record then."""
        last = await self._index.last_report()
        for day in await self._store.report_days():
            if last is None or day > last:
                await self._index.settle(day, hashlib.sha256(await self._store.report(day)).digest())
                last = day
        return last

    async def _write(
        self, day: date, last: date | None, held: Sequence[dict[str, Any]], *, registry_lost: bool
    ) -> None:
        end = _midnight(day + timedelta(days=1))
        erased = [_erased(tally) for tally in await self._index.claim(day, end)]
        payload = {
            "type": ERASURE,
            "period": [instant(_midnight(day if last is None else last + timedelta(days=1))), instant(end)],
            "erased": erased,
            "held": held,
            "holds_known": not registry_lost,
            "software": self._software,
        }
        report = await self._store.keep_report(day, self._signer.sign(payload))
        await self._index.settle(day, hashlib.sha256(report).digest())
        log.info("recording.erasure_reported", day=day.isoformat(), optics=len(erased), held=len(held))

    def _held(self, held: HeldSegments, holds: Holds, now: datetime) -> list[dict[str, Any]]:
        return [
            {
                "optic": optic,
                "segments": count,
                "captured": [instant(first), instant(last)],
                "holds": holds.names(optic, first, last, now),
            }
            for optic, (count, first, last) in sorted(held.found.items())
        ]


def _erased(tally: Tally) -> dict[str, Any]:
    return {
        "optic": tally.optic,
        "segments": tally.segments,
        "bytes": tally.size,
        "keys": tally.keys,
        "captured": [instant(tally.first), instant(tally.last)] if tally.first and tally.last else [],
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
