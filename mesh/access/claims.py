"""What the claims of a verified token say: under which identities somebody calls, and with which grant."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mesh.access.matrix import Caller, Matrix
from mesh.errors import PermissionDenied, Unauthenticated
from mesh.identity import Grant, Identity

if TYPE_CHECKING:
    from mesh.access.settings import TokenSettings

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TOKEN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TENANT = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class ClaimNames:
    """Where the claims stand; a dot leads into an object, as in Keycloak's ``realm_access.roles``.

    Attributes:
        name: of who it is.
        roles: of its roles.
        tenant: of its tenant.
        purposes: of what it is there for.
        rights: of its rights.
        role_map: our role by the provider's name for it; empty: they are called the same.
        tenants: that the provider may vouch for; empty: any.
    """

    name: str = "preferred_username"
    roles: str = "roles"
    tenant: str = "tenant"
    purposes: str = "purposes"
    rights: str = "rights"
    role_map: Mapping[str, str] = field(default_factory=dict)
    tenants: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: TokenSettings) -> ClaimNames:
        """As a service is told."""
        return cls(
            name=settings.oidc_name_claim,
            roles=settings.oidc_roles_claim,
            tenant=settings.oidc_tenant_claim,
            purposes=settings.oidc_purposes_claim,
            rights=settings.oidc_rights_claim,
            role_map={theirs: ours for theirs, _, ours in (pair.rpartition("=") for pair in settings.oidc_role_map)},
            tenants=frozenset(settings.oidc_tenants),
        )


def caller_of(claims: Mapping[str, Any], names: ClaimNames, matrix: Matrix, peer: Identity) -> Caller:
    """The caller that a token speaks of.

    Args:
        claims: of a token whose signature, issuer, audience and times are good.
        names: where they stand.
        matrix: what roles bring with them.
        peer: who carries the token, by its certificate.

    Raises:
        Unauthenticated: a claim is missing or cannot be read (``TOKEN_CLAIM``).
        PermissionDenied: it has no role here (``ROLE_MISSING``), or the provider does not vouch for its tenant
            (``TENANT_UNKNOWN``).
    """
    person = _text(claims, names.name, _NAME)
    tenant = _tenant(claims, names)
    given = _many(_find(claims, names.roles))
    roles = list(dict.fromkeys(names.role_map.get(role, "") if names.role_map else role for role in given))
    roles = [role for role in roles if role in matrix.roles]
    if not roles:
        raise PermissionDenied("the token gives no role in this system", reason="ROLE_MISSING")
    grants = [matrix.roles[role] for role in roles]
    rights, purposes = _find(claims, names.rights), _find(claims, names.purposes)
    grant = Grant(
        rights=_chosen(rights, matrix.rights, (grant.rights for grant in grants)),
        purposes=_chosen(purposes, frozenset(matrix.purposes), (grant.purposes for grant in grants)),
        roles=tuple(roles),
        person=person,
        token_id=_token_id(claims),
        machine=peer.path,
        expires=datetime.fromtimestamp(claims["exp"], UTC),
    )
    return Caller(tuple(Identity(peer.trust_domain, _path(role, person, tenant)) for role in roles), grant)


def _token_id(claims: Mapping[str, Any]) -> str:
    """What names the token on record: its own id, or a digest of what makes it different from others."""
    given = claims.get("jti")
    if isinstance(given, str) and _TOKEN_ID.fullmatch(given) is not None:
        return given
    return hashlib.sha256(f"{given}/{claims['sub']}/{claims['iat']}".encode(errors="replace")).hexdigest()[:32]


def _path(role: str, person: str, tenant: str) -> str:
    if role == "authority":
        if not tenant:
            raise Unauthenticated("an authority's token must say which one it is of", reason="TOKEN_CLAIM")
        return f"authority/{tenant}"
    # Machines belong to no tenant.
    return f"tenants/{tenant}/{role}/{person}" if tenant and role != "system" else f"{role}/{person}"


def _tenant(claims: Mapping[str, Any], names: ClaimNames) -> str:
    if _find(claims, names.tenant) in (None, ""):
        return ""
    tenant = _text(claims, names.tenant, _TENANT)
    if names.tenants and tenant not in names.tenants:
        raise PermissionDenied("the provider does not vouch for this tenant", reason="TENANT_UNKNOWN")
    return tenant


def _chosen(given: Any, known: frozenset[str], defaults: Iterable[frozenset[str]]) -> frozenset[str]:
    """What a claim says, as far as it is known here; without the claim what the roles bring."""
    return frozenset().union(*defaults) if given is None else known.intersection(_many(given))


def _find(claims: Mapping[str, Any], path: str) -> Any:
    # A claim may have dots in its own name, as "https://argo.example/roles" has.
    if path in claims:
        return claims[path]
    value: Any = claims
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _many(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _text(claims: Mapping[str, Any], path: str, form: re.Pattern[str]) -> str:
    value = _find(claims, path)
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise Unauthenticated(
            f"the claim {path} is missing, or not of the form {form.pattern}",
            reason="TOKEN_CLAIM",
            metadata={"claim": path},
        )
    return value
