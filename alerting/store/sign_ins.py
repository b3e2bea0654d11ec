"""Which sign-in links of the console were used."""

from __future__ import annotations

from datetime import datetime

from alerting.store.database import Database
from alerting.store.queries import QUERIES


class SignInStore:
    """Each link opens the console once, whichever replica it is shown to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def use(self, secret_digest: bytes, now: datetime) -> bool:
        """Uses a link up; false when somebody did before."""
        return await self._database.fetchrow(QUERIES["use_sign_in"], secret_digest, now) is not None
