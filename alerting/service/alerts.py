from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from alerting import contracts
from alerting.desk import AlertDesk
from alerting.domain.alerts import Act, Assessment, State, Step
from alerting.domain.audience import Audience
from alerting.domain.shelving import Shelving
from alerting.domain.tokens import invalid
from alerting.metrics import Metrics
from alerting.shelves import Shelves
from alerting.store.alerts import Request
from argo.alerting.v1 import alert_service_pb2 as v1
from argo.alerting.v1 import alert_service_pb2_grpc as v1_grpc
from mesh.identity import current_identity


class AlertServicer(v1_grpc.AlertServiceServicer):
    """``argo.alerting.v1.AlertService``."""

    def __init__(self, desk: AlertDesk, shelves: Shelves, metrics: Metrics) -> None:
        self._desk = desk
        self._shelves = shelves
        self._metrics = metrics

    async def GetAlert(self, request: v1.GetAlertRequest, _context: Any) -> v1.Alert:  # noqa: N802 - the contract's name
        """See the contract."""
        name, reason = contracts.alert_id(request.name), _reason(request.reason)
        return contracts.alert_message(await self._desk.get_alert(_audience(), name, reason))

    async def ListAlerts(self, request: v1.ListAlertsRequest, _context: Any) -> v1.ListAlertsResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        page = await self._desk.list_alerts(
            _audience(),
            _states(request),
            contracts.optic_name(request.optic) if request.optic else None,
            (request.page_size, request.page_token),
            _reason(request.reason),
        )
        return v1.ListAlertsResponse(
            alerts=[contracts.alert_message(alert) for alert in page.alerts], next_page_token=page.next_page_token
        )

    async def WatchAlerts(self, request: v1.WatchAlertsRequest, _context: Any) -> AsyncIterator[v1.WatchAlertsResponse]:  # noqa: N802 - the contract's name
        """See the contract."""
        reason = _reason(request.reason)
        with self._metrics.watches.track_inprogress():
            async for change in self._desk.watch(_audience(), request.resume_token, reason):
                response = v1.WatchAlertsResponse(resume_token=change.position.token)
                if change.alert is None:
                    response.bookmark.SetInParent()
                else:
                    response.updated.CopyFrom(contracts.alert_message(change.alert))
                yield response

    async def AcknowledgeAlert(self, request: v1.AcknowledgeAlertRequest, _context: Any) -> v1.Alert:  # noqa: N802 - the contract's name
        """See the contract."""
        return await self._act(request, _step(Act.ACKNOWLEDGE, request, contracts.text_of(request.reason, "reason")))

    async def VerifyAlert(self, request: v1.VerifyAlertRequest, _context: Any) -> v1.Alert:  # noqa: N802 - the contract's name
        """See the contract."""
        if request.assessment not in v1.Alert.Assessment.values() or not request.assessment:
            raise invalid("assessment", "is required: true, false or cannot tell")
        reason = contracts.text_of(request.reason, "reason")
        return await self._act(request, _step(Act.VERIFY, request, reason, assessment=Assessment(request.assessment)))

    async def DispatchAlert(self, request: v1.DispatchAlertRequest, _context: Any) -> v1.Alert:  # noqa: N802 - the contract's name
        """See the contract."""
        recipient = contracts.recipient_name(request.recipient)
        return await self._act(request, _step(Act.DISPATCH, request, _reason(request.reason), recipient=recipient))

    async def CloseAlert(self, request: v1.CloseAlertRequest, _context: Any) -> v1.Alert:  # noqa: N802 - the contract's name
        """See the contract."""
        return await self._act(request, _step(Act.CLOSE, request, _reason(request.reason)))

    async def ShelveAlert(self, request: v1.ShelveAlertRequest, _context: Any) -> v1.Alert:  # noqa: N802 - the contract's name
        """See the contract."""
        duration = contracts.duration_of(request, "duration")
        return await self._act(request, _step(Act.SHELVE, request, _reason(request.reason), duration=duration))

    async def UnshelveAlert(self, request: v1.UnshelveAlertRequest, _context: Any) -> v1.Alert:  # noqa: N802 - the contract's name
        """See the contract."""
        return await self._act(request, _step(Act.UNSHELVE, request, _reason(request.reason)))

    async def HandOverAlert(self, request: v1.HandOverAlertRequest, _context: Any) -> v1.Alert:  # noqa: N802 - the contract's name
        """See the contract."""
        owner = contracts.person(request.owner, "owner")
        note = contracts.text_of(request.note, "note", required=True)
        return await self._act(request, _step(Act.HAND_OVER, request, note, owner=owner))

    async def CreateShelving(self, request: v1.CreateShelvingRequest, _context: Any) -> v1.Shelving:  # noqa: N802 - the contract's name
        """See the contract."""
        shelving = await self._shelves.create(
            contracts.scope_name(request.scope), contracts.duration_of(request, "duration"), current_identity().path,
            _reason(request.reason), contracts.request_id(request.request_id),
        )  # fmt: skip
        return _shelving_message(shelving)

    async def ListShelvings(self, _request: v1.ListShelvingsRequest, _context: Any) -> v1.ListShelvingsResponse:  # noqa: N802 - the contract's name
        """See the contract."""
        shelvings = await self._shelves.list_shelvings()
        return v1.ListShelvingsResponse(shelvings=[_shelving_message(shelving) for shelving in shelvings])

    async def EndShelving(self, request: v1.EndShelvingRequest, _context: Any) -> v1.Shelving:  # noqa: N802 - the contract's name
        """See the contract."""
        shelving_id = contracts.identifier(request.name, "shelvings")
        return _shelving_message(await self._shelves.end(shelving_id, current_identity().path, _reason(request.reason)))

    async def _act(self, request: Any, step: Step) -> v1.Alert:
        asked = Request(contracts.alert_id(request.name), step, contracts.request_id(request.request_id))
        return v1.Alert.FromString(await self._desk.act(asked, contracts.alert_bytes))


def _shelving_message(shelving: Shelving) -> v1.Shelving:
    return v1.Shelving(
        name=shelving.name,
        scope=shelving.scope,
        until=contracts.timestamp(shelving.until),
        actor=shelving.actor,
        reason=shelving.reason,
        create_time=contracts.timestamp(shelving.create_time),
    )


def _audience() -> Audience:
    return Audience(current_identity().path)


def _reason(text: str) -> str:
    return contracts.text_of(text, "reason", required=True)


def _states(request: v1.ListAlertsRequest) -> tuple[State, ...]:
    try:
        return tuple(sorted({State(number) for number in request.states}))
    except ValueError:
        raise invalid("states", "holds a value that is not a state") from None


def _step(act: Act, request: Any, reason: str, **details: Any) -> Step:
    return Step(act=act, actor=current_identity().path, reason=reason, etag=request.etag, **details)
