"""Between records and the gate: facts out of messages, refusals into them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from argo.registry.v1 import admission_pb2, site_pb2
from registry.domain import admission
from registry.domain.admission import DESCRIPTIONS, Admitted, Reason, Refused
from registry.domain.names import ancestor
from registry.domain.network import CameraNetworks

Decision: TypeAlias = Admitted | Refused


class Gate(NamedTuple):
    """All that decides about a device.

    Attributes:
        device: the facts of its record.
        stays: all of its deployments, in any order.
    """

    device: admission.Device
    stays: Sequence[admission.Deployment]

    def decide(self, now: datetime, networks: CameraNetworks) -> Decision:
        """See ``registry.domain.admission.admit``."""
        return admission.admit(self.device, self.stays, now, networks)


def admit(
    device: site_pb2.Device, deployments: Sequence[site_pb2.Deployment], now: datetime, networks: CameraNetworks
) -> Decision:
    """Decides about a device, see ``registry.domain.admission.admit``."""
    return gate_of(device, deployments).decide(now, networks)


def gate_of(device: site_pb2.Device, deployments: Iterable[site_pb2.Deployment]) -> Gate:
    """What decides about a device, out of its records."""
    return Gate(_facts(device), stays(deployments))


def gates(rows: Iterable[Sequence[Any]]) -> Mapping[str, Gate]:
    """What decides about devices as the database has them now, by the name of the device.

    Args:
        rows: of the query ``gate_of_devices``.
    """
    facts, placed = len(admission.Device._fields), defaultdict[str, list[admission.Deployment]](list)
    devices: dict[str, admission.Device] = {}
    for row in rows:
        device, stay = admission.Device(*row[:facts]), row[facts:]
        devices[device.name] = device
        if stay[0] is not None:
            placed[device.name].append(admission.Deployment(*stay))
    return {name: Gate(device, placed.get(name, ())) for name, device in devices.items()}


def show(record: Any, decision: Decision) -> None:
    """Fills in what the gate says of a device or an optic: why it may not stream, and where a device stands."""
    if isinstance(decision, Refused):
        record.refusals.extend(refusals(decision.reasons))
    if isinstance(record, site_pb2.Device):
        record.site = decision.site


def by_device(deployments: Iterable[site_pb2.Deployment]) -> Mapping[str, list[site_pb2.Deployment]]:
    """Deployments by the name of their device."""
    found: dict[str, list[site_pb2.Deployment]] = {}
    for deployment in deployments:
        found.setdefault(ancestor(deployment.name, 1), []).append(deployment)
    return found


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


def stays(deployments: Iterable[site_pb2.Deployment]) -> list[admission.Deployment]:
    """What the domain has to know of deployments."""
    return [_stay(deployment) for deployment in deployments]


def _stay(deployment: site_pb2.Deployment) -> admission.Deployment:
    return admission.Deployment(
        site=deployment.site,
        decision=deployment.decision,
        start=deployment.start_time.ToDatetime(UTC),
        end=deployment.end_time.ToDatetime(UTC),
        name=deployment.name,
    )
