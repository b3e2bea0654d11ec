"""Who sees which alerts, and how much of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from alerting.domain.alerts import Act, Alert, State, Transition


@dataclass(frozen=True)
class Audience:
    """Somebody who reads alerts.

    Attributes:
        actor: identity path, for example ``"operator/rossi"`` or ``"authority/polizia-locale"``.
    """

    actor: str

    @property
    def recipient(self) -> str | None:
        """``authorities/{tenant}`` for an authority, none for the control room, which sees every alert."""
        kind, _, name = self.actor.partition("/")
        return f"authorities/{name}" if kind == "authority" else None

    def sees(self, alert: Alert) -> bool:
        """Whether the alert exists for this reader: nothing leaves for an authority without an operator's act."""
        return self.recipient is None or self.recipient in alert.recipients

    def view(self, alert: Alert) -> Alert:
        """The alert as this reader gets it.

        An authority reads no notes of the control room, nor who has it there, nor who else was told and what they said.
        """
        if self.recipient is None:
            return alert
        return replace(
            alert,
            transitions=tuple(step for step in alert.transitions if self._concerns(step)),
            recipients=(self.recipient,),
            owner="",
            escalations=0,
            deliveries=tuple(one for one in alert.deliveries if one.recipient == self.recipient),
        )

    def _concerns(self, step: Transition) -> bool:
        match step.act:
            case None:
                return step.state in (State.DISPATCHED, State.CLOSED)
            case Act.DISPATCH | Act.RECEIVE | Act.REPORT:
                return step.object == self.recipient
        return step.act is Act.CLOSE
