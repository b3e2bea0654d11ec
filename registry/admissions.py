"""Between records and the gate: facts out of messages, refusals into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from argo.registry.v1 import admission_pb2, site_pb2
from registry.domain import admission
from registry.domain.admission import DESCRIPTIONS, Admitted, Reason, Refused
from registry.domain.names import ancestor
from registry.domain.network import CameraNetworks


def admit(
    device: site_pb2.Device, deployments: Sequence[site_pb2.Deployment], now: datetime, networks: CameraNetworks
) -> Admitted | Refused:
    """Decides about a device, see ``registry.domain.admission.admit``."""
    return admission.admit(_facts(device), [_stay(deployment) for deployment in deployments], now, networks)


def describe(
    devices: Iterable[site_pb2.Device],
    deployments: Iterable[site_pb2.Deployment],
    now: datetime,
    networks: CameraNetworks,
) -> None:
    """Fills in what the gate says of devices: their refusals, and the present site of the mobile ones.

    Args:
        devices: are changed.
        deployments: of these devices, in any order.
        now: aware.
        networks: where cameras may be.
    """
    stays = by_device(deployments)
    for device in devices:
        decision = admit(device, stays.get(device.name, ()), now, networks)
        if isinstance(decision, Refused):
            device.refusals.extend(refusals(decision.reasons))
        device.site = decision.site


def by_device(deployments: Iterable[site_pb2.Deployment]) -> Mapping[str, list[site_pb2.Deployment]]:
    """Deployments by the name of their device."""
    stays: dict[str, list[site_pb2.Deployment]] = {}
    for deployment in deployments:
        stays.setdefault(ancestor(deployment.name, 1), []).append(deployment)
    return stays


def refusals(reasons: Iterable[Reason]) -> list[admission_pb2.Refusal]:
    """Reasons as the contract says them."""
    return [
        admission_pb2.Refusal(
            reason=admission_pb2.Refusal.Reason.Value(f"REASON_{reason.value}"), description=DESCRIPTIONS[reason]
        )
        for reason in reasons
    ]


def _facts(device: site_pb2.Device) -> admission.Device:
    return admission.Device(
        name=device.name,
        address=device.address,
        mobile=device.mobility == site_pb2.Device.MOBILITY_MOBILE,
        site=device.site,
        has_purpose=device.legal_basis.purpose != site_pb2.LegalBasis.PURPOSE_UNSPECIFIED,
        dpia_reference=device.legal_basis.dpia_reference,
        sign_reference=device.legal_basis.sign_reference,
    )


def _stay(deployment: site_pb2.Deployment) -> admission.Deployment:
    return admission.Deployment(
        site=deployment.site,
        decision=deployment.decision,
        start=deployment.start_time.ToDatetime(UTC),
        end=deployment.end_time.ToDatetime(UTC),
    )
