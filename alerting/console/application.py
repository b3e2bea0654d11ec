from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from alerting.assembly import Parts
from alerting.clients import Pictures
from alerting.console.api import Api
from alerting.console.board import Board
from alerting.console.bridge import Bridge
from alerting.console.clips import ClipApi
from alerting.console.duty import DutyApi
from alerting.console.gate import Believed, Gate, response_headers
from alerting.console.pages import Pages
from alerting.console.routes import ACTS
from alerting.console.sessions import Sessions
from alerting.console.sign_in import SIGN_IN, SIGNED_IN, Client, SignIn
from alerting.open_web import open_routes
from alerting.settings import AlertingSettings
from mesh.identity import Identity
from mesh.rpc.authorisation import token_verifier

_MAXIMUM_BODY_BYTES = 64 * 1024


def console(
    settings: AlertingSettings,
    parts: Parts,
    board: Board,
    pictures: Pictures,
    clock: Callable[[], datetime],
) -> web.Application:
    """The console as a web application. Without a sign-in secret nobody gets past the page that says so."""
    secret = settings.console_token
    sessions = None
    if secret is not None:
        sessions = Sessions(secret.get_secret_value(), settings.console_operator, settings.trust_domain)
    secure = settings.environment != "local"
    client = _client(settings)
    elsewhere = SIGN_IN if client is not None else None
    pages = Pages(sessions, parts.sign_ins, clock, secure=secure, elsewhere=elsewhere)
    console_itself = Identity(settings.trust_domain, "service/alerting")
    believed = Believed(console_itself, token_verifier(settings), parts.oversight.break_glass.rights_taken)
    headers = response_headers(settings.whep_origins)
    gate = Gate(sessions, headers, pages.refuse, clock, believed=believed, secure=secure)
    application = web.Application(middlewares=[gate.answer_errors, gate.admit], client_max_size=_MAXIMUM_BODY_BYTES)
    application.on_response_prepare.append(gate.add_headers)
    application.add_routes(
        [
            web.get("/", pages.index),
            web.get("/static/{name}", pages.static),
            web.post("/api/logout", pages.logout),
        ]
    )
    if sessions is not None and client is not None:
        way = SignIn(settings, client, sessions, believed, clock, start=pages.start)
        application.add_routes([web.get(SIGN_IN, way.begin), web.get(SIGNED_IN, way.finish)])
    if settings.open_flows:
        application.add_routes(open_routes(parts.flows.export))
    application.add_routes(Bridge(parts, clock).routes())
    if sessions is not None:
        api = Api(parts.desk, board, pictures, parts.records, sessions, authorities=settings.authorities, clock=clock)
        clips = ClipApi(parts.desk, pictures, parts.records, clock)
        duty = DutyApi(parts.alarms.duty, parts.alarms.quality)
        application.add_routes([*_api_routes(api), *duty.routes(), *clips.routes()])
    return application


def _client(settings: AlertingSettings) -> Client | None:
    if settings.console_oidc_client_id is None or settings.console_url is None:
        return None
    secret = settings.console_oidc_client_secret
    return Client(settings.console_oidc_client_id, secret.get_secret_value() if secret else "", settings.console_url)


def _api_routes(api: Api) -> list[web.RouteDef]:
    return [
        web.get("/api/session", api.session),
        web.get("/api/optics", api.optics),
        web.get("/api/alerts/stream", api.alerts),
        *(web.post(f"/api/alerts/{{alert}}/{act}", api.act) for act in ACTS),
        web.post("/api/viewings", api.create_viewing),
    ]
