"""Who calls: SPIFFE-style identities, carried in the URI SAN of every certificate."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mesh.errors import PermissionDenied, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MACHINES = ("service", "system")
_PEOPLE = ("operator", "supervisor", "administrator", "investigator", "auditor", "mobility")
_TENANT = "[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = "[A-Za-z0-9._-]+"
_SPIFFE_ID = re.compile(
    rf"spiffe://(?P<trust_domain>[a-z0-9._-]+)/"
    rf"(?P<path>(?:{'|'.join(_MACHINES)}|authority)/{_NAME}|(?:tenants/{_TENANT}/)?(?:{'|'.join(_PEOPLE)})/{_NAME})"
)


@dataclass(frozen=True)
class Identity:
    """The verified identity of a peer.

    People of the city have a path of kind and name alone; people of another controller have that of their tenant before
    it, and an authority is a tenant itself. Machines belong to no tenant.

    Attributes:
        trust_domain: the trust domain of the SPIFFE id, for example ``"argo.local"``.
        path: for example ``"service/registry"``, ``"operator/mrossi"`` or ``"tenants/amiat/operator/mrossi"``.
    """

    trust_domain: str
    path: str

    @property
    def role_path(self) -> str:
        """Kind and name without the tenant, for example ``"operator/mrossi"``."""
        return "/".join(self.path.split("/")[-2:])

    @property
    def kind(self) -> str:
        """``service``, ``system``, ``authority``, or what a person is: ``operator``, ``supervisor`` and so on."""
        return self.role_path.split("/", 1)[0]

    @property
    def name(self) -> str:
        """The name within the kind, for example ``"registry"``."""
        return self.role_path.split("/", 1)[1]

    @property
    def tenant(self) -> str:
        """The controller that a person belongs to or an authority is; empty for the city's people and for machines."""
        if self.kind == "authority":
            return self.name
        return self.path.split("/")[1] if self.path.startswith("tenants/") else ""

    @property
    def is_machine(self) -> bool:
        """Whether no person is behind it: a service of the mesh or another system."""
        return self.kind in _MACHINES

    @property
    def principal(self) -> str:
        """What a log may say about the caller: the whole path unless a person is named in it, then all but the name."""
        return self.path.rpartition("/")[0] if self.kind in _PEOPLE else self.path

    @property
    def uri(self) -> str:
        """The SPIFFE id."""
        return f"spiffe://{self.trust_domain}/{self.path}"

    @classmethod
    def parse(cls, uri: str) -> Identity:
        """Reads a SPIFFE id.

        Raises:
            ValueError: it is not ``spiffe://{trust domain}/{kind}/{name}`` with a known kind, or the same of a person
                with ``tenants/{controller}/`` before the kind.
        """
        match = _SPIFFE_ID.fullmatch(uri)
        if match is None:
            raise ValueError(f"not an identity of this mesh: {uri!r}")
        return cls(trust_domain=match["trust_domain"], path=match["path"])


def person_of(path: str) -> str:
    """The person behind an identity path, who is the same in every role and at every controller.

    Two people of one name count as one: that refuses an approval at worst, and never lets one person play both.

    Args:
        path: for example ``administrator/mrossi`` or ``tenants/polizia/supervisor/mrossi``.
    """
    return path.rpartition("/")[2].lower()


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


@dataclass(frozen=True)
class Grant:
    """What goes with an identity: what it may do and what for, and how that is known.

    Attributes:
        rights: beside what the role may, for example ``"export"``.
        purposes: what the caller is there for, for example ``"security"``.
        roles: every role of the caller, of which the identity acts in one; empty: the certificate's alone.
        person: who is behind an authority's or system's identity; empty: not said.
        token_id: of the token that says so; empty: there is none, the certificate's role does.
        machine: identity path of who carries the token, by certificate; empty: there is none.
        expires: when the token ends, in UTC; none: there is none.
        taken: rights without which the call would have been refused, taken by breaking the glass.
    """

    rights: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    roles: tuple[str, ...] = ()
    person: str = ""
    token_id: str = ""
    machine: str = ""
    expires: datetime | None = None
    taken: frozenset[str] = frozenset()


_current: ContextVar[Identity] = ContextVar("identity")
_granted: ContextVar[Grant] = ContextVar("grant")


def current_identity() -> Identity:
    """The caller of the RPC that is being handled.

    Raises:
        Unauthenticated: no RPC is being handled here.
    """
    try:
        return _current.get()
    except LookupError:
        raise Unauthenticated("there is no caller here", reason="IDENTITY_MISSING") from None


def current_grant() -> Grant:
    """What goes with the identity of the caller; an empty grant where no RPC is being handled."""
    return _granted.get(Grant())


@contextmanager
def acting_as(identity: Identity, grant: Grant | None = None) -> Iterator[None]:
    """Makes ``identity`` the current one inside the block, with its grant."""
    token, granted = _current.set(identity), _granted.set(grant or Grant())
    try:
        yield
    finally:
        _granted.reset(granted)
        _current.reset(token)
