"""From rows of the history to what the contract says of the past."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from argo.registry.v1 import admission_pb2, history_service_pb2, site_pb2
from registry import admissions
from registry.domain.admission import DESCRIPTIONS, Reason, Refused
from registry.domain.network import CameraNetworks
from registry.history_store import Change, Instant
from registry.records import from_row
from registry.resources import RESOURCES, Resource

pb = history_service_pb2

_BY_COLLECTION: Mapping[str, Resource] = MappingProxyType(
    {resource.plural: resource for resource in RESOURCES.values()}
)
COLLECTIONS: Sequence[str] = (*_BY_COLLECTION, "admissions", "scenes")
"""What the history tells of. Proposals, holds and requests tell their own."""

_NOT_CONFIGURED = frozenset({"deployments", "proposals"})
"""Of what is found around an optic, the collections that are no part of its configuration."""


def revision(change: Change) -> pb.Revision:
    """One change as the contract tells it."""
    told = pb.Revision(
        name=change.name,
        version=change.version,
        author=change.author,
        approver=change.approver,
        reason=change.reason,
        time=_timestamp(change.time),
        deleted=change.record is None,
    )
    if change.record is None:
        return told
    if change.collection == "admissions":
        told.admission.CopyFrom(_admission(change))
    elif change.collection == "scenes":
        told.scene_confirmation.CopyFrom(_confirmation(change))
    else:
        resource = _BY_COLLECTION[change.collection]
        getattr(told, resource.kind).CopyFrom(from_row(resource, change.record))
    return told


def optic_record(changes: Sequence[Change], instant: Instant, networks: CameraNetworks) -> pb.OpticRecord | None:
    """The record of an optic, without the record of its site.

    Args:
        changes: the last versions of all around it, see ``HistoryStore.around_optic``.
        instant: of which these are.
        networks: where cameras may be; asked only about a device that the gate had not looked at yet.

    Returns:
        None: the optic was not there then.
    """
    there = [change for change in changes if change.record is not None]
    found = {kind: _records(kind, there) for kind in RESOURCES}
    if not found["optic"] or not found["device"]:
        return None
    record = pb.OpticRecord(
        time=_timestamp(instant.time), optic=found["optic"][0], device=found["device"][0], zones=found["zone"],
        lines=found["line"], lanes=found["lane"], rules=found["rule"], version=_version(changes),
    )  # fmt: skip
    present = next((stay for stay in found["deployment"] if _covers(stay, instant)), None)
    if present is not None:
        record.deployment.CopyFrom(present)
    gate = next((change for change in there if change.collection == "admissions"), None)
    if gate is not None:
        _show_gate(record, _admission(gate))
        record.optic.scene = _scene(record.optic.name, gate)
    else:
        _show_gate(record, _decided(record.device, found["deployment"], instant, networks))
    for change in there:
        if change.collection == "scenes":
            record.scene_confirmation.CopyFrom(_confirmation(change))
    return record


def _records(kind: str, changes: Iterable[Change]) -> list[Any]:
    resource = RESOURCES[kind]
    rows = (change.record for change in changes if change.collection == resource.plural)
    return [from_row(resource, row) for row in rows if row is not None]


def _version(changes: Iterable[Change]) -> int:
    """The number of the last change of anything in the configuration, as the query ``optic_versions`` counts it."""
    return max(change.sequence for change in changes if change.collection not in _NOT_CONFIGURED)


def _covers(stay: Any, instant: Instant) -> bool:
    return bool(admissions.stays([stay])[0].covers(instant.time))


def _decided(
    device: site_pb2.Device, deployments: Sequence[site_pb2.Deployment], instant: Instant, networks: CameraNetworks
) -> pb.Admission:
    decision = admissions.admit(device, deployments, instant.time, networks)
    refusals = admissions.refusals(decision.reasons) if isinstance(decision, Refused) else []
    return pb.Admission(site=decision.site, refusals=refusals)


def _show_gate(record: pb.OpticRecord, gate: pb.Admission) -> None:
    record.device.site = gate.site
    for part in (record, record.device, record.optic):
        part.refusals.extend(gate.refusals)


def _scene(optic: str, gate: Change) -> site_pb2.Optic.Scene.ValueType:
    """Release 0.1.0 knew nothing of scenes: then it is not said."""
    unconfirmed = json.loads(gate.record or "{}").get("unconfirmed")
    if unconfirmed is None:
        return site_pb2.Optic.SCENE_UNSPECIFIED
    return site_pb2.Optic.SCENE_UNCONFIRMED if optic in unconfirmed else site_pb2.Optic.SCENE_CONFIRMED


def _admission(change: Change) -> pb.Admission:
    row = json.loads(change.record or "{}")
    refusals = [_refusal(name) for name in row["reasons"]]
    return pb.Admission(site=row["site"] or "", refusals=refusals, unconfirmed_optics=row.get("unconfirmed") or ())


def _refusal(name: str) -> admission_pb2.Refusal:
    reason = admission_pb2.Refusal.Reason.Value(f"REASON_{name}")
    return admission_pb2.Refusal(reason=reason, description=DESCRIPTIONS[Reason(name)])


def _confirmation(change: Change) -> pb.SceneConfirmation:
    row = json.loads(change.record or "{}")
    return pb.SceneConfirmation(
        site=row["site"],
        deployment=row["deployment"] or "",
        author=change.author,
        reason=change.reason,
        time=_timestamp(change.time),
    )


def _timestamp(time: datetime) -> Timestamp:
    told = Timestamp()
    told.FromDatetime(time)
    return told
