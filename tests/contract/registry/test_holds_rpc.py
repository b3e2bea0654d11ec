"""Legal holds over loopback mTLS against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from structlog.testing import capture_logs

from argo.registry.v1 import hold_service_pb2
from tests.contract.registry import cases
from tests.contract.registry.cases import HOLDS, OPTIC, SITE, WHY, People
from tests.contract.registry.support import Administrator, Registry, refusal_of, running_registry
from tests.unit.registry import lawful

Code = grpc.StatusCode
Hold = hold_service_pb2.Hold
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PROPOSER, FIRST, SECOND = "operator/mrossi", "supervisor/lbianchi", "administrator/gverdi"


@pytest.fixture
async def people(registry: Registry, administrator: Administrator) -> AsyncIterator[People]:
    await administrator.build()
    async with cases.people(registry, HOLDS) as everybody:
        yield everybody


async def propose(people: People, registry: Registry, hold_id: str = "alimonda", **more: Any) -> Any:
    now = registry.clock.now
    record = more.pop("hold", None) or cases.hold(now - HOUR, now, now + 30 * DAY)
    return await (await people(more.pop("by", PROPOSER))).CreateHold(hold_id=hold_id, hold=record, **more)


async def approve(people: People, name: str, *identities: str) -> Any:
    answers = [await (await people(identity)).ApproveHold(name=name) for identity in identities]
    return answers[-1]


async def test_a_hold_from_its_proposal_to_its_release(registry: Registry, people: People) -> None:
    proposed = await propose(people, registry)
    assert (proposed.state, proposed.proposer, list(proposed.approvers)) == (Hold.STATE_PROPOSED, PROPOSER, [])
    assert (proposed.name, proposed.controller) == ("holds/alimonda", "controllers/city")
    once = await approve(people, proposed.name, FIRST)
    assert (once.state, list(once.approvers)) == (Hold.STATE_PROPOSED, [FIRST])
    active = await approve(people, proposed.name, SECOND)
    assert (active.state, list(active.approvers)) == (Hold.STATE_ACTIVE, [FIRST, SECOND])
    assert active.etag not in {once.etag, proposed.etag}

    released = await (await people(FIRST)).ReleaseHold(name=proposed.name, reason="archiviato", etag=active.etag)

    assert released.state == Hold.STATE_RELEASED
    assert [(step.state, step.actor, step.reason) for step in released.steps] == [
        (Hold.STATE_PROPOSED, PROPOSER, WHY), (Hold.STATE_PROPOSED, FIRST, WHY),
        (Hold.STATE_ACTIVE, SECOND, WHY), (Hold.STATE_RELEASED, FIRST, "archiviato"),
    ]  # fmt: skip
    assert await (await people("auditor/dpo")).GetHold(name=proposed.name) == released
    rows = await registry.pool.fetch(
        "SELECT who, why, case_reference FROM audit_entries WHERE act = 'alteration' AND what = $1 ORDER BY sequence",
        proposed.name,
    )
    assert [tuple(row) for row in rows] == [
        (PROPOSER, WHY, "RGNR 4711/2026"), (FIRST, WHY, "RGNR 4711/2026"),
        (SECOND, WHY, "RGNR 4711/2026"), (FIRST, "archiviato", "RGNR 4711/2026"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("approvals", "approver", "code", "reason"),
    [
        ((), "supervisor/mrossi", Code.PERMISSION_DENIED, "SELF_APPROVAL"),
        ((), "administrator/MROSSI", Code.PERMISSION_DENIED, "SELF_APPROVAL"),
        ((FIRST,), "supervisor/mrossi", Code.PERMISSION_DENIED, "SELF_APPROVAL"),
        ((FIRST,), FIRST, Code.PERMISSION_DENIED, "APPROVED_BEFORE"),
        ((FIRST,), "administrator/lbianchi", Code.PERMISSION_DENIED, "APPROVED_BEFORE"),
        ((FIRST, SECOND), "supervisor/cneri", Code.FAILED_PRECONDITION, "ALREADY_ACTIVE"),
        ((), "operator/cneri", Code.PERMISSION_DENIED, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_who_cannot_approve(
    registry: Registry, people: People, approvals: tuple[str, ...], approver: str, code: Code, reason: str
) -> None:
    proposed = await propose(people, registry)
    before = await approve(people, proposed.name, *approvals) if approvals else proposed

    refusal = await refusal_of((await people(approver)).ApproveHold(name=proposed.name))

    assert (refusal.code, refusal.reason) == (code, reason)
    assert await (await people(FIRST)).GetHold(name=proposed.name) == before


async def test_what_is_over_stays_over(registry: Registry, people: People) -> None:
    proposed = await propose(people, registry)
    await (await people(FIRST)).ReleaseHold(name=proposed.name)

    for call in ((await people(SECOND)).ApproveHold, (await people(SECOND)).ReleaseHold):
        refusal = await refusal_of(call(name=proposed.name))
        assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "HOLD_ENDED")


async def test_time_ends_a_hold(registry: Registry, people: People) -> None:
    proposed = await propose(people, registry)
    await approve(people, proposed.name, FIRST, SECOND)
    supervisor = await people(FIRST)
    registry.clock.now += 30 * DAY

    refusal = await refusal_of(supervisor.ReleaseHold(name=proposed.name))
    assert refusal.reason == "HOLD_ENDED"
    async with asyncio.timeout(20):
        while (held := await supervisor.GetHold(name=proposed.name)).state != Hold.STATE_EXPIRED:
            await asyncio.sleep(0.05)
    assert (held.steps[-1].state, held.steps[-1].actor) == (Hold.STATE_EXPIRED, "")
    assert len(held.steps) == 4


async def test_two_replicas_end_a_hold_once(registry: Registry, people: People, dsn: str, tmp_path: Path) -> None:
    proposed = await propose(people, registry)
    async with running_registry(dsn, tmp_path / "second", clock=registry.clock) as second:
        registry.clock.now += 30 * DAY
        for _ in range(3):
            await asyncio.gather(registry.sweep.once(), second.sweep.once())

    held = await (await people(FIRST)).GetHold(name=proposed.name)
    assert [step.state for step in held.steps] == [Hold.STATE_PROPOSED, Hold.STATE_EXPIRED]


async def test_each_step_is_logged_without_a_person_or_an_act(registry: Registry, people: People) -> None:
    with capture_logs() as logs:
        for hold_id in ("released", "expired"):
            await approve(people, (await propose(people, registry, hold_id)).name, FIRST, SECOND)
        await (await people(FIRST)).ReleaseHold(name="holds/released")
        registry.clock.now += 30 * DAY
        await registry.sweep.once()

    steps = [entry for entry in logs if entry["event"].startswith("hold.")]
    assert [entry["event"].removeprefix("hold.") for entry in steps] == [
        *["proposed", "approved", "activated"] * 2, "released", "expired",
    ]  # fmt: skip
    assert {tuple(entry) for entry in steps} == {("hold", "scope", "event", "log_level")}


async def test_everything_that_is_wrong_is_told_at_once(registry: Registry, people: People) -> None:
    operator = await people(PROPOSER)
    refusal = await refusal_of(operator.CreateHold(hold_id="X", request_id="no uuid", reason=" "))
    assert refusal.code == Code.INVALID_ARGUMENT
    assert refusal.fields == [
        "hold_id", "request_id", "reason", "hold.scope", "hold.authority", "hold.act", "hold.interval.start_time",
        "hold.interval.end_time", "hold.expire_time",
    ]  # fmt: skip
    now = registry.clock.now
    refusal = await refusal_of(operator.CreateHold(hold_id="x", hold=cases.hold(now, now - HOUR, now - HOUR)))
    assert refusal.fields == ["hold.interval.end_time", "hold.expire_time"]
    forever = cases.hold(now - HOUR, now, now + DAY)
    forever.expire_time.CopyFrom(Timestamp(seconds=10**12))
    assert (await refusal_of(operator.CreateHold(hold_id="x", hold=forever))).code == Code.INVALID_ARGUMENT
    for call in (operator.GetHold, (await people(FIRST)).ApproveHold, (await people(FIRST)).ReleaseHold):
        assert (await refusal_of(call(name="holds/UPPER"))).fields == ["name"]
    assert (await refusal_of((await people(FIRST)).ApproveHold(name="holds/x", reason=""))).fields == ["reason"]


async def test_what_a_request_cannot_set_is_ignored(registry: Registry, people: People) -> None:
    now = registry.clock.now
    record = cases.hold(now - HOUR, now, now + DAY)
    record.MergeFrom(Hold(state=Hold.STATE_ACTIVE, proposer="operator/x", approvers=["supervisor/a", "supervisor/b"]))
    record.steps.add(actor="supervisor/a")

    proposed = await propose(people, registry, hold=record)

    assert (proposed.state, proposed.proposer, list(proposed.approvers)) == (Hold.STATE_PROPOSED, PROPOSER, [])
    assert len(proposed.steps) == 1


@pytest.mark.parametrize("scope", ["sites/none", "devices/palo-12/optics/none", "devices/none/optics/nord"])
async def test_a_hold_is_about_something_that_is_there(registry: Registry, people: People, scope: str) -> None:
    now = registry.clock.now
    record = cases.hold(now - HOUR, now, now + DAY, scope=scope)

    refusal = await refusal_of(propose(people, registry, hold=record))

    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "SCOPE_NOT_FOUND")


async def test_conflicts_and_repetitions(registry: Registry, people: People) -> None:
    request_id = str(uuid.uuid4())
    proposed = await propose(people, registry, request_id=request_id)
    await approve(people, proposed.name, FIRST)
    assert await propose(people, registry, request_id=request_id) == proposed
    assert (await refusal_of(propose(people, registry, "other", request_id=request_id))).reason == "REQUEST_ID_REUSED"
    assert (await refusal_of(propose(people, registry))).code == Code.ALREADY_EXISTS

    for call in ((await people(SECOND)).ApproveHold, (await people(SECOND)).ReleaseHold):
        refusal = await refusal_of(call(name=proposed.name, etag=proposed.etag))
        assert (refusal.code, refusal.reason) == (Code.ABORTED, "ETAG_MISMATCH")
        assert (await refusal_of(call(name="holds/none"))).code == Code.NOT_FOUND


async def test_two_supervisors_at_the_same_moment(registry: Registry, people: People) -> None:
    proposed = await propose(people, registry)
    supervisors = [await people(f"supervisor/s{number}") for number in range(5)]

    answers = await asyncio.gather(
        *(supervisor.ApproveHold(name=proposed.name) for supervisor in supervisors), return_exceptions=True
    )

    assert sum(not isinstance(answer, BaseException) for answer in answers) == 2
    held = await supervisors[0].GetHold(name=proposed.name)
    assert (held.state, len(held.approvers)) == (Hold.STATE_ACTIVE, 2)


async def test_lists_by_filter_and_page(registry: Registry, people: People) -> None:
    for number in range(5):
        proposed = await propose(people, registry, f"h{number}")
        if number % 2:
            await approve(people, proposed.name, FIRST, SECOND)
    anonymizer = await people("service/anonymizer")

    active = await anonymizer.ListHolds(filter="state = STATE_ACTIVE")
    assert [held.name for held in active.holds] == ["holds/h1", "holds/h3"]
    assert (active.next_page_token, len(active.holds[0].steps)) == ("", 3)
    first = await anonymizer.ListHolds(filter="state = STATE_PROPOSED", page_size=2)
    second = await anonymizer.ListHolds(filter="state = STATE_PROPOSED", page_size=2, page_token=first.next_page_token)
    assert [held.name for held in (*first.holds, *second.holds)] == ["holds/h0", "holds/h2", "holds/h4"]
    assert not second.next_page_token
    refusal = await refusal_of(anonymizer.ListHolds(filter="stat = STATE_ACTIVE"))
    assert (refusal.reason, refusal.fields) == ("INVALID_FILTER", ["filter"])
    for text, names in (
        (f'scope = "{OPTIC}" AND approvers:"{FIRST}"', ["h1", "h3"]),
        ("NOT approvers:*", ["h0", "h2", "h4"]),
        (f"interval.end_time < {(registry.clock.now - HOUR).isoformat()}", []),
        (f"expire_time > {registry.clock.now.isoformat()} AND name = holds/h1*", ["h1"]),
    ):
        answer = await anonymizer.ListHolds(filter=text)
        assert [held.name.removeprefix("holds/") for held in answer.holds] == names, text


async def test_tenants_do_not_see_each_others_holds(
    registry: Registry, people: People, administrator: Administrator
) -> None:
    await administrator.CreateController(controller_id="amiat", controller=lawful.controller())
    proposed = await propose(people, registry)
    foreign = await people("tenants/amiat/supervisor/x")

    assert not (await foreign.ListHolds()).holds
    for call in (foreign.GetHold, foreign.ApproveHold, foreign.ReleaseHold):
        assert (await refusal_of(call(name=proposed.name))).code == Code.NOT_FOUND
    for scope in (OPTIC, SITE):
        now = registry.clock.now
        record = cases.hold(now - HOUR, now, now + DAY, scope=scope)
        refusal = await refusal_of(
            propose(people, registry, f"x{len(scope)}", hold=record, by="tenants/amiat/operator/x")
        )
        assert refusal.reason == "SCOPE_NOT_FOUND"
    await approve(people, proposed.name, FIRST, SECOND)
    assert not (await foreign.ListHeldIntervals()).held_intervals


async def test_a_tenant_holds_what_is_its_own(registry: Registry, people: People, administrator: Administrator) -> None:
    await administrator.CreateController(controller_id="amiat", controller=lawful.controller())
    async with registry.channel("tenants/amiat/administrator/x") as channel:
        await Administrator(channel).CreateSite(site_id="deposito", site=lawful.site())
    now = registry.clock.now
    record = cases.hold(now - HOUR, now, now + DAY, scope="sites/deposito")

    proposed = await propose(people, registry, hold=record, by="tenants/amiat/operator/y")
    active = await approve(people, proposed.name, "tenants/amiat/supervisor/z", "tenants/amiat/administrator/x")

    assert (active.state, active.controller) == (Hold.STATE_ACTIVE, "controllers/amiat")
    assert (await refusal_of((await people(FIRST)).GetHold(name=proposed.name))).code == Code.NOT_FOUND
    assert [held.name for held in (await (await people("service/anonymizer")).ListHolds()).holds] == [proposed.name]


async def test_what_an_open_hold_is_about_cannot_be_deleted(
    registry: Registry, people: People, administrator: Administrator
) -> None:
    proposed = await propose(people, registry)
    refusal = await refusal_of(administrator.DeleteOptic(name=OPTIC))
    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "RESOURCE_IN_USE")

    await (await people(FIRST)).ReleaseHold(name=proposed.name)

    await administrator.DeleteOptic(name=OPTIC)


# ---- what is held --------------------------------------------------------------------------------------------------


async def kept(people: People, **arguments: Any) -> list[tuple[str, datetime, datetime]]:
    answer = await (await people("service/anonymizer")).ListHeldIntervals(**arguments)
    return [
        (each.optic, each.interval.start_time.ToDatetime(UTC), each.interval.end_time.ToDatetime(UTC))
        for each in answer.held_intervals
    ]


async def test_only_active_holds_keep_anything(registry: Registry, people: People) -> None:
    now = registry.clock.now
    proposed = await propose(people, registry)
    await approve(people, proposed.name, FIRST)
    assert await kept(people) == []
    await approve(people, proposed.name, SECOND)
    assert await kept(people) == [(OPTIC, now - HOUR, now)]
    await (await people(FIRST)).ReleaseHold(name=proposed.name)
    assert await kept(people) == []


async def test_a_hold_on_a_site_keeps_what_stood_there_then(
    registry: Registry, people: People, administrator: Administrator
) -> None:
    now = registry.clock.now
    await administrator.CreateSite(site_id="montanaro", site=lawful.site())
    await administrator.CreateDevice(device_id="carro-1", device=lawful.mobile_device(address="10.0.0.99"))
    await administrator.CreateOptic(parent="devices/carro-1", optic_id="est", optic=lawful.optic())
    for name, start, end in (("alimonda", now - 3 * HOUR, now - 2 * HOUR), ("montanaro", now - HOUR, now + HOUR)):
        stay = lawful.deployment(start, end, site=f"sites/{name}")
        await administrator.CreateDeployment(parent="devices/carro-1", deployment_id=name, deployment=stay)
    for site in ("alimonda", "montanaro"):
        record = cases.hold(now - 2.5 * HOUR, now + 2 * HOUR, now + DAY, scope=f"sites/{site}")
        await approve(people, (await propose(people, registry, site, hold=record)).name, FIRST, SECOND)
    await registry.sweep.once()

    held = await kept(people)

    mobile = [each for each in held if each[0] == "devices/carro-1/optics/est"]
    assert mobile == [
        ("devices/carro-1/optics/est", now - 2.5 * HOUR, now - 2 * HOUR),
        # It stands there now; should it be elsewhere tomorrow, tomorrow's answer says so.
        ("devices/carro-1/optics/est", now - HOUR, now + 2 * HOUR),
    ]
    # The fixed device of the site has stood there since its record was made, and nobody has taken it away.
    ((optic, start, end),) = [each for each in held if each not in mobile]
    assert (optic, end) == (OPTIC, now + 2 * HOUR)
    assert now - HOUR < start < now + HOUR


async def test_what_was_moved_away_or_deleted_is_kept_for_the_time_before(
    registry: Registry, people: People, administrator: Administrator
) -> None:
    await administrator.build(devices=1, first=13)
    await registry.sweep.once()
    await administrator.CreateSite(site_id="montanaro", site=lawful.site())
    moved = lawful.device(address="10.0.0.12", site="sites/montanaro")
    moved.name = "devices/palo-12"
    await administrator.UpdateDevice(device=moved)
    await registry.sweep.once()
    await administrator.DeleteOptic(name="devices/palo-13/optics/nord")
    await administrator.DeleteDevice(name="devices/palo-13")
    now = registry.clock.now
    record = cases.hold(now - HOUR, now + HOUR, now + DAY, scope=SITE)
    proposed = await propose(people, registry, hold=record)
    await approve(people, proposed.name, FIRST, SECOND)

    held = await kept(people)

    present = await registry.pool.fetchval("SELECT now()")
    assert [optic for optic, _, _ in held] == [OPTIC, "devices/palo-13/optics/nord"]
    assert all(start < end < present for _, start, end in held)


async def test_what_is_held_comes_in_pages(registry: Registry, people: People, administrator: Administrator) -> None:
    await administrator.build(devices=3, first=20, optics=("nord", "sud"))
    await registry.sweep.once()
    now = registry.clock.now
    for number in range(2):
        record = cases.hold(now - HOUR, now + HOUR, now + DAY, scope=SITE)
        await approve(people, (await propose(people, registry, f"h{number}", hold=record)).name, FIRST, SECOND)
    anonymizer = await people("service/anonymizer")

    whole = (await anonymizer.ListHeldIntervals()).held_intervals
    pages, token = [], ""
    while True:
        page = await anonymizer.ListHeldIntervals(page_size=3, page_token=token)
        pages.extend(page.held_intervals)
        if not (token := page.next_page_token):
            break

    assert len(whole) == 2 * (1 + 3 * 2)
    assert pages == list(whole)
    assert (await refusal_of(anonymizer.ListHeldIntervals(page_token="x"))).fields == ["page_token"]
