from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from alerting.assembly import Parts
from argo.alerting.v1 import alert_service_pb2 as v1
from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceStub
from mesh.errors import ArgoError
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error
from tests.integration.alerting.support import batch, delivery, event

if TYPE_CHECKING:
    from argo.alerting.v1.alert_service_pb2_grpc import AlertServiceAsyncStub

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]
WHY = "control room watch"


async def raised(parts: Parts, **options: Any) -> str:
    """Lets an event raise an alert; the alert's name."""
    message = event(**options)
    await parts.consumers.take_events(batch(message), delivery())
    return f"alerts/a-{message.event_id}"


async def refusal(call: Awaitable[object]) -> ArgoError:
    """The error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def first_of(call: Any) -> object:
    return await anext(aiter(call))


async def test_an_operator_takes_an_alert_through_its_life(parts: Parts, operator: AlertServiceAsyncStub) -> None:
    name = await raised(parts)
    await operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=name))
    await operator.VerifyAlert(v1.VerifyAlertRequest(name=name, assessment=v1.Alert.ASSESSMENT_TRUE, reason="seen"))
    await operator.DispatchAlert(v1.DispatchAlertRequest(name=name, recipient="authorities/questura", reason="help"))
    await operator.CloseAlert(v1.CloseAlertRequest(name=name, reason="over"))

    alert = await operator.GetAlert(v1.GetAlertRequest(name=name, reason=WHY))
    assert [step.state for step in alert.transitions] == [
        v1.Alert.STATE_RAISED,
        v1.Alert.STATE_ACKNOWLEDGED,
        v1.Alert.STATE_VERIFIED,
        v1.Alert.STATE_DISPATCHED,
        v1.Alert.STATE_CLOSED,
    ]
    assert [step.actor for step in alert.transitions] == ["service/alerting"] + ["operator/rossi"] * 4
    assert alert.assessment == v1.Alert.ASSESSMENT_TRUE
    assert alert.recipients == ["authorities/questura"]
    assert alert.event.measurement.value == 4.25
    assert alert.expire_time.ToDatetime() == alert.capture_time.ToDatetime() + timedelta(days=7)


async def test_a_repeated_request_is_answered_alike_and_done_once(
    parts: Parts, operator: AlertServiceAsyncStub
) -> None:
    request = v1.AcknowledgeAlertRequest(name=await raised(parts), request_id=str(uuid.uuid4()))
    first = await operator.AcknowledgeAlert(request)

    assert await operator.AcknowledgeAlert(request) == first


async def test_a_request_id_serves_one_request_only(parts: Parts, operator: AlertServiceAsyncStub) -> None:
    request_id = str(uuid.uuid4())
    await operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=await raised(parts), request_id=request_id))
    other = v1.AcknowledgeAlertRequest(name=await raised(parts, rule="other"), request_id=request_id)

    error = await refusal(operator.AcknowledgeAlert(other))
    assert (error.code, error.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


async def test_a_stale_etag_is_aborted(parts: Parts, operator: AlertServiceAsyncStub) -> None:
    name = await raised(parts)
    etag = (await operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=name))).etag
    await operator.VerifyAlert(v1.VerifyAlertRequest(name=name, assessment=v1.Alert.ASSESSMENT_TRUE, etag=etag))

    error = await refusal(operator.CloseAlert(v1.CloseAlertRequest(name=name, reason="over", etag=etag)))
    assert (error.code, error.reason) == ("ABORTED", "ALERT_CHANGED")


async def test_acts_out_of_order_are_refused_with_the_state(parts: Parts, operator: AlertServiceAsyncStub) -> None:
    name = await raised(parts)

    for call in (
        operator.CloseAlert(v1.CloseAlertRequest(name=name, reason="over")),
        operator.VerifyAlert(v1.VerifyAlertRequest(name=name, assessment=v1.Alert.ASSESSMENT_TRUE)),
        operator.DispatchAlert(v1.DispatchAlertRequest(name=name, recipient="authorities/questura", reason="x")),
    ):
        error = await refusal(call)
        assert (error.code, error.reason) == ("FAILED_PRECONDITION", "ALERT_STATE")
        assert error.metadata["state"] == "RAISED"


async def test_a_false_alert_is_sent_to_nobody(parts: Parts, operator: AlertServiceAsyncStub) -> None:
    name = await raised(parts)
    await operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=name))
    await operator.VerifyAlert(v1.VerifyAlertRequest(name=name, assessment=v1.Alert.ASSESSMENT_FALSE))
    request = v1.DispatchAlertRequest(name=name, recipient="authorities/questura", reason="x")

    error = await refusal(operator.DispatchAlert(request))
    assert (error.code, error.reason) == ("FAILED_PRECONDITION", "ALERT_ASSESSED_FALSE")


@pytest.mark.parametrize(
    ("method", "request_message", "reason"),
    [
        ("GetAlert", v1.GetAlertRequest(name="alerts/a-1"), "INVALID_FIELD"),
        ("GetAlert", v1.GetAlertRequest(name="alert/1", reason=WHY), "INVALID_FIELD"),
        ("ListAlerts", v1.ListAlertsRequest(), "INVALID_FIELD"),
        ("ListAlerts", v1.ListAlertsRequest(reason=WHY, page_size=-1), "INVALID_FIELD"),
        ("ListAlerts", v1.ListAlertsRequest(reason=WHY, page_token="nonsense"), "INVALID_FIELD"),
        ("ListAlerts", v1.ListAlertsRequest(reason=WHY, optic="cameras/1"), "INVALID_FIELD"),
        ("ListAlerts", v1.ListAlertsRequest(reason="two\nlines"), "INVALID_FIELD"),
        ("ListAlerts", v1.ListAlertsRequest(reason=WHY, states=[v1.Alert.STATE_UNSPECIFIED]), "INVALID_FIELD"),
        ("AcknowledgeAlert", v1.AcknowledgeAlertRequest(name="alerts/a", request_id="1"), "INVALID_FIELD"),
        ("VerifyAlert", v1.VerifyAlertRequest(name="alerts/a"), "INVALID_FIELD"),
        ("CloseAlert", v1.CloseAlertRequest(name="alerts/a"), "INVALID_FIELD"),
        ("DispatchAlert", v1.DispatchAlertRequest(name="alerts/a", reason="x"), "INVALID_FIELD"),
        (
            "DispatchAlert",
            v1.DispatchAlertRequest(name="alerts/a", reason="x", recipient="authorities/press"),
            "UNKNOWN_RECIPIENT",
        ),
    ],
)
async def test_wrong_requests_are_refused(
    operator: AlertServiceAsyncStub, pool: Pool, method: str, request_message: object, reason: str
) -> None:
    error = await refusal(getattr(operator, method)(request_message))

    assert (error.code, error.reason) == ("INVALID_ARGUMENT", reason)
    assert await pool.fetchval("SELECT count(*) FROM audit_entries") == 0


async def test_what_does_not_exist_is_not_found(operator: AlertServiceAsyncStub) -> None:
    for call in (
        operator.GetAlert(v1.GetAlertRequest(name="alerts/a-none", reason=WHY)),
        operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name="alerts/a-none")),
    ):
        error = await refusal(call)
        assert (error.code, error.reason) == ("NOT_FOUND", "ALERT_NOT_FOUND")


async def test_pages_go_from_the_newest_to_the_oldest_and_miss_none(
    parts: Parts, operator: AlertServiceAsyncStub
) -> None:
    names = [await raised(parts, rule=f"rule-{index}") for index in range(5)]
    listed: list[str] = []
    token = ""
    while True:
        page = await operator.ListAlerts(v1.ListAlertsRequest(page_size=2, page_token=token, reason=WHY))
        listed += [alert.name for alert in page.alerts]
        token = page.next_page_token
        if not token:
            break

    assert listed == names[::-1]


async def test_a_page_token_belongs_to_its_filter(parts: Parts, operator: AlertServiceAsyncStub) -> None:
    for index in range(3):
        await raised(parts, rule=f"rule-{index}")
    page = await operator.ListAlerts(v1.ListAlertsRequest(page_size=1, reason=WHY))
    request = v1.ListAlertsRequest(page_token=page.next_page_token, reason=WHY, states=[v1.Alert.STATE_RAISED])

    assert (await refusal(operator.ListAlerts(request))).reason == "INVALID_FIELD"


async def test_a_watch_gives_what_is_open_then_every_change(parts: Parts, operator: AlertServiceAsyncStub) -> None:
    closed, open_ = await raised(parts, rule="closed"), await raised(parts, rule="open")
    await operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=closed))
    await operator.CloseAlert(v1.CloseAlertRequest(name=closed, reason="over"))

    watch = operator.WatchAlerts(v1.WatchAlertsRequest(reason=WHY))
    responses = aiter(watch)
    assert (await anext(responses)).updated.name == open_
    assert (await anext(responses)).HasField("bookmark")
    new = await raised(parts, rule="new")
    assert await next_update(responses) == (new, v1.Alert.STATE_RAISED)
    await operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=new))
    assert await next_update(responses) == (new, v1.Alert.STATE_ACKNOWLEDGED)
    watch.cancel()


async def next_update(responses: Any) -> tuple[str, int]:
    """The next change of a watch; bookmarks are passed over."""
    while not (response := await anext(responses)).HasField("updated"):
        pass
    return response.updated.name, response.updated.state


async def test_a_watch_goes_on_where_it_broke(parts: Parts, operator: AlertServiceAsyncStub) -> None:
    await raised(parts, rule="before")
    watch = operator.WatchAlerts(v1.WatchAlertsRequest(reason=WHY))
    response = await anext(aiter(watch))
    watch.cancel()
    missed = await raised(parts, rule="missed")

    again = operator.WatchAlerts(v1.WatchAlertsRequest(reason=WHY, resume_token=response.resume_token))
    assert (await anext(aiter(again))).updated.name == missed
    again.cancel()


async def test_a_token_from_before_an_erasure_is_out_of_range(parts: Parts, operator: AlertServiceAsyncStub) -> None:
    await raised(parts, rule="first")
    watch = operator.WatchAlerts(v1.WatchAlertsRequest(reason=WHY))
    token = (await anext(aiter(watch))).resume_token
    watch.cancel()
    await raised(parts, rule="old", captured=datetime.now(UTC) - timedelta(days=7, minutes=1))
    await parts.upkeep.once()

    error = await refusal(first_of(operator.WatchAlerts(v1.WatchAlertsRequest(reason=WHY, resume_token=token))))
    assert (error.code, error.reason) == ("OUT_OF_RANGE", "RESUME_TOKEN_EXPIRED")


async def test_as_many_watches_as_may_be_and_no_more(operator: AlertServiceAsyncStub) -> None:
    watches = [operator.WatchAlerts(v1.WatchAlertsRequest(reason=WHY)) for _ in range(3)]
    for watch in watches:
        await anext(aiter(watch))

    error = await refusal(first_of(operator.WatchAlerts(v1.WatchAlertsRequest(reason=WHY))))
    assert (error.code, error.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_WATCHES")
    for watch in watches:
        watch.cancel()


async def test_a_watch_ends_with_the_service(parts: Parts, operator: AlertServiceAsyncStub) -> None:
    responses = aiter(operator.WatchAlerts(v1.WatchAlertsRequest(reason=WHY)))
    await anext(responses)
    await parts.signal.close()

    error = await refusal(anext(responses))
    assert (error.code, error.reason) == ("UNAVAILABLE", "SHUTTING_DOWN")


async def test_an_authority_sees_only_what_was_dispatched_to_it(
    parts: Parts, operator: AlertServiceAsyncStub, connect: Connect
) -> None:
    police = AlertServiceStub(await connect("authority/questura"))
    firemen = AlertServiceStub(await connect("authority/vigili-del-fuoco"))
    kept, sent = await raised(parts, rule="kept"), await raised(parts, rule="sent")
    watch = police.WatchAlerts(v1.WatchAlertsRequest(reason="duty"))
    responses = aiter(watch)
    assert (await anext(responses)).HasField("bookmark")

    await operator.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=sent, reason="an inner note"))
    for recipient in ("authorities/questura", "authorities/carabinieri"):
        request = v1.DispatchAlertRequest(name=sent, recipient=recipient, reason="fight")
        await operator.DispatchAlert(request)

    assert await next_update(responses) == (sent, v1.Alert.STATE_DISPATCHED)
    watch.cancel()
    listed = await police.ListAlerts(v1.ListAlertsRequest(reason="duty"))
    assert [alert.name for alert in listed.alerts] == [sent]
    assert listed.alerts[0].recipients == ["authorities/questura"]
    assert "an inner note" not in str(listed)
    assert listed.alerts[0].transitions[0].actor == "operator/rossi"
    assert not (await firemen.ListAlerts(v1.ListAlertsRequest(reason="duty"))).alerts
    for stub, name in ((police, kept), (firemen, sent)):
        error = await refusal(stub.GetAlert(v1.GetAlertRequest(name=name, reason="duty")))
        assert (error.code, error.reason) == ("NOT_FOUND", "ALERT_NOT_FOUND")


@pytest.mark.parametrize("path", ["authority/questura", "service/detector", "system/portal", "administrator/bianchi"])
async def test_only_operators_move_alerts(parts: Parts, connect: Connect, path: str) -> None:
    stub = AlertServiceStub(await connect(path))
    name = await raised(parts)

    for call in (
        stub.AcknowledgeAlert(v1.AcknowledgeAlertRequest(name=name)),
        stub.DispatchAlert(v1.DispatchAlertRequest(name=name, recipient="authorities/questura", reason="x")),
    ):
        assert (await refusal(call)).code == "PERMISSION_DENIED"
