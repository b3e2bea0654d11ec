"""Permissions to watch: short-lived, for one person, one optic and one purpose, each good for one session."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from mesh.errors import NotFound, PermissionDenied, ResourceExhausted, Unauthenticated

DEFAULT_TOKEN_SECONDS: Final = 60.0
LONGEST_TOKEN_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Viewing:
    """One person's permission to watch one optic.

    Attributes:
        name: `viewings/{viewing}`.
        optic: `devices/{device}/optics/{optic}`.
        viewer: who watches, e.g. "operator/rossi".
        purpose: what for.
        audit_entry: under which the act is on record.
        expires: until when the token can be used to begin; seconds since the epoch.
        started: when it began; None: it has not.
        by_page: whether the page that shows it puts the watermark over it; else it is burned in.
    """

    name: str
    optic: str
    viewer: str
    purpose: str
    audit_entry: str
    expires: float
    started: float | None = None
    by_page: bool = False


class ViewingBook:
    """The viewings of this process. Tokens are kept as digests, so that no dump of memory or log gives one away.

    Args:
        make_token: gives an unguessable text; of at least 128 bits.
        make_id: gives a new resource id.
    """

    def __init__(self, make_token: Callable[[], str], make_id: Callable[[], str]) -> None:
        self._make_token = make_token
        self._make_id = make_id
        self._viewings: dict[str, Viewing] = {}
        self._by_digest: dict[bytes, str] = {}

    def create(  # noqa: PLR0913 - what a viewing is, and by which bounds
        self,
        optic: str,
        viewer: str,
        purpose: str,
        audit_entry: str,
        *,
        lifetime: float,
        most: int,
        now: float,
        by_page: bool = False,
    ) -> tuple[Viewing, str]:
        """Permits a viewing.

        Args:
            optic: to watch.
            viewer: who.
            purpose: what for.
            audit_entry: under which the act is on record.
            lifetime: for how many seconds the token can be used to begin.
            most: how many may watch this optic at once; those who have not begun count.
            now: seconds since the epoch.
            by_page: whether the page that shows it puts the watermark over it.

        Returns:
            The viewing and its token, which is told only here.

        Raises:
            ResourceExhausted: there are as many already.
        """
        self._forget_expired(now)
        if sum(viewing.optic == optic for viewing in self._viewings.values()) >= most:
            raise ResourceExhausted(
                f"{optic} has {most} viewers, as many as it may have",
                reason="TOO_MANY_VIEWERS",
                metadata={"optic": optic, "limit": str(most)},
            )
        name = f"viewings/{self._make_id()}"
        viewing = Viewing(name, optic, viewer, purpose, audit_entry, now + lifetime, by_page=by_page)
        token = self._make_token()
        self._viewings[viewing.name] = viewing
        self._by_digest[_digest(token)] = viewing.name
        return viewing, token

    def begin(self, token: str, optic: str, now: float) -> Viewing:
        """Begins the viewing that a token permits; a token begins one, once.

        Raises:
            Unauthenticated: the token is unknown, expired or used.
            PermissionDenied: it is for another optic.
        """
        viewing = self._find(token)
        if viewing is None or viewing.started is not None or now >= viewing.expires:
            raise Unauthenticated("the token is unknown, expired or used", reason="TOKEN_INVALID")
        if viewing.optic != optic:
            raise PermissionDenied("the token is for another optic", reason="TOKEN_FOR_ANOTHER_OPTIC")
        begun = replace(viewing, started=now)
        self._viewings[viewing.name] = begun
        return begun

    def holder(self, token: str, name: str) -> Viewing:
        """The viewing `name`, asked for by whoever holds its token.

        Raises:
            Unauthenticated: the token is unknown.
            NotFound: it is not the token of that viewing.
        """
        viewing = self._find(token)
        if viewing is None:
            raise Unauthenticated("the token is unknown", reason="TOKEN_INVALID")
        if viewing.name != name:
            raise NotFound("no such viewing", reason="VIEWING_NOT_FOUND")
        return viewing

    def end(self, name: str) -> None:
        """Ends a viewing; its token is worth nothing from here on."""
        self._viewings.pop(name, None)
        self._by_digest = {digest: held for digest, held in self._by_digest.items() if held != name}

    def going_on(self, now: float) -> list[Viewing]:
        """All viewings that go on or can still begin, ordered by name."""
        self._forget_expired(now)
        return sorted(self._viewings.values(), key=lambda viewing: viewing.name)

    def _find(self, token: str) -> Viewing | None:
        name = self._by_digest.get(_digest(token))
        return None if name is None else self._viewings.get(name)

    def _forget_expired(self, now: float) -> None:
        for viewing in list(self._viewings.values()):
            if viewing.started is None and now >= viewing.expires:
                self.end(viewing.name)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
