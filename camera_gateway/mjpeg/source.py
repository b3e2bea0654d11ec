"""A camera that is dialled over HTTP and sends JPEG pictures."""

from __future__ import annotations

import contextlib
import secrets
import urllib.parse
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from camera_gateway.domain.clock import ARRIVAL_UNCERTAINTY, CaptureTime, Stamp, TimeSource
from camera_gateway.domain.liveness import Reason
from camera_gateway.failures import BasicRefusedError, StatusError, as_failure
from camera_gateway.mjpeg.multipart import MultipartParser, boundary_of
from camera_gateway.pipeline import CodedPicture, DecodePipeline, now, until_first_ends
from camera_gateway.rtsp.address import CameraAddress, Dialling
from camera_gateway.rtsp.authentication import Authenticator
from camera_gateway.sources import Listener, SourceError

if TYPE_CHECKING:
    from camera_gateway.access import Access
    from camera_gateway.pipeline import Decoding

OK: Final = 200
UNAUTHORIZED: Final = 401
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS: Final = 3


class MjpegSource:
    """Dials one camera; `run` lasts until the response ends, and may be called again.

    Args:
        address: host name or IP address, with the port if it is not the usual one, as the registry has it.
        path: of the stream, with its query.
        encrypted: over HTTPS.
        access: secrets.
        dialling: finds the address inside the camera networks.
        decoding: of what comes.
    """

    def __init__(  # the composition root names each part
        self, address: str, path: str, *, encrypted: bool, access: Access, dialling: Dialling, decoding: Decoding
    ) -> None:
        self._address = address
        self._path = path
        self._scheme = "https" if encrypted else "http"
        self._access = access
        self._dialling = dialling
        self._decoding = decoding

    async def run(self, listener: Listener) -> None:
        """Connect and deliver pictures.

        Raises:
            SourceError: the session ended for a named reason.
        """
        try:
            address = CameraAddress.of_device(self._scheme, self._address, self._path)
        except ValueError:
            raise SourceError(Reason.UNREACHABLE, "the address in the registry cannot be read") from None
        try:
            await self._follow(address, listener)
        except Exception as error:
            raise as_failure(error) from error

    async def _follow(self, address: CameraAddress, listener: Listener) -> None:
        # One client for one camera: no pool, no cookies, no proxy of the environment, nothing unpacked.
        connector = aiohttp.TCPConnector(limit=2, force_close=True)
        jar, patience = aiohttp.DummyCookieJar(), aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=jar, timeout=patience, auto_decompress=False
        ) as client:
            for _ in range(MAX_REDIRECTS + 1):
                async with self._answer(client, address) as response:
                    if response.status not in REDIRECTS:
                        await self._receive(response, listener)
                        return
                    address = _redirected(address, response.headers.get("Location", ""))
        raise SourceError(Reason.PROTOCOL_ERROR, "redirected too often")

    @contextlib.asynccontextmanager
    async def _answer(
        self, client: aiohttp.ClientSession, address: CameraAddress
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        auth = Authenticator(self._access.credentials(), lambda: secrets.token_hex(8), encrypted=address.encrypted)
        dialled = await self._dialling.check(address.host)
        async with self._get(client, address, dialled, auth) as response:
            challenges = response.headers.getall("WWW-Authenticate", [])
            if response.status != UNAUTHORIZED or not auth.challenge(challenges):
                if auth.basic_refused:
                    raise BasicRefusedError
                yield response
                return
        async with self._get(client, address, dialled, auth) as response:
            yield response

    def _get(
        self, client: aiohttp.ClientSession, address: CameraAddress, dialled: str, auth: Authenticator
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        named = URL(address.url, encoded=True)
        headers = {"Host": named.authority, "User-Agent": "argo", "Accept-Encoding": "identity"}
        if (authorization := auth.authorization("GET", named.raw_path_qs)) is not None:
            headers["Authorization"] = authorization
        return client.get(
            # The address that was checked, so that nothing is resolved a second time.
            named.with_host(dialled),
            headers=headers,
            allow_redirects=False,
            ssl=self._access.trust().for_http() if address.encrypted else True,
            server_hostname=address.host if address.encrypted else None,
        )

    async def _receive(self, response: aiohttp.ClientResponse, listener: Listener) -> None:
        if response.status != OK:
            raise StatusError("GET", response.status)
        boundary = boundary_of(response.headers.get("Content-Type", ""))
        if boundary is None:
            raise SourceError(Reason.UNSUPPORTED_CODEC, "the answer is no multipart stream of pictures")
        listener.on_connected()
        pipeline = self._decoding.pipeline("mjpeg", b"", listener)
        await until_first_ends(_read(response, MultipartParser(boundary), pipeline), pipeline.run())


async def _read(response: aiohttp.ClientResponse, parser: MultipartParser, pipeline: DecodePipeline) -> None:
    async for data in response.content.iter_any():
        for picture in parser.feed(data):
            arrived, arrival = now()
            # Nothing tells when it was captured; its place in the stream is that of its arrival.
            time = CaptureTime(arrived, ARRIVAL_UNCERTAINTY, TimeSource.ARRIVAL)
            pipeline.put(CodedPicture(picture, Stamp(0, arrival, time), arrival, reference=False))


def _redirected(address: CameraAddress, location: str) -> CameraAddress:
    try:
        return address.redirected(urllib.parse.urljoin(address.url, location))
    except ValueError:
        raise SourceError(Reason.PROTOCOL_ERROR, "redirected to something that is no HTTP URL") from None
