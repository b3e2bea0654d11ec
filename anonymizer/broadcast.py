"""The masked pictures of an optic, handed to everyone who watches; nobody can slow another down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from anonymizer.encoder import EncodedPicture

VIEWER_BACKLOG: Final = 20
"""Pictures that may wait for a viewer: four seconds at the default rate. A viewer who falls further behind is cut."""


class ViewerCutError(Exception):
    """The viewer was too slow, or the optic is gone."""


class Subscription:
    """What viewers receive: from a key frame on, every picture in order.

    Attributes:
        ended: set when it is cut from this side.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[EncodedPicture | None] = asyncio.Queue(VIEWER_BACKLOG + 1)
        self._has_key_frame = False
        self.ended = asyncio.Event()

    @property
    def is_cut(self) -> bool:
        """Whether this side has ended it."""
        return self.ended.is_set()

    def put(self, picture: EncodedPicture) -> None:
        """Hands a picture over; cuts the viewer when too many wait."""
        if self.is_cut or not (self._has_key_frame or picture.key_frame):
            return
        self._has_key_frame = True
        if self._queue.qsize() >= VIEWER_BACKLOG:
            self.cut()
            return
        self._queue.put_nowait(picture)

    def cut(self) -> None:
        """Ends the subscription from this side; what waits is dropped."""
        self.ended.set()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def get(self) -> EncodedPicture:
        """The next picture.

        Raises:
            ViewerCutError: there will be none.
        """
        picture = None if self.is_cut and self._queue.empty() else await self._queue.get()
        if picture is None:
            raise ViewerCutError
        return picture


class Broadcast:
    """The live picture of one optic.

    Attributes:
        optic: `devices/{device}/optics/{optic}`.
        most_viewers: how many may watch at once.
        viewer_kinds: kinds of identity that may watch.
        streams: how many redaction streams feed it; 0: there is no live picture now.
        group: the last key frame and the pictures since: what shows the newest one.
    """

    def __init__(self, optic: str) -> None:
        self.optic = optic
        self.most_viewers = 0
        self.viewer_kinds: frozenset[str] = frozenset()
        self.streams = 0
        self.group: tuple[EncodedPicture, ...] = ()
        self._subscriptions: set[Subscription] = set()
        self._key_frame_wanted = False

    def wish_key_frame(self) -> None:
        """Asks for a key frame: somebody waits for one to begin with."""
        self._key_frame_wanted = True

    def take_key_frame_wish(self) -> bool:
        """Whether somebody waits for a key frame; the wish counts as granted."""
        wanted, self._key_frame_wanted = self._key_frame_wanted, False
        return wanted

    def publish(self, picture: EncodedPicture) -> int:
        """Hands a picture to every subscription.

        Returns:
            How many were cut because they were too slow.
        """
        self.group = (picture,) if picture.key_frame else (*self.group, picture)
        before = sum(subscription.is_cut for subscription in self._subscriptions)
        for subscription in self._subscriptions:
            subscription.put(picture)
        return sum(subscription.is_cut for subscription in self._subscriptions) - before

    @contextmanager
    def subscribed(self) -> Iterator[Subscription]:
        """Receives the pictures, within the block."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        self.wish_key_frame()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)


class Broadcasts:
    """The live pictures of this process."""

    def __init__(self) -> None:
        self._broadcasts: dict[str, Broadcast] = {}

    def find(self, optic: str) -> Broadcast | None:
        """The live picture of an optic, or None when there is none here now."""
        broadcast = self._broadcasts.get(optic)
        return broadcast if broadcast is not None and broadcast.streams else None

    @contextmanager
    def fed(self, optic: str) -> Iterator[Broadcast]:
        """The broadcast that a redaction stream feeds, within the block. Viewers stay over a change of streams."""
        broadcast = self._broadcasts.setdefault(optic, Broadcast(optic))
        broadcast.streams += 1
        try:
            yield broadcast
        finally:
            broadcast.streams -= 1
            if not broadcast.streams:
                broadcast.group = ()
