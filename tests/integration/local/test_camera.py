"""The camera's pictures as FFmpeg's own clients see them: codecs, transports, forms, several optics."""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner

from mesh.local.camera.__main__ import main
from mesh.local.camera.authentication import Authenticator
from mesh.local.camera.encoding import Rendition, open_clip
from mesh.local.errors import LocalError, SourceError
from mesh.testing import certificate_authority
from tests.integration.local.camera_client import open_stream, pictures, playing, watch
from tests.integration.local.conftest import write_video

FRAMES = 30
TICKS_PER_FRAME = 90_000 // 20


async def test_time_goes_on_over_the_loop(video: Path) -> None:
    async with playing(video) as camera:
        frames = await asyncio.to_thread(watch, camera.url, FRAMES + 10)

    # FFmpeg's RTSP client gives the very first frame no time.
    times = [frame.pts for frame in frames[1:] if frame.pts is not None]
    assert len(times) == FRAMES + 9
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {TICKS_PER_FRAME}
    assert times[0] == TICKS_PER_FRAME


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_codec_and_transport_are_as_asked(video: Path, codec: str, transport: str) -> None:
    def first(url: str) -> tuple[str, int]:
        with open_stream(url, transport) as container:
            frame = next(container.decode(video=0))
            return container.streams.video[0].codec.name, frame.width

    form: Any = codec
    async with playing(video, main=Rendition(codec=form)) as camera:
        assert await asyncio.to_thread(first, camera.url) == (codec, 160)


async def test_large_pictures_come_whole_in_fragments(tmp_path: Path) -> None:
    path = tmp_path / "noise.mp4"
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"tune": "zerolatency", "qp": "20"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        packet = next(container.demux(video=0))
        expected = packet.decode()[0].to_ndarray(format="rgb24")
        size = packet.size

    async with playing(path) as camera:
        seen = (await pictures(camera.url, 1))[0]

    assert size > 20_000
    assert np.array_equal(seen, expected)


async def test_h264_file_is_passed_on_as_it_is(h264_video: Path) -> None:
    clip = await asyncio.to_thread(open_clip, (h264_video,), Rendition())
    await asyncio.to_thread(clip.wait_for_all)
    with av.open(str(h264_video)) as container:
        original = [packet for packet in container.demux(video=0) if packet.size]

    assert len(clip.units) == len(original) == FRAMES
    # The slice data is the same; only start codes and parameter sets differ.
    assert clip.units[5].data[-20:] == bytes(original[5])[-20:]


async def test_three_clients_watch_at_once(video: Path) -> None:
    async with playing(video) as camera:
        watched = await asyncio.gather(*(asyncio.to_thread(watch, camera.url, 10) for _ in range(3)))

    assert [len(frames) for frames in watched] == [10, 10, 10]


async def test_sub_stream_is_smaller_and_slower(video: Path) -> None:
    sub = Rendition(size=(80, 80), rate=Fraction(5))
    async with playing(video, sub=sub) as camera:
        main, light = [await asyncio.to_thread(watch, camera.url + suffix, 6) for suffix in ("", "/sub")]

    assert [(frame.width, frame.height) for frame in (main[0], light[0])] == [(160, 120), (80, 60)]
    times = [frame.pts or 0 for frame in light[1:]]
    steps = {later - earlier for earlier, later in itertools.pairwise(times)}
    # At the end of a clip of 1.5 s the step is shorter.
    assert 90_000 // 5 in steps
    assert min(steps) > TICKS_PER_FRAME


async def test_each_optic_plays_its_own_file(video: Path, tmp_path: Path) -> None:
    upright = write_video(tmp_path / "upright.mp4", "libx264", size=(96, 128))
    async with playing(video, upright, optics=2) as camera:
        first, second = [await asyncio.to_thread(watch, url, 2) for url in camera.urls]

    assert [url.rpartition("/stream/")[2] for url in camera.urls] == ["1", "2"]
    assert [(frame.width, frame.height) for frame in (first[0], second[0])] == [(160, 120), (96, 128)]


async def test_devices_have_a_port_each(video: Path) -> None:
    async with playing(video, optics=2, devices=3) as camera:
        watched = await asyncio.gather(*(asyncio.to_thread(watch, url, 2) for url in camera.urls))

    assert len(set(camera.ports)) == 3
    assert [len(frames) for frames in watched] == [2] * 6


async def test_mosaic_holds_every_optic_in_its_tile(video: Path, tmp_path: Path) -> None:
    white = write_video(tmp_path / "white.mp4", "libx264", brightness=250)
    async with playing(video, white, white, optics=3, is_mosaic=True) as camera:
        mosaic = (await pictures(camera.url, 1))[0]

    assert len(camera.urls) == 1
    assert mosaic.shape == (240, 320, 3)
    tiles = [mosaic[top : top + 120, left : left + 160].mean() for top in (0, 120) for left in (0, 160)]
    assert tiles[0] < 100
    assert min(tiles[1:3]) > 200
    assert tiles[3] < 20


async def test_motion_jpeg_over_http(video: Path) -> None:
    async with playing(video, protocol="mjpeg") as camera:
        seen = await pictures(camera.url, 5)

    assert camera.url.startswith("http://")
    assert [picture.shape for picture in seen] == [(120, 160, 3)] * 5
    assert not np.array_equal(seen[0], seen[-1])


async def test_rtsps_and_https_are_encrypted(video: Path, tmp_path: Path) -> None:
    files = certificate_authority(tmp_path / "ca").issue("system/camera")
    for protocol, scheme in (("rtsp", "rtsps"), ("mjpeg", "https")):
        async with playing(video, protocol=protocol, tls=(files.certificate, files.key)) as camera:
            assert camera.url.startswith(f"{scheme}://")
            assert len(await pictures(camera.url, 3)) == 3


async def test_certificate_without_its_key_is_refused(video: Path, tmp_path: Path) -> None:
    authority = certificate_authority(tmp_path / "ca")
    one = authority.issue("system/one", folder=tmp_path / "one")
    other = authority.issue("system/other", folder=tmp_path / "other")
    with pytest.raises(LocalError, match="no certificate and key"):
        async with playing(video, tls=(one.certificate, other.key)):
            pass


@pytest.mark.parametrize("scheme", ["digest", "basic"])
@pytest.mark.parametrize("protocol", ["rtsp", "mjpeg"])
async def test_right_password_opens_the_stream(video: Path, scheme: Any, protocol: str) -> None:
    authenticator = Authenticator("guard", "s3cret", "abc", scheme)
    async with playing(video, protocol=protocol, authenticator=authenticator) as camera:
        url = camera.url.replace("://", "://guard:s3cret@")
        assert len(await asyncio.to_thread(watch, url, 2)) == 2


@pytest.mark.parametrize("credentials", ["", "guard:wrong@"])
@pytest.mark.parametrize("protocol", ["rtsp", "mjpeg"])
async def test_wrong_or_no_password_is_refused(video: Path, credentials: str, protocol: str) -> None:
    async with playing(video, protocol=protocol, authenticator=Authenticator("guard", "s3cret", "abc")) as camera:
        url = camera.url.replace("://", f"://{credentials}")
        with pytest.raises(av.HTTPUnauthorizedError):
            await asyncio.to_thread(watch, url, 1)


@pytest.mark.parametrize("protocol", ["rtsp", "mjpeg"])
async def test_unknown_path_is_not_found(video: Path, protocol: str) -> None:
    async with playing(video, protocol=protocol) as camera:
        with pytest.raises(av.HTTPNotFoundError):
            await asyncio.to_thread(watch, camera.url + "/other", 1)


async def test_file_without_video_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 1000)
    for file, words in ((text, "is not a video"), (tmp_path / "none.avi", "no such file")):
        with pytest.raises(SourceError, match=words):
            async with playing(file):
                pass


async def test_port_in_use_is_said(video: Path) -> None:
    async with playing(video) as camera:
        with pytest.raises(LocalError, match=f"cannot listen on 127.0.0.1:{camera.port}"):
            async with playing(video, port=camera.port):
                pass


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "at 1 melt; loss rate=2"], "line 1: unknown fault 'melt'"),
        (["--fault", "loss; " * 50 + "melt"], "line 1: unknown fault 'melt'"),
        (["--main", "640"], "must be WIDTHxHEIGHT"),
        (["--main", "1x1"], "at least 2x2"),
        (["--mosaic"], "--mosaic needs --optics"),
        (["--listen", "127.0.0.1"], "HOST:PORT"),
        (["--whip", "ftp://x"], "no http:// or https:// URL"),
    ],
)
def test_command_line_says_what_is_wrong(video: Path, arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, [str(video), *arguments])

    assert result.exit_code != 0
    assert result.stdout == ""
    assert words in result.stderr


async def test_command_line_prints_a_url_for_every_optic_and_reads_a_script(video: Path, tmp_path: Path) -> None:
    script = tmp_path / "faults.txt"
    script.write_text("# optic 2 was stolen\noptic 2 not-found\n")
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mesh.local.camera", str(video), "--optics", "2", "--listen", f"127.0.0.1:{port}",
        "--fault", str(script), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    urls = [(await process.stdout.readline()).decode().strip() for _ in range(2)]
    seen = await pictures(urls[0], 2)
    with pytest.raises(av.HTTPNotFoundError):
        await asyncio.to_thread(watch, urls[1], 1)
    process.terminate()
    await process.communicate()

    assert urls == [f"rtsp://127.0.0.1:{port}/stream/{optic}" for optic in (1, 2)]
    assert len(seen) == 2
    assert process.returncode == 0


async def test_camera_ends_cleanly_while_it_still_codes(long_video: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mesh.local.camera", str(long_video), "--codec", "hevc", "--fault", "blur; fog",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    process.terminate()
    _, errors = await process.communicate()

    assert process.returncode == 0
    assert b"terminate" not in errors
