from __future__ import annotations

import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import av
import grpc
import pytest

from anonymizer.domain.holding import HeldInterval, Holds
from argo.anonymizer.v1 import recording_service_pb2 as pb
from tests.contract.anonymizer import archive
from tests.contract.anonymizer.archive import ALERTING, NOON, OPERATOR, OPTIC, SUPERVISOR, World

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def samples(content: bytes) -> list[bytes]:
    with av.open(io.BytesIO(content), "r") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def times(content: bytes) -> list[float]:
    with av.open(io.BytesIO(content), "r") as container:
        return [round(float(frame.time), 3) for frame in container.decode(video=0)]


def interval_of(recording: pb.Recording) -> tuple[datetime, datetime]:
    interval = recording.interval
    return interval.start_time.ToDatetime(NOON.tzinfo), interval.end_time.ToDatetime(NOON.tzinfo)


async def refusal(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return archive.reason_of(caught.value)


async def test_a_list_shows_stretches_and_so_the_gaps_between_them(world: World) -> None:
    for seconds in (0, 10, 20, 40):
        await world.record(NOON + seconds * SECOND)

    listed = await world.listed(NOON, NOON + MINUTE)

    last = timedelta(seconds=9.8)
    assert [interval_of(each) for each in listed.recordings] == [
        (NOON, NOON + 20 * SECOND + last),
        (NOON + 40 * SECOND, NOON + 40 * SECOND + last),
    ]
    assert listed.recordings[0].expire_time.ToDatetime(NOON.tzinfo) == NOON + archive.WEEK


async def test_a_list_goes_on_where_its_page_ended(world: World) -> None:
    for number in range(5):
        await world.record(NOON + number * MINUTE, 5)

    pages, token = [], ""
    while True:
        page = await world.listed(NOON, NOON + 10 * MINUTE, page_size=2, page_token=token)
        pages.append([interval_of(each)[0] for each in page.recordings])
        if not (token := page.next_page_token):
            break

    starts = [NOON + number * MINUTE for number in range(5)]
    assert pages == [starts[:2], starts[2:4], starts[4:]]


async def test_a_clip_holds_the_very_pictures_that_were_recorded(world: World) -> None:
    segments = [await world.record(NOON + seconds * SECOND) for seconds in (0, 10, 20)]
    recorded = [sample for segment in segments for sample in samples(await world.store.read(segment))]

    content, parts = await world.read(archive.read_request(NOON, NOON + 30 * SECOND))

    assert samples(content) == recorded
    assert times(content) == pytest.approx([number / 5 for number in range(150)], abs=1e-3)
    assert parts[0].interval.start_time.ToDatetime(NOON.tzinfo) == NOON
    assert not any(part.HasField("interval") for part in parts[1:])


async def test_a_clip_begins_with_the_key_frame_before_and_ends_in_time(world: World) -> None:
    await world.record(NOON)

    content, parts = await world.read(archive.read_request(NOON + 5 * SECOND, NOON + 7 * SECOND))

    assert parts[0].interval.start_time.ToDatetime(NOON.tzinfo) == NOON + 4 * SECOND
    assert times(content) == pytest.approx([number / 5 for number in range(15)], abs=1e-3)


async def test_a_gap_in_the_recording_is_a_gap_in_the_clip(world: World) -> None:
    await world.record(NOON, 10)
    await world.record(NOON + 40 * SECOND, 10)

    content, _ = await world.read(archive.read_request(NOON, NOON + MINUTE))

    expected = [number / 5 for number in range(10)] + [40 + number / 5 for number in range(10)]
    assert times(content) == pytest.approx(expected, abs=1e-3)


async def test_a_clip_plays_on_when_the_picture_changes_its_size(world: World) -> None:
    await world.record(NOON, 10)
    await world.record(NOON + 10 * SECOND, 10, size=archive.LARGE)

    content, _ = await world.read(archive.read_request(NOON, NOON + MINUTE))

    with av.open(io.BytesIO(content), "r") as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert sizes == [(128, 96)] * 10 + [(160, 128)] * 10


async def test_what_two_replicas_recorded_at_once_is_shown_once(world: World) -> None:
    await world.record(NOON)
    await world.record(NOON + 5 * SECOND)

    content, _ = await world.read(archive.read_request(NOON, NOON + MINUTE))

    shown = times(content)
    assert shown == sorted(shown)
    assert shown[-1] == pytest.approx(14.8, abs=1e-3)


async def test_a_segment_that_is_lost_is_a_gap_and_one_that_was_changed_is_an_error(world: World) -> None:
    await world.record(NOON, 10)
    lost = await world.record(NOON + 10 * SECOND, 10)
    changed = await world.record(NOON + 20 * SECOND, 10)
    (world.folder / lost.name).unlink()
    path = world.folder / changed.name
    path.write_bytes(path.read_bytes()[:-1] + b"\0")

    content, _ = await world.read(archive.read_request(NOON, NOON + 15 * SECOND))

    assert len(times(content)) == 10
    call = world.read(archive.read_request(NOON, NOON + MINUTE))
    assert await refusal(call) == ("FAILED_PRECONDITION", "SEGMENT_DAMAGED")


async def test_every_read_is_on_record_with_who_why_what_and_to_whom(world: World) -> None:
    await world.record(NOON)
    end = NOON + 10 * SECOND

    await world.listed(NOON, end)
    await world.read(archive.read_request(NOON, end, access=archive.access(viewer=SUPERVISOR)), ALERTING)
    await world.export(archive.export_request(NOON, end))

    what = f"{OPTIC}, masked recording, 2026-11-22T12:00:00+00:00 to 2026-11-22T12:00:10+00:00"
    why = "traffic: collision at noon"
    assert [
        tuple(row[name] for name in ("act", "who", "why", "what", "to_whom", "case_reference"))
        for row in await world.entries()
    ] == [
        ("consultation", SUPERVISOR, why, f"list of {what}", "", "7/2026"),
        ("consultation", SUPERVISOR, why, f"{what}, through {ALERTING}", "", "7/2026"),
        ("disclosure", SUPERVISOR, why, what, "authority/questura", "7/2026"),
    ]


async def test_without_the_audit_log_nothing_is_told(world: World) -> None:
    await world.record(NOON)
    await world.pool.execute("ALTER TABLE audit_entries RENAME TO gone")
    end = NOON + 10 * SECOND

    refused = [
        await refusal(call)
        for call in (
            world.listed(NOON, end),
            world.read(archive.read_request(NOON, end)),
            world.export(archive.export_request(NOON, end)),
        )
    ]

    assert refused == [("UNAVAILABLE", "AUDIT_UNAVAILABLE")] * 3


async def test_even_that_there_is_nothing_is_told_on_record_only(world: World) -> None:
    assert await refusal(world.read(archive.read_request(NOON, NOON + MINUTE))) == ("NOT_FOUND", "NOTHING_RECORDED")
    assert len(await world.entries()) == 1


@pytest.mark.parametrize(
    ("path", "viewer", "expected"),
    [
        (OPERATOR, "", ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")),
        ("investigator/gialli", "", ("PERMISSION_DENIED", "RIGHT_MISSING")),
        ("administrator/verdi", "", ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")),
        ("tenants/amiat/supervisor/neri", "", ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")),
        (ALERTING, "investigator/gialli", ("PERMISSION_DENIED", "VIEWER_NOT_ALLOWED")),
        ("service/detector", SUPERVISOR, ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")),
        (SUPERVISOR, OPERATOR, ("INVALID_ARGUMENT", "INVALID_ACCESS")),
    ],
)
async def test_who_may_not_export(world: World, path: str, viewer: str, expected: tuple[str, str]) -> None:
    request = archive.export_request(NOON, NOON + MINUTE, access=archive.access(viewer=viewer))

    assert await refusal(world.export(request, path)) == expected
    assert await world.entries() == []


@pytest.mark.parametrize(
    ("viewer", "expected"),
    [
        ("", ("INVALID_ARGUMENT", "INVALID_ACCESS")),
        ("rossi", ("INVALID_ARGUMENT", "INVALID_ACCESS")),
        ("administrator/verdi", ("PERMISSION_DENIED", "VIEWER_NOT_ALLOWED")),
        (OPERATOR, ("PERMISSION_DENIED", "VIEWER_NOT_ALLOWED")),
        ("tenants/amiat/supervisor/neri", ("PERMISSION_DENIED", "VIEWER_NOT_ALLOWED")),
        ("service/detector", ("PERMISSION_DENIED", "VIEWER_NOT_ALLOWED")),
        ("service/alerting", ("PERMISSION_DENIED", "VIEWER_NOT_ALLOWED")),
    ],
)
async def test_a_service_asks_for_a_person_who_may(world: World, viewer: str, expected: tuple[str, str]) -> None:
    request = archive.read_request(NOON, NOON + MINUTE, access=archive.access(viewer=viewer))

    assert await refusal(world.read(request, ALERTING)) == expected
    assert await world.entries() == []


async def test_the_clip_of_an_alarm_is_short_for_an_operator_and_on_record(world: World) -> None:
    await world.record(NOON, 300)
    access = archive.access(viewer=OPERATOR, reason="handles alerts/a-1")
    request = pb.ReadAlarmClipRequest(alert="alerts/a-1", optic=OPTIC, access=access)
    archive.fill(request.interval, NOON, NOON + timedelta(seconds=30))
    async with world.stub(ALERTING) as stub:
        content = b"".join([part.content async for part in stub.ReadAlarmClip(request)])
        archive.fill(request.interval, NOON, NOON + timedelta(seconds=61))
        too_long = await refusal(stub.ReadAlarmClip(request).read())
        request.access.rights.append("live")
        archive.fill(request.interval, NOON, NOON + timedelta(seconds=30))
        by_token = await refusal(stub.ReadAlarmClip(request).read())
    async with world.stub(OPERATOR) as stub:
        by_person = await refusal(stub.ReadAlarmClip(request).read())

    (entry,) = await world.entries()
    assert content
    assert too_long == ("INVALID_ARGUMENT", "CLIP_TOO_LONG")
    assert by_token == ("PERMISSION_DENIED", "VIEWER_NOT_ALLOWED")
    assert by_person == ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")
    assert entry["who"] == OPERATOR
    assert entry["what"].endswith(", of alerts/a-1, through service/alerting")


async def test_a_right_taken_in_an_emergency_counts_for_whom_the_matrix_names(world: World) -> None:
    await world.record(NOON, 10)
    taken = archive.access(viewer=OPERATOR)
    taken.rights_taken.append("deferred")
    content, _ = await world.read(archive.read_request(NOON, NOON + MINUTE, access=taken), ALERTING)
    taken.viewer = "administrator/verdi"
    administrator = await refusal(world.read(archive.read_request(NOON, NOON + MINUTE, access=taken), ALERTING))
    taken.viewer = ""
    alone = await refusal(world.read(archive.read_request(NOON, NOON + MINUTE, access=taken)))

    assert content
    assert administrator == ("PERMISSION_DENIED", "VIEWER_NOT_ALLOWED")
    assert alone == ("INVALID_ARGUMENT", "INVALID_ACCESS")
    assert len(await world.entries()) == 1


async def test_when_optics_were_recorded_is_told_to_the_ledger_alone(world: World) -> None:
    await world.record(NOON, 10)
    await world.record(NOON + MINUTE, 10)
    request = pb.ListRecordedTimesRequest(optics=[OPTIC, "devices/other/optics/none"])
    archive.fill(request.interval, NOON, NOON + 5 * MINUTE)
    async with world.stub(ALERTING) as stub:
        (told,) = (await stub.ListRecordedTimes(request)).recorded_times
        nobody = await refusal(stub.ListRecordedTimes(pb.ListRecordedTimesRequest(interval=request.interval)))
    async with world.stub(SUPERVISOR) as stub:
        refused = await refusal(stub.ListRecordedTimes(request))

    assert told.optic == OPTIC
    assert [each.start_time.ToDatetime(NOON.tzinfo) for each in told.intervals] == [NOON, NOON + MINUTE]
    assert nobody[0] == "INVALID_ARGUMENT"
    assert refused == ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")
    assert await world.entries() == []


@pytest.mark.parametrize(
    "request_",
    [
        archive.read_request(NOON, NOON + MINUTE, access=archive.access(purpose=" ")),
        archive.read_request(NOON, NOON + MINUTE, access=archive.access(reason="")),
        archive.read_request(NOON, NOON + MINUTE, access=archive.access(reason="x" * 1001)),
        archive.read_request(NOON, NOON),
        archive.read_request(NOON, NOON + MINUTE, optic="devices/-/optics/-"),
        pb.ReadClipRequest(optic=OPTIC, access=archive.access()),
        archive.read_request(NOON, NOON + timedelta(minutes=31)),
    ],
)
async def test_what_cannot_be_used_is_refused_and_names_the_field(world: World, request_: pb.ReadClipRequest) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.read(request_)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await world.entries() == []


async def test_what_has_outlived_its_term_is_not_shown_though_it_is_still_there_unless_it_is_held(world: World) -> None:
    await world.record(NOON, retention=timedelta(hours=1))
    world.now = NOON + timedelta(hours=2)
    request = archive.read_request(NOON, NOON + MINUTE)
    before = await refusal(world.read(request)), list((await world.listed(NOON, NOON + MINUTE)).recordings)
    world.holds = Holds(frozenset({HeldInterval(OPTIC, NOON, NOON + SECOND, NOON + archive.WEEK, "holds/one")}))

    content, _ = await world.read(request)
    listed = await world.listed(NOON, NOON + MINUTE)

    assert before == (("NOT_FOUND", "NOTHING_RECORDED"), [])
    assert len(times(content)) == 50
    assert [list(each.holds) for each in listed.recordings] == [["holds/one"]]


async def test_a_store_that_is_gone_is_unavailable(world: World, tmp_path: Path) -> None:
    await world.record(NOON)
    world.folder.rename(tmp_path / "elsewhere")
    world.folder.write_text("in the way")

    call = world.read(archive.read_request(NOON, NOON + MINUTE))
    assert await refusal(call) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
