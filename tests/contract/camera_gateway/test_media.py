from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import av
import grpc
import numpy as np
import pytest

from argo.camera_gateway.v1 import media_service_pb2 as media
from argo.camera_gateway.v1 import media_service_pb2_grpc
from argo.detector.v1 import detection_service_pb2 as detection
from argo.type.v1 import media_pb2
from mesh.rpc.status import from_rpc_error
from tests.contract.camera_gateway.cameras import write_clip
from tests.contract.camera_gateway.far_ends import refusing
from tests.contract.camera_gateway.gateway import World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

H264 = media_pb2.CodecParameters.CODEC_H264


def requests_of(clip: Path, **wanted: Any) -> list[media.ProcessMediaRequest]:
    with av.open(clip) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        codec = media_pb2.CodecParameters(
            codec=H264,
            extradata=stream.codec_context.extradata or b"",
            width=stream.width,
            height=stream.height,
            time_base_numerator=stream.time_base.numerator,
            time_base_denominator=stream.time_base.denominator,
        )
        parameters = media.ProcessMediaRequest.Parameters(codec=codec, **wanted)
        requests = [media.ProcessMediaRequest(parameters=parameters)]
        for packet in container.demux(stream):
            if packet.size:
                unit = media_pb2.AccessUnit(
                    data=bytes(packet), presentation_timestamp=packet.pts or 0, key_frame=packet.is_keyframe
                )
                requests.append(media.ProcessMediaRequest(packet=unit))
    return requests


async def process(
    running: World, requests: list[media.ProcessMediaRequest], identity: str = "operator/rossi"
) -> list[media.ProcessMediaResponse]:
    async with running.caller(identity) as channel:
        call = media_service_pb2_grpc.MediaServiceStub(channel).ProcessMedia(iter(requests))
        return [response async for response in call]


async def test_every_frame_comes_back_once_in_order(tmp_path: Path) -> None:
    requests = requests_of(
        write_clip(tmp_path / "clip.mp4", frames=57), return_masked_video=True, return_detections=True
    )
    async with world(tmp_path) as running:
        answers = await process(running, requests)

    assert [answer.frame_number for answer in answers] == list(range(1, 58))
    assert [answer.presentation_timestamp for answer in answers] == sorted(
        request.packet.presentation_timestamp for request in requests[1:]
    )
    assert {answer.masked.data for answer in answers} == {b"masked"}
    assert {answer.verdict.detections[0].track for answer in answers} == {7}
    assert not any(answer.unverdicted for answer in answers)
    assert running.detector.modes == [detection.ANALYSIS_MODE_EVERY_FRAME]
    assert {(frame.width, frame.height) for frame in running.detector.frames} == {(320, 240)}
    assert [pair.verdict.sequence for pair in running.anonymizer.frames] == list(range(1, 58))


async def test_without_masked_video_the_anonymizer_is_not_asked(tmp_path: Path) -> None:
    async with world(tmp_path) as running:
        answers = await process(running, requests_of(write_clip(tmp_path / "clip.mp4"), return_detections=True))

    assert len(answers) == 60
    assert not running.anonymizer.frames
    assert all(answer.verdict.detections for answer in answers)


async def test_a_broken_packet_costs_its_frames_and_not_the_file(tmp_path: Path) -> None:
    requests = requests_of(write_clip(tmp_path / "clip.mp4"), return_detections=True)
    requests[25].packet.data = b"\x00\x00\x00\x01\x65" + bytes(200)
    async with world(tmp_path) as running:
        answers = await process(running, requests)

    assert 40 <= len(answers) <= 60
    assert [answer.frame_number for answer in answers] == list(range(1, len(answers) + 1))


async def test_a_frame_that_the_model_failed_on_is_marked(tmp_path: Path) -> None:
    async with world(tmp_path) as running:
        running.detector.outcome = detection.Verdict.OUTCOME_NOT_ANALYSED_FAILURE
        requests = requests_of(write_clip(tmp_path / "clip.mp4", frames=5), return_masked_video=True)
        answers = await process(running, requests)

    assert [answer.unverdicted for answer in answers] == [True] * 5


def parameters(**fields: Any) -> media.ProcessMediaRequest:
    codec = media_pb2.CodecParameters(
        **{"codec": H264, "time_base_numerator": 1, "time_base_denominator": 25, **fields}
    )
    return media.ProcessMediaRequest(parameters=media.ProcessMediaRequest.Parameters(codec=codec))


def turning(quarter_turns: int) -> media.ProcessMediaRequest:
    request = parameters()
    request.parameters.quarter_turns = quarter_turns
    return request


PACKET = media.ProcessMediaRequest(packet=media_pb2.AccessUnit(data=b"no video", presentation_timestamp=0))


@pytest.mark.parametrize(
    ("requests", "reason"),
    [
        ([], "PARAMETERS_EXPECTED"),
        ([PACKET], "PARAMETERS_EXPECTED"),
        ([parameters(codec=media_pb2.CodecParameters.CODEC_UNSPECIFIED)], "CODEC_NOT_TAKEN"),
        ([parameters(time_base_denominator=0)], "CODEC_NOT_TAKEN"),
        ([turning(4)], "CODEC_NOT_TAKEN"),
        ([parameters(), parameters()], "PACKET_EXPECTED"),
        ([parameters(), PACKET, PACKET], "MEDIA_UNDECODABLE"),
    ],
)
async def test_bad_input_is_refused_with_its_reason(
    tmp_path: Path, requests: list[media.ProcessMediaRequest], reason: str
) -> None:
    async with world(tmp_path) as running:
        with refusing() as caught:
            await process(running, requests)

    error = from_rpc_error(caught.error)
    assert (caught.error.code(), error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


@pytest.mark.parametrize("peer", ["detector", "anonymizer"])
async def test_a_peer_that_is_away_is_named(tmp_path: Path, peer: str) -> None:
    requests = requests_of(write_clip(tmp_path / "clip.mp4"), return_masked_video=True)
    async with world(tmp_path) as running:
        await running.close(peer)
        with refusing() as caught:
            await process(running, requests)

    error = from_rpc_error(caught.error)
    assert (caught.error.code(), error.reason) == (grpc.StatusCode.UNAVAILABLE, f"{peer.upper()}_UNAVAILABLE")


@pytest.mark.parametrize("peer", ["detector", "anonymizer"])
async def test_a_client_that_has_much_to_send_is_told_to_stop_and_learns_the_reason(tmp_path: Path, peer: str) -> None:
    opening, *packets = requests_of(write_clip(tmp_path / "clip.mp4"), return_masked_video=True)
    is_stopping = False

    async def endless() -> AsyncIterator[media.ProcessMediaRequest]:
        yield opening
        for packet in itertools.cycle(packets):
            if is_stopping:
                return
            yield packet

    async with world(tmp_path) as running, running.caller() as channel:
        call = media_service_pb2_grpc.MediaServiceStub(channel).ProcessMedia(endless())
        with refusing() as caught:
            async for response in call:
                is_stopping = response.stopping
                if response.frame_number == 1:
                    await running.close(peer)

    assert is_stopping
    assert from_rpc_error(caught.error).reason == f"{peer.upper()}_UNAVAILABLE"


@pytest.mark.parametrize(("turns", "size"), [(0, (320, 240)), (1, (240, 320)), (2, (320, 240)), (3, (240, 320))])
async def test_pictures_are_turned_upright_before_anybody_looks_at_them(
    tmp_path: Path, turns: int, size: tuple[int, int]
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=5)
    async with world(tmp_path) as running:
        await process(running, requests_of(clip, return_masked_video=True))
        await process(running, requests_of(clip, return_masked_video=True, quarter_turns=turns))
        straight, turned = running.detector.frames[0], running.detector.frames[5]

    assert (turned.width, turned.height) == size
    assert (running.anonymizer.frames[5].frame.width, running.anonymizer.frames[5].frame.height) == size
    for before, after in zip(planes_of(straight), planes_of(turned), strict=True):
        np.testing.assert_array_equal(np.rot90(before, -turns), after)


def planes_of(frame: media_pb2.Frame) -> list[np.ndarray]:
    flat, area = np.frombuffer(frame.i420, np.uint8), frame.width * frame.height
    half = (frame.height // 2, frame.width // 2)
    return [
        flat[:area].reshape(frame.height, frame.width),
        flat[area : area * 5 // 4].reshape(half),
        flat[area * 5 // 4 :].reshape(half),
    ]


async def test_only_so_many_files_at_once(tmp_path: Path) -> None:
    requests = requests_of(write_clip(tmp_path / "clip.mp4"))
    async with world(tmp_path, max_media_streams=1) as running:
        running.detector.hold.clear()
        async with running.caller() as channel:
            first = media_service_pb2_grpc.MediaServiceStub(channel).ProcessMedia()
            await first.write(requests[0])
            for request in requests[1:10]:
                await first.write(request)
            while not running.detector.frames:
                await first.write(requests[1])
            with refusing() as caught:
                await process(running, requests)
            first.cancel()

    assert from_rpc_error(caught.error).reason == "MEDIA_BUSY"
    assert caught.error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_service_may_not_send_files(tmp_path: Path) -> None:
    async with world(tmp_path) as running:
        with refusing() as caught:
            await process(running, [parameters()], identity="service/alerting")

    assert caught.error.code() == grpc.StatusCode.PERMISSION_DENIED
