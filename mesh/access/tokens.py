"""Verifying the tokens of people and other systems (RFC 7519, RFC 8725, OpenID Connect)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import jwt

from mesh.access.claims import ClaimNames, caller_of
from mesh.access.keys import ProviderKeys, reader
from mesh.access.matrix import Caller, Matrix
from mesh.errors import PermissionDenied, Unauthenticated
from mesh.identity import Identity, person_of

if TYPE_CHECKING:
    from mesh.access.settings import TokenSettings

LARGEST_TOKEN = 16 * 1024
_REQUIRED = ("exp", "iat", "iss", "aud", "sub")
_REFUSALS: Mapping[type[jwt.PyJWTError], tuple[str, str]] = MappingProxyType(
    {
        jwt.ExpiredSignatureError: ("TOKEN_EXPIRED", "the token has expired: get a new one"),
        jwt.ImmatureSignatureError: ("TOKEN_NOT_YET_VALID", "the token is not valid yet: compare the clocks"),
        jwt.InvalidIssuedAtError: ("TOKEN_NOT_YET_VALID", "the token is of the future: compare the clocks"),
        jwt.InvalidAudienceError: ("TOKEN_AUDIENCE", "the token is for somebody else"),
        jwt.InvalidIssuerError: ("TOKEN_ISSUER", "the token is of another issuer"),
        jwt.InvalidAlgorithmError: ("TOKEN_ALGORITHM", "the token is signed in a way that is not accepted"),
        jwt.InvalidSignatureError: ("TOKEN_SIGNATURE", "the token's signature is wrong"),
        jwt.MissingRequiredClaimError: (
            "TOKEN_CLAIM",
            "the token lacks a claim: exp, iat, iss, aud and sub are needed",
        ),
    }
)


class TokenVerifier:
    """Turns a token into a caller."""

    def __init__(self, settings: TokenSettings, matrix: Matrix, keys: ProviderKeys) -> None:
        """Takes what it works with.

        Args:
            settings: issuer, audience, algorithms, leeway, names of claims.
            matrix: what roles bring with them, and who may carry tokens.
            keys: of the provider.
        """
        self._settings = settings
        self._matrix = matrix
        self._keys = keys
        self._names = ClaimNames.of(settings)

    @classmethod
    def of(cls, settings: TokenSettings, matrix: Matrix) -> TokenVerifier | None:
        """As a service is told; none where it accepts no tokens."""
        if settings.oidc_issuer is None:
            return None
        keys = ProviderKeys(
            reader(settings),
            time.monotonic,
            fresh_seconds=settings.oidc_keys_seconds,
            limit_seconds=settings.oidc_keys_limit_seconds,
        )
        return cls(settings, matrix, keys)

    async def verify(self, token: str, peer: Identity) -> Caller:
        """The caller that a token speaks of, which ``peer`` carries.

        Raises:
            Unauthenticated: the token is not good; the reason says in what.
            PermissionDenied: this peer may not carry it (``TOKEN_CARRIER``), or see ``mesh.access.claims.caller_of``.
            Unavailable: it cannot be told whether it is good (``TOKEN_KEYS_UNAVAILABLE``).
        """
        caller = caller_of(await self.claims(token), self._names, self._matrix, peer)
        if not self._may_carry(peer, caller):
            raise PermissionDenied(f"{peer.kind} may not carry a token of somebody else", reason="TOKEN_CARRIER")
        return caller

    async def claims(self, token: str, *, audience: str | None = None) -> Mapping[str, Any]:
        """The claims of a good token.

        Args:
            token: as it was shown.
            audience: that it must be for; none: that of the settings.

        Raises:
            Unauthenticated, Unavailable: as ``verify``.
        """
        try:
            if len(token) > LARGEST_TOKEN:
                raise jwt.DecodeError
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in self._settings.oidc_algorithms:
                raise jwt.InvalidAlgorithmError
            key = await self._keys.find(str(header.get("kid", "")))
            return jwt.decode(
                token,
                key,
                algorithms=list(self._settings.oidc_algorithms),
                audience=audience or self._settings.oidc_audience,
                issuer=self._settings.oidc_issuer,
                leeway=self._settings.oidc_leeway_seconds,
                options={"require": list(_REQUIRED)},
            )
        except jwt.PyJWTError as error:
            malformed = ("TOKEN_MALFORMED", "this is no token")
            reason, message = next((said for kind, said in _REFUSALS.items() if isinstance(error, kind)), malformed)
            raise Unauthenticated(message, reason=reason) from None

    def _may_carry(self, peer: Identity, caller: Caller) -> bool:
        if any(carrier in (peer.kind, peer.role_path) for carrier in self._matrix.carriers):
            return True
        # A person's own certificate carries that person's own token, in whatever role.
        return not peer.is_machine and any(
            (identity.tenant, person_of(identity.path)) == (peer.tenant, person_of(peer.path))
            for identity in caller.identities
        )
