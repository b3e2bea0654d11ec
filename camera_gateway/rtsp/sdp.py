"""The part of a session description (RFC 4566) that a video camera's client needs."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
import urllib.parse
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

VIDEO_CODECS: Final[Mapping[str, str]] = {"H264": "h264", "H265": "hevc"}
"""RTP encoding names (RFC 6184, RFC 7798) and FFmpeg's names of their decoders."""

_KINDS: Final[Mapping[str, str]] = {"audio": "audio", "application": "metadata", "video": "video"}

_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
_START_CODE: Final = b"\x00\x00\x00\x01"


class NoVideoError(Exception):
    """The description offers no video in a codec that is spoken here."""

    def __init__(self, offered: list[str]) -> None:
        super().__init__(f"no H.264 or H.265 video among {offered or 'no media'}")
        self.offered = offered


@dataclasses.dataclass(frozen=True, slots=True)
class VideoTrack:
    """The video that will be set up: decoder, RTP facts, control URL, and its parameter sets in Annex B form."""

    decoder: str
    payload_type: int
    clock_rate: int
    control: str
    parameter_sets: bytes
    left_out: tuple[str, ...] = ()
    """The kinds of the other tracks: "audio", "metadata" (ONVIF's), "video" or "other"; none of them is ever set up."""


@dataclasses.dataclass(slots=True)
class _Media:
    kind: str
    payload_types: list[int]
    attributes: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def values(self, name: str) -> list[str]:
        return [value for attribute, value in self.attributes if attribute == name]


def choose_video(description: str, base_url: str) -> VideoTrack:
    """The first H.264 or H.265 track of a session description.

    Args:
        description: the SDP text, with either line ending.
        base_url: what relative control URLs are relative to (Content-Base, Content-Location or the request's URL).

    Raises:
        NoVideoError: no such track.
        ValueError: a URL in it cannot be read.
    """
    offered: list[str] = []
    medias = _parse(description)
    for media in medias:
        for payload_type, (name, clock_rate) in _rtp_maps(media).items():
            offered.append(f"{media.kind}/{name}"[:40])
            if media.kind == "video" and name in VIDEO_CODECS and clock_rate > 0:
                return VideoTrack(
                    decoder=VIDEO_CODECS[name],
                    payload_type=payload_type,
                    clock_rate=clock_rate,
                    control=resolve_control(base_url, next(iter(media.values("control")), "")),
                    parameter_sets=_parameter_sets(_format_parameters(media, payload_type)),
                    left_out=tuple(_KINDS.get(other.kind, "other") for other in medias if other is not media),
                )
    raise NoVideoError(offered)


def resolve_control(base_url: str, control: str) -> str:
    """The URL of a track.

    Cameras expect a relative control to be appended to the base as it stands, query included, and not to be resolved by
    the rules of RFC 3986.
    """
    if control in ("", "*"):
        return base_url
    if urllib.parse.urlsplit(control).scheme:
        return control
    return base_url + ("" if base_url.endswith("/") else "/") + control.lstrip("/")


def _parse(description: str) -> list[_Media]:
    medias: list[_Media] = []
    for line in description.splitlines():
        kind, _, value = line.strip().partition("=")
        if kind == "m":
            words = value.split()
            payload_types = [int(word) for word in words[3:] if _NUMBER.fullmatch(word)]
            medias.append(_Media(words[0] if words else "", payload_types))
        elif kind == "a" and medias:
            name, _, attribute = value.partition(":")
            medias[-1].attributes.append((name, attribute.strip()))
    return medias


def _rtp_maps(media: _Media) -> dict[int, tuple[str, int]]:
    maps: dict[int, tuple[str, int]] = {}
    for value in media.values("rtpmap"):
        number, _, encoding = value.partition(" ")
        name, *rest = encoding.strip().split("/")
        if _NUMBER.fullmatch(number) and int(number) in media.payload_types:
            rate = rest[0] if rest else ""
            maps[int(number)] = (name.upper(), int(rate) if _NUMBER.fullmatch(rate) else 0)
    return maps


def _format_parameters(media: _Media, payload_type: int) -> dict[str, str]:
    for value in media.values("fmtp"):
        number, _, parameters = value.partition(" ")
        if number == str(payload_type):
            pairs = (item.strip().partition("=") for item in parameters.split(";"))
            return {name.lower(): text for name, _, text in pairs}
    return {}


def _parameter_sets(parameters: Mapping[str, str]) -> bytes:
    """sprop-parameter-sets of H.264, sprop-vps/sps/pps of H.265, as Annex B; a broken one is left out."""
    sets = b""
    for name in ("sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps"):
        for text in filter(None, parameters.get(name, "").split(",")):
            try:
                sets += _START_CODE + base64.b64decode(text, validate=False)
            except (binascii.Error, ValueError):
                continue
    return sets
