"""Who calls: SPIFFE-style identities, carried in the URI SAN of every certificate."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.errors import PermissionDenied, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_KINDS = ("service", "operator", "administrator", "authority", "system")
_SPIFFE_ID = re.compile(rf"spiffe://([a-z0-9._-]+)/(({'|'.join(_KINDS)})/[A-Za-z0-9._-]+)")


@dataclass(frozen=True)
class Identity:
    """The verified identity of a peer.

    Attributes:
        trust_domain: the trust domain of the SPIFFE id, for example ``"argo.local"``.
        path: kind and name, for example ``"service/registry"`` or ``"operator/mrossi"``.
    """

    trust_domain: str
    path: str

    @property
    def kind(self) -> str:
        """``service``, ``operator``, ``administrator``, ``authority`` or ``system``."""
        return self.path.split("/", 1)[0]

    @property
    def name(self) -> str:
        """The name within the kind, for example ``"registry"``."""
        return self.path.split("/", 1)[1]

    @property
    def principal(self) -> str:
        """What a log may say about the caller: the whole path of a machine, only the kind of a person."""
        return self.path if self.kind in ("service", "system", "authority") else self.kind

    @property
    def uri(self) -> str:
        """The SPIFFE id."""
        return f"spiffe://{self.trust_domain}/{self.path}"

    @classmethod
    def parse(cls, uri: str) -> Identity:
        """Reads a SPIFFE id.

        Raises:
            ValueError: it is not ``spiffe://{trust domain}/{kind}/{name}`` with a known kind.
        """
        match = _SPIFFE_ID.fullmatch(uri)
        if match is None:
            raise ValueError(f"not an identity of this mesh: {uri!r}")
        return cls(trust_domain=match[1], path=match[2])


def identify(alternative_names: Sequence[str], trust_domain: str) -> Identity:
    """Finds the identity in the subject alternative names of a verified certificate.

    Raises:
        Unauthenticated: the certificate carries no identity, or more than one (SPIFFE X.509-SVID, section 2).
        PermissionDenied: the identity is of another trust domain.
    """
    uris = [name for name in alternative_names if name.startswith("spiffe://")]
    if len(uris) != 1:
        raise Unauthenticated("the certificate must carry exactly one identity", reason="IDENTITY_MISSING")
    try:
        identity = Identity.parse(uris[0])
    except ValueError:
        raise Unauthenticated("the certificate's identity is malformed", reason="IDENTITY_MALFORMED") from None
    if identity.trust_domain != trust_domain:
        raise PermissionDenied("the certificate is of another trust domain", reason="TRUST_DOMAIN_MISMATCH")
    return identity


_current: ContextVar[Identity] = ContextVar("identity")


def current_identity() -> Identity:
    """The caller of the RPC that is being handled.

    Raises:
        Unauthenticated: no RPC is being handled here.
    """
    try:
        return _current.get()
    except LookupError:
        raise Unauthenticated("there is no caller here", reason="IDENTITY_MISSING") from None


@contextmanager
def acting_as(identity: Identity) -> Iterator[None]:
    """Makes ``identity`` the current one inside the block."""
    token = _current.set(identity)
    try:
        yield
    finally:
        _current.reset(token)
