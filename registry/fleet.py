"""The fleet in memory: every device with its deployments and the configurations of its optics, as of one change number.

It is read from PostgreSQL piece by piece, as changes come, and serves leases and watches; PostgreSQL stays the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from argo.registry.v1 import lease_service_pb2, scene_pb2, site_pb2
from registry.admissions import by_device
from registry.domain.names import ancestor
from registry.resources import RESOURCES
from registry.sql import QUERIES
from registry.store import records_of_devices

OpticConfiguration = lease_service_pb2.OpticConfiguration


@dataclass(frozen=True)
class Verdict:
    """What the database has on record about a device's admission.

    Attributes:
        site: where it stands; empty: nowhere.
        reasons: names of reasons; none: admitted.
    """

    site: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class FleetDevice:
    """A device and all that hangs on it.

    Attributes:
        record: of the device.
        deployments: all of it.
        verdict: None if admission has not looked at it yet.
        configurations: by the name of the optic.
    """

    record: site_pb2.Device
    deployments: Sequence[site_pb2.Deployment]
    verdict: Verdict | None
    configurations: Mapping[str, OpticConfiguration]


@dataclass(frozen=True)
class Delta:
    """What a refresh changed for those who watch optics.

    Attributes:
        sequence: the number of the last change in it.
        updated: new and changed configurations.
        deleted: names of optics that are no more.
    """

    sequence: int
    updated: tuple[OpticConfiguration, ...]
    deleted: tuple[str, ...]


@dataclass
class Fleet:
    """The fleet as of change number ``sequence``; -1 before the first refresh."""

    sequence: int = -1
    devices: dict[str, FleetDevice] = field(default_factory=dict)

    def configurations(self, parent: str = "") -> list[OpticConfiguration]:
        """Those of one device, or of all, in the order of their names."""
        chosen = [self.devices[parent]] if parent in self.devices else [] if parent else self.devices.values()
        found = [configuration for device in chosen for configuration in device.configurations.values()]
        return sorted(found, key=lambda configuration: configuration.optic)

    async def refresh(self, connection: Any) -> Delta | None:
        """Reads what has changed since the last time; None if nothing has.

        Args:
            connection: not inside a transaction.
        """
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            sequence: int = await connection.fetchval(QUERIES["sequence"])
            if sequence == self.sequence:
                return None
            names = await self._changed(connection)
            fresh = await _load(connection, names)
        updated: list[OpticConfiguration] = []
        deleted: list[str] = []
        for name in names:
            before = self.devices.pop(name).configurations if name in self.devices else {}
            after = fresh[name].configurations if name in fresh else {}
            updated += [new for optic, new in after.items() if optic not in before or before[optic] != new]
            deleted += before.keys() - after.keys()
        self.devices |= fresh
        self.sequence = sequence
        return Delta(sequence, tuple(updated), tuple(sorted(deleted)))

    async def _changed(self, connection: Any) -> list[str]:
        if self.sequence < 0:
            rows = await connection.fetch(QUERIES["all_devices"])
        else:
            rows = await connection.fetch(QUERIES["changed_devices"], self.sequence)
        return [row[0] for row in rows]


async def _load(connection: Any, names: Sequence[str]) -> dict[str, FleetDevice]:
    records: dict[str, list[Any]] = {
        kind: await records_of_devices(connection, RESOURCES[kind], names)
        for kind in ("device", "deployment", "optic", "zone", "line", "rule")
    }
    verdicts = {
        row["name"]: Verdict(row["site"] or "", tuple(row["reasons"]))
        for row in await connection.fetch(QUERIES["admissions_of_devices"], list(names))
    }
    versions = {row["name"]: row["version"] for row in await connection.fetch(QUERIES["optic_versions"], list(names))}
    scenes = {kind: _by_optic(records[kind]) for kind in ("zone", "line", "rule")}
    configurations: dict[str, dict[str, OpticConfiguration]] = {}
    for optic in records["optic"]:
        device = ancestor(optic.name, 1)
        verdict = verdicts.get(device)
        configuration = _configure(optic, versions[optic.name], verdict.site if verdict else "", scenes)
        configurations.setdefault(device, {})[optic.name] = configuration
    stays = by_device(records["deployment"])
    return {
        device.name: FleetDevice(
            device, stays.get(device.name, ()), verdicts.get(device.name), configurations.get(device.name, {})
        )
        for device in records["device"]
    }


def _by_optic(records: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for record in records:
        found.setdefault(ancestor(record.name, 2), []).append(record)
    return found


def _configure(
    optic: site_pb2.Optic, version: int, site: str, scenes: Mapping[str, Mapping[str, Sequence[Any]]]
) -> OpticConfiguration:
    """The in-band configuration of an optic; of its rules only those that run."""
    rules = scenes["rule"].get(optic.name, ())
    return OpticConfiguration(
        optic=optic.name,
        version=version,
        site=site,
        ingest=optic.ingest,
        stream_path=optic.sub_stream_path or optic.main_stream_path,
        policy=optic.policy,
        zones=scenes["zone"].get(optic.name, ()),
        lines=scenes["line"].get(optic.name, ()),
        rules=[rule for rule in rules if rule.mode != scene_pb2.Rule.MODE_OFF],
        privacy_masks=optic.privacy_masks,
        calibration_points=optic.calibration_points,
        display_name=optic.display_name,
    )
