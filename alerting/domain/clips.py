"""The clip of an alarm: which seconds, and who may see them though they may not look at recordings."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from alerting.domain.alerts import Alert, State
from mesh.errors import FailedPrecondition, PermissionDenied

BEFORE: Final = timedelta(seconds=10)
"""How an alarm came about: the longest rules of a scene that begin at once look back for about as long."""
AFTER: Final = timedelta(seconds=20)


def clip_of(alert: Alert, person: str, now: datetime) -> tuple[datetime, datetime]:
    """The seconds around an alarm, for somebody who handles it.

    An alarm that nobody has taken on yet is everybody's who watches: they have to see what it is. Once it is
    somebody's, it is theirs and the supervisors'. What is over is a recording like any other, for whoever may look at
    those.

    Args:
        alert: that was raised.
        person: identity path.
        now: in UTC.

    Returns:
        From when until when, in UTC.

    Raises:
        FailedPrecondition: it is closed (``ALERT_CLOSED``).
        PermissionDenied: somebody else handles it (``ALERT_OF_SOMEBODY_ELSE``).
    """
    if alert.state is State.CLOSED:
        raise FailedPrecondition(
            f"{alert.name} is closed: its pictures are recordings like any other",
            reason="ALERT_CLOSED",
            metadata={"name": alert.name},
        )
    if alert.owner not in ("", person) and person.split("/", maxsplit=1)[0] != "supervisor":
        raise PermissionDenied(
            f"{alert.name} is somebody else's", reason="ALERT_OF_SOMEBODY_ELSE", metadata={"name": alert.name}
        )
    begin = alert.capture_time - BEFORE
    return begin, max(begin + timedelta(seconds=1), min(alert.capture_time + AFTER, now))
