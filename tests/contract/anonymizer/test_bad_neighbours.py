"""Neighbours that are slow, corrupt or killed: whatever they do, nothing of the camera's picture leaves."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

import av
import grpc
import pytest

from argo.anonymizer.v1 import redaction_service_pb2
from argo.detector.v1 import detection_service_pb2
from mesh.ice import offer_loopback
from tests.contract.anonymizer import harness
from tests.contract.anonymizer.test_live_view import permit, watching
from tests.contract.streams import next_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av import VideoFrame

    from mesh.authority import CertificateAuthority

offer_loopback()

Request = redaction_service_pb2.RedactRequest
Response = redaction_service_pb2.RedactResponse
FRAMES = 60
SIZES = ((128, 96), (64, 48), (160, 120))


def garbage(dice: random.Random, sequence: int) -> detection_service_pb2.Verdict | None:
    """What a detector may answer that is late, mistaken, out of order, broken, or somebody else."""
    if dice.random() < 0.2:
        return None
    verdict = detection_service_pb2.Verdict(
        sequence=dice.choice((sequence, sequence, max(0, sequence - 1), sequence + 1, 0, 2**62)),
        outcome=dice.choice(detection_service_pb2.Verdict.Outcome.values()),
    )
    numbers = (0.0, 0.5, 1.0, -1.0, 1e38, -1e38, float("nan"), float("inf"))
    for _ in range(dice.choice((0, 0, 1, 50))):
        detection = verdict.detections.add(object_class=dice.choice((0, 1, 3, 77, -5)), score=dice.choice(numbers))
        track = verdict.tracks.add(track=dice.randrange(2**32))
        for box in (detection.box, track.box):
            box.left, box.top, box.width, box.height = dice.choices(numbers, k=4)
    return verdict


def requests(dice: random.Random) -> Iterator[Request]:
    """Frames in any order, at any time, of any size, with configurations in between."""
    sequence, seconds, size = 0, 1_000.0, SIZES[0]
    for _ in range(FRAMES):
        if dice.random() < 0.1:
            yield Request(configuration=harness.opening(harness.LIVE).configuration)
        if dice.random() < 0.1:
            size = dice.choice(SIZES)
        sequence = dice.choice((sequence + 1, sequence + 1, sequence, max(0, sequence - 3), sequence + 1000))
        seconds = max(0.0, seconds + dice.choice((0.2, 0.2, 0.0, -5.0, 3600.0)))
        picture = harness.street(*size, seed=dice.randrange(3))
        yield harness.frame_request(sequence, seconds, picture=picture, verdict=garbage(dice, sequence), size=size)


def is_clear(picture: VideoFrame) -> bool:
    """Whether anything of the street is in it, which is noise all over; a whole mask is one grey."""
    luma = picture.to_ndarray(format="gray")[: picture.height // 2]
    return float(luma.std(axis=1).min()) > 4


def pictures_of(answers: list[Response]) -> list[VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    shown = [picture for answer in answers for picture in decoder.decode(av.Packet(answer.masked.data))]
    assert len(shown) == len(answers)
    return shown


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_detector_and_gateway_send_every_answer_is_masked(
    authority: CertificateAuthority, seed: int
) -> None:
    dice, answers = random.Random(seed), []
    async with harness.running(authority) as anonymizer, anonymizer.redaction() as call:
        await call.write(harness.opening(harness.RETURN))
        for request in requests(dice):
            await call.write(request)
            if request.HasField("frame"):
                answers.append(await next_message(call, Response))
                assert answers[-1].sequence == request.frame.frame.sequence
                assert answers[-1].basis == Response.BASIS_UNVERDICTED or request.frame.HasField("verdict")

    assert {answer.unmasked_frames_out for answer in answers} == {0}
    assert {answer.masked_fraction for answer in answers} == {1.0}
    assert not any(is_clear(picture) for picture in pictures_of(answers))


async def test_a_gateway_killed_in_mid_frame_again_and_again_shows_viewers_nothing_but_masks(
    authority: CertificateAuthority,
) -> None:
    """It dies with a frame on its way; the next one goes on with another size and garbage for verdicts."""
    dice = random.Random(1)
    async with harness.running(authority) as anonymizer, contextlib.AsyncExitStack() as stack:
        sending = asyncio.create_task(killed_again_and_again(anonymizer, dice))
        stack.callback(sending.cancel)
        while anonymizer.metric("argo_anonymizer_streams") == 0:
            await asyncio.sleep(0.01)
        viewer, _, _ = await stack.enter_async_context(watching(await permit(anonymizer)))
        shown = [await viewer.frames.get() for _ in range(30)]
        assert not sending.done()

    assert not any(is_clear(picture) for picture in shown)


async def killed_again_and_again(anonymizer: harness.Anonymizer, dice: random.Random) -> None:
    while True:
        async with anonymizer.redaction() as call:
            await call.write(harness.opening(harness.LIVE))
            for request in requests(dice):
                await call.write(request)
                if request.HasField("frame") and dice.random() < 0.95:
                    await call.read()
                if dice.random() < 0.02:
                    break


async def test_a_gateway_that_reads_no_answers_holds_up_nobody_else(authority: CertificateAuthority) -> None:
    async with (
        harness.running(authority) as anonymizer,
        anonymizer.redaction() as stuck,
        anonymizer.redaction() as call,
    ):
        await stuck.write(harness.opening(harness.RETURN))
        for number in range(20):
            await stuck.write(harness.frame_request(number, number / 5, verdict=harness.looked(number)))
        await call.write(harness.opening(harness.RETURN))
        await call.write(harness.frame_request(7, 1.0, verdict=harness.looked(7)))
        answer = await next_message(call, Response)

    assert answer.sequence == 7


async def test_bytes_that_are_no_message_end_the_call_and_nothing_else(authority: CertificateAuthority) -> None:
    method = "/argo.anonymizer.v1.RedactionService/Redact"
    async with harness.running(authority) as anonymizer, anonymizer.channel("service/camera-gateway") as channel:
        broken: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await broken(iter([b"\xff" * 1000])).read()
        call = channel.stream_stream(
            method, request_serializer=Request.SerializeToString, response_deserializer=Response.FromString
        )()
        await call.write(harness.opening(harness.RETURN))
        await call.write(harness.frame_request(0, 1.0))
        answer = await next_message(call, Response)

    assert caught.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INVALID_ARGUMENT)
    assert answer.masked_fraction == 1.0
