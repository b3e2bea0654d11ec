from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from argo.detector.v1 import detection_service_pb2
from argo.type.v1 import media_pb2
from tests.contract.detector.harness import OPTIC, first, frame, run_detector
from tests.contract.streams import next_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from detector.model import Model
    from mesh.authority import CertificateAuthority

pytestmark = pytest.mark.models

Request = detection_service_pb2.AnalyzeRequest
Verdict = detection_service_pb2.Verdict


async def send(*requests: Request) -> AsyncIterator[Request]:
    for request in requests:
        yield request


def bad_request(error: grpc.aio.AioRpcError) -> dict[str, str]:
    status = rpc_status.from_call(error)
    found: dict[str, str] = {}
    for detail in status.details:
        message = error_details_pb2.BadRequest()
        if detail.Unpack(message):
            found.update({violation.field: violation.description for violation in message.field_violations})
    return found


@pytest.mark.parametrize("every_frame", [True, False])
async def test_each_frame_is_answered_once_and_in_order(
    model: Model, authority: CertificateAuthority, *, every_frame: bool
) -> None:
    frames = [frame(number, seconds=number / 25) for number in range(1, 41)]
    async with run_detector(model, authority) as detector:
        verdicts = [verdict async for verdict in detector.stub.Analyze(send(first(every_frame=every_frame), *frames))]

    assert [verdict.sequence for verdict in verdicts] == list(range(1, 41))
    assert {verdict.model_digest for verdict in verdicts} == {model.digest}


async def test_a_stream_that_wants_every_frame_gets_every_frame_analysed(
    model: Model, authority: CertificateAuthority
) -> None:
    frames = [frame(number, seconds=number / 25) for number in range(1, 31)]
    async with run_detector(model, authority) as detector:
        verdicts = [verdict async for verdict in detector.stub.Analyze(send(first(every_frame=True), *frames))]

    assert {verdict.outcome for verdict in verdicts} == {Verdict.OUTCOME_ANALYSED}


async def test_overload_is_said_and_never_an_empty_verdict(model: Model, authority: CertificateAuthority) -> None:
    frames = [frame(number, seconds=number / 25, width=640, height=480) for number in range(1, 41)]
    async with run_detector(model, authority) as detector:
        verdicts = [verdict async for verdict in detector.stub.Analyze(send(first(), *frames))]
        counted = detector.registry.get_sample_value("argo_detector_frames_total", {"outcome": "overload"})

    refused = [verdict for verdict in verdicts if verdict.outcome == Verdict.OUTCOME_NOT_ANALYSED_OVERLOAD]
    assert len(verdicts) == 40
    assert counted is not None
    assert len(refused) == counted > 0
    assert not any(verdict.detections for verdict in refused)
    assert verdicts[-1].outcome == Verdict.OUTCOME_ANALYSED


async def test_several_optics_are_served_side_by_side(model: Model, authority: CertificateAuthority) -> None:
    async def collect(number: int) -> Sequence[int]:
        frames = [frame(sequence, seconds=sequence / 25) for sequence in range(1, 11)]
        call = detector.stub.Analyze(
            send(first(every_frame=True, optic=f"devices/camera-{number}/optics/front"), *frames)
        )
        return [verdict.sequence async for verdict in call]

    async with run_detector(model, authority) as detector:
        found = await asyncio.gather(*(collect(number) for number in range(1, 5)))

    assert found == [list(range(1, 11))] * 4


async def test_a_stream_without_messages_ends_without_verdicts(model: Model, authority: CertificateAuthority) -> None:
    async with run_detector(model, authority) as detector:
        assert [verdict async for verdict in detector.stub.Analyze(send())] == []


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([frame(1)], "configuration"),
        ([Request()], "configuration"),
        ([first(optic="camera-1")], "configuration.optic"),
        ([first(zones=[])], "configuration.rules[0].zone_intrusion.zone"),
        ([first(lines=[])], "configuration.rules[1].line_crossing.line"),
        ([first(), first(optic="")], "configuration.optic"),
        ([first(), frame(1, i420=b"")], "frame.i420"),
        ([first(), frame(1, width=0, height=0)], "frame.i420"),
        ([first(), frame(1, width=63, height=48, i420=bytes(63 * 72))], "frame.i420"),
        ([first(), frame(1, i420=bytes(64 * 48 * 3 // 2 + 1))], "frame.i420"),
        ([first(), Request(frame=media_pb2.Frame(width=64, height=48, i420=bytes(4608)))], "frame.capture_time.time"),
        ([first(), frame(1, seconds=-1_700_000_001)], "frame.capture_time.time"),
        ([first(), Request()], "frame.i420"),
    ],
)
async def test_a_wrong_request_is_refused_with_its_field(
    model: Model, authority: CertificateAuthority, requests: Sequence[Request], field: str
) -> None:
    async with run_detector(model, authority) as detector:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [verdict async for verdict in detector.stub.Analyze(send(*requests))]

    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert field in bad_request(caught.value)


async def test_frames_before_a_wrong_one_are_answered_first(model: Model, authority: CertificateAuthority) -> None:
    found = []
    async with run_detector(model, authority) as detector:
        call = detector.stub.Analyze(send(first(every_frame=True), frame(1), frame(2), frame(3, i420=b"?")))
        found += [(await next_message(call, Verdict)).sequence for _ in range(2)]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

    assert found == [1, 2]
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("caller", ["service/anonymizer", "operator/anna", "authority/police"])
async def test_nobody_but_the_gateway_sends_frames(model: Model, authority: CertificateAuthority, caller: str) -> None:
    async with run_detector(model, authority, caller=caller) as detector:
        # Nothing is written: a write that crosses the refusal can end the call with INTERNAL on the client's side.
        call = detector.stub.Analyze()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_a_drain_ends_open_streams_with_unavailable(model: Model, authority: CertificateAuthority) -> None:
    async with run_detector(model, authority) as detector:
        call = detector.stub.Analyze()
        await call.write(first())
        await call.write(frame(1))
        answered = await next_message(call, Verdict)
        await detector.servicer.drain()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

    assert answered.sequence == 1
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_model_that_fails_is_said_and_the_stream_goes_on(model: Model, authority: CertificateAuthority) -> None:
    async with run_detector(model, authority) as detector:
        broken = detector.stub.Analyze()
        await broken.write(first(every_frame=True))
        # onnxruntime refuses an input of another rank: a real failure of the real session.
        session = model._session
        model._session = None  # type: ignore[assignment]
        try:
            await broken.write(frame(1))
            failed = await next_message(broken, Verdict)
        finally:
            model._session = session
        await broken.write(frame(2))
        recovered = await next_message(broken, Verdict)
        await broken.done_writing()

    assert failed.outcome == Verdict.OUTCOME_NOT_ANALYSED_FAILURE
    assert not failed.detections
    assert recovered.outcome == Verdict.OUTCOME_ANALYSED
    assert OPTIC not in failed.fired_rules
