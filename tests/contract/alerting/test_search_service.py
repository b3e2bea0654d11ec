"""Matches to a testimony over gRPC, with a real database: what is found, what is refused, what is on record."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from alerting.assembly import Parts
from alerting.domain.search.atlas import Atlas, Point, View, moved
from alerting.settings import AlertingSettings
from argo.alerting.v1 import approval_service_pb2 as approvals_v1
from argo.alerting.v1 import search_service_pb2 as v1
from argo.alerting.v1.approval_service_pb2_grpc import ApprovalServiceStub
from argo.alerting.v1.search_service_pb2_grpc import SearchServiceStub
from argo.detector.v1 import bus_pb2
from argo.type.v1 import data_class_pb2
from argo.type.v1 import object_class_pb2 as classes
from mesh.authority import CertificateAuthority
from mesh.errors import ArgoError
from mesh.postgres import Pool
from mesh.rpc.status import from_rpc_error
from tests.integration.alerting import support
from tests.integration.alerting.support import OPTIC, delivery

if TYPE_CHECKING:
    from argo.alerting.v1.search_service_pb2_grpc import SearchServiceAsyncStub

Connect = Callable[[str], Awaitable[grpc.aio.Channel]]
Request = v1.SearchObservationsRequest

TWO = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=26)
MINUTE = timedelta(minutes=1)
GARDENS, CORSO = Point(45.0781, 7.7012), "devices/corso/optics/a"
ATLAS = Atlas(
    sites={"sites/alimonda": GARDENS, "sites/corso": moved(GARDENS, 0.0, 1000.0)},
    views={
        OPTIC: View("sites/alimonda", heading=0.0, field_of_view=60.0, reach=70.0),
        CORSO: View("sites/corso", heading=None, field_of_view=0.0, reach=70.0),
    },
)


@pytest.fixture
def service_settings(authority: CertificateAuthority) -> AlertingSettings:
    return support.settings(
        authority, search_optic_hours=20, search_matches=60, search_matches_approved=80, searches_per_hour=6
    )


@pytest.fixture
def parts(pool: Pool, service_settings: AlertingSettings) -> Parts:
    async def atlas() -> Atlas:
        return ATLAS

    return support.parts(pool, service_settings, read_atlas=atlas)


@pytest.fixture
async def investigator(connect: Connect) -> SearchServiceAsyncStub:
    return SearchServiceStub(await connect("investigator/verdi"))


def seen(number: int, start: datetime, *, seconds: float = 30.0, **fields: Any) -> bus_pb2.Observation:
    """A white car that stops for a minute and leaves northwards."""
    values = {
        "object_class": classes.OBJECT_CLASS_CAR,
        "vehicle_colour": bus_pb2.VEHICLE_COLOUR_WHITE,
        "vehicle_colour_confidence": 0.9,
        "finished": True,
    }
    observation = bus_pb2.Observation(track=number, **(values | fields))
    observation.start_time.FromDatetime(start)
    observation.end_time.FromDatetime(start + timedelta(seconds=seconds))
    for after, east, north in ((0.0, -20.0, 0.0), (2.0, 0.0, 0.0), (seconds - 4.0, 0.5, 0.0), (seconds, 0.5, 30.0)):
        point = observation.path.add()
        point.time.FromDatetime(start + timedelta(seconds=after))
        point.image.x, point.image.y = 0.5, 0.5 - north / 100
        point.ground.east_metres, point.ground.north_metres = east, north
    return observation


async def keep(
    parts: Parts, observations: Sequence[bus_pb2.Observation], optic: str = OPTIC, site: str = "sites/alimonda"
) -> None:
    message = bus_pb2.ObservationBatch(optic=optic, site=site, observations=observations)
    await parts.consumers.take_observations(message, delivery())


def request(start: datetime = TWO, hours: float = 2.0, **fields: Any) -> Request:
    """Between two and four, give or take ten minutes."""
    asked = Request(
        **{"purpose": "robbery", "case_reference": "RGNR 7/2026", "reason": "a witness saw a van", **fields}
    )
    asked.interval.start_time.FromDatetime(start)
    asked.interval.end_time.FromDatetime(start + timedelta(hours=hours))
    asked.interval_tolerance.FromTimedelta(10 * MINUTE)
    return asked


def van(**fields: Any) -> Request:
    asked = request(**fields)
    asked.vehicle.types.extend([Request.VEHICLE_TYPE_CAR, Request.VEHICLE_TYPE_TRUCK])
    asked.vehicle.colours.append(bus_pb2.VEHICLE_COLOUR_WHITE)
    asked.circle.center.latitude, asked.circle.center.longitude = GARDENS.latitude, GARDENS.longitude
    asked.circle.radius_metres = 200
    asked.movement.heading_degrees = 0
    asked.movement.minimum_stop.FromSeconds(15)
    return asked


async def refusal(call: Awaitable[object]) -> ArgoError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def on_record(pool: Pool) -> list[tuple[str, str, str, str]]:
    rows = await pool.fetch("SELECT act, who, case_reference, what FROM audit_entries ORDER BY sequence")
    return [(row["act"], row["who"], row["case_reference"], row["what"]) for row in rows]


async def test_a_van_that_stopped_and_left_northwards_is_found_and_explained(
    parts: Parts, investigator: SearchServiceAsyncStub
) -> None:
    inside = TWO + timedelta(hours=1)
    await keep(
        parts,
        [
            seen(1, inside),
            seen(2, inside + MINUTE, vehicle_colour=bus_pb2.VEHICLE_COLOUR_GREY),
            seen(3, inside, vehicle_colour=bus_pb2.VEHICLE_COLOUR_RED),
            seen(4, TWO - 5 * MINUTE - timedelta(seconds=30)),
            seen(5, TWO - 60 * MINUTE),
            seen(6, inside, object_class=classes.OBJECT_CLASS_PERSON),
        ],
    )
    await keep(parts, [seen(7, inside)], CORSO, "sites/corso")

    answer = await investigator.SearchObservations(van())

    assert [round(match.plausibility, 2) for match in answer.matches] == [0.93, 0.48, 0.46]
    best = answer.matches[0]
    assert (best.optic, best.site, best.object_class) == (OPTIC, "sites/alimonda", classes.OBJECT_CLASS_CAR)
    assert best.interval.start_time.ToDatetime(UTC) == inside
    assert [line.split(":")[0] for line in best.explanations] == ["for"] * 6
    assert best.explanations[1] == "for: its colour is white with confidence 0.90, asked for: white"
    assert "stood still for 24 s, asked for: at least 15 s" in best.explanations[5]
    assert [round(point.y, 2) for point in best.path.points] == [0.5, 0.5, 0.5, 0.2]
    assert best.clip.optic == OPTIC
    assert best.clip.interval.start_time.ToDatetime(UTC) == inside - timedelta(seconds=5)
    assert best.expire_time.ToDatetime(UTC) == inside + timedelta(days=7)
    assert 0 < best.position.radius_metres <= 35
    assert (answer.total_size, answer.truncated, answer.next_page_token) == (3, False, "")
    assert answer.data_class == data_class_pb2.DATA_CLASS_OBSERVATION
    # Of one optic the ledger knows nothing: what it did not see may still have been there.
    assert [(blind.optic, blind.duration.seconds) for blind in answer.blind_optics] == [(OPTIC, 7200)]
    assert answer.width.optic_hours == pytest.approx(2 + 2 / 6)


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


async def test_a_vehicle_is_followed_by_space_and_time_alone_and_others_that_fit_are_counted(
    parts: Parts, pool: Pool, investigator: SearchServiceAsyncStub
) -> None:
    left = TWO + timedelta(seconds=30)
    await keep(parts, [seen(1, TWO)])
    others = [seen(2, left + 2 * MINUTE), seen(3, left + 3 * MINUTE), seen(4, left + timedelta(seconds=5))]
    await keep(parts, others, CORSO, "sites/corso")
    asked = van()
    then = asked.vehicle.then.add(sites=Request.Sites(names=["sites/corso"]))
    then.interval.CopyFrom(asked.interval)

    answer = await investigator.SearchObservations(asked)

    assert list(answer.matches) == []
    assert [[match.optic for match in chain.matches] for chain in answer.chains] == [[OPTIC, CORSO]] * 2
    starts = {chain.matches[1].interval.start_time.ToDatetime(UTC) for chain in answer.chains}
    assert starts == {left + 2 * MINUTE, left + 3 * MINUTE}, "nobody drives a kilometre in five seconds"
    assert [list(chain.alternatives) for chain in answer.chains] == [[1], [1]]
    assert "1 other vehicle fits as well" in answer.chains[0].explanations[0]
    assert answer.chains[0].plausibility < answer.chains[0].matches[0].plausibility / 2
    assert (await on_record(pool))[0][0] == "combination"


async def test_rules_that_fired_groups_and_places_count(parts: Parts, investigator: SearchServiceAsyncStub) -> None:
    people = [
        seen(number, TWO + number * timedelta(seconds=3), object_class=classes.OBJECT_CLASS_PERSON,
             zones=[f"{OPTIC}/zones/bed"])
        for number in range(1, 4)
    ]  # fmt: skip
    await keep(parts, [*people, seen(9, TWO + 30 * MINUTE, object_class=classes.OBJECT_CLASS_PERSON)])
    event = support.event(captured=TWO + timedelta(seconds=10))
    event.tracks[:] = [2]
    await parts.consumers.take_events(support.batch(event), delivery())

    group = request(classes=[classes.OBJECT_CLASS_PERSON], minimum_count=3, rules=["FieldDetector/ObjectsInside"])
    answer = await investigator.SearchObservations(group)
    assert [(match.together, round(match.plausibility, 2)) for match in answer.matches] == [(3, 1.0), (3, 0.25),
                                                                                           (3, 0.25)]  # fmt: skip
    assert "for: FieldDetector/ObjectsInside fired on it" in answer.matches[0].explanations

    inside = request(movement=Request.Movement(places=[f"{OPTIC}/zones/bed"]))
    assert len((await investigator.SearchObservations(inside)).matches) == 3
    crossed = request(movement=Request.Movement(places=[f"{OPTIC}/lines/gate"]))
    assert list((await investigator.SearchObservations(crossed)).matches) == []


async def test_tracks_that_still_run_long_ones_and_held_ones_are_found(
    parts: Parts, pool: Pool, investigator: SearchServiceAsyncStub
) -> None:
    await keep(parts, [seen(1, TWO - timedelta(hours=9), seconds=10 * 3600.0), seen(2, TWO, finished=False)])
    await pool.execute("INSERT INTO held_observations SELECT * FROM observation_days")
    await pool.execute("UPDATE held_observations SET track = 3, expire_time = now() - interval '1 day'")

    answer = await investigator.SearchObservations(request())
    assert len(answer.matches) == 3
    assert (await investigator.SearchObservations(request(TWO + timedelta(hours=1, minutes=20)))).total_size == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda asked: asked.ClearField("purpose"), "purpose"),
        (lambda asked: asked.ClearField("case_reference"), "case_reference"),
        (lambda asked: asked.ClearField("reason"), "reason"),
        (lambda asked: asked.ClearField("interval"), "interval"),
        (lambda asked: asked.interval.end_time.CopyFrom(asked.interval.start_time), "interval"),
        (lambda asked: asked.interval_tolerance.FromSeconds(90_000), "interval_tolerance"),
        (lambda asked: asked.classes.append(99), "classes"),
        (lambda asked: (asked.classes.append(3), asked.vehicle.SetInParent()), "vehicle"),
        (lambda asked: asked.vehicle.colours.append(99), "vehicle.colours"),
        (lambda asked: asked.sites.names.append("sites/Nord"), "sites"),
        (lambda asked: asked.sites.SetInParent(), "sites"),
        (lambda asked: asked.circle.SetInParent(), "circle.radius_metres"),
        (lambda asked: asked.movement.places.append("zones/bed"), "movement.places"),
        (lambda asked: asked.rules.append("a rule"), "rules"),
        (lambda asked: setattr(asked, "minimum_count", -1), "minimum_count"),
        (lambda asked: setattr(asked, "page_size", -1), "page_size"),
        (lambda asked: setattr(asked.movement, "heading_degrees", 400), "movement.heading_degrees"),
        (lambda asked: setattr(asked.movement, "minimum_speed", float("nan")), "movement.minimum_speed"),
        (lambda asked: asked.vehicle.then.add(), "vehicle.then[0].interval"),
        (lambda asked: [asked.vehicle.then.add(interval=asked.interval) for _ in range(6)], "vehicle.then"),
    ],
)
async def test_a_wrong_request_says_what_is_wrong(
    change: Callable[[Request], object], field: str, investigator: SearchServiceAsyncStub
) -> None:
    asked = request()
    change(asked)
    refused = await refusal(investigator.SearchObservations(asked))
    assert (refused.code, refused.metadata["field"]) == ("INVALID_ARGUMENT", field)


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
