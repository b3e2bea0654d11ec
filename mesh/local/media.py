"""Files for the gateway's MediaService: demultiplexing, and what comes back."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Self

import av

from argo.camera_gateway.v1 import media_service_pb2 as media
from argo.camera_gateway.v1 import media_service_pb2_grpc
from argo.type.v1 import media_pb2
from mesh.local.camera.clip import open_video
from mesh.local.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from types import TracebackType

    import grpc

    from argo.registry.v1 import lease_service_pb2

CODECS: Final = {
    "h264": media_pb2.CodecParameters.CODEC_H264,
    "hevc": media_pb2.CodecParameters.CODEC_H265,
    "mjpeg": media_pb2.CodecParameters.CODEC_MJPEG,
    "mpeg4": media_pb2.CodecParameters.CODEC_MPEG4,
    "msmpeg4": media_pb2.CodecParameters.CODEC_MSMPEG4_V3,
    "vp8": media_pb2.CodecParameters.CODEC_VP8,
    "vp9": media_pb2.CodecParameters.CODEC_VP9,
    "av1": media_pb2.CodecParameters.CODEC_AV1,
    "libdav1d": media_pb2.CodecParameters.CODEC_AV1,
}
"""FFmpeg's decoder names of the codecs that the gateway takes."""

_NAMES: Final = "H.264, H.265, Motion JPEG, MPEG-4, MS-MPEG-4 v3, VP8, VP9 and AV1"


@dataclass(frozen=True)
class Wanted:
    """What is wanted back.

    Attributes:
        video: masked pictures.
        detections: what was seen, with tracks.
        configuration: what is drawn over the picture and which rules watch it; None: nothing and none.
        frame_rate: true frames per second, where the container says it wrongly; None: as the container says.
    """

    video: bool = False
    detections: bool = False
    configuration: lease_service_pb2.OpticConfiguration | None = None
    frame_rate: float | None = None


class MediaFile:
    """The video stream of a file, packet by packet. Sound and metadata are never read. Use as a context manager.

    Args:
        path: the file.

    Attributes:
        quarter_turns: clockwise, 0 to 3, after which its pictures stand upright.

    Raises:
        SourceError: it is no video, or its codec is not taken.
    """

    def __init__(self, path: Path) -> None:
        self._container = open_video(path)
        if self._container.format.name == "image2" or self._container.format.name.endswith("_pipe"):
            self._container.close()
            raise SourceError(
                f"{path} is a single picture", "give a video: a street is known by how it looks over time"
            )
        self._stream = self._container.streams.video[0]
        name = self._stream.codec.name
        if name not in CODECS:
            self._container.close()
            raise SourceError(f"{path} is coded as {name}, which is not taken", f"convert it to one of {_NAMES}")
        self._codec = CODECS[name]
        self.quarter_turns = _quarter_turns(path)
        self._sent: list[int] = []
        self._has_times = True

    @property
    def width(self) -> int:
        """Of the pictures, in pixels."""
        return self._stream.width

    @property
    def height(self) -> int:
        """Of the pictures, in pixels."""
        return self._stream.height

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the pictures as they are to be looked at, in pixels."""
        return (self.height, self.width) if self.quarter_turns % 2 else (self.width, self.height)

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick of every timestamp."""
        assert self._stream.time_base is not None
        return self._stream.time_base

    @property
    def frames(self) -> int:
        """How many frames there are, as far as the container says or can be guessed; 0 if not."""
        if self._stream.frames:
            return self._stream.frames
        rate = self._stream.average_rate
        return int((self._container.duration or 0) / av.time_base * rate) if rate else 0

    @property
    def frame_rate(self) -> float:
        """Frames per second, as far as the container says; 0 if not."""
        return float(self._stream.average_rate or 0)

    def seconds_per_tick(self, frame_rate: float | None) -> Fraction:
        """Of every timestamp.

        Args:
            frame_rate: true frames per second, where the container says it wrongly.
        """
        if frame_rate is None or not self._stream.average_rate:
            return self.time_base
        faster = Fraction(self._stream.average_rate) / Fraction(frame_rate).limit_denominator(1000)
        return self.time_base * faster

    def parameters(self, frame_rate: float | None = None) -> media_pb2.CodecParameters:
        """What a decoder has to know; `frame_rate` as of `seconds_per_tick`."""
        rate, tick = self._stream.average_rate, self.seconds_per_tick(frame_rate)
        return media_pb2.CodecParameters(
            codec=self._codec,
            extradata=self._stream.codec_context.extradata or b"",
            width=self.width,
            height=self.height,
            time_base_numerator=tick.numerator,
            time_base_denominator=tick.denominator,
            frame_rate_numerator=rate.numerator if rate else 0,
            frame_rate_denominator=rate.denominator if rate else 1,
        )

    def packets(self) -> Iterator[media_pb2.AccessUnit]:
        """The packets, in decoding order.

        Raises:
            SourceError: the file cannot be read on.
        """
        try:
            for packet in self._container.demux(self._stream):
                if not packet.size:
                    continue
                self._has_times = self._has_times and packet.pts is not None
                timestamp = next((time for time in (packet.pts, packet.dts) if time is not None), len(self._sent))
                heapq.heappush(self._sent, timestamp)
                yield media_pb2.AccessUnit(
                    data=bytes(packet), presentation_timestamp=timestamp, key_frame=packet.is_keyframe
                )
        except av.FFmpegError as error:
            raise SourceError(f"the video breaks off: {error.strerror}", "repair the file, or cut it before") from None

    def time_of_next_frame(self, decoded: int) -> int:
        """The presentation time of the next frame, in presentation order.

        A container without presentation times (AVI) has decoding times only. As every packet is one frame, the frames
        then have these times in ascending order.

        Args:
            decoded: the time that the decoder gave the frame.
        """
        earliest = heapq.heappop(self._sent) if self._sent else decoded
        return decoded if self._has_times else earliest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._container.close()


def _quarter_turns(path: Path) -> int:
    """What the container says about how the camera was held; it comes with the first picture."""
    try:
        with open_video(path) as container:
            first = next(container.decode(video=0), None)
    except av.FFmpegError:
        # Whatever is wrong with the first picture, it can be told better when the whole file is decoded.
        return 0
    # In degrees, counter-clockwise.
    return -round(first.rotation / 90) % 4 if first is not None else 0


async def process(
    channel: grpc.aio.Channel, file: MediaFile, wanted: Wanted
) -> AsyncIterator[media.ProcessMediaResponse]:
    """Send a file along the road, and yield what comes of each frame, in presentation order.

    Packets are read as fast as the gateway takes them: the stream pushes back.

    Raises:
        grpc.aio.AioRpcError: the gateway refuses the file, or it or a service behind it is away.
        SourceError: the file cannot be read on.
    """
    failure: list[SourceError] = []
    stopping = False

    async def requests() -> AsyncIterator[media.ProcessMediaRequest]:
        yield media.ProcessMediaRequest(
            parameters=media.ProcessMediaRequest.Parameters(
                codec=file.parameters(wanted.frame_rate),
                return_masked_video=wanted.video,
                return_detections=wanted.detections,
                configuration=wanted.configuration,
                quarter_turns=file.quarter_turns if wanted.video else 0,
            )
        )
        try:
            for packet in file.packets():
                if stopping:
                    return
                yield media.ProcessMediaRequest(packet=packet)
        except SourceError as error:
            # grpc would swallow it: the answers so far are still wanted, then the truth is told.
            failure.append(error)

    stub: Any = media_service_pb2_grpc.MediaServiceStub(channel)
    call = stub.ProcessMedia(requests())
    try:
        async for response in call:
            stopping = response.stopping
            if not stopping:
                yield response
    finally:
        call.cancel()
    if failure:
        raise failure[0]
