"""The shift and the load on the operators, as the page asks for them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from alerting import contracts
from alerting.console.body import read_body, text
from alerting.console.routes import DUTY_ACTS
from alerting.domain.quality import TARGET, Load
from alerting.domain.shifts import Shift, on_duty
from alerting.domain.tokens import invalid
from alerting.duty import Duty
from alerting.quality import DAY, Quality
from mesh.identity import current_identity


class DutyApi:
    """Handlers of ``/api/duty``."""

    def __init__(self, duty: Duty, quality: Quality) -> None:
        self._duty = duty
        self._quality = quality

    def routes(self) -> list[web.RouteDef]:
        """The routes of these handlers."""
        return [web.get("/api/duty", self.show), *(web.post(f"/api/duty/{act}", self.act) for act in DUTY_ACTS)]

    async def show(self, _request: web.Request) -> web.Response:
        """Who is on duty, and what they have to bear."""
        actor = current_identity().path
        shifts = await self._duty.list_open()
        current, mine = on_duty(shifts), next((one for one in shifts if actor in one.members), None)
        colleagues = sorted({member for one in shifts for member in (*one.members, *one.watch_list)} - {actor})
        return web.json_response(
            {
                "shift": _shift_json(current),
                "mine": _shift_json(mine),
                "colleagues": colleagues,
                "load": _load_json(await self._quality.load(DAY)),
            }
        )

    async def act(self, request: web.Request) -> web.Response:
        """Opens, joins, hands over, closes."""
        body, actor = await read_body(request), current_identity().path
        shift_id = contracts.identifier(text(body, "shift"), "shifts") if text(body, "shift") else ""
        note = contracts.text_of(text(body, "reason"), "reason")
        match request.path.rpartition("/")[2]:
            case "open":
                await self._duty.open(actor, (), contracts.request_id(text(body, "requestId")))
            case "join":
                await self._duty.join(shift_id, actor)
            case "hand-over":
                owner = contracts.person(text(body, "owner"), "owner")
                await self._duty.hand_over(shift_id, actor, owner, _required(note))
            case "close":
                await self._duty.close(shift_id, actor, _required(note))
        return await self.show(request)


def _required(note: str) -> str:
    if not note:
        raise invalid("reason", "is required: whoever comes next reads it")
    return note


def _shift_json(shift: Shift | None) -> dict[str, Any] | None:
    if shift is None:
        return None
    return {
        "name": shift.name,
        "members": shift.members,
        "watchList": shift.watch_list,
        "openTime": shift.open_time.isoformat(),
    }


def _load_json(load: Load) -> dict[str, Any]:
    return {
        "operators": load.operators,
        "current": round(load.current_rate, 2),
        "average": round(load.rate, 2),
        "target": TARGET,
        "stale": load.stale,
        "floodShare": round(load.flood_share, 4),
        "medianAcknowledgementSeconds": (
            round(load.acknowledgement[0].total_seconds()) if load.acknowledgement is not None else None
        ),
    }
