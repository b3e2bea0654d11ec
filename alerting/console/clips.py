"""Masked clips: of an alarm for whoever handles it, and of anything recorded for whoever may look at recordings."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime

from aiohttp import hdrs, web

from alerting import contracts
from alerting.clients import ClipReader, Pictures
from alerting.console.api import purpose_of
from alerting.desk import AlertDesk
from alerting.domain.audience import Audience
from alerting.domain.clips import clip_of
from alerting.records import Records
from mesh.identity import current_grant, current_identity


class ClipApi:
    """Handlers of the clips. Each look is on record here before the anonymizer is asked, which writes it down, too.

    Args:
        desk: of the alerts.
        pictures: read for the person who is signed in, with the rights of their token or taken in an emergency.
        records: where looks are put down.
        clock: tells the time, in UTC.
    """

    def __init__(self, desk: AlertDesk, pictures: Pictures, records: Records, clock: Callable[[], datetime]) -> None:
        self._desk = desk
        self._pictures = pictures
        self._records = records
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        return [
            web.get("/api/alerts/{alert}/clip", self.of_alarm),
            web.get("/api/recordings/clip", self.of_recording),
        ]

    async def of_alarm(self, request: web.Request) -> web.StreamResponse:
        """The seconds around an alarm, as MP4."""
        purpose, person = purpose_of(request.query.get("purpose", "")), current_identity().path
        identifier = contracts.alert_id(f"alerts/{request.match_info['alert']}")
        alert = await self._desk.get_alert(Audience(person), identifier, purpose)
        span = clip_of(alert, person, self._clock())
        reader = ClipReader(person, current_grant(), purpose, f"handles {alert.name}")
        await self._put_on_record(reader, alert.optic, span)
        return await _stream(request, self._pictures.recordings.alarm_clip(alert.name, alert.optic, span, reader))

    async def of_recording(self, request: web.Request) -> web.StreamResponse:
        """A stretch of a recording, as MP4."""
        optic = contracts.optic_name(request.query.get("optic", ""))
        start, end = (contracts.written_time(request.query.get(field, ""), field) for field in ("start", "end"))
        span = start, end
        purpose = purpose_of(request.query.get("purpose", ""))
        reason = contracts.text_of(request.query.get("reason", ""), "reason", required=True)
        reader = ClipReader(current_identity().path, current_grant(), purpose, reason)
        await self._put_on_record(reader, optic, span)
        return await _stream(request, self._pictures.recordings.clip(optic, span, reader))

    async def _put_on_record(self, reader: ClipReader, optic: str, span: tuple[datetime, datetime]) -> None:
        what = f"{optic}, masked recording, {span[0].isoformat()} to {span[1].isoformat()}"
        await self._records.reading(Audience(reader.person), what, f"{reader.purpose}: {reader.reason}")


async def _stream(request: web.Request, pieces: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    async with aclosing(pieces) as clip:
        # The first piece decides whether there is a clip at all: until then an error has a status of its own.
        first = await anext(clip)
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "video/mp4"})
        await response.prepare(request)
        await response.write(first)
        async for piece in clip:
            await response.write(piece)
    return response
