"""What a service is told of the provider of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pydantic

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Only such that verify with a public key: neither ``none`` nor a shared secret (RFC 8725, sections 2.1 and 3.1)."""


class TokenSettings(pydantic.BaseModel):
    """OpenID Connect: who vouches for people and other systems, and how its claims are read. No issuer: no tokens."""

    oidc_issuer: str | None = pydantic.Field(
        None, pattern=r"^https?://\S+$", description="of the tokens, exactly as their claim iss says; none: no tokens"
    )
    oidc_audience: str = pydantic.Field("argo", min_length=1, description="that a token must be for")
    oidc_jwks_url: str | None = pydantic.Field(
        None,
        pattern=r"^(https?|file)://\S+$",
        description="of the provider's keys; none: as its discovery document says",
    )
    oidc_ca: Path | None = pydantic.Field(None, description="PEM file, the authority of the provider's certificate")
    oidc_algorithms: tuple[Algorithm, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    oidc_leeway_seconds: float = pydantic.Field(30.0, ge=0, le=300, description="that clocks may differ by")
    oidc_keys_seconds: float = pydantic.Field(
        300.0, gt=0, description="how long keys are used before they are read again"
    )
    oidc_keys_limit_seconds: float = pydantic.Field(
        86400.0, gt=0, description="how long known keys are used while the provider does not answer"
    )
    oidc_required: bool = pydantic.Field(
        False, description="refuse people and other systems that show a certificate and no token"
    )
    oidc_name_claim: str = pydantic.Field("preferred_username", description="who it is; dots lead into objects")
    oidc_roles_claim: str = pydantic.Field("roles", description="its roles")
    oidc_tenant_claim: str = pydantic.Field("tenant", description="its tenant; without it: the city's")
    oidc_purposes_claim: str = pydantic.Field("purposes", description="what it is there for; without it: as its roles")
    oidc_rights_claim: str = pydantic.Field("rights", description="its rights; without it: those of its roles")
    oidc_role_map: tuple[str, ...] = pydantic.Field(
        (), description="what the provider calls the roles, e.g. argo-op=operator; empty: the same as here"
    )
    oidc_tenants: tuple[str, ...] = pydantic.Field((), description="that the provider may vouch for; empty: any")

    @pydantic.field_validator("oidc_role_map")
    @classmethod
    def _pairs(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        if any(not all(pair.rpartition("=")[::2]) for pair in pairs):
            raise ValueError("must be pairs of the provider's name and ours, e.g. argo-op=operator")
        return pairs
