"""Which devices this replica holds, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class LeaseTable:
    """The leases of this replica. Times are Unix seconds.

    Args:
        grace: how long a device goes on after its lease ended while the registry is away, seconds.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._expiry: dict[str, float] = {}

    @property
    def devices(self) -> list[str]:
        """The devices that are held, in order."""
        return sorted(self._expiry)

    def hold(self, device: str, until: float) -> None:
        """``device`` is leased until ``until``."""
        self._expiry[device] = until

    def renew(self, devices: Iterable[str], until: float) -> None:
        """The leases of ``devices`` go on until ``until``; a device that is not held stays so."""
        for device in devices:
            if device in self._expiry:
                self._expiry[device] = until

    def drop(self, device: str) -> bool:
        """``device`` was withdrawn or given back; True when it was held."""
        return self._expiry.pop(device, None) is not None

    def take_expired(self, now: float, *, registry_away: bool) -> list[str]:
        """Remove and return the devices whose lease has ended; past the grace, while the registry is away."""
        limit = now - (self._grace if registry_away else 0.0)
        expired = sorted(device for device, until in self._expiry.items() if until <= limit)
        for device in expired:
            del self._expiry[device]
        return expired
