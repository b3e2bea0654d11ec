"""Scenes: whether what is drawn over an optic's picture fits the place where its device stands.

Zones, lines, lanes, rules, privacy masks and calibration say something about one view. Once a device is moved they are
wrong until somebody has looked and confirmed them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from registry.domain.admission import Deployment, Device


@dataclass(frozen=True)
class Place:
    """Where a device stands, and by what.

    Attributes:
        site: ``sites/{site}``.
        deployment: ``devices/{device}/deployments/{deployment}`` of a mobile device; empty: it is fixed.
    """

    site: str
    deployment: str = ""


def present_place(device: Device, deployments: Sequence[Deployment], now: datetime) -> Place | None:
    """Where the device stands at ``now``; None: nowhere.

    Args:
        device: the facts of its record.
        deployments: all of this device, in any order; they do not overlap.
        now: aware.
    """
    if not device.mobile:
        return Place(device.site) if device.site else None
    present = next((deployment for deployment in deployments if deployment.covers(now)), None)
    return Place(present.site, present.name) if present is not None else None


def is_confirmed(confirmed: Place | None, device: Device, deployments: Sequence[Deployment], now: datetime) -> bool:
    """Whether a scene that was confirmed for one place is valid where the device stands at ``now``.

    That of a mobile device is valid for the deployment for which it was confirmed, and for those that follow at the
    same site without a gap: nobody has touched the device in between.

    Args:
        confirmed: the place for which it was confirmed last; None: for none, or the device was moved since.
        device: the facts of its record.
        deployments: all of this device, in any order; they do not overlap.
        now: aware.
    """
    present = present_place(device, deployments, now)
    if present is None or confirmed is None or confirmed.site != present.site:
        return False
    return confirmed.deployment == present.deployment or confirmed.deployment in _unbroken(present, deployments)


def _unbroken(present: Place, deployments: Sequence[Deployment]) -> Iterator[str]:
    """The deployments that led to the present one without a gap or a change of site, the newest first."""
    ending = {deployment.end: deployment for deployment in deployments if deployment.site == present.site}
    current = next((deployment for deployment in deployments if deployment.name == present.deployment), None)
    while current is not None:
        yield current.name
        current = ending.get(current.start)
