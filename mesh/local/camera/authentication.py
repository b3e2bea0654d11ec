"""RTSP authentication, Basic and Digest (RFC 2617), as IP cameras do it: MD5, with or without ``qop``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final, Literal

REALM: Final = "camera"

Scheme = Literal["digest", "basic", "both"]

_PARAMETER: Final = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True)
class Authenticator:
    """Checks the Authorization header of requests.

    Attributes:
        user: the one user.
        password: that user's password.
        nonce: the server's nonce; random, one per server.
        scheme: which schemes are offered and accepted.
    """

    user: str
    password: str
    nonce: str
    scheme: Scheme = "both"

    def challenges(self) -> list[tuple[str, str]]:
        """The WWW-Authenticate headers of a 401 response, the stronger scheme first."""
        challenges = []
        if self.scheme in {"digest", "both"}:
            challenges.append(("WWW-Authenticate", f'Digest realm="{REALM}", nonce="{self.nonce}", algorithm="MD5"'))
        if self.scheme in {"basic", "both"}:
            challenges.append(("WWW-Authenticate", f'Basic realm="{REALM}"'))
        return challenges

    def accepts(self, method: str, authorization: str) -> bool:
        """Whether an Authorization header proves the knowledge of the password for a request with this method."""
        kind, _, rest = authorization.strip().partition(" ")
        match kind.lower():
            case "basic" if self.scheme in {"basic", "both"}:
                return self._accepts_basic(rest.strip())
            case "digest" if self.scheme in {"digest", "both"}:
                return self._accepts_digest(method, rest)
            case _:
                return False

    def _accepts_basic(self, credentials: str) -> bool:
        try:
            given = base64.b64decode(credentials, validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, f"{self.user}:{self.password}".encode())

    def _accepts_digest(self, method: str, text: str) -> bool:
        given = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(text)}
        if given.get("username") != self.user or given.get("nonce") != self.nonce:
            return False
        secret = _md5(f"{self.user}:{REALM}:{self.password}")
        request = _md5(f"{method}:{given.get('uri', '')}")
        middle = self.nonce
        if "qop" in given:
            middle = ":".join([self.nonce, given.get("nc", ""), given.get("cnonce", ""), given["qop"]])
        expected = _md5(f"{secret}:{middle}:{request}")
        return hmac.compare_digest(expected.encode(), given.get("response", "").encode())


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
