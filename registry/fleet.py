"""The fleet in memory: every device with its deployments and the configurations of its optics, as of one change number.

It is read from PostgreSQL piece by piece, as changes come, and serves leases and watches; PostgreSQL stays the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from argo.registry.v1 import site_pb2
from registry import scenes
from registry.admissions import by_device
from registry.configurations import Drawing, OpticConfiguration, configure
from registry.domain.names import ancestor
from registry.domain.scene import Place
from registry.resources import RESOURCES
from registry.sql import QUERIES
from registry.store import records_of_devices


@dataclass(frozen=True)
class Verdict:
    """What the database has on record about a device's admission.

    Attributes:
        site: where it stands; empty: nowhere.
        reasons: names of reasons; none: admitted.
        unconfirmed: names of the optics whose scene does not fit that place, in order.
        optics: names of the optics that it has been told of, in order.
    """

    site: str
    reasons: tuple[str, ...]
    unconfirmed: tuple[str, ...] = ()
    optics: tuple[str, ...] = ()


@dataclass(frozen=True)
class FleetDevice:
    """A device and all that hangs on it.

    Attributes:
        record: of the device.
        deployments: all of it.
        verdict: None if admission has not looked at it yet.
        places: for which scenes were confirmed, by the name of the optic.
        configurations: by the name of the optic.
    """

    record: site_pb2.Device
    deployments: Sequence[site_pb2.Deployment]
    verdict: Verdict | None
    places: Mapping[str, Place]
    configurations: Mapping[str, OpticConfiguration]

    @property
    def controller(self) -> str:
        """``controllers/{controller}`` whose it is."""
        return self.record.legal_basis.controller


@dataclass(frozen=True)
class Delta:
    """What a refresh changed for those who watch optics.

    Attributes:
        sequence: the number of the last change in it.
        updated: new and changed configurations.
        deleted: names of optics that are no more, with the controller whose they were.
        controllers: whose the devices of the updated ones are, by their names.
    """

    sequence: int
    updated: tuple[OpticConfiguration, ...]
    deleted: Mapping[str, str]
    controllers: Mapping[str, str]


@dataclass
class Fleet:
    """The fleet as of change number ``sequence``; -1 before the first refresh."""

    sequence: int = -1
    devices: dict[str, FleetDevice] = field(default_factory=dict)

    def configurations(self, parent: str = "", sight: str | None = None) -> list[OpticConfiguration]:
        """Those of one device, or of all, in the order of their names.

        Args:
            parent: ``devices/{device}``; empty: all.
            sight: of this controller only; None: of all.
        """
        chosen = [self.devices[parent]] if parent in self.devices else [] if parent else self.devices.values()
        found = [
            configuration
            for device in chosen
            if sight in (None, device.controller)
            for configuration in device.configurations.values()
        ]
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
        deleted: dict[str, str] = {}
        for name in names:
            known = self.devices.pop(name, None)
            before = known.configurations if known is not None else {}
            after = fresh[name].configurations if name in fresh else {}
            updated += [new for optic, new in after.items() if optic not in before or before[optic] != new]
            deleted |= {optic: known.controller for optic in before.keys() - after.keys() if known is not None}
        self.devices |= fresh
        self.sequence = sequence
        controllers = {name: device.controller for name, device in fresh.items()}
        return Delta(sequence, tuple(updated), dict(sorted(deleted.items())), controllers)

    async def _changed(self, connection: Any) -> list[str]:
        if self.sequence < 0:
            rows = await connection.fetch(QUERIES["all_devices"])
        else:
            rows = await connection.fetch(QUERIES["changed_devices"], self.sequence)
        return [row[0] for row in rows]


async def _load(connection: Any, names: Sequence[str]) -> dict[str, FleetDevice]:
    records: dict[str, list[Any]] = {
        kind: await records_of_devices(connection, RESOURCES[kind], names)
        for kind in ("device", "deployment", "optic", "zone", "line", "lane", "rule")
    }
    verdicts = {
        row["name"]: Verdict(row["site"] or "", tuple(row["reasons"]), tuple(row["unconfirmed"]), tuple(row["optics"]))
        for row in await connection.fetch(QUERIES["admissions_of_devices"], list(names))
    }
    versions = {row["name"]: row["version"] for row in await connection.fetch(QUERIES["optic_versions"], list(names))}
    places = await scenes.confirmed_places(connection, names)
    confirmations = await scenes.versions(connection, names)
    drawn = {kind: _by_optic(records[kind]) for kind in ("zone", "line", "lane", "rule")}
    devices = {device.name: device for device in records["device"]}
    configurations: dict[str, dict[str, OpticConfiguration]] = {}
    for optic in records["optic"]:
        device = ancestor(optic.name, 1)
        verdict = verdicts.get(device)
        configurations.setdefault(device, {})[optic.name] = configure(
            devices[device],
            optic,
            Drawing.of(optic.name, drawn),
            version=versions[optic.name],
            site=verdict.site if verdict else "",
            # A scene that was never confirmed is invalid at once, one that time has made so since the last sweep.
            confirmed=verdict is not None and optic.name in places and optic.name not in verdict.unconfirmed,
            scene_version=confirmations.get(optic.name, 0),
        )
    stays = by_device(records["deployment"])
    return {
        name: FleetDevice(
            device,
            stays.get(name, ()),
            verdicts.get(name),
            {optic: places[optic] for optic in configurations.get(name, ()) if optic in places},
            configurations.get(name, {}),
        )
        for name, device in devices.items()
    }


def _by_optic(records: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for record in records:
        found.setdefault(ancestor(record.name, 2), []).append(record)
    return found
