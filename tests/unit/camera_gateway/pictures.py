"""Coded pictures, and optics that look at what comes out of them."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from camera_gateway.decoding import Sampler
from camera_gateway.domain.clock import CaptureTime, TimeSource
from camera_gateway.domain.crop import WHOLE, Crop
from camera_gateway.domain.motion import MotionGate
from camera_gateway.views import View, Views

TIME = CaptureTime(0, 0, TimeSource.ARRIVAL)


def view(optic: str, crop: Crop = WHOLE, *, rate: float = 5.0, width: int = 160) -> View:
    return View(rate, lambda: Sampler(optic, MotionGate(rate), width, crop))


def views_of(**crops: Crop) -> Views:
    views = Views()
    for name, crop in crops.items():
        views.put(name, view(name, crop))
    return views


def coded(frames: int = 30) -> list[bytes]:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "yuv420p", Fraction(1, 10)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "5"}
    pictures = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 30 * 8, np.uint8), format="rgb24")
        frame.pts = number
        pictures += [bytes(packet) for packet in encoder.encode(frame)]
    return pictures
