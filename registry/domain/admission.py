"""The gate (invariant 5): which device may stream, and every reason why another may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple, TypeAlias

from registry.domain.network import CameraNetworks, DeviceAddress


class Reason(Enum):
    """Why a device may not stream; the values are the names of ``Refusal.Reason`` in the contract, without prefix."""

    SITE_MISSING = "SITE_MISSING"
    PURPOSE_MISSING = "PURPOSE_MISSING"
    DPIA_REFERENCE_MISSING = "DPIA_REFERENCE_MISSING"
    SIGN_REFERENCE_MISSING = "SIGN_REFERENCE_MISSING"
    ADDRESS_OUTSIDE_NETWORK = "ADDRESS_OUTSIDE_NETWORK"
    DECISION_MISSING = "DECISION_MISSING"
    PLACEMENT_NOT_STARTED = "PLACEMENT_NOT_STARTED"
    PLACEMENT_ENDED = "PLACEMENT_ENDED"
    DELETED = "DELETED"
    REBALANCED = "REBALANCED"


DESCRIPTIONS: Mapping[Reason, str] = {
    Reason.SITE_MISSING: "the device stands at no known site: set its site",
    Reason.PURPOSE_MISSING: "the device has no purpose: set legal_basis.purpose",
    Reason.DPIA_REFERENCE_MISSING: "no impact assessment covers the device: set legal_basis.dpia_reference",
    Reason.SIGN_REFERENCE_MISSING: "no sign tells people of the device: set legal_basis.sign_reference",
    Reason.ADDRESS_OUTSIDE_NETWORK: "the address lies outside the camera networks: correct it, or move the device",
    Reason.DECISION_MISSING: "the device is mobile and no decision of the COSP has placed it: create a deployment",
    Reason.PLACEMENT_NOT_STARTED: "the device is mobile and its deployment has not begun: wait for its start",
    Reason.PLACEMENT_ENDED: "the device is mobile and its deployment is over: a longer stay needs a new decision",
    Reason.DELETED: "the record of the device, or of the last of its optics, was deleted",
    Reason.REBALANCED: "another replica of the gateway takes the device over",
}


class Deployment(NamedTuple):
    """The stay of a mobile device at a site, in the half-open interval ``[start, end)``; times are aware.

    Attributes:
        site: ``sites/{site}``.
        decision: number of the committee's decision.
        start: from when.
        end: until when.
        name: ``devices/{device}/deployments/{deployment}``.
    """

    site: str
    decision: str
    start: datetime
    end: datetime
    name: str = ""

    def covers(self, now: datetime) -> bool:
        """Whether the device is there at ``now``."""
        return self.start <= now < self.end


class Device(NamedTuple):
    """What admission has to know of a device; an empty string stands for a missing fact.

    Attributes:
        name: ``devices/{device}``.
        address: as in the record.
        mobile: whether deployments say where it stands.
        site: ``sites/{site}`` of a fixed device.
        has_purpose: whether it has one of the fixed list of purposes.
        dpia_reference: the reference of the impact assessment.
        sign_reference: the reference of the sign.
    """

    name: str
    address: str
    mobile: bool
    site: str
    has_purpose: bool
    dpia_reference: str
    sign_reference: str


@dataclass(frozen=True)
class Admitted:
    """The device and all its optics may stream.

    Attributes:
        site: ``sites/{site}`` where it stands now.
    """

    site: str


@dataclass(frozen=True)
class Refused:
    """The device may not stream.

    Attributes:
        reasons: all of them, in the order of the table.
        site: where it stands all the same, or empty.
    """

    reasons: tuple[Reason, ...]
    site: str = ""


def admit(
    device: Device, deployments: Sequence[Deployment], now: datetime, networks: CameraNetworks
) -> Admitted | Refused:
    """Decides whether a device may stream at ``now``.

    Optics are admitted with their device: it has one address, one place and one legal basis, and is leased whole.

    Args:
        device: the facts of its record.
        deployments: all of this device, in any order; they do not overlap.
        now: aware.
        networks: as configured now, which may be narrower than when the record was stored.
    """
    site = standing_at(device, deployments, now)
    table = _OF_A_MOBILE_DEVICE if device.mobile else _OF_A_FIXED_DEVICE
    reasons = [reason for reason, applies in table if applies(device, deployments, now, networks)]
    return Refused(tuple(reasons), site) if reasons else Admitted(site)


def standing_at(device: Device, deployments: Sequence[Deployment], now: datetime) -> str:
    """``sites/{site}`` where the device stands at ``now``; empty: nowhere."""
    if not device.mobile:
        return device.site
    return next((deployment.site for deployment in deployments if deployment.covers(now)), "")


def _outside_network(
    device: Device, _deployments: Sequence[Deployment], _now: datetime, networks: CameraNetworks
) -> bool:
    try:
        return not networks.admits(DeviceAddress.parse(device.address))
    except ValueError:
        return True


def _unplaced(deployments: Sequence[Deployment], now: datetime) -> bool:
    return not any(deployment.covers(now) for deployment in deployments)


_Check: TypeAlias = Callable[[Device, Sequence[Deployment], datetime, CameraNetworks], bool]

_OF_EVERY_DEVICE: Mapping[Reason, _Check] = {
    Reason.PURPOSE_MISSING: lambda device, *_: not device.has_purpose,
    Reason.DPIA_REFERENCE_MISSING: lambda device, *_: not device.dpia_reference.strip(),
    Reason.SIGN_REFERENCE_MISSING: lambda device, *_: not device.sign_reference.strip(),
    Reason.ADDRESS_OUTSIDE_NETWORK: _outside_network,
}
_OF_A_FIXED_DEVICE: Sequence[tuple[Reason, _Check]] = (
    (Reason.SITE_MISSING, lambda device, *_: not device.site),
    *_OF_EVERY_DEVICE.items(),
)
_OF_A_MOBILE_DEVICE: Sequence[tuple[Reason, _Check]] = (
    *_OF_EVERY_DEVICE.items(),
    (
        Reason.DECISION_MISSING,
        lambda _device, deployments, *_: not any(deployment.decision.strip() for deployment in deployments),
    ),
    (
        Reason.PLACEMENT_NOT_STARTED,
        lambda _device, deployments, now, _networks: (
            _unplaced(deployments, now) and any(deployment.start > now for deployment in deployments)
        ),
    ),
    (
        Reason.PLACEMENT_ENDED,
        lambda _device, deployments, now, _networks: (
            _unplaced(deployments, now) and any(deployment.end <= now for deployment in deployments)
        ),
    ),
)
