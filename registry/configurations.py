"""The in-band configuration of an optic, put together from its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from argo.registry.v1 import lease_service_pb2, scene_pb2, site_pb2

OpticConfiguration = lease_service_pb2.OpticConfiguration


@dataclass(frozen=True)
class Drawing:
    """What is drawn over a picture, and the rules that watch it."""

    zones: Sequence[scene_pb2.Zone] = ()
    lines: Sequence[scene_pb2.Line] = ()
    lanes: Sequence[scene_pb2.Lane] = ()
    rules: Sequence[scene_pb2.Rule] = ()

    @classmethod
    def of(cls, optic: str, records: Mapping[str, Mapping[str, Sequence[Any]]]) -> Drawing:
        """Picks what belongs to an optic from records by kind and optic."""
        return cls(**{f"{kind}s": records[kind].get(optic, ()) for kind in ("zone", "line", "lane", "rule")})


def configure(
    device: site_pb2.Device,
    optic: site_pb2.Optic,
    drawing: Drawing,
    *,
    version: int,
    site: str,
    confirmed: bool,
    scene_version: int,
) -> OpticConfiguration:
    """All that a service has to know about an optic; of its rules only those that run.

    Args:
        device: to which it belongs.
        optic: its record.
        drawing: what is drawn over its picture.
        version: number of the last change of any of this.
        site: ``sites/{site}`` where the device stands; empty: nowhere.
        confirmed: whether the scene fits that place. If not, everything that says something about the view is left
            out, and the whole picture is to be masked; privacy masks can only hide more, so they stay.
        scene_version: how often the scene was confirmed.
    """
    configuration = OpticConfiguration(
        optic=optic.name,
        version=version,
        site=site,
        ingest=optic.ingest,
        stream_path=_stream_path(optic),
        policy=optic.policy,
        privacy_masks=optic.privacy_masks,
        display_name=display_name(device, optic),
        mask_whole_picture=not confirmed,
        crop=optic.crop if optic.HasField("crop") else None,
        scene_version=scene_version,
    )
    if confirmed:
        configuration.zones.extend(drawing.zones)
        configuration.lines.extend(drawing.lines)
        configuration.lanes.extend(drawing.lanes)
        configuration.rules.extend(rule for rule in drawing.rules if rule.mode != scene_pb2.Rule.MODE_OFF)
        configuration.calibration_points.extend(optic.calibration_points)
    return configuration


def display_name(device: site_pb2.Device, optic: site_pb2.Optic) -> str:
    """What people call an optic among those of all devices, for example ``Piazza Montale / North``."""
    return " / ".join(record.display_name or record.name.rpartition("/")[2] for record in (device, optic))


def _stream_path(optic: site_pb2.Optic) -> str:
    if optic.policy.stream == scene_pb2.Policy.STREAM_MAIN:
        return optic.main_stream_path
    return optic.sub_stream_path or optic.main_stream_path
