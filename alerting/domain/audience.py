"""Who sees which alerts, and how much of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from alerting.domain.alerts import Alert, State

_HANDED_OVER = (State.DISPATCHED, State.CLOSED)


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
        """The alert as this reader gets it: an authority reads no notes of the control room, nor who else was told."""
        if self.recipient is None:
            return alert
        return replace(
            alert,
            transitions=tuple(step for step in alert.transitions if step.state in _HANDED_OVER),
            recipients=(self.recipient,),
        )
