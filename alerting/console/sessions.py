"""Who sits at the console: sign-in links, signed session cookies, and tokens against forged requests."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mesh.access import Caller, matrix
from mesh.identity import Grant, Identity

SESSION_LIFETIME = timedelta(hours=12)
"""A shift with its handover."""


@dataclass(frozen=True)
class Session:
    """Somebody who has signed in.

    Attributes:
        caller: who it is, and with which grant.
        expires: until when, in UTC.
        nonce: makes this session different from any other.
    """

    caller: Caller
    expires: datetime
    nonce: str

    @property
    def name(self) -> str:
        """Of the person."""
        return self.caller.grant.person or self.caller.identities[0].name


class Sessions:
    """Makes and checks sessions. They are kept in the cookie, so they outlive a restart and hold on every replica."""

    def __init__(self, secret: str, operator: str, trust_domain: str) -> None:
        """Takes the secret of the sign-in link and of the cookies, the operator of the link, and the trust domain."""
        self._secret = secret.encode()
        self._key = hmac.digest(self._secret, b"argo console session", hashlib.sha256)
        self._link = matrix().by_certificate(Identity(trust_domain, f"operator/{operator}"))
        self._trust_domain = trust_domain

    @property
    def link_digest(self) -> bytes:
        """What the database may know of the link's secret."""
        return hmac.digest(self._secret, b"argo console link", hashlib.sha256)

    def is_link(self, secret: str) -> bool:
        """Whether this is the secret of the sign-in link."""
        return hmac.compare_digest(secret.encode(errors="surrogateescape"), self._secret)

    def begin(self, now: datetime, nonce: str, caller: Caller | None = None) -> Session:
        """A new session, at most as long as its token; of the link's operator if nobody else is named."""
        caller = caller or self._link
        end = min(now + SESSION_LIFETIME, caller.grant.expires or now + SESSION_LIFETIME)
        # Times are cut to whole seconds.
        return Session(caller, end.replace(microsecond=0), nonce)

    def cookie(self, session: Session) -> str:
        """The session as a signed cookie value."""
        grant = session.caller.grant
        claims = {
            "paths": [identity.path for identity in session.caller.identities],
            "rights": sorted(grant.rights),
            "purposes": sorted(grant.purposes),
            "person": grant.person,
            "token": grant.token_id,
            "machine": grant.machine,
            "expires": int(session.expires.timestamp()),
            "nonce": session.nonce,
        }
        return self.seal(b"cookie", claims)

    def read(self, cookie: str, now: datetime) -> Session | None:
        """The session of a cookie; none when it is not ours, has expired, or is of another operator's link."""
        claims = self.unseal(b"cookie", cookie)
        if not isinstance(claims, dict):
            return None
        expires = datetime.fromtimestamp(claims["expires"], UTC)
        grant = Grant(
            rights=frozenset(claims["rights"]),
            purposes=frozenset(claims["purposes"]),
            roles=tuple(path.split("/")[-2] for path in claims["paths"]),
            person=claims["person"],
            token_id=claims["token"],
            machine=claims["machine"],
            expires=expires,
        )
        caller = Caller(tuple(Identity(self._trust_domain, path) for path in claims["paths"]), grant)
        if not grant.token_id:
            if caller.identities != self._link.identities:
                return None
            caller = self._link
        return Session(caller, expires, claims["nonce"]) if now < expires else None

    def seal(self, purpose: bytes, claims: Mapping[str, Any]) -> str:
        """Something that a browser keeps for us and cannot change."""
        content = json.dumps(claims).encode()
        return f"{_encode(content)}.{_encode(self._sign(purpose, content))}"

    def unseal(self, purpose: bytes, sealed: str) -> Any:
        """What was sealed for that purpose; none when it is not ours."""
        content_part, _, signature_part = sealed.partition(".")
        try:
            content, signature = _decode(content_part), _decode(signature_part)
        except (binascii.Error, ValueError):
            return None
        return json.loads(content) if hmac.compare_digest(signature, self._sign(purpose, content)) else None

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
