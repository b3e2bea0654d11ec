"""Putting acts on record before they have an effect (design invariant 7)."""

from __future__ import annotations

from typing import Any

from alerting.domain.alerts import ALERTING, Act, Alert, Step
from alerting.domain.audience import Audience
from alerting.domain.dispatches import Dispatch
from alerting.domain.shelving import Shelving
from mesh import audit


class Records:
    """Writes the audit log in the words of this service.

    Every method raises ``Unavailable`` (``AUDIT_UNAVAILABLE``) when the entry cannot be written: then nothing may be
    handed over.
    """

    def __init__(self, log: audit.AuditLog) -> None:
        self._log = log

    async def reading(self, audience: Audience, what: str, why: str) -> audit.AuditRecord:
        """Somebody reads: a consultation, or a disclosure when the reader is an authority."""
        disclosed = audience.recipient is not None
        return await self._log.append(
            audit.AuditEntry(
                act=audit.Act.DISCLOSURE if disclosed else audit.Act.CONSULTATION,
                who=audience.actor,
                why=why,
                what=what,
                to_whom=audience.actor if disclosed else "",
            )
        )

    async def step(self, connection: Any, alert: Alert, step: Step) -> None:
        """Somebody moves an alert; recorded in the transaction of the move."""
        dispatched = step.act is Act.DISPATCH
        entry = audit.AuditEntry(
            act=audit.Act.DISCLOSURE if dispatched else audit.Act.ALTERATION,
            who=step.actor,
            why=step.reason or f"{step.act.value.replace('-', ' ')}, no reason given",
            what=alert.name,
            to_whom=step.recipient.replace("authorities/", "authority/", 1),
        )
        await self._log.append(entry, connection=connection)

    async def change(self, connection: Any, who: str, what: str, why: str, *, case: str = "") -> None:
        """Somebody changes what is not an alert; recorded in the transaction of the change."""
        entry = audit.AuditEntry(act=audit.Act.ALTERATION, who=who, why=why, what=what, case=case)
        await self._log.append(entry, connection=connection)

    async def communication(self, dispatch: Dispatch) -> None:
        """What an operator sent goes to an authority's webhook."""
        await self._log.append(
            audit.AuditEntry(
                act=audit.Act.DISCLOSURE,
                who=ALERTING,
                why="an operator sent it; the webhook is called",
                what=dispatch.name,
                to_whom=f"authority/{dispatch.tenant}",
            )
        )

    async def shelving(self, connection: Any, shelving: Shelving, who: str, why: str) -> None:
        """Somebody sets a scope aside until a time, or ends that; recorded in the transaction of the act."""
        what = f"{shelving.scope}, shelved until {shelving.until.isoformat(timespec='seconds')}"
        await self._log.append(audit.AuditEntry(audit.Act.ALTERATION, who, why, what), connection=connection)

    async def erasure(self, connection: Any, kind: str, count: int) -> None:
        """Expired data goes; recorded in the transaction of the erasure."""
        entry = audit.AuditEntry(
            act=audit.Act.ERASURE, who=ALERTING, why="seven days after capture", what=f"{kind}: {count}"
        )
        await self._log.append(entry, connection=connection)
