"""From what a camera says to the records to be made of it, and what a person should know before."""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from argo.registry.v1 import site_pb2
from registry.domain import fields
from registry.domain.network import DeviceAddress
from registry.onboarding.camera import CameraError, CameraReport, Contact, Stream

DEFAULT_PASSWORDS = frozenset(
    (user, password)
    for user, passwords in {
        "admin": ("", "admin", "1111", "1234", "12345", "123456", "4321", "9999", "888888", "password", "meinsm"),
        "administrator": ("", "administrator"),
        "root": ("", "root", "pass", "admin", "system"),
        "service": ("service",),
        "supervisor": ("supervisor",),
        "user": ("user",),
        "888888": ("888888",),
        "666666": ("666666",),
    }.items()
    for password in passwords
)
"""Users and passwords with which makers have shipped cameras. They are compared, never tried."""

OLD_FIRMWARE = timedelta(days=2 * 365)
LARGEST_CLOCK_OFFSET = timedelta(seconds=1)
_ANALYSIS_WIDTH = 768
_MAXIMUM_OPTICS = 8
# As in "V5.6.3 build 190923", a common way to say the day.
_BUILD_DAY = re.compile(r"build[ _:-]?(\d{2})(\d{2})(\d{2})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """What a person says of a new camera, since it cannot say so itself.

    Attributes:
        device_id: of the record.
        site: ``sites/{site}``, or empty.
        credentials: the name of the secret that holds its user and password.
        view: what it is there to see.
        mobility: whether it stays.
        display_name: what people call it.
    """

    device_id: str
    site: str
    credentials: str
    view: site_pb2.Device.View.ValueType
    mobility: site_pb2.Device.Mobility.ValueType
    display_name: str = ""


def propose(report: CameraReport, contact: Contact, wanted: Wanted) -> tuple[site_pb2.Device, list[site_pb2.Optic]]:
    """The records of a camera: one optic for each lens, its largest stream as main and its smallest as sub stream.

    Raises:
        CameraError: it has no stream, more lenses than a device may have, or RTSP at several ports.
    """
    ports = {stream.port for stream in report.streams}
    if len(ports) != 1:
        raise CameraError("it has no stream" if not ports else f"it serves RTSP at several ports: {sorted(ports)}")
    host = ipaddress.ip_address(contact.host)
    secure = all(stream.secure for stream in report.streams)
    device = site_pb2.Device(
        name=f"devices/{wanted.device_id}",
        display_name=wanted.display_name,
        site=wanted.site,
        model=_text(f"{report.manufacturer} {report.model}"),
        serial_number=_text(report.serial_number),
        firmware_version=_text(report.firmware),
        address=str(DeviceAddress(host, ports.pop())),
        credentials=wanted.credentials,
        view=wanted.view,
        mobility=wanted.mobility,
        transport=site_pb2.Device.TRANSPORT_TLS if secure else site_pb2.Device.TRANSPORT_TCP,
    )
    lenses: dict[str, list[Stream]] = defaultdict(list)
    for stream in report.streams:
        lenses[stream.source].append(stream)
    if len(lenses) > _MAXIMUM_OPTICS:
        raise CameraError(f"it has {len(lenses)} lenses; a device has at most {_MAXIMUM_OPTICS} optics")
    return device, [_optic(device.name, number, streams) for number, streams in enumerate(lenses.values(), 1)]


def _optic(device: str, number: int, streams: Sequence[Stream]) -> site_pb2.Optic:
    by_size = sorted(streams, key=lambda stream: stream.width * stream.height)
    main, sub = by_size[-1], by_size[0]
    analysed = sub if sub.path != main.path else main
    optic = site_pb2.Optic(
        name=f"{device}/optics/optic-{number}",
        ingest=site_pb2.Optic.INGEST_RTSP,
        main_stream_path=main.path,
        sub_stream_path=sub.path if analysed is sub and sub is not main else "",
    )
    if analysed.width:
        # Enlarging a picture shows nothing new.
        optic.policy.analysis_width = min(analysed.width, _ANALYSIS_WIDTH)
    return optic


def warnings(
    report: CameraReport, contact: Contact, oldest: Mapping[tuple[str, str], str], now: datetime
) -> Iterator[str]:
    """What a person should put right, most urgent first.

    Args:
        report: what the camera says.
        contact: how it was reached; its password is compared with those that makers ship.
        oldest: by manufacturer and model in lower case: the oldest firmware that is still good.
        now: aware.
    """
    if report.open_to_all:
        yield "it answers without a password: set one"
    if (contact.user.lower(), contact.password) in DEFAULT_PASSWORDS:
        yield "its password is one that makers ship: change it"
    if not contact.tls and report.https is not True:
        known = "it serves no HTTPS" if report.https is False else "it does not say whether it serves HTTPS"
        yield f"{known}: passwords and settings travel in clear; enable TLS on it"
    elif not contact.tls:
        yield "it serves HTTPS, but was asked without: use --tls, and switch HTTP off on it"
    if not all(stream.secure for stream in report.streams):
        yield "its pictures travel in clear (rtsp, not rtsps)"
    if abs(report.clock_offset) > LARGEST_CLOCK_OFFSET:
        yield f"its clock is off by {report.clock_offset.total_seconds():+.0f} s at least: give it the time server"
    yield from _firmware_warnings(report, oldest, now)
    if any(fields.stream_path_problem(stream.path) for stream in report.streams):
        yield "a stream path cannot be stored as it is: it holds credentials, or characters that no path has"


def _firmware_warnings(report: CameraReport, oldest: Mapping[tuple[str, str], str], now: datetime) -> Iterator[str]:
    known = oldest.get((report.manufacturer.strip().lower(), report.model.strip().lower()))
    built = _built_on(report.firmware)
    if known is not None and _parts(report.firmware) < _parts(known):
        yield f"its firmware {_text(report.firmware)} is older than {known}: update it"
    elif known is None and built is not None and now.date() - built > OLD_FIRMWARE:
        yield f"its firmware is of {built}, more than two years old: update it"
    elif known is None and built is None:
        yield "whether its firmware is old is unknown: the table has no entry for it, and it names no day"


def _built_on(firmware: str) -> date | None:
    match = _BUILD_DAY.search(firmware)
    if match is None:
        return None
    try:
        return date(2000 + int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part[:9]) for part in re.findall(r"\d+", version.lower().split("build")[0]))


def _text(text: str) -> str:
    """What a camera says, in a form that a record takes."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())[
        : fields.MAXIMUM_TEXT
    ]
