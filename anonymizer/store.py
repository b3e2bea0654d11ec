"""The recording store: sealed objects in a local folder or an S3-compatible bucket, through obstore."""

from __future__ import annotations

import asyncio
import re
import urllib.parse
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from anonymizer.domain.holding import Holds
from anonymizer.domain.segments import (
    KEYS,
    REPORTS,
    SEGMENTS,
    KeyScope,
    SegmentName,
    is_due,
    parse_key,
    parse_report,
    parse_segment,
    report_name,
)
from anonymizer.sealing import Seal, SealBrokenError, new_data_key
from anonymizer.wrapping import KeyWrapping, open_with, seal_with
from mesh.errors import NotFound, StartupError, Unavailable

# obstore raises Python's own errors where there is one.
_ABSENT: Final = (NotFoundError, FileNotFoundError)
_PRESENT: Final = (AlreadyExistsError, FileExistsError)
_HOLDS: Final = "holds.sealed"
PATIENCE_SECONDS: Final = 20.0
"""How long a segment may take until the store counts as gone, and is said to be; it takes a bucket some 50 ms."""
_DELETES_AT_ONCE: Final = 16
_KNOWN_KEYS: Final = 4096
"""Data keys kept in memory: those of 600 optics for today and the days that are being read."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What became of the segments whose term is over.

    Attributes:
        segments: how many were erased.
        held: how many a hold keeps.
    """

    segments: int
    held: int


class RecordingStore:
    """Seals segments and keeps them.

    Args:
        objects: where they lie.
        wrapping: wraps the data keys.
        clock: the present time, aware.
        patience_seconds: how long a segment may take on its way into the store.
    """

    def __init__(
        self,
        objects: ObjectStore,
        wrapping: KeyWrapping,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._objects = objects
        self._wrapping = wrapping
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._seals: dict[KeyScope, Seal] = {}

    async def write(self, segment: SegmentName, content: bytes) -> None:
        """Seals a segment and puts it into the store.

        Raises:
            Unavailable: the store does not take it now: it is full, gone, or refuses us.
        """
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._write(segment, content)
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def _write(self, segment: SegmentName, content: bytes) -> None:
        is_late = segment.scope.day < self._clock().astimezone(UTC).date()
        if is_late:
            # Another replica may have erased the key of a day that is over: what is known of it here proves nothing.
            self._seals.pop(segment.scope, None)
        seal = await self._seal_for(segment.scope)
        await obstore.put_async(self._objects, segment.name, seal.close(segment.name, content))
        if is_late:
            # If the key went meanwhile, nobody could ever open it: it is written anew.
            await obstore.head_async(self._objects, segment.scope.name)

    async def read(self, segment: SegmentName) -> bytes:
        """The content of a segment.

        Raises:
            NotFound: it, or its key, is not there or no longer.
            SealBrokenError: it was changed, or the wrapping key is another one.
            Unavailable: the store does not answer.
        """
        try:
            seal = await self._existing_seal(segment.scope)
            sealed = await self._get(segment.name)
        except _ABSENT as error:
            raise NotFound("the segment is not there", reason="SEGMENT_NOT_FOUND") from error
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        return seal.open(segment.name, sealed)

    async def segments(self) -> AsyncIterator[SegmentName]:
        """Every segment in the store.

        Raises:
            Unavailable: the store does not answer.
        """
        async for name in self._names(SEGMENTS):
            yield SegmentName.parse(name)

    async def erase_due(self, now: datetime, holds: Holds) -> Erasure:
        """Erases every segment whose term is over and that no hold keeps, and the keys of days that are empty then.

        A day's key goes with the last segment of its day: without it, copies in a backup are worthless.

        Args:
            now: aware.
            holds: what must not be erased.

        Raises:
            Unavailable: the store does not answer; what was erased stays erased.
        """
        due = [name async for name in self._names(SEGMENTS) if is_due(name, now)]
        held = {name for name in due if holds.keeps(SegmentName.parse(name), now)}
        erased = [name for name in due if name not in held and await self._erase(name)]
        in_use = {SegmentName.parse(name).scope.name for name in held}
        keys = [name async for name in self._names(KEYS) if is_due(name, now) and name not in in_use]
        for name in keys:
            await self._erase(name)
        self._seals = {scope: seal for scope, seal in self._seals.items() if scope.name not in keys}
        return Erasure(segments=len(erased), held=len(held))

    async def inventory(self) -> AsyncIterator[tuple[list[tuple[SegmentName, int]], list[KeyScope]]]:
        """All segments, with their sizes in bytes, and all keys, some at a time.

        Raises:
            Unavailable: the store does not answer.
        """
        for prefix in (SEGMENTS, KEYS):
            async for batch in self._batches(prefix):
                segments = [(parse_segment(name), size) for name, size in batch]
                keys = [parse_key(name) for name, _ in batch]
                yield [(segment, size) for segment, size in segments if segment], [key for key in keys if key]

    async def seals_any(self, scope: KeyScope) -> bool:
        """Whether there is any segment of that optic and day.

        Raises:
            Unavailable: the store does not answer.
        """
        async for _ in self._names(scope.folder):
            return True
        return False

    async def erase(self, names: Sequence[str]) -> None:
        """Erases objects; what is gone already is no error.

        Raises:
            Unavailable: the store does not answer; what was erased stays erased.
        """
        for start in range(0, len(names), _DELETES_AT_ONCE):
            await asyncio.gather(*(self._erase(name) for name in names[start : start + _DELETES_AT_ONCE]))

    def forget_past_days(self) -> None:
        """Forgets the keys of days that are over: one that another replica erased must not live on in this memory."""
        today = self._clock().astimezone(UTC).date()
        self._seals = {scope: seal for scope, seal in self._seals.items() if scope.day >= today}

    async def erase_keys(self, scopes: Sequence[KeyScope]) -> None:
        """Erases data keys, here and in memory.

        Raises:
            Unavailable: the store does not answer; what was erased stays erased.
        """
        for scope in scopes:
            self._seals.pop(scope, None)
        await self.erase([scope.name for scope in scopes])

    async def keep_report(self, day: date, report: bytes) -> bytes:
        """Puts the report of a day into the store, unless there is one; the one that is there.

        Raises:
            Unavailable: the store does not take it now.
        """
        name = report_name(day)
        try:
            try:
                await obstore.put_async(self._objects, name, report, mode="create")
            except _PRESENT:
                return await self._get(name)
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        return report

    async def report_days(self) -> list[date]:
        """The days of which there are reports, in their order.

        Raises:
            Unavailable: the store does not answer.
        """
        days = [parse_report(name) async for name in self._names(REPORTS)]
        return sorted(day for day in days if day is not None)

    async def report(self, day: date) -> bytes:
        """The report of a day.

        Raises:
            NotFound: there is none.
            Unavailable: the store does not answer.
        """
        try:
            return await self._get(report_name(day))
        except _ABSENT as error:
            raise NotFound("there is no report of that day", reason="REPORT_NOT_FOUND") from error
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def _erase(self, name: str) -> bool:
        """Whether it was there."""
        try:
            await obstore.delete_async(self._objects, name)
        except _ABSENT:
            return False
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        return True

    async def keep_holds(self, holds: Holds) -> None:
        """Keeps what is held, for a process that starts while the registry is away.

        Sealed like a recording: a hold tells what somebody investigates.

        Raises:
            Unavailable: the store does not take it now.
        """
        try:
            sealed = await seal_with(self._wrapping, _HOLDS, holds.to_json())
            await obstore.put_async(self._objects, _HOLDS, sealed)
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def kept_holds(self) -> Holds | None:
        """What was kept last; None: nothing, or nothing that can be read.

        Raises:
            Unavailable: the store does not answer.
        """
        try:
            return Holds.from_json(await open_with(self._wrapping, _HOLDS, await self._get(_HOLDS)))
        except (*_ABSENT, SealBrokenError, ValueError):
            return None
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def _names(self, prefix: str) -> AsyncIterator[str]:
        async for batch in self._batches(prefix):
            for name, _ in batch:
                yield name

    async def _batches(self, prefix: str) -> AsyncIterator[list[tuple[str, int]]]:
        """Names and sizes in bytes below a folder."""
        try:
            async for batch in obstore.list(self._objects, prefix=prefix):
                yield [(item["path"], item["size"]) for item in batch]
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def _seal_for(self, scope: KeyScope) -> Seal:
        try:
            return await self._existing_seal(scope)
        except _ABSENT:
            pass
        key = new_data_key()
        wrapped = await self._wrapping.wrap(scope.name, key)
        try:
            await obstore.put_async(self._objects, scope.name, wrapped, mode="create")
        except _PRESENT:
            # Another replica was first: its key is the day's key.
            return await self._existing_seal(scope)
        return self._remember(scope, key)

    async def _existing_seal(self, scope: KeyScope) -> Seal:
        known = self._seals.get(scope)
        if known is not None:
            return known
        return self._remember(scope, await self._wrapping.unwrap(scope.name, await self._get(scope.name)))

    def _remember(self, scope: KeyScope, key: bytes) -> Seal:
        if len(self._seals) >= _KNOWN_KEYS:
            self._seals.clear()
        seal = self._seals[scope] = Seal(key)
        return seal

    async def _get(self, name: str) -> bytes:
        result = await obstore.get_async(self._objects, name)
        return bytes(await result.bytes_async())


def open_objects(url: str) -> ObjectStore:
    """The store behind a URL: `file:///folder`, which is made when it is not there, or `s3://bucket/prefix`.

    Raises:
        StartupError: the URL names no store that is known, or the folder cannot be made.
    """
    try:
        if url.startswith("file://"):
            objects = LocalStore.from_url(url, mkdir=True)
            _clear_halves(Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)))
            return objects
        return from_url(url)
    except (BaseError, OSError, ValueError) as error:
        raise StartupError(
            f"the recording store cannot be opened ({type(error).__name__})", "check ARGO_RECORDING_URL"
        ) from None


def _clear_halves(folder: Path) -> None:
    """Removes what a process that was killed had begun to write: it lies beside the object, as `NAME#1`."""
    for path in folder.rglob("*#*"):
        if re.fullmatch(r".*#\d+", path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _unavailable(error: Exception) -> Unavailable:
    # The store's own words may carry a URL with credentials; the kind of the error is enough to act on.
    return Unavailable(
        f"the recording store does not answer ({type(error).__name__})",
        reason="STORE_UNAVAILABLE",
        metadata={"error": type(error).__name__},
    )
