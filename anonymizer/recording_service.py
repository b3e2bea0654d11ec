"""argo.anonymizer.v1.RecordingService: on record first, then what was asked for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from google.type import interval_pb2

from anonymizer.access import Reader, admit
from anonymizer.clips import ClipMuxer
from anonymizer.exports import Export, PieceHashes
from anonymizer.unpacking import OPTIC_NAME
from argo.anonymizer.v1 import recording_service_pb2, recording_service_pb2_grpc
from mesh.audit import Act, AuditEntry
from mesh.errors import FieldViolation, InvalidArgument
from mesh.identity import current_identity

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from anonymizer.database import Database
    from anonymizer.index import Stretch
    from anonymizer.playback import Archive
    from mesh.signing import Signer

DEFAULT_PAGE: Final = 50
LARGEST_PAGE: Final = 1000
MOST_OPTICS: Final = 100
"""Of which recorded times are told at once."""
LONGEST_ALARM_CLIP: Final = timedelta(minutes=1)
PIECE_BYTES: Final = 256 * 1024
"""Bytes of a clip in one message."""
_SERVICE: Final = "/argo.anonymizer.v1.RecordingService"
_RECIPIENT: Final = re.compile("authorities/[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ALERT: Final = re.compile("alerts/[a-z0-9-]{1,63}")
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_LAST: Final = 253_402_214_400
"""The last day of 9999 begins."""

_Asked = tuple[datetime, datetime]


class RecordingServicer(recording_service_pb2_grpc.RecordingServiceServicer):
    """Answers RecordingService.

    Args:
        archive: what is recorded.
        database: where acts are put on record.
        signer: of manifests.
        longest_clip: how much a clip may show.
    """

    def __init__(self, archive: Archive, database: Database, signer: Signer, longest_clip: timedelta) -> None:
        self._archive = archive
        self._database = database
        self._signer = signer
        self._longest_clip = longest_clip

    async def ListRecordings(  # noqa: N802 - the contract's name
        self, request: recording_service_pb2.ListRecordingsRequest, _context: Any
    ) -> recording_service_pb2.ListRecordingsResponse:
        """Lists what is recorded; see the contract."""
        asked = _interval(request.optic, request.interval)
        skip, size = _page(request.page_size, request.page_token)
        reader = admit(current_identity(), request.access, f"{_SERVICE}/ListRecordings")
        await self._record(Act.CONSULTATION, reader, f"list of {_what(request.optic, asked)}")
        stretches = await self._archive.stretches(request.optic, *asked, skip=skip, most=size + 1)
        return recording_service_pb2.ListRecordingsResponse(
            recordings=[self._pack(request.optic, each) for each in stretches[:size]],
            next_page_token=str(skip + size) if len(stretches) > size else "",
        )

    async def ReadClip(  # noqa: N802 - the contract's name
        self, request: recording_service_pb2.ReadClipRequest, _context: Any
    ) -> AsyncIterator[recording_service_pb2.ReadClipResponse]:
        """Streams a clip; see the contract."""
        asked = self._clip_interval(request.optic, request.interval)
        reader = admit(current_identity(), request.access, f"{_SERVICE}/ReadClip")
        await self._record(Act.CONSULTATION, reader, _what(request.optic, asked))
        async for response in self._clip(request.optic, asked):
            yield response

    async def ReadAlarmClip(  # noqa: N802 - the contract's name
        self, request: recording_service_pb2.ReadAlarmClipRequest, _context: Any
    ) -> AsyncIterator[recording_service_pb2.ReadClipResponse]:
        """Streams the clip of an alarm; see the contract."""
        if _ALERT.fullmatch(request.alert) is None:
            raise _refusal(FieldViolation("alert", "must look like alerts/{alert}"))
        asked = self._clip_interval(request.optic, request.interval, LONGEST_ALARM_CLIP)
        reader = admit(current_identity(), request.access, f"{_SERVICE}/ReadAlarmClip")
        await self._record(Act.CONSULTATION, reader, f"{_what(request.optic, asked)}, of {request.alert}")
        async for response in self._clip(request.optic, asked):
            yield response

    async def ListRecordedTimes(  # noqa: N802 - the contract's name
        self, request: recording_service_pb2.ListRecordedTimesRequest, _context: Any
    ) -> recording_service_pb2.ListRecordedTimesResponse:
        """Lists when optics were recorded; see the contract."""
        if not 0 < len(request.optics) <= MOST_OPTICS:
            raise _refusal(FieldViolation("optics", f"must be 1 to {MOST_OPTICS}"))
        asked = next(_interval(optic, request.interval) for optic in request.optics)
        found = await self._archive.recorded(request.optics, *asked)
        return recording_service_pb2.ListRecordedTimesResponse(
            recorded_times=[
                recording_service_pb2.RecordedTimes(
                    optic=optic, intervals=[_pack_interval(*each) for each in stretches]
                )
                for optic, stretches in sorted(found.items())
            ]
        )

    async def ExportClip(  # noqa: N802 - the contract's name
        self, request: recording_service_pb2.ExportClipRequest, _context: Any
    ) -> AsyncIterator[recording_service_pb2.ExportClipResponse]:
        """Streams a clip and its manifest; see the contract."""
        asked = self._clip_interval(request.optic, request.interval)
        recipient = _recipient(request.recipient)
        reader = admit(current_identity(), request.access, f"{_SERVICE}/ExportClip")
        entry = await self._record(Act.DISCLOSURE, reader, _what(request.optic, asked), recipient)
        clip, hashes = ClipMuxer(*asked), PieceHashes()
        async for part in self._archive.read(request.optic, clip, *asked):
            hashes.add(part.content, part.captured)
            for content in _pieces(part.content):
                yield recording_service_pb2.ExportClipResponse(content=content)
        now = self._archive.now
        export = Export(request.optic, asked, clip.covered, clip.pictures, reader, recipient, entry, now)
        yield recording_service_pb2.ExportClipResponse(signed_manifest=self._signer.sign(export.manifest(hashes)))

    async def _clip(self, optic: str, asked: _Asked) -> AsyncIterator[recording_service_pb2.ReadClipResponse]:
        clip, is_first = ClipMuxer(*asked), True
        async for part in self._archive.read(optic, clip, *asked):
            for content in _pieces(part.content):
                response = recording_service_pb2.ReadClipResponse(content=content)
                if is_first and clip.begins is not None:
                    response.interval.CopyFrom(_pack_interval(clip.begins, asked[1]))
                is_first = False
                yield response

    async def _record(self, act: Act, reader: Reader, what: str, to_whom: str = "") -> int:
        """Puts an act on record; the number of the entry."""
        through = f", through {reader.through}" if reader.through else ""
        entry = AuditEntry(act, reader.who, reader.why, what + through, to_whom, reader.case)
        return (await self._database.put_on_record(entry)).sequence

    def _clip_interval(self, optic: str, interval: interval_pb2.Interval, longest: timedelta | None = None) -> _Asked:
        start, end = _interval(optic, interval)
        longest = min(self._longest_clip, longest or self._longest_clip)
        if end - start > longest:
            most = longest.total_seconds()
            raise InvalidArgument(
                f"a clip shows at most {most:.0f} s: ask for it in parts",
                reason="CLIP_TOO_LONG",
                metadata={"longestSeconds": f"{most:.0f}"},
                violations=[FieldViolation("interval", f"must be at most {most:.0f} s long")],
            )
        return start, end

    def _pack(self, optic: str, stretch: Stretch) -> recording_service_pb2.Recording:
        message = recording_service_pb2.Recording(
            optic=optic,
            interval=_pack_interval(stretch.start, stretch.end),
            holds=self._archive.holds_on(optic, stretch.start, stretch.end),
        )
        message.expire_time.FromDatetime(stretch.expires)
        return message


def _interval(optic: str, interval: interval_pb2.Interval) -> _Asked:
    violations = []
    if OPTIC_NAME.fullmatch(optic) is None:
        violations.append(FieldViolation("optic", "must look like devices/{device}/optics/{optic}"))
    for field in ("start_time", "end_time"):
        if not interval.HasField(field):
            violations.append(FieldViolation(f"interval.{field}", "is required"))
        elif not 0 <= getattr(interval, field).seconds < _LAST:
            violations.append(FieldViolation(f"interval.{field}", "must lie between the years 1970 and 9999"))
    if not violations and _time(interval.start_time) >= _time(interval.end_time):
        violations.append(FieldViolation("interval", "must end after it starts"))
    if violations:
        raise _refusal(*violations)
    return _time(interval.start_time), _time(interval.end_time)


def _page(size: int, token: str) -> tuple[int, int]:
    if size < 0:
        raise _refusal(FieldViolation("page_size", "must not be negative"))
    if token and not (token.isascii() and token.isdigit() and len(token) < len(str(2**31))):
        raise _refusal(FieldViolation("page_token", "must come from the answer before"))
    return int(token or 0), min(size or DEFAULT_PAGE, LARGEST_PAGE)


def _recipient(name: str) -> str:
    """The identity path of a recipient, as it stands in the audit log."""
    if _RECIPIENT.fullmatch(name) is None:
        raise _refusal(FieldViolation("recipient", "must look like authorities/{authority}"))
    return name.replace("authorities/", "authority/", 1)


def _refusal(*violations: FieldViolation) -> InvalidArgument:
    return InvalidArgument("the request cannot be used", reason="INVALID_RECORDING_REQUEST", violations=violations)


def _what(optic: str, asked: _Asked) -> str:
    return f"{optic}, masked recording, {asked[0].isoformat()} to {asked[1].isoformat()}"


def _pieces(content: bytes) -> Iterator[bytes]:
    return (content[offset : offset + PIECE_BYTES] for offset in range(0, len(content), PIECE_BYTES))


def _pack_interval(start: datetime, end: datetime) -> interval_pb2.Interval:
    message = interval_pb2.Interval()
    message.start_time.FromDatetime(start)
    message.end_time.FromDatetime(end)
    return message


def _time(timestamp: Timestamp) -> datetime:
    return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)
