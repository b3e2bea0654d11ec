from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from alerting.assembly import Parts
from alerting.clients import LiveViewClient
from alerting.console.api import Api
from alerting.console.board import Board
from alerting.console.gate import Gate, response_headers
from alerting.console.pages import Pages
from alerting.console.sessions import Sessions
from alerting.settings import AlertingSettings

_MAXIMUM_BODY_BYTES = 64 * 1024


def console(
    settings: AlertingSettings,
    parts: Parts,
    board: Board,
    live_view: LiveViewClient,
    clock: Callable[[], datetime],
) -> web.Application:
    """The console as a web application. Without a sign-in secret nobody gets past the page that says so."""
    secret = settings.console_token
    sessions = Sessions(secret.get_secret_value(), settings.console_operator) if secret is not None else None
    secure = settings.environment != "local"
    pages = Pages(sessions, parts.sign_ins, clock, secure=secure)
    gate = Gate(sessions, response_headers(settings.whep_origins), pages.refuse, clock, secure=secure)
    application = web.Application(middlewares=[gate.answer_errors, gate.admit], client_max_size=_MAXIMUM_BODY_BYTES)
    application.on_response_prepare.append(gate.add_headers)
    application.add_routes(
        [
            web.get("/", pages.index),
            web.get("/static/{name}", pages.static),
            web.post("/api/logout", pages.logout),
        ]
    )
    if sessions is not None:
        api = Api(parts.desk, board, live_view, parts.records, sessions, authorities=settings.authorities, clock=clock)
        application.add_routes(_api_routes(api))
    return application


def _api_routes(api: Api) -> list[web.RouteDef]:
    return [
        web.get("/api/session", api.session),
        web.get("/api/optics", api.optics),
        web.get("/api/alerts/stream", api.alerts),
        web.post("/api/alerts/{alert}/{act}", api.act),
        web.post("/api/viewings", api.create_viewing),
    ]
