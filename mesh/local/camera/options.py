"""How cameras are to be played: what the command line says, as data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal

from mesh.local.camera.device import PHASE_TICKS, SUB_SUFFIX, Device, Library, Stream
from mesh.local.camera.encoding import Rendition
from mesh.local.camera.faults import NO_FAULTS, Faults
from mesh.local.camera.sender import REPORT_SECONDS

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from mesh.local.camera.authentication import Authenticator
    from mesh.local.camera.player import CameraClock

Protocol = Literal["rtsp", "mjpeg"]

MAIN_RENDITION: Final = Rendition()
"""The main stream unless something else is asked for: the file as it is."""

SUB_RENDITION: Final = Rendition(size=(640, 360), rate=Fraction(5))
"""A sub stream unless something else is asked for: what analysis is sized for."""

MJPEG_RATE: Final = Fraction(10)
"""Frames per second of Motion JPEG at most; every picture is a whole one."""


@dataclass(frozen=True)
class CameraOptions:
    """How cameras are to be played.

    Attributes:
        files: the videos; optic k plays the k-th, beginning anew after the last.
        host: IP address to listen on.
        port: TCP port of the first device; the others follow. 0 lets the kernel choose each.
        path: of the stream, with its leading slash; with several optics ``/1``, ``/2`` and so on are added.
        optics: of each device.
        devices: how many.
        is_mosaic: whether all optics of a device come in one stream.
        protocol: how pictures are fetched.
        main: form of the main stream.
        sub: form of the sub stream, whose path has ``/sub`` added.
        authenticator: None if everyone may look.
        faults: how the cameras misbehave.
        tls: certificate and key file, for RTSPS or HTTPS.
        report_seconds: between RTCP sender reports.
    """

    files: tuple[Path, ...]
    host: str = "127.0.0.1"
    port: int = 0
    path: str = "/stream"
    optics: int = 1
    devices: int = 1
    is_mosaic: bool = False
    protocol: Protocol = "rtsp"
    main: Rendition = MAIN_RENDITION
    sub: Rendition = SUB_RENDITION
    authenticator: Authenticator | None = None
    faults: Faults = NO_FAULTS
    tls: tuple[Path, Path] | None = None
    report_seconds: float = REPORT_SECONDS

    def streams_of(self, device: int) -> dict[str, Stream]:
        """The streams of a device, numbered from 1, by path; each optic's main stream comes before its sub stream."""
        optics = [None] if self.is_mosaic else range(1, self.optics + 1)
        streams = {}
        for optic in optics:
            plural = optic is not None and self.optics > 1
            path = f"{self.path.rstrip('/')}/{optic}" if plural else self.path
            for suffix, rendition in (("", self.main), (SUB_SUFFIX, self._sub())):
                stream = Stream(
                    path=path + suffix,
                    files=self._files_of(device, optic),
                    rendition=self._coded(rendition),
                    faults=self.faults.of(device=device, optic=optic),
                    phase=PHASE_TICKS * self._place(device, optic or 1),
                )
                streams[stream.path] = stream
        return streams

    def _place(self, device: int, optic: int) -> int:
        return (device - 1) * self.optics + optic - 1

    def _files_of(self, device: int, optic: int | None) -> tuple[Path, ...]:
        optics = range(1, self.optics + 1) if optic is None else [optic]
        return tuple(self.files[self._place(device, number) % len(self.files)] for number in optics)

    def _sub(self) -> Rendition:
        return dataclasses.replace(self.sub, codec=self.main.codec)

    def _coded(self, rendition: Rendition) -> Rendition:
        if self.protocol == "rtsp":
            return rendition
        return dataclasses.replace(rendition, codec="mjpeg", rate=rendition.rate or MJPEG_RATE)


def make_device(
    options: CameraOptions, number: int, library: Library, clock: CameraClock, random_source: random.Random
) -> Device:
    """A device, numbered from 1, as the options have it."""
    return Device(
        address=options.host,
        streams=options.streams_of(number),
        faults=options.faults.of(device=number),
        library=library,
        clock=clock,
        authenticator=options.authenticator,
        random_source=random_source,
        report_seconds=options.report_seconds,
    )
