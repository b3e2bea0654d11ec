"""A model is changed while the service runs: old and new side by side until the new one is warm.

What is wanted is read again and again: the name of a card (from a file, where the settings name one), that card, and
the model's file. Nobody has to call anything, so a replica that starts later wants the same (see ADR 0015).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from detector.catalogue.cards import Card, find_card
from detector.catalogue.errors import CatalogueError
from detector.model import Model, load_card
from mesh.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path

    from detector.metrics import DetectorMetrics
    from detector.scheduling import Scheduler

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wish:
    """Which model is wanted.

    Attributes:
        card: of the model.
        file: time of the last change in nanoseconds and size in bytes of the model's file; None: it is not there.
    """

    card: Card
    file: tuple[int, int] | None


@dataclass(frozen=True)
class ModelSource:
    """Where it is written which model is wanted.

    Attributes:
        name: of the card.
        name_file: holds the name instead, where there is one.
        directory: of the models.
        threads: CPU threads of one inference.
    """

    name: str
    name_file: Path | None
    directory: Path
    threads: int

    def read(self) -> Wish:
        """What is wanted now.

        Raises:
            CatalogueError: nobody can say: the file of the name cannot be read, or there is no such card.
        """
        card = find_card(self._read_name(), self.directory)
        try:
            status = (self.directory / card.file.name).stat()
        except OSError:
            return Wish(card, None)
        return Wish(card, (status.st_mtime_ns, status.st_size))

    def _read_name(self) -> str:
        if self.name_file is None:
            return self.name
        try:
            return self.name_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CatalogueError(f"the file of the model's name, {self.name_file}, cannot be read") from error

    def start(self) -> tuple[Wish, Model]:
        """What is wanted at the start of the service, and that model, not yet warm.

        Raises:
            StartupError: see detector.model.load.
        """
        try:
            wish = self.read()
        except CatalogueError as error:
            raise StartupError("the detector has no model to load", str(error)) from error
        return wish, self.load(wish)

    def load(self, wish: Wish) -> Model:
        """That model, not yet warm.

        Raises:
            StartupError: see detector.model.load.
        """
        return load_card(wish.card, self.directory, threads=self.threads)


class ModelWatch:
    """Gives the scheduler the model that is wanted.

    Args:
        source: says which one.
        wish: what was wanted when the scheduler's model was loaded.
        scheduler: looks with it.
        metrics: see DetectorMetrics.
        interval: seconds between two looks at the source.
    """

    def __init__(
        self, source: ModelSource, wish: Wish, scheduler: Scheduler, metrics: DetectorMetrics, *, interval: float
    ) -> None:
        self._source = source
        self._tried = wish
        self._scheduler = scheduler
        self._metrics = metrics
        self._interval = interval
        self._problem: str | None = None
        metrics.show_model(scheduler.model)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.check()

    async def check(self) -> None:
        """Look once, and change the model if another is wanted. A refused one is tried again when its files change."""
        try:
            wish = await asyncio.to_thread(self._source.read)
        except CatalogueError as error:
            self._refuse(None, str(error))
            return
        tried, self._tried = self._tried, wish
        if wish.card == self._scheduler.model.card:
            self._problem = None
        elif wish != tried:
            await self._change(wish)

    async def _change(self, wish: Wish) -> None:
        started = time.monotonic()
        try:
            model = await self._warm(wish)
        except StartupError as error:
            self._refuse(wish.card, str(error))
            return
        before = self._scheduler.use(model)
        self._problem = None
        self._metrics.show_model(model)
        self._metrics.model_changes.labels("changed").inc()
        log.info(
            "model.changed",
            model=model.card.name,
            digest=model.digest,
            provider=model.provider,
            before=before.card.name,
            before_digest=before.digest,
            seconds=round(time.monotonic() - started, 3),
        )
        # It may be at its last batch still.
        await asyncio.to_thread(before.close)

    async def _warm(self, wish: Wish) -> Model:
        model = await asyncio.to_thread(self._source.load, wish)
        try:
            await model.warm_up(self._scheduler.parameters.most_frames)
        except BaseException:
            await asyncio.to_thread(model.close)
            raise
        return model

    def _refuse(self, card: Card | None, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        self._metrics.model_changes.labels("refused").inc()
        log.error(
            "model.change_refused",
            model=card.name if card else None,
            digest=card.file.sha256 if card else None,
            at_work=self._scheduler.model.card.name,
            problem=problem,
        )
