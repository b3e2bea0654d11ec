from __future__ import annotations

from typing import TYPE_CHECKING

import av
import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from anonymizer.domain.redactor import Redactor
from argo.anonymizer.v1 import redaction_service_pb2, redaction_service_pb2_grpc
from argo.detector.v1 import detection_service_pb2
from tests.contract.anonymizer import harness
from tests.contract.streams import next_message

if TYPE_CHECKING:
    from mesh.authority import CertificateAuthority

Response = redaction_service_pb2.RedactResponse


async def test_every_frame_comes_back_masked_in_order_with_its_own_timestamp(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, anonymizer.redaction() as call:
        await call.write(harness.opening(harness.RETURN))
        results = []
        for number in range(12):
            request = harness.frame_request(
                number, 0.1 * number, verdict=harness.looked(number), timestamp=number * 3003
            )
            await call.write(request)
            results.append(await next_message(call, Response))

    decoder = av.CodecContext.create("h264", "r")
    pictures = [picture for result in results for picture in decoder.decode(av.Packet(result.masked.data))]
    pictures += decoder.decode(None)
    assert [result.sequence for result in results] == list(range(12))
    assert [result.masked.presentation_timestamp for result in results] == [n * 3003 for n in range(12)]
    assert {result.basis for result in results} == {Response.BASIS_VERDICT}
    assert {result.unmasked_frames_out for result in results} == {0}
    assert len(pictures) == 12
    # Nothing is known of the street yet: the picture is one solid colour.
    assert all(picture.to_ndarray(format="gray").std() < 2 for picture in pictures)


async def test_an_access_unit_names_no_encoder(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, anonymizer.redaction() as call:
        await call.write(harness.opening(harness.RETURN))
        await call.write(harness.frame_request(0, 0.0))
        result = await next_message(call, Response)

    assert b"x264" not in result.masked.data


@pytest.mark.parametrize(
    "verdict",
    [
        pytest.param(None, id="none"),
        pytest.param(harness.looked(4), id="of another frame"),
        pytest.param(
            detection_service_pb2.Verdict(
                sequence=5, outcome=detection_service_pb2.Verdict.OUTCOME_NOT_ANALYSED_OVERLOAD
            ),
            id="not analysed",
        ),
        pytest.param(harness.looked(5, (float("nan"), 0.0, 0.1, 0.1)), id="no box"),
        pytest.param(harness.looked(5, (0.5, 0.5, -0.1, 0.1)), id="box turned inside out"),
    ],
)
async def test_without_a_verdict_for_this_very_frame_it_says_unverdicted(
    authority: CertificateAuthority, verdict: detection_service_pb2.Verdict | None
) -> None:
    async with harness.running(authority) as anonymizer, anonymizer.redaction() as call:
        await call.write(harness.opening(harness.RETURN))
        await call.write(harness.frame_request(5, 1.0, verdict=verdict))
        result = await next_message(call, Response)

    assert result.basis == Response.BASIS_UNVERDICTED
    assert result.masked_fraction == 1.0


async def test_a_redactor_that_fails_gives_a_whole_mask_and_is_counted(
    authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise IndexError

    async with harness.running(authority) as anonymizer, anonymizer.redaction() as call:
        await call.write(harness.opening(harness.RETURN))
        with monkeypatch.context() as patch:
            patch.setattr(Redactor, "redact", fail)
            await call.write(harness.frame_request(0, 0.0, verdict=harness.looked(0)))
            failed = await next_message(call, Response)
        await call.write(harness.frame_request(1, 0.1, verdict=harness.looked(1)))
        healed = await next_message(call, Response)
        counted = anonymizer.metric("argo_anonymizer_frames_failed_closed_total", optic=harness.OPTIC)

    picture = av.CodecContext.create("h264", "r").decode(av.Packet(failed.masked.data))
    assert failed.basis == Response.BASIS_WHOLE_PICTURE
    assert failed.masked_fraction == 1.0
    assert all(int(np.ptp(each.to_ndarray(format="gray"))) < 8 for each in picture)
    assert counted == 1
    assert healed.basis == Response.BASIS_VERDICT


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param([harness.frame_request(0, 0.0)], id="frame before a configuration"),
        pytest.param([redaction_service_pb2.RedactRequest()], id="empty first message"),
        pytest.param(
            [harness.opening(harness.RETURN), redaction_service_pb2.RedactRequest()], id="empty later message"
        ),
        pytest.param(
            [harness.opening(harness.RETURN), harness.frame_request(0, 0.0, picture=harness.street()[:-1])],
            id="planes too short",
        ),
        pytest.param([harness.opening(harness.RETURN), harness.frame_request(0, 0.0, size=(127, 96))], id="odd width"),
        pytest.param(
            [harness.opening(harness.RETURN), harness.frame_request(0, 0.0, size=(8192, 2))], id="unsupported size"
        ),
    ],
)
async def test_what_cannot_be_masked_is_refused_and_nothing_comes_out(
    authority: CertificateAuthority, requests: list[redaction_service_pb2.RedactRequest]
) -> None:
    async with harness.running(authority) as anonymizer, anonymizer.channel("service/camera-gateway") as channel:
        stub = redaction_service_pb2_grpc.RedactionServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Redact(harness.send(*requests)).read()

    status = rpc_status.from_call(caught.value)
    info = error_details_pb2.ErrorInfo()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert status.details[0].Unpack(info)
    assert info.reason == "INVALID_REDACT_REQUEST"


async def test_another_optic_in_the_same_stream_is_refused(authority: CertificateAuthority) -> None:
    other = harness.opening(harness.LIVE)
    other.configuration.optic = "devices/piazza-1/optics/south"
    async with harness.running(authority) as anonymizer, anonymizer.redaction() as call:
        await call.write(harness.opening(harness.LIVE))
        await call.write(other)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("path", ["service/alerting", "service/detector", "operator/rossi", "authority/procura"])
async def test_only_the_gateway_may_send_frames(authority: CertificateAuthority, path: str) -> None:
    async with harness.running(authority) as anonymizer, anonymizer.redaction(path) as call:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_change_of_size_goes_on_with_everything_masked(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, anonymizer.redaction() as call:
        await call.write(harness.opening(harness.RETURN))
        await call.write(harness.frame_request(0, 0.0, verdict=harness.looked(0)))
        await call.read()
        await call.write(harness.frame_request(1, 0.1, verdict=harness.looked(1), size=(96, 64)))
        result = await next_message(call, Response)

    picture = av.CodecContext.create("h264", "r").decode(av.Packet(result.masked.data))
    assert result.masked.key_frame
    assert result.masked_fraction == 1.0
    assert all((each.width, each.height) == (96, 64) for each in picture)


async def test_streams_beyond_the_limit_are_refused(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, anonymizer.channel("service/camera-gateway") as channel:
        stub = redaction_service_pb2_grpc.RedactionServiceStub(channel)
        calls = [stub.Redact() for _ in range(4)]
        for number, call in enumerate(calls):
            await call.write(harness.opening(harness.RETURN))
            await call.write(harness.frame_request(number, 0.0))
            await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Redact().read()
        for call in calls:
            call.cancel()

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_drain_ends_streams_with_unavailable(authority: CertificateAuthority) -> None:
    async with harness.running(authority) as anonymizer, anonymizer.redaction() as call:
        await call.write(harness.opening(harness.RETURN))
        await call.write(harness.frame_request(0, 0.0))
        await call.read()
        await anonymizer.servicer.drain()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
