"""What a camera says of itself over ONVIF. Nothing but its own address is dialled, wherever it points to."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from onvif import ONVIFOperationException
from onvif.operator import CacheMode
from onvif.services import Device, Media, Media2
from requests.adapters import HTTPAdapter

from registry.domain.network import DeviceAddress

_MEDIA = "http://www.onvif.org/ver10/media/wsdl"
_MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"
_LARGEST_ANSWER_BYTES = 2 * 2**20
_TIMEOUT_SECONDS = 10
_RTSP_PORTS = {"rtsp": 554, "rtsps": 322}


# It logs what it also raises; without a handler that would go to the terminal.
logging.getLogger("onvif").addHandler(logging.NullHandler())


class CameraError(Exception):
    """A camera cannot be read, or must not be; says why."""


@dataclass(frozen=True)
class Contact:
    """How to reach a camera.

    Attributes:
        host: its IP address.
        port: TCP port of its ONVIF services.
        tls: whether to speak HTTPS; its certificate is not verified.
        user: empty: without.
        password: of that user.
    """

    host: str
    port: int
    tls: bool = False
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Contact(host={self.host!r}, port={self.port})"


@dataclass(frozen=True)
class Stream:
    """One profile of a camera.

    Attributes:
        source: token of the video source, one per lens.
        width: pixels, 0: not said.
        height: pixels, 0: not said.
        encoding: for example ``H264``.
        secure: whether it is offered over TLS (rtsps).
        port: TCP port of RTSP.
        path: path and query, without user and password.
    """

    source: str
    width: int
    height: int
    encoding: str
    secure: bool
    port: int
    path: str


@dataclass(frozen=True)
class CameraReport:
    """What a camera says of itself.

    Attributes:
        manufacturer: as it says.
        model: as it says.
        firmware: as it says.
        serial_number: as it says.
        streams: all profiles with video.
        clock_offset: its clock minus ours, at least; zero within the second that it tells.
        https: whether it serves HTTPS; None: it does not say.
        open_to_all: whether it answers without user and password.
    """

    manufacturer: str
    model: str
    firmware: str
    serial_number: str
    streams: tuple[Stream, ...]
    clock_offset: timedelta
    https: bool | None
    open_to_all: bool


def read_camera(contact: Contact, clock: Callable[[], datetime]) -> CameraReport:
    """Asks a camera for device information, clock, services, profiles and stream URIs. Blocks; for a thread.

    Args:
        contact: how to reach it; one attempt is made without the password, to learn whether it asks for one.
        clock: the present time, aware.

    Raises:
        CameraError: it does not answer, refuses, or points to another address.
    """
    open_to_all = _answers(_service(Device, contact, authenticated=False))
    device, authenticated = _signed_in(contact, open_to_all=open_to_all)
    with _plain_words():
        offset = _clock_offset(device, clock)
        information = device.GetDeviceInformation()
        addresses = _service_addresses(device, contact)
        streams = tuple(_streams(contact, addresses, authenticated))
    return CameraReport(
        manufacturer=str(information.Manufacturer or ""),
        model=str(information.Model or ""),
        firmware=str(information.FirmwareVersion or ""),
        serial_number=str(information.SerialNumber or ""),
        streams=streams,
        clock_offset=offset,
        https=_serves_https(device),
        open_to_all=open_to_all,
    )


class _OneHost(HTTPAdapter):
    """Lets requests out to one host only, redirected ones too, and answers in up to a size that a camera may need."""

    def __init__(self, contact: Contact) -> None:
        super().__init__()
        self._contact = contact

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """See ``HTTPAdapter``.

        Raises:
            CameraError: the request goes elsewhere or out of HTTPS, or the answer is too large.
        """
        _check_host(str(request.url), self._contact.host)
        if self._contact.tls and urlsplit(str(request.url)).scheme != "https":
            raise CameraError("it leads out of HTTPS")
        response = super().send(request, *arguments, **options | {"stream": True})
        content = response.raw.read(_LARGEST_ANSWER_BYTES + 1, decode_content=True)
        response.close()
        if len(content) > _LARGEST_ANSWER_BYTES:
            raise CameraError(f"it answers with more than {_LARGEST_ANSWER_BYTES // 2**20} MiB")
        # What requests itself sets once a body has been read.
        response._content = content  # noqa: SLF001
        response._content_consumed = True  # noqa: SLF001
        return response


def _service(
    kind: type[Any], contact: Contact, *, authenticated: bool, digest: bool = False, xaddr: str | None = None
) -> Any:
    service = kind(
        host=f"[{contact.host}]" if ":" in contact.host else contact.host,
        port=contact.port,
        username=contact.user if authenticated else None,
        password=contact.password if authenticated else None,
        http_digest=digest,
        timeout=_TIMEOUT_SECONDS,
        cache=CacheMode.MEM,
        use_https=contact.tls,
        # The library's rewriting of answers would hide where a camera points to.
        apply_patch=False,
        **({"xaddr": xaddr} if xaddr else {}),
    )
    session: requests.Session = service.operator.client.transport.session
    session.trust_env = False
    session.max_redirects = 0
    for scheme in ("http://", "https://"):
        session.mount(scheme, _OneHost(contact))
    return service


def _clock_offset(device: Any, clock: Callable[[], datetime]) -> timedelta:
    """Its clock minus ours, at least: it tells whole seconds, and its answer takes time."""
    before = clock()
    told = device.GetSystemDateAndTime().UTCDateTime
    after = clock()
    if told is None:
        raise CameraError("it does not tell the time in UTC")
    day, time = told.Date, told.Time
    # A leap second has number 60.
    theirs = datetime(day.Year, day.Month, day.Day, time.Hour, time.Minute, min(time.Second, 59), tzinfo=UTC)
    earliest, latest = theirs - after, theirs + timedelta(seconds=1) - before
    return max(earliest, timedelta(0)) or min(latest, timedelta(0))


def _answers(device: Any) -> bool:
    """Whether it tells an unknown caller what only a known one should hear."""
    try:
        device.GetDeviceInformation()
    except ONVIFOperationException as error:
        if isinstance(error.original_exception, CameraError | requests.RequestException):
            raise CameraError(_words(error)) from None
        return False
    return True


def _signed_in(contact: Contact, *, open_to_all: bool) -> tuple[Any, dict[str, bool]]:
    """The device service, and how to sign in: by WS-Security as ONVIF asks, by HTTP digest where only that is taken."""
    if not contact.user:
        if not open_to_all:
            raise CameraError("it asks for a user and password: give --user")
        return _service(Device, contact, authenticated=False), {"authenticated": False}
    problem = ""
    for digest in (False, True):
        device = _service(Device, contact, authenticated=True, digest=digest)
        try:
            device.GetDeviceInformation()
        except ONVIFOperationException as error:
            problem = problem or _words(error)
            continue
        return device, {"authenticated": True, "digest": digest}
    raise CameraError(f"it refuses this user and password ({problem})")


def _service_addresses(device: Any, contact: Contact) -> dict[str, str]:
    """Where its services are, by namespace."""
    try:
        services = {str(each.Namespace): str(each.XAddr) for each in device.GetServices(IncludeCapability=False) or []}
    except ONVIFOperationException:
        # From before GetServices came (ONVIF 2.1).
        media = device.GetCapabilities(Category="Media").Media
        services = {_MEDIA: str(media.XAddr)} if media is not None else {}
    found = {namespace: services[namespace] for namespace in (_MEDIA, _MEDIA2) if namespace in services}
    for address in found.values():
        _check_host(address, contact.host)
    return {namespace: _by_tls(address, contact) if contact.tls else address for namespace, address in found.items()}


def _by_tls(address: str, contact: Contact) -> str:
    """The same path where the camera was reached: many tell their HTTP addresses over HTTPS, too."""
    host = f"[{contact.host}]" if ":" in contact.host else contact.host
    return urlsplit(address)._replace(scheme="https", netloc=f"{host}:{contact.port}").geturl()


def _streams(contact: Contact, addresses: dict[str, str], sign_in: dict[str, bool]) -> Iterator[Stream]:
    if _MEDIA2 in addresses:
        media = _service(Media2, contact, xaddr=addresses[_MEDIA2], **sign_in)
        for profile in media.GetProfiles(Type=["VideoSource", "VideoEncoder"]) or []:
            parts = profile.Configurations
            if parts is not None and parts.VideoSource is not None:
                uri = media.GetStreamUri(Protocol="RTSP", ProfileToken=profile.token)
                yield _stream(contact, parts.VideoSource.SourceToken, parts.VideoEncoder, str(uri))
    elif _MEDIA in addresses:
        media = _service(Media, contact, xaddr=addresses[_MEDIA], **sign_in)
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        for profile in media.GetProfiles() or []:
            if profile.VideoSourceConfiguration is not None:
                answer = media.GetStreamUri(StreamSetup=setup, ProfileToken=profile.token)
                source, encoder = profile.VideoSourceConfiguration.SourceToken, profile.VideoEncoderConfiguration
                yield _stream(contact, source, encoder, str(answer.Uri))
    else:
        raise CameraError("it offers no media service")


def _stream(contact: Contact, source: Any, encoder: Any, uri: str) -> Stream:
    _check_host(uri, contact.host)
    parts = urlsplit(uri)
    if parts.scheme not in _RTSP_PORTS:
        raise CameraError(f"it offers a stream by {parts.scheme[:20] or 'no protocol'}, not by RTSP")
    resolution = getattr(encoder, "Resolution", None)
    return Stream(
        source=str(source),
        width=int(getattr(resolution, "Width", 0) or 0),
        height=int(getattr(resolution, "Height", 0) or 0),
        encoding=str(getattr(encoder, "Encoding", "") or ""),
        secure=parts.scheme == "rtsps",
        port=parts.port or _RTSP_PORTS[parts.scheme],
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )


def _serves_https(device: Any) -> bool | None:
    try:
        protocols = device.GetNetworkProtocols() or []
    except ONVIFOperationException:
        return None
    return any(str(each.Name) == "HTTPS" and bool(each.Enabled) for each in protocols)


def _check_host(uri: str, host: str) -> None:
    """Raises CameraError if a URI leads to another host than the camera; it is shown without user and password."""
    try:
        parts = urlsplit(uri)
        same = DeviceAddress.parse(parts.hostname or "").host == DeviceAddress.parse(host).host
        _ = parts.port
    except ValueError:
        raise CameraError("it points to something that is no address") from None
    if not same:
        raise CameraError(f"it points to another address, {parts.hostname}: correct that in the camera's own settings")


@contextlib.contextmanager
def _plain_words() -> Iterator[None]:
    try:
        yield
    except ONVIFOperationException as error:
        raise CameraError(_words(error)) from None
    except (AttributeError, TypeError, ValueError) as error:
        raise CameraError(f"its answer is not what ONVIF prescribes ({type(error).__name__})") from None


def _words(error: ONVIFOperationException) -> str:
    cause = error.original_exception
    if isinstance(cause, CameraError):
        return str(cause)
    if isinstance(cause, requests.TooManyRedirects):
        return "it redirects to another place"
    if isinstance(cause, requests.ConnectionError | requests.Timeout):
        return "it does not answer ONVIF there"
    return f"{error.operation}: {str(getattr(cause, 'message', None) or cause)[:200]}"
