"""Who calls, and may they call this: one layer around every RPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import structlog

from mesh import identity
from mesh.access import Caller, TokenSettings, matrix
from mesh.access.admission import RightsTaken, admit
from mesh.errors import PermissionDenied, Unauthenticated

if TYPE_CHECKING:
    import grpc

    from mesh.access.tokens import TokenVerifier
    from mesh.rpc.interceptors import Call

log = structlog.get_logger()


def token_verifier(settings: TokenSettings) -> TokenVerifier | None:
    """What verifies tokens, as a service is told; none where it accepts none."""
    if settings.oidc_issuer is None:
        return None
    # Imported only where tokens are accepted.
    from mesh.access.tokens import TokenVerifier

    return TokenVerifier.of(settings, matrix())


class Authorisation:
    """Layer: admits by the permission matrix. A method that has no row there is refused.

    The peer always shows a certificate. Where it carries a token (metadata ``authorization: Bearer …``), the token's
    person is the caller, and the peer is kept on record as the machine.
    """

    def __init__(self, trust_domain: str, tokens: TokenVerifier | None = None, *, required: bool = False) -> None:
        """Takes what it decides by.

        Args:
            trust_domain: of the callers' certificates.
            tokens: verifies them; none: none are accepted.
            required: whether people and other systems must show one.
        """
        self._trust_domain = trust_domain
        self._matrix = matrix()
        self._tokens = tokens
        self._required = required
        self._opened: dict[str, tuple[str, ...]] = {}
        self._rights_taken: RightsTaken | None = None

    def open(self, methods: Mapping[str, tuple[str, ...]]) -> None:
        """Opens methods that are of no service of the mesh, in place of a row.

        Args:
            methods: full method names, or a service's prefix that ends in ``/*``, to patterns (fnmatch) of identity
                paths.
        """
        self._opened.update(methods)

    def let_break_glass(self, rights_taken: RightsTaken) -> None:
        """Asks, before a refusal, whether the caller has taken the right that it lacks."""
        self._rights_taken = rights_taken

    @asynccontextmanager
    async def __call__(self, call: Call) -> AsyncIterator[None]:
        """Makes the caller the current identity of the handler. A stream ends with the token that it was opened with.

        Raises:
            Unauthenticated: the certificate carries no identity, or the token is not good.
            PermissionDenied: the identity is of another trust domain, or may not call the method.
            Unavailable: it cannot be told now who it is, or whether it has broken the glass.
        """
        peer = identity.identify(_alternative_names(call.context), self._trust_domain)
        structlog.contextvars.bind_contextvars(principal=peer.principal)
        try:
            caller = await self._caller(peer, call)
            acting, caller = await self._admit(caller, call.method)
        except PermissionDenied as error:
            log.warning("access.refused", method=call.method, reason=error.reason)
            raise
        if caller.grant.token_id:
            structlog.contextvars.bind_contextvars(principal=acting.principal, machine=peer.principal)
        call.ends = caller.grant.expires
        with identity.acting_as(acting, replace(caller.grant, taken=caller.taken)):
            yield

    async def _caller(self, peer: identity.Identity, call: Call) -> Caller:
        scheme, _, token = call.metadata.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if self._tokens is None:
                raise Unauthenticated("no tokens are accepted here", reason="TOKENS_NOT_ACCEPTED")
            return await self._tokens.verify(token.strip(), peer)
        if self._required and peer.kind in self._matrix.roles and self._patterns(call.method) is None:
            raise Unauthenticated("a token is required beside the certificate", reason="TOKEN_REQUIRED")
        return self._matrix.by_certificate(peer)

    async def _admit(self, caller: Caller, method: str) -> tuple[identity.Identity, Caller]:
        patterns, peer = self._patterns(method), caller.identities[0]
        if patterns is not None and any(fnmatchcase(peer.path, pattern) for pattern in patterns):
            return peer, caller
        return await admit(self._matrix, caller, method, self._rights_taken)

    def _patterns(self, method: str) -> tuple[str, ...] | None:
        return self._opened.get(method) or self._opened.get(method.rsplit("/", 1)[0] + "/*")


def _alternative_names(context: grpc.aio.ServicerContext[Any, Any]) -> list[str]:
    authentication: Mapping[str, Any] = context.auth_context()
    if not authentication:
        raise Unauthenticated("mutual TLS is required", reason="IDENTITY_MISSING")
    names = authentication.get("x509_subject_alternative_name") or ()
    return [bytes(name).decode("utf-8", "replace") for name in names]
