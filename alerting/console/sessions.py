"""Who sits at the console: sign-in links, signed session cookies, and tokens against forged requests."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SESSION_LIFETIME = timedelta(hours=12)
"""A shift with its handover."""


@dataclass(frozen=True)
class Session:
    """Somebody who has signed in.

    Attributes:
        operator: name of the person; the identity is ``operator/{operator}``.
        expires: until when, in UTC.
        nonce: makes this session different from any other.
    """

    operator: str
    expires: datetime
    nonce: str

    @property
    def actor(self) -> str:
        """Identity path."""
        return f"operator/{self.operator}"


class Sessions:
    """Makes and checks sessions. They are kept in the cookie, so they outlive a restart and hold on every replica."""

    def __init__(self, secret: str, operator: str) -> None:
        """Takes the secret of the sign-in link, and the operator whom it is for."""
        self._secret = secret.encode()
        self._key = hmac.digest(self._secret, b"argo console session", hashlib.sha256)
        self._operator = operator

    @property
    def link_digest(self) -> bytes:
        """What the database may know of the link's secret."""
        return hmac.digest(self._secret, b"argo console link", hashlib.sha256)

    def is_link(self, secret: str) -> bool:
        """Whether this is the secret of the sign-in link."""
        return hmac.compare_digest(secret.encode(errors="surrogateescape"), self._secret)

    def begin(self, now: datetime, nonce: str) -> Session:
        """A new session; times are cut to whole seconds."""
        return Session(self._operator, (now + SESSION_LIFETIME).replace(microsecond=0), nonce)

    def cookie(self, session: Session) -> str:
        """The session as a signed cookie value."""
        claims = json.dumps([session.operator, int(session.expires.timestamp()), session.nonce]).encode()
        return f"{_encode(claims)}.{_encode(self._sign(b'cookie', claims))}"

    def read(self, cookie: str, now: datetime) -> Session | None:
        """The session of a cookie; none when it is not ours, has expired, or is of another operator."""
        claims_part, _, signature_part = cookie.partition(".")
        try:
            claims, signature = _decode(claims_part), _decode(signature_part)
        except (binascii.Error, ValueError):
            return None
        if not hmac.compare_digest(signature, self._sign(b"cookie", claims)):
            return None
        operator, expires, nonce = json.loads(claims)
        session = Session(operator, datetime.fromtimestamp(expires, UTC), nonce)
        return session if session.operator == self._operator and now < session.expires else None

    def csrf_token(self, session: Session) -> str:
        """What a page of this session proves itself with."""
        return _encode(self._sign(b"csrf", session.nonce.encode()))

    def is_csrf_token(self, session: Session, token: str) -> bool:
        """Whether this is the token of that session."""
        return hmac.compare_digest(token.encode(errors="surrogateescape"), self.csrf_token(session).encode())

    def _sign(self, purpose: bytes, content: bytes) -> bytes:
        return hmac.digest(self._key, purpose + b"\0" + content, hashlib.sha256)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
