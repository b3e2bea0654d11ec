"""Against fishing: what a search may ask for, how wide it may be, what is on record, and what is left of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from alerting.assembly import Parts
from argo.alerting.v1 import approval_service_pb2 as approvals_v1
from argo.alerting.v1 import search_service_pb2 as v1
from argo.alerting.v1.approval_service_pb2_grpc import ApprovalServiceStub
from argo.alerting.v1.search_service_pb2_grpc import SearchServiceStub
from argo.type.v1 import object_class_pb2 as classes
from mesh.postgres import Pool
from tests.contract.alerting.testimony import (
    MINUTE,
    TWO,
    Connect,
    Request,
    investigator,
    keep,
    on_record,
    parts,
    refusal,
    request,
    seen,
    service_settings,
)
from tests.integration.alerting import support

if TYPE_CHECKING:
    from argo.alerting.v1.search_service_pb2_grpc import SearchServiceAsyncStub

__all__ = ["investigator", "parts", "service_settings"]


async def test_the_query_is_on_record_before_it_runs_and_each_page_before_it_goes(
    parts: Parts, pool: Pool, investigator: SearchServiceAsyncStub
) -> None:
    await keep(parts, [seen(number, TWO + number * MINUTE) for number in range(1, 6)])
    asked = request(page_size=2)
    pages = [await investigator.SearchObservations(asked)]
    # What comes meanwhile is not in the pages of this search.
    await keep(parts, [seen(9, TWO + MINUTE / 2)])
    while pages[-1].next_page_token:
        pages.append(await investigator.SearchObservations(request(page_size=2, page_token=pages[-1].next_page_token)))

    starts = [match.interval.start_time.ToDatetime(UTC) for page in pages for match in page.matches]
    assert starts == [TWO + number * MINUTE for number in range(1, 6)]
    (act, who, case, what), *handed_over = await on_record(pool)
    assert (act, who, case) == ("consultation", "investigator/verdi", "RGNR 7/2026")
    name, _, query = what.partition(": ")
    assert json.loads(query)["interval"]["startTime"] == TWO.isoformat().replace("+00:00", "Z")
    assert "pageSize" not in json.loads(query)
    assert [entry[3] for entry in handed_over] == [f"{name}, {rows} of 5 from {first} on" for rows, first in
                                                   ((2, 1), (2, 3), (1, 5))]  # fmt: skip


async def test_a_page_belongs_to_its_search_and_its_person(
    parts: Parts, pool: Pool, investigator: SearchServiceAsyncStub, connect: Connect
) -> None:
    await keep(parts, [seen(number, TWO + number * MINUTE) for number in range(1, 6)])
    token = (await investigator.SearchObservations(request(page_size=2))).next_page_token

    other = SearchServiceStub(await connect("investigator/neri"))
    assert (await refusal(other.SearchObservations(request(page_token=token)))).reason == "SEARCH_EXPIRED"
    wider = request(hours=3, page_token=token)
    assert (await refusal(investigator.SearchObservations(wider))).metadata == {"field": "page_token"}
    assert (await refusal(investigator.SearchObservations(request(page_token="x")))).metadata == {"field": "page_token"}

    await pool.execute("UPDATE searches SET read_until = now()")
    assert (await refusal(investigator.SearchObservations(request(page_token=token)))).reason == "SEARCH_EXPIRED"


async def test_what_was_found_is_erased_with_the_video_and_no_later_than_the_pages(
    parts: Parts, pool: Pool, investigator: SearchServiceAsyncStub
) -> None:
    start = datetime.now(UTC) - timedelta(days=7) + 20 * MINUTE
    await keep(parts, [seen(1, start), seen(2, start + 30 * MINUTE)])
    answer = await investigator.SearchObservations(request(start, page_size=1))
    kept = [row["expire_time"] for row in await pool.fetch("SELECT expire_time FROM search_results ORDER BY rank")]
    assert kept[0] == start + timedelta(days=7)
    assert kept[1] == start + 30 * MINUTE + timedelta(days=7)
    assert answer.expire_time.ToDatetime(UTC) > datetime.now(UTC)

    await pool.execute("UPDATE search_results SET expire_time = now()")
    again = await investigator.SearchObservations(request(start, page_size=1, page_token=answer.next_page_token))
    assert list(again.matches) == []
    await parts.upkeep.once()
    assert await support.count(pool, "search_results") == 0
    assert await support.count(pool, "searches") == 1
    await pool.execute("UPDATE searches SET create_time = create_time - interval '7 days'")
    await parts.upkeep.once()
    assert await support.count(pool, "searches") == 0


async def test_without_a_record_nothing_is_handed_over(
    parts: Parts, pool: Pool, investigator: SearchServiceAsyncStub
) -> None:
    await keep(parts, [seen(1, TWO)])
    await pool.execute("REVOKE INSERT ON audit_entries FROM CURRENT_USER")
    refused = await refusal(investigator.SearchObservations(request()))
    assert (refused.code, refused.reason) == ("UNAVAILABLE", "AUDIT_UNAVAILABLE")
    assert await support.count(pool, "search_results") == 0


async def test_what_is_too_wide_needs_a_second_person_for_exactly_that(
    parts: Parts, pool: Pool, investigator: SearchServiceAsyncStub, connect: Connect
) -> None:
    await keep(parts, [seen(number, TWO + number * timedelta(seconds=5)) for number in range(1, 71)])
    refused = await refusal(investigator.SearchObservations(request()))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "SEARCH_TOO_WIDE")
    assert refused.metadata["expectedMatches"] == "more than 60"
    assert (await on_record(pool))[-1][3].endswith("refused, SEARCH_TOO_WIDE")
    hours = await refusal(investigator.SearchObservations(request(TWO - timedelta(days=4), hours=100)))
    assert (hours.reason, hours.metadata["opticHours"]) == ("SEARCH_TOO_WIDE", "100.3")

    author = ApprovalServiceStub(await connect("investigator/verdi"))
    asked = approvals_v1.CreateApprovalRequest(approval=approvals_v1.Approval(search=request()), reason="market day")
    approval = await author.CreateApproval(asked)
    waiting = await refusal(investigator.SearchObservations(request(approval=approval.name)))
    assert waiting.reason == "APPROVAL_STATE"
    supervisor = ApprovalServiceStub(await connect("supervisor/bianchi"))
    await supervisor.GrantApproval(approvals_v1.GrantApprovalRequest(name=approval.name, reason="fits the case"))

    other = await refusal(investigator.SearchObservations(request(hours=1.5, approval=approval.name)))
    assert other.reason == "APPROVAL_MISMATCH"
    answer = await investigator.SearchObservations(request(approval=approval.name, page_size=1000))
    assert len(answer.matches) == 70

    await keep(parts, [seen(number, TWO + number * timedelta(seconds=5)) for number in range(71, 91)])
    still = await refusal(investigator.SearchObservations(request(approval=approval.name)))
    assert still.reason == "SEARCH_TOO_WIDE", "an approval does not open the whole city"


async def test_nobody_searches_without_end_for_one_case(parts: Parts, investigator: SearchServiceAsyncStub) -> None:
    await keep(parts, [seen(1, TWO)])
    for _ in range(6):
        await investigator.SearchObservations(request())
    refused = await refusal(investigator.SearchObservations(request()))
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_SEARCHES")
    await investigator.SearchObservations(request(case_reference="RGNR 8/2026"))


def _reachable(root: Descriptor) -> dict[str, FieldDescriptor]:
    found: dict[str, FieldDescriptor] = {}
    pending, known = [root], set()
    while pending:
        message = pending.pop()
        if message.full_name in known:
            continue
        known.add(message.full_name)
        found |= {field.full_name: field for field in message.fields}
        pending += [field.message_type for field in message.fields if field.message_type is not None]
    return found


def test_no_attribute_of_a_person_can_be_asked_for_and_nobody_can_be_followed() -> None:
    asked = _reachable(Request.DESCRIPTOR)
    own = {name.removeprefix("argo.alerting.v1.SearchObservationsRequest.") for name in asked if "SearchObs" in name}
    # A new field is a new thing that can be asked of somebody: think before adding it here.
    assert own == {
        "classes", "interval", "sites", "circle", "movement", "purpose", "case_reference", "reason", "page_size",
        "page_token", "approval", "interval_tolerance", "vehicle", "rules", "minimum_count",
        "Sites.names", "Circle.center", "Circle.radius_metres",
        "Vehicle.types", "Vehicle.colours", "Vehicle.then",
        "Sighting.interval", "Sighting.interval_tolerance", "Sighting.sites", "Sighting.circle", "Sighting.movement",
        "Sighting.rules",
        "Movement.heading_degrees", "Movement.heading_tolerance_degrees", "Movement.minimum_speed",
        "Movement.maximum_speed", "Movement.minimum_dwell", "Movement.places", "Movement.minimum_stop",
    }  # fmt: skip
    # Only a vehicle has a colour and can be followed, and no kind of vehicle is a person.
    assert [name for name, field in asked.items() if field.enum_type is not None] == [
        f"{Request.DESCRIPTOR.full_name}.{name}" for name in ("classes", "Vehicle.types", "Vehicle.colours")
    ]
    kinds = {value.name.removeprefix("VEHICLE_TYPE_"): value.number for value in
             Request.VehicleType.DESCRIPTOR.values if value.number}  # fmt: skip
    assert kinds == {name: classes.ObjectClass.Value(f"OBJECT_CLASS_{name}") for name in kinds}
    assert "PERSON" not in kinds
    assert "BICYCLE" not in kinds
    answered = _reachable(v1.SearchObservationsResponse.DESCRIPTOR)
    assert not any("track" in name.rsplit(".", 1)[1] for name in answered), "no number that could be looked for again"
