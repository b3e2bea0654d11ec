"""Who calls, and may they call this: one layer around every RPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import structlog

from mesh import identity
from mesh.access import Caller, Matrix, matrix
from mesh.errors import PermissionDenied, Unauthenticated

if TYPE_CHECKING:
    import grpc

    from mesh.rpc.interceptors import Call

log = structlog.get_logger()

RightsTaken = Callable[[Sequence[identity.Identity]], Awaitable[frozenset[str]]]
"""The rights that somebody, known by its identities, has taken by breaking the glass."""


class Authorisation:
    """Layer: admits by the permission matrix. A method that has no row there is refused."""

    def __init__(self, trust_domain: str, permissions: Matrix | None = None) -> None:
        """Takes the trust domain of the callers, and the matrix; that of the release if none is given."""
        self._trust_domain = trust_domain
        self._matrix = permissions or matrix()
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
        """Makes the caller the current identity of the handler.

        Raises:
            Unauthenticated: the certificate carries no identity.
            PermissionDenied: the identity is of another trust domain, or may not call the method.
            Unavailable: whether it has broken the glass cannot be told now.
        """
        peer = identity.identify(_alternative_names(call.context), self._trust_domain)
        structlog.contextvars.bind_contextvars(principal=peer.principal)
        caller = self._matrix.by_certificate(peer)
        try:
            acting, caller = await self._admit(caller, call.method)
        except PermissionDenied as error:
            log.warning("access.refused", method=call.method, reason=error.reason)
            raise
        with identity.acting_as(acting, replace(caller.grant, taken=caller.taken)):
            yield

    async def _admit(self, caller: Caller, method: str) -> tuple[identity.Identity, Caller]:
        try:
            return self._decide(caller, method), caller
        except PermissionDenied:
            row = self._matrix.rows.get(method)
            if self._rights_taken is None or row is None or row.first(caller.identities, row.break_glass) is None:
                raise
        taken = await self._rights_taken(caller.identities)
        caller = replace(caller, taken=taken.intersection({row.right}))
        return self._decide(caller, method), caller

    def _decide(self, caller: Caller, method: str) -> identity.Identity:
        patterns = self._opened.get(method) or self._opened.get(method.rsplit("/", 1)[0] + "/*")
        peer = caller.identities[0]
        if patterns is not None and any(fnmatchcase(peer.path, pattern) for pattern in patterns):
            return peer
        return self._matrix.admit(caller, method)


def _alternative_names(context: grpc.aio.ServicerContext[Any, Any]) -> list[str]:
    authentication: Mapping[str, Any] = context.auth_context()
    if not authentication:
        raise Unauthenticated("mutual TLS is required", reason="IDENTITY_MISSING")
    names = authentication.get("x509_subject_alternative_name") or ()
    return [bytes(name).decode("utf-8", "replace") for name in names]
