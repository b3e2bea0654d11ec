"""Alerting's view of its peers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
from google.type import interval_pb2

from alerting.contracts import display_name
from alerting.domain.board import Place, Refusal, Session, SessionState
from alerting.domain.coverage import Span
from alerting.domain.flows.places import Site
from alerting.domain.holds import HeldInterval
from alerting.domain.search.atlas import CONTEXT_REACH, OBSERVATION_REACH, Atlas, Point, View
from argo.anonymizer.v1 import (
    live_view_service_pb2,
    live_view_service_pb2_grpc,
    recording_service_pb2,
    recording_service_pb2_grpc,
)
from argo.camera_gateway.v1 import gateway_service_pb2, gateway_service_pb2_grpc
from argo.registry.v1 import (
    admission_pb2,
    hold_service_pb2,
    hold_service_pb2_grpc,
    registry_service_pb2,
    registry_service_pb2_grpc,
    scene_pb2,
    site_pb2,
)
from mesh.errors import Unavailable
from mesh.identity import Grant
from mesh.rpc.status import from_rpc_error

_PAGE = 1000
_CIVIL = (site_pb2.LegalBasis.REGIME_UNSPECIFIED, site_pb2.LegalBasis.REGIME_GDPR)


class RegistryClient:
    """Reads the names of things. Raises ``ArgoError`` as the registry, or the road to it, answers."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = registry_service_pb2_grpc.RegistryServiceStub(channel)

    async def list_places(self) -> list[Place]:
        """Every optic with its own name and that of its site, in the order of optics."""
        with _translated():
            sites = {site.name: site.display_name async for site in self._pages("Sites")}
            devices = {device.name: device async for device in self._pages("Devices")}
            places = []
            async for optic in self._pages("Optics", parent="devices/-"):
                device_name = optic.name.split("/optics/")[0]
                device = devices.get(device_name)
                site = device.site if device is not None else ""
                device_label = (device.display_name if device is not None else "") or device_name.split("/")[1]
                places.append(
                    Place(
                        optic=optic.name,
                        label=_label(device_label, optic.display_name or optic.name.rsplit("/", 1)[1]),
                        site_label=sites.get(site, "") or site.rsplit("/", 1)[-1],
                        refusals=_refusals(optic),
                    )
                )
            return places

    async def list_points(self) -> dict[str, tuple[float, float]]:
        """Where each site lies: latitude and longitude, degrees, WGS 84; sites without a point are left out."""
        with _translated():
            return {
                site.name: (site.location.latitude, site.location.longitude)
                async for site in self._pages("Sites")
                if site.HasField("location")
            }

    async def list_counting_places(self) -> list[Site]:
        """Every line and zone with its names, where it is, and whose camera counts there under which law."""
        with _translated():
            sites = {site.name: site async for site in self._pages("Sites")}
            devices = {device.name: device async for device in self._pages("Devices")}
            return [
                _counting_place(item, devices.get(item.name.split("/optics/")[0]), sites)
                for collection in ("Lines", "Zones")
                async for item in self._pages(collection, parent="devices/-/optics/-")
            ]

    async def read_atlas(self) -> Atlas:
        """Where sites are, and where optics stand and look."""
        with _translated():
            sites = {
                site.name: Point(site.location.latitude, site.location.longitude)
                async for site in self._pages("Sites")
                if site.HasField("location")
            }
            devices = {device.name: device async for device in self._pages("Devices")}
            views = {
                optic.name: _view(optic, device)
                async for optic in self._pages("Optics", parent="devices/-")
                if (device := devices.get(optic.name.split("/optics/")[0])) is not None
            }
        return Atlas(sites, views)

    async def _pages(self, collection: str, **fields: str) -> AsyncIterator[Any]:
        method = getattr(self._stub, f"List{collection}")
        request_type = getattr(registry_service_pb2, f"List{collection}Request")
        token = ""
        while True:
            page = await method(request_type(page_size=_PAGE, page_token=token, **fields))
            for item in getattr(page, collection.lower()):
                yield item
            token = page.next_page_token
            if not token:
                return


@dataclass(frozen=True)
class SessionChange:
    """What a gateway said: sessions that changed, and optics that it no longer works on."""

    sessions: tuple[Session, ...]
    ended: tuple[str, ...]


class GatewayClient:
    """Follows the sessions of a gateway. Raises ``ArgoError`` as the gateway, or the road to it, answers."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)

    async def watch(self) -> AsyncIterator[SessionChange]:
        """The sessions, then their changes."""
        with _translated():
            async for response in self._stub.WatchSessions(gateway_service_pb2.WatchSessionsRequest()):
                yield SessionChange(tuple(_session(session) for session in response.sessions), tuple(response.ended))


@dataclass(frozen=True)
class Viewing:
    """A permission to watch one optic.

    Attributes:
        whep_url: the endpoint to ask.
        token: the bearer token for it; a secret.
        expire_time: until when it can be used to begin, in UTC.
    """

    whep_url: str
    token: str
    expire_time: datetime


class LiveViewClient:
    """Asks for permissions to watch. Raises ``ArgoError`` as the anonymizer, or the road to it, answers."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = live_view_service_pb2_grpc.LiveViewServiceStub(channel)

    async def create_viewing(self, optic: str, viewer: str, purpose: str, audit_entry: str) -> Viewing:
        """A permission for one person; the act is on record under ``audit_entry``. The page shows who watches."""
        by_page = live_view_service_pb2.CreateViewingRequest.WATERMARK_BY_PAGE
        request = live_view_service_pb2.CreateViewingRequest(
            optic=optic, viewer=viewer, purpose=purpose, audit_entry=audit_entry, watermark=by_page
        )
        with _translated():
            viewing = await self._stub.CreateViewing(request)
        return Viewing(viewing.whep_url, viewing.token, viewing.expire_time.ToDatetime(tzinfo=UTC))


@dataclass(frozen=True)
class ClipReader:
    """For whom a clip is read.

    Attributes:
        person: identity path.
        grant: with which rights alerting admitted them.
        purpose: what for.
        reason: why now.
    """

    person: str
    grant: Grant
    purpose: str
    reason: str


class RecordingClient:
    """Reads masked recordings for people. Raises ``ArgoError`` as the anonymizer, or the road to it, answers."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = recording_service_pb2_grpc.RecordingServiceStub(channel)

    async def alarm_clip(self, alert: str, optic: str, span: Span, reader: ClipReader) -> AsyncGenerator[bytes, None]:
        """The pieces of an MP4 file with the seconds around an alarm."""
        request = recording_service_pb2.ReadAlarmClipRequest(alert=alert, optic=optic, access=_access(reader))
        _fill(request.interval, span)
        with _translated():
            async for piece in self._stub.ReadAlarmClip(request):
                yield piece.content

    async def clip(self, optic: str, span: Span, reader: ClipReader) -> AsyncGenerator[bytes, None]:
        """The pieces of an MP4 file."""
        request = recording_service_pb2.ReadClipRequest(optic=optic, access=_access(reader))
        _fill(request.interval, span)
        with _translated():
            async for piece in self._stub.ReadClip(request):
                yield piece.content

    async def recorded(self, optics: Sequence[str], span: Span) -> Mapping[str, Sequence[Span]] | None:
        """When optics were recorded; none: it cannot be told, or nothing records here."""
        request = recording_service_pb2.ListRecordedTimesRequest(optics=optics)
        _fill(request.interval, span)
        try:
            answer = await self._stub.ListRecordedTimes(request)
        except grpc.aio.AioRpcError:
            # Whatever the reason: the rest of the ledger is told without it.
            return None
        return {each.optic: [_span(interval) for interval in each.intervals] for each in answer.recorded_times}


@dataclass(frozen=True)
class Pictures:
    """What the anonymizer shows: now, and of before."""

    live: LiveViewClient
    recordings: RecordingClient

    @classmethod
    def over(cls, channel: grpc.aio.Channel) -> Pictures:
        """Asked over one channel."""
        return cls(LiveViewClient(channel), RecordingClient(channel))


class HoldsClient:
    """Asks the registry what must not be erased."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = hold_service_pb2_grpc.HoldServiceStub(channel)

    async def read(self) -> list[HeldInterval]:
        """All that is held now.

        Raises:
            Unavailable: the registry does not say all of it, for whatever reason (``HOLDS_UNKNOWN``).
        """
        intervals: list[HeldInterval] = []
        token = ""
        while True:
            request = hold_service_pb2.ListHeldIntervalsRequest(page_size=_PAGE, page_token=token)
            try:
                page = await self._stub.ListHeldIntervals(request)
            except grpc.aio.AioRpcError as error:
                # Also when it refuses: whatever the reason, nothing may be erased as if nothing were held.
                raise Unavailable(
                    f"the registry does not say what is held ({error.code().name})", reason="HOLDS_UNKNOWN"
                ) from error
            try:
                intervals += [_held(interval) for interval in page.held_intervals]
            except (ValueError, OverflowError) as error:
                # Half a hold holds nothing: whoever made it meant something that would be erased.
                raise Unavailable("the registry's answer cannot be read", reason="HOLDS_UNKNOWN") from error
            token = page.next_page_token
            if not token:
                return intervals


def _access(reader: ClipReader) -> recording_service_pb2.Access:
    return recording_service_pb2.Access(
        purpose=reader.purpose,
        reason=reader.reason,
        viewer=reader.person,
        rights=sorted(reader.grant.rights),
        rights_taken=sorted(reader.grant.taken),
    )


def _fill(interval: interval_pb2.Interval, span: Span) -> None:
    interval.start_time.FromDatetime(span[0])
    interval.end_time.FromDatetime(span[1])


def _span(interval: interval_pb2.Interval) -> Span:
    return interval.start_time.ToDatetime(tzinfo=UTC), interval.end_time.ToDatetime(tzinfo=UTC)


def _counting_place(
    item: scene_pb2.Line | scene_pb2.Zone, device: site_pb2.Device | None, sites: Mapping[str, site_pb2.Site]
) -> Site:
    site = sites.get(device.site) if device is not None else None
    basis = device.legal_basis if device is not None else None
    point = site.location if site is not None and site.HasField("location") else None
    return Site(
        place=item.name,
        optic=item.name.rsplit("/", 2)[0],
        site=site.name if site is not None else "",
        display_name=display_name(item.display_name),
        site_display_name=display_name(site.display_name) if site is not None else "",
        latitude=point.latitude if point is not None else None,
        longitude=point.longitude if point is not None else None,
        controller=basis.controller if basis is not None else "",
        # What this version does not know is not taken for the GDPR.
        law_enforcement=basis is None or basis.regime not in _CIVIL,
    )


def _view(optic: site_pb2.Optic, device: site_pb2.Device) -> View:
    # A direction without a field of view was not noted: north is 0 as well.
    known = optic.field_of_view_degrees > 0
    observes = device.view == site_pb2.Device.VIEW_OBSERVATION
    return View(
        site=device.site,
        heading=optic.heading_degrees % 360.0 if known else None,
        field_of_view=optic.field_of_view_degrees,
        reach=OBSERVATION_REACH if observes else CONTEXT_REACH,
    )


def _held(message: hold_service_pb2.HeldInterval) -> HeldInterval:
    interval = message.interval
    has_times = interval.HasField("start_time") and interval.HasField("end_time") and message.HasField("expire_time")
    if not (message.optic and has_times):
        raise ValueError("a held interval lacks its optic or one of its times")
    times = (interval.start_time, interval.end_time, message.expire_time)
    return HeldInterval(message.optic, *(time.ToDatetime(tzinfo=UTC) for time in times))


def _label(device: str, optic: str) -> str:
    """What people call an optic; one that is its device's only one often has the same name."""
    return device if device == optic else f"{device}, {optic}"


def _refusals(optic: site_pb2.Optic) -> tuple[Refusal, ...]:
    names = admission_pb2.Refusal.Reason
    return tuple(
        Refusal(
            reason=names.Name(refusal.reason).removeprefix("REASON_") if refusal.reason in names.values() else "OTHER",
            description=display_name(refusal.description),
        )
        for refusal in optic.refusals
    )


def _session(message: gateway_service_pb2.Session) -> Session:
    known = message.state in gateway_service_pb2.Session.State.values()
    name = gateway_service_pb2.Session.State.Name(message.state) if known else "STATE_UNSPECIFIED"
    return Session(
        optic=message.optic,
        state=_STATES.get(name.removeprefix("STATE_"), SessionState.UNKNOWN),
        reason=message.reason,
        detail=message.detail,
        since=message.state_time.ToDatetime(tzinfo=UTC),
        tracks=message.counters.current_tracks,
        unmasked_frames_out=message.counters.unmasked_frames_out,
    )


_STATES = {state.name: state for state in SessionState}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
