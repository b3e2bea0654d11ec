"""What the console says of each optic: the registry's names, the gateway's word, the ledger's figures."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.domain.coverage import OpticCoverage


class SessionState(enum.Enum):
    """How the connection to an optic is. ``UNKNOWN`` when nobody says."""

    UNKNOWN = "unknown"
    CONNECTING = "connecting"
    WAITING_FIRST_FRAME = "waiting"
    STREAMING = "streaming"
    BACKING_OFF = "lost"
    REFUSED = "refused"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Refusal:
    """Why the registry does not let an optic stream.

    Attributes:
        reason: a constant in capitals, e.g. ``DPIA_REFERENCE_MISSING``.
        description: the same in words, with what to do.
    """

    reason: str
    description: str


@dataclass(frozen=True)
class Place:
    """An optic by the names that people use.

    Attributes:
        optic: ``devices/{device}/optics/{optic}``.
        label: of the device and the optic.
        site_label: of its site; empty when it stands nowhere.
        refusals: why it may not stream, every reason at once; none: it may.
    """

    optic: str
    label: str
    site_label: str
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True)
class Session:
    """What a gateway says of an optic.

    Attributes:
        optic: ``devices/{device}/optics/{optic}``.
        state: how it is.
        reason: why, when it is not streaming; a constant in capitals.
        detail: the same in words, with what to do.
        since: since when, in UTC.
        tracks: objects followed at the last frame.
        unmasked_frames_out: pictures that left without a mask of their own; anything but 0 is a breach.
    """

    optic: str
    state: SessionState
    reason: str
    detail: str
    since: datetime
    tracks: int
    unmasked_frames_out: int


@dataclass(frozen=True)
class Shares:
    """How a stretch of time was covered; the four add up to 1.

    Attributes:
        analysed: pictures came and were analysed.
        received: pictures came and were not analysed.
        lost: no pictures came.
        unknown: nobody has reported.
    """

    analysed: float
    received: float
    lost: float
    unknown: float


@dataclass(frozen=True)
class Row:
    """One line of the board; ``session`` is none when nobody says how the optic is."""

    place: Place
    session: Session | None
    shares: Shares
    impairments: tuple[int, ...]

    @property
    def state(self) -> SessionState:
        """The gateway's word; where it has none, the registry's if it lets nobody have the optic."""
        if self.session is not None:
            return self.session.state
        return SessionState.REFUSED if self.place.refusals else SessionState.UNKNOWN


def shares(coverage: OpticCoverage | None, window: timedelta) -> Shares:
    """Divides a stretch of time by what is known of it.

    Args:
        coverage: the ledger's sums over it; none when nobody reported.
        window: its length.
    """
    if coverage is None:
        return Shares(0.0, 0.0, 0.0, 1.0)
    seconds = coverage.seconds
    # A report that began inside the window may reach over its edge.
    total = max(window.total_seconds(), seconds.elapsed, seconds.received + seconds.lost)
    analysed = min(seconds.analysed, seconds.received) / total
    received = seconds.received / total - analysed
    lost = seconds.lost / total
    return Shares(analysed, received, lost, max(0.0, 1.0 - analysed - received - lost))


def board(
    places: Iterable[Place],
    sessions: Mapping[str, Session],
    ledger: Iterable[OpticCoverage],
    window: timedelta,
) -> list[Row]:
    """Every optic of the registry, and those that only a gateway knows of, in the order of sites and labels."""
    known = {place.optic: place for place in places}
    for optic in sessions.keys() - known.keys():
        known[optic] = Place(optic, f"{optic.split('/')[1]}, {optic.rsplit('/', 1)[1]}", "")
    covered = {coverage.optic: coverage for coverage in ledger}
    rows = []
    for place in sorted(known.values(), key=lambda place: (place.site_label, place.label, place.optic)):
        coverage = covered.get(place.optic)
        impairments = coverage.impairments if coverage is not None else ()
        rows.append(Row(place, sessions.get(place.optic), shares(coverage, window), impairments))
    return rows
