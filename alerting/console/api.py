"""What the page asks for and asks to be done. Every look goes through the desk, and so on record."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import structlog
from aiohttp import web

from alerting import contracts
from alerting.clients import Pictures
from alerting.console.board import Board
from alerting.console.body import read_body, text
from alerting.console.gate import SESSION, describe_error
from alerting.console.presentation import alert_json, row_json
from alerting.console.sessions import Sessions
from alerting.desk import AlertDesk, Change
from alerting.domain.alerts import Act, Alert, Assessment, Step
from alerting.domain.audience import Audience
from alerting.domain.tokens import invalid
from alerting.records import Records
from alerting.store.alerts import Request
from mesh.errors import ArgoError
from mesh.identity import current_identity

log = structlog.get_logger()

PURPOSES: Mapping[str, str] = MappingProxyType(
    {
        "control-room-watch": "control room watch",
        "public-event": "safety of a public event",
        "traffic": "traffic",
        "request-of-an-authority": "request of an authority",
        "maintenance": "maintenance of the cameras",
    }
)
"""What somebody may watch for; the words go on record."""

_REASON_REQUIRED = (Act.DISPATCH, Act.CLOSE, Act.SHELVE, Act.UNSHELVE, Act.HAND_OVER)
_LONGEST_MINUTES = 7 * 24 * 60


class Api:
    """Handlers of ``/api``."""

    def __init__(
        self,
        desk: AlertDesk,
        board: Board,
        pictures: Pictures,
        records: Records,
        sessions: Sessions,
        *,
        authorities: tuple[str, ...],
        clock: Callable[[], datetime],
    ) -> None:
        self._desk = desk
        self._board = board
        self._pictures = pictures
        self._records = records
        self._sessions = sessions
        self._authorities = authorities
        self._clock = clock

    async def session(self, request: web.Request) -> web.Response:
        """Who is signed in, and what the page needs to work."""
        session = request[SESSION]
        return web.json_response(
            {
                "operator": session.name,
                "expires": session.expires.isoformat(),
                "csrfToken": self._sessions.csrf_token(session),
                "purposes": [{"id": key, "label": label} for key, label in PURPOSES.items()],
                "authorities": self._authorities,
            }
        )

    async def optics(self, _request: web.Request) -> web.Response:
        """The board. It tells of devices, not of what they saw."""
        return web.json_response({"optics": [row_json(row) for row in await self._board.rows()]})

    async def alerts(self, request: web.Request) -> web.StreamResponse:
        """Alerts as server-sent events; a reconnecting page goes on where it was."""
        session = request[SESSION]
        reason = purpose_of(request.query.get("purpose", ""))
        token = request.headers.get("Last-Event-ID", "")
        async with aclosing(self._desk.watch(Audience(current_identity().path), token, reason)) as changes:
            # The first change decides whether there is a stream at all: until then an error has a status of its own.
            first = await anext(changes)
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            remaining = (session.expires - self._clock()).total_seconds()
            # A page that was closed is not an error.
            with contextlib.suppress(ConnectionResetError):
                await response.write(_sse(first))
                await _send(changes, response, remaining)
        return response

    async def act(self, request: web.Request) -> web.Response:
        """Moves an alert as people may; what time, events and authorities do has no route."""
        body = await read_body(request)
        act = Act(request.path.rpartition("/")[2])
        answers: list[Alert] = []

        def respond(alert: Alert) -> bytes:
            answers.append(alert)
            return contracts.alert_bytes(alert)

        step = _step(act, current_identity().path, body)
        asked = Request(
            contracts.alert_id(f"alerts/{request.match_info['alert']}"),
            step,
            contracts.request_id(text(body, "requestId")),
        )
        await self._desk.act(asked, respond)
        # A repeated request changed nothing: the page has the alert from its stream.
        return web.json_response({"alert": alert_json(answers[0]) if answers else None})

    async def create_viewing(self, request: web.Request) -> web.Response:
        """A permission to watch an optic live; on record before it is asked for."""
        body = await read_body(request)
        optic = contracts.optic_name(text(body, "optic"))
        reason, actor = purpose_of(text(body, "purpose")), current_identity().path
        record = await self._records.reading(Audience(actor), f"{optic}, live view", reason)
        viewing = await self._pictures.live.create_viewing(optic, actor, reason, str(record.sequence))
        log.info("viewing.permitted", optic=optic, audit_entry=record.sequence)
        return web.json_response(
            {"whepUrl": viewing.whep_url, "token": viewing.token, "expireTime": viewing.expire_time.isoformat()}
        )


async def _send(changes: AsyncIterator[Change], response: web.StreamResponse, seconds: float) -> None:
    """Sends changes until the session ends or the watch breaks, and says which."""
    try:
        async with asyncio.timeout(seconds):
            async for change in changes:
                await response.write(_sse(change))
    except TimeoutError:
        await response.write(b"event: signed-out\ndata: {}\n\n")
    except ArgoError as error:
        await response.write(f"event: broken\ndata: {json.dumps(describe_error(error))}\n\n".encode())


def _sse(change: Change) -> bytes:
    kind = "bookmark" if change.alert is None else "alert"
    data = "{}" if change.alert is None else json.dumps(alert_json(change.alert))
    return f"id: {change.position.token}\nevent: {kind}\ndata: {data}\n\n".encode()


def purpose_of(key: str) -> str:
    """What somebody looks for, in words.

    Raises:
        InvalidArgument: there is no such purpose.
    """
    if key not in PURPOSES:
        raise invalid("purpose", "is required: every look is on record with what it is for")
    return PURPOSES[key]


def _step(act: Act, actor: str, body: dict[str, Any]) -> Step:
    assessment = Assessment.NONE
    if act is Act.VERIFY:
        try:
            assessment = Assessment[text(body, "assessment").upper()]
        except KeyError:
            raise invalid("assessment", "must be true, false or cannot_tell") from None
        if assessment is Assessment.NONE:
            raise invalid("assessment", "must be true, false or cannot_tell")
    owner = contracts.person(text(body, "owner"), "owner") if act is Act.HAND_OVER else ""
    recipient = contracts.recipient_name(f"authorities/{text(body, 'recipient')}") if act is Act.DISPATCH else ""
    return Step(
        act=act,
        actor=actor,
        reason=contracts.text_of(text(body, "reason"), "reason", required=act in _REASON_REQUIRED),
        etag=text(body, "etag"),
        assessment=assessment,
        recipient=recipient,
        owner=owner,
        duration=timedelta(minutes=_minutes(body)) if act is Act.SHELVE else None,
    )


def _minutes(body: dict[str, Any]) -> int:
    value = body.get("minutes")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LONGEST_MINUTES:
        raise invalid("minutes", "must be a number of minutes")
    return value
