"""The register over HTTP: prepared answers from memory, to anybody."""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from types import MappingProxyType

from aiohttp import ETag, web

from registry.public.language import CODES, preferred
from registry.public.publishing import Metrics, Publisher, Representation

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }
)
_FRESH_SECONDS = 60
_SERVED_STALE_SECONDS = 86_400
_RETRY_SECONDS = 10
_MAXIMUM_BODY_BYTES = 1024
_STATIC = {"register.css": "text/css; charset=utf-8", "register.svg": "image/svg+xml"}
_DATA = {"register.json": "json", "register.geojson": "geojson"}
_NOT_YET = "Il registro non è ancora disponibile: riprova tra poco.\nThe register is not there yet: try again soon.\n"


class RegisterSite:
    """Handlers of the register."""

    def __init__(self, publisher: Publisher, metrics: Metrics) -> None:
        """Takes what has the publication, and what counts the answers."""
        self._publisher = publisher
        self._metrics = metrics
        folder = importlib.resources.files("registry.public") / "static"
        texts = {name: (folder / name).read_text(encoding="utf-8") for name in _STATIC}
        self._static = {
            name: Representation.of(_STATIC[name], text, hashlib.sha256(text.encode()).hexdigest()[:16])
            for name, text in texts.items()
        }

    def application(self) -> web.Application:
        """The web application."""
        application = web.Application(client_max_size=_MAXIMUM_BODY_BYTES)
        application.on_response_prepare.append(self._finish)
        application.add_routes(
            [
                web.get("/", self._negotiated),
                *(web.get(f"/{code}", self._page) for code in CODES),
                *(web.get(f"/{name}", self._data) for name in _DATA),
                *(web.get(f"/{name}", self._file) for name in _STATIC),
            ]
        )
        return application

    async def _negotiated(self, request: web.Request) -> web.Response:
        """The page in the language that the browser asks for."""
        response = self._published(request, preferred(request.headers.get("Accept-Language", "")))
        response.headers["Vary"] = "Accept-Encoding, Accept-Language"
        return response

    async def _page(self, request: web.Request) -> web.Response:
        return self._published(request, request.path.strip("/"))

    async def _data(self, request: web.Request) -> web.Response:
        response = self._published(request, _DATA[request.path.strip("/")])
        # Open data: the pages of others may read it too.
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    async def _file(self, request: web.Request) -> web.Response:
        return _answer(request, self._static[request.path.strip("/")])

    def _published(self, request: web.Request, form: str) -> web.Response:
        publication = self._publisher.publication
        if publication is None:
            return web.Response(status=503, text=_NOT_YET, headers={"Retry-After": str(_RETRY_SECONDS)})
        response = _answer(request, publication.forms[form], modified=publication.edition.generated)
        # Since it was last found to be right: a cache asks again sooner when that is long ago (RFC 9111, section 5.1).
        response.headers["Age"] = str(int(self._publisher.age.total_seconds()))
        return response

    async def _finish(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_HEADERS)
        response.headers.pop("Server", None)
        self._metrics.responses.labels(str(response.status)).inc()


def _answer(request: web.Request, form: Representation, modified: datetime | None = None) -> web.Response:
    """The whole of it, or 304 if the client has it (RFC 9110, section 13.2.2)."""
    if _is_known(request, form, modified):
        response = web.Response(status=304)
    elif _accepts_gzip(request):
        response = web.Response(body=form.compressed, headers={"Content-Encoding": "gzip"})
    else:
        response = web.Response(body=form.body)
    response.etag = ETag(form.tag, is_weak=True)
    response.last_modified = modified
    response.headers["Cache-Control"] = f"public, max-age={_FRESH_SECONDS}, stale-if-error={_SERVED_STALE_SECONDS}"
    response.headers["Vary"] = "Accept-Encoding"
    if response.status != HTTPStatus.NOT_MODIFIED:
        response.headers["Content-Type"] = form.media_type
        if form.language:
            response.headers["Content-Language"] = form.language
    return response


def _is_known(request: web.Request, form: Representation, modified: datetime | None) -> bool:
    if request.if_none_match is not None:
        return any(tag.value in {form.tag, "*"} for tag in request.if_none_match)
    since = request.if_modified_since
    # A Last-Modified has whole seconds.
    return since is not None and modified is not None and modified < since + timedelta(seconds=1)


def _accepts_gzip(request: web.Request) -> bool:
    codings = (item.replace(" ", "").partition(";") for item in request.headers.get("Accept-Encoding", "").split(","))
    return any(coding == "gzip" and parameter not in {"q=0", "q=0.0"} for coding, _, parameter in codings)
