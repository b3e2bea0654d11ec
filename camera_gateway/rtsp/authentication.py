"""Basic and Digest authentication of RTSP requests (RFC 7617; RFC 2069, 2617 and 7616)."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_HASHES: Final[Mapping[str, Callable[[bytes], str]]] = {
    # MD5 is what cameras speak; the password's secrecy on the wire rests on the segregated network.
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}
_PARAMETER: Final = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password; neither is ever shown by repr.

    Attributes:
        username: the user.
        password: the password.
        plain_basic: whether Basic may be answered on a connection that is not encrypted, where whoever reads along
            learns the password.
    """

    username: str = dataclasses.field(repr=False)
    password: str = dataclasses.field(repr=False)
    plain_basic: bool = False


class Authenticator:
    """Answers a camera's challenges and authorises the requests that follow.

    Args:
        credentials: what to authenticate with; None answers no challenge.
        nonce: makes a fresh client nonce for Digest with qop.
        encrypted: whether nobody can read along; Basic is answered then.
    """

    def __init__(self, credentials: Credentials | None, nonce: Callable[[], str], *, encrypted: bool) -> None:
        self._credentials = credentials
        self._nonce = nonce
        self._encrypted = encrypted
        self.basic_refused = False
        """Whether the camera asked for the password in clear text and did not get it."""
        self._basic = False
        self._digest: Mapping[str, str] | None = None
        self._count = 0

    def challenge(self, headers: Sequence[str]) -> bool:
        """Take the WWW-Authenticate headers of a 401; True when the request is worth another try.

        A second challenge is worth one only when the camera calls the nonce stale: otherwise the password is wrong.
        """
        if self._credentials is None:
            return False
        challenges = [_parse_challenge(header) for header in headers]
        for scheme, parameters in challenges:
            if scheme == "digest" and _algorithm(parameters) in _HASHES and "nonce" in parameters:
                retry = self._digest is None or parameters.get("stale", "").lower() == "true"
                self._digest, self._basic, self._count = parameters, False, 0
                return retry
        if any(scheme == "basic" for scheme, _ in challenges) and self._digest is None:
            if not (self._encrypted or self._credentials.plain_basic):
                self.basic_refused = True
                return False
            retry, self._basic = not self._basic, True
            return retry
        return False

    def authorization(self, method: str, uri: str) -> str | None:
        """The Authorization header of a request, or None before any challenge."""
        if self._credentials is None:
            return None
        if self._basic:
            pair = f"{self._credentials.username}:{self._credentials.password}".encode()
            return "Basic " + base64.b64encode(pair).decode()
        return None if self._digest is None else self._digest_header(self._digest, self._credentials, method, uri)

    def _digest_header(self, challenge: Mapping[str, str], credentials: Credentials, method: str, uri: str) -> str:
        digest = _HASHES[_algorithm(challenge)]
        realm, nonce = challenge.get("realm", ""), challenge["nonce"]
        ha1 = digest(f"{credentials.username}:{realm}:{credentials.password}".encode())
        ha2 = digest(f"{method}:{uri}".encode())
        fields = {"username": credentials.username, "realm": realm, "nonce": nonce, "uri": uri}
        extra = ""
        if "auth" in [option.strip() for option in challenge.get("qop", "").split(",")]:
            self._count += 1
            count, client_nonce = f"{self._count:08x}", self._nonce()
            response = digest(f"{ha1}:{nonce}:{count}:{client_nonce}:auth:{ha2}".encode())
            extra = f', qop=auth, nc={count}, cnonce="{client_nonce}"'
        else:
            response = digest(f"{ha1}:{nonce}:{ha2}".encode())
        if "opaque" in challenge:
            fields["opaque"] = challenge["opaque"]
        if "algorithm" in challenge:
            extra += f", algorithm={challenge['algorithm']}"
        quoted = ", ".join(f'{name}="{value}"' for name, value in {**fields, "response": response}.items())
        return f"Digest {quoted}{extra}"


def _algorithm(parameters: Mapping[str, str]) -> str:
    return parameters.get("algorithm", "MD5").upper()


def _parse_challenge(header: str) -> tuple[str, dict[str, str]]:
    scheme, _, rest = header.strip().partition(" ")
    parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
    return scheme.lower(), parameters
