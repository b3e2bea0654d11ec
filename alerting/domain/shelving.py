"""Setting aside whatever an optic, a rule or a place raises (ISA-18.2: shelving is by a person, and always ends)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.domain.alerts import Act, Alert, Kind, Step
from mesh.errors import FieldViolation, InvalidArgument


@dataclass(frozen=True)
class Shelving:
    """What is set aside until when.

    Attributes:
        shelving_id: the last segment of its name ``shelvings/{shelving_id}``.
        scope: ``devices/{device}/optics/{optic}``, ``.../rules/{rule}``, ``.../zones/{zone}`` or ``.../lines/{line}``.
        until: in UTC.
        actor: identity path of who set it aside.
        reason: why.
        create_time: since when, in UTC.
    """

    shelving_id: str
    scope: str
    until: datetime
    actor: str
    reason: str
    create_time: datetime

    @property
    def name(self) -> str:
        """Resource name."""
        return f"shelvings/{self.shelving_id}"

    def covers(self, alert: Alert) -> bool:
        """Whether it sets an alert aside: one that many optics or places raised is not silenced by one of them."""
        of_one = not alert.other_optics and alert.kind is not Kind.FLOOD
        return of_one and self.scope in (alert.optic, alert.rule, alert.place)

    def step(self) -> Step:
        """What it does with an alert."""
        return Step(Act.SHELVE, self.actor, self.reason, due=self.until)


def covering(shelvings: Iterable[Shelving], alert: Alert, now: datetime) -> Shelving | None:
    """The shelving that sets an alert aside for the longest time; none: none does."""
    found = [shelving for shelving in shelvings if now < shelving.until and shelving.covers(alert)]
    return max(found, key=lambda shelving: shelving.until, default=None)


def shelf_end(now: datetime, duration: timedelta, longest: timedelta) -> datetime:
    """When something that is shelved at ``now`` comes back.

    Raises:
        InvalidArgument: the time is nothing, or longer than the control room allows.
    """
    if not timedelta(0) < duration <= longest:
        description = f"must be more than nothing and at most {longest.total_seconds() / 3600:g} hours"
        raise InvalidArgument(
            f"duration {description}",
            reason="INVALID_FIELD",
            metadata={"field": "duration"},
            violations=[FieldViolation(field="duration", description=description)],
        )
    return now + duration
