"""Who works on which device: a fair share each, whole devices, and no move that is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Gateway:
    """A replica of the camera gateway.

    Attributes:
        replica: its name.
        capacity: optics that it can carry.
        connected: whether a stream speaks for it now; otherwise it keeps what it has and gets nothing.
    """

    replica: str
    capacity: int
    connected: bool = True


@dataclass(frozen=True)
class LeasableDevice:
    """An admitted device.

    Attributes:
        name: ``devices/{device}``.
        optics: how many it has; what it weighs.
        holder: the replica that has it, or None.
        withdrawn: the holder has been told to end it.
        successor: the replica for which it was withdrawn, or None.
    """

    name: str
    optics: int
    holder: str | None = None
    withdrawn: bool = False
    successor: str | None = None


@dataclass(frozen=True)
class Plan:
    """What to do now.

    Attributes:
        grants: free devices to new holders.
        moves: held devices to the replicas that shall have them; the holder has to end them first.
    """

    grants: Mapping[str, str] = field(default_factory=dict)
    moves: Mapping[str, str] = field(default_factory=dict)


def plan_leases(devices: Sequence[LeasableDevice], gateways: Sequence[Gateway]) -> Plan:
    """Gives every free device to the least loaded replica with room, then evens out by moving as little as possible.

    A device moves only if that lowers the larger of the two loads, so a balanced mesh stays as it is; one on its way
    to its successor already counts as the successor's. Deterministic: every replica of the registry plans alike.

    Args:
        devices: all admitted ones.
        gateways: all live ones.
    """
    shares = _Shares(gateways)
    for device in devices:
        shares.add(device)
    grants = {}
    # Large devices first: they are the hardest to find room for.
    for device in sorted((device for device in devices if device.holder is None), key=lambda d: (-d.optics, d.name)):
        receiver = shares.receiver_of(device)
        if receiver is not None:
            grants[device.name] = receiver
            shares.take(device, receiver)
    return Plan(grants, shares.even_out())


class _Shares:
    """The loads of the replicas while a plan is made."""

    def __init__(self, gateways: Sequence[Gateway]) -> None:
        self._gateways = {gateway.replica: gateway for gateway in gateways}
        self._load = dict.fromkeys(self._gateways, 0)
        self._movable: dict[str, list[LeasableDevice]] = {replica: [] for replica in self._gateways}

    def add(self, device: LeasableDevice) -> None:
        """Counts a device that is held, or on its way."""
        replica = device.successor if device.withdrawn else device.holder
        if replica not in self._load:
            return
        self._load[replica] += device.optics
        if not device.withdrawn:
            self._movable[replica].append(device)

    def take(self, device: LeasableDevice, replica: str) -> None:
        """Counts a device that was just given away."""
        self._load[replica] += device.optics

    def receiver_of(self, device: LeasableDevice) -> str | None:
        """The least loaded connected replica with room for the device, or None."""
        able = [
            gateway.replica
            for gateway in self._gateways.values()
            if gateway.connected and self._load[gateway.replica] + device.optics <= gateway.capacity
        ]
        return min(able, key=lambda replica: (self._load[replica], replica), default=None)

    def even_out(self) -> dict[str, str]:
        """Moves devices from the most to the least loaded until no move helps."""
        moves: dict[str, str] = {}
        while (move := self._best_move()) is not None:
            device, donor, receiver = move
            self._movable[donor].remove(device)
            self._load[donor] -= device.optics
            self._load[receiver] += device.optics
            moves[device.name] = receiver
        return moves

    def _best_move(self) -> tuple[LeasableDevice, str, str] | None:
        for donor in sorted(self._load, key=lambda replica: (-self._load[replica], replica)):
            for device in sorted(self._movable[donor], key=lambda d: (-d.optics, d.name)):
                receiver = self.receiver_of(device)
                if receiver is not None and self._helps(device, donor, receiver):
                    return device, donor, receiver
        return None

    def _helps(self, device: LeasableDevice, donor: str, receiver: str) -> bool:
        overloaded = self._load[donor] > self._gateways[donor].capacity
        return receiver != donor and (overloaded or self._load[receiver] + device.optics < self._load[donor])
