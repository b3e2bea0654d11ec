"""Matches to a testimony over gRPC, with a real database: what is found, and how it is explained."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from alerting.assembly import Parts
from argo.detector.v1 import bus_pb2
from argo.type.v1 import data_class_pb2
from argo.type.v1 import object_class_pb2 as classes
from mesh.postgres import Pool
from tests.contract.alerting.testimony import (
    CORSO,
    MINUTE,
    TWO,
    Request,
    investigator,
    keep,
    on_record,
    parts,
    refusal,
    request,
    seen,
    service_settings,
    van,
)
from tests.integration.alerting import support
from tests.integration.alerting.support import OPTIC, delivery

if TYPE_CHECKING:
    from argo.alerting.v1.search_service_pb2_grpc import SearchServiceAsyncStub

__all__ = ["investigator", "parts", "service_settings"]


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


async def test_a_track_that_one_replica_ends_while_another_says_that_it_runs_is_found_once(
    parts: Parts, pool: Pool, investigator: SearchServiceAsyncStub
) -> None:
    await keep(parts, [seen(1, TWO)])
    await pool.execute("INSERT INTO running_observations SELECT *, now() FROM observation_days")
    await pool.execute("UPDATE running_observations SET payload = '', end_time = start_time + interval '1 s'")

    (match,) = (await investigator.SearchObservations(van())).matches

    assert match.interval.end_time.ToDatetime(tzinfo=UTC) == TWO + timedelta(seconds=30)


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
