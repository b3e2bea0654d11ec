"""Tokens: what is believed, and what is not."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from mesh.access import Caller, TokenSettings, matrix
from mesh.access.keys import UNKNOWN_KEY_SECONDS, ProviderKeys, public_keys
from mesh.access.tokens import LARGEST_TOKEN, TokenVerifier
from mesh.errors import ArgoError, Unavailable
from mesh.identity import Identity
from mesh.local.issuer import LocalIssuer

SYSTEM = Identity("argo.local", "system/gateway")
NOW = datetime.now(UTC)


@pytest.fixture
def issuer(tmp_path: Path) -> LocalIssuer:
    return LocalIssuer(tmp_path / "issuer")


def verifier(issuer: LocalIssuer, **fields: Any) -> TokenVerifier:
    values = {"oidc_issuer": issuer.issuer, "oidc_jwks_url": issuer.keys_file.as_uri(), "oidc_leeway_seconds": 5}
    made = TokenVerifier.of(TokenSettings.model_validate(values | fields), matrix())
    assert made is not None
    return made


async def caller(issuer: LocalIssuer, token: str, peer: Identity = SYSTEM, **fields: Any) -> Caller:
    return await verifier(issuer, **fields).verify(token, peer)


async def reason_of(issuer: LocalIssuer, token: str, peer: Identity = SYSTEM, **fields: Any) -> str:
    with pytest.raises(ArgoError) as caught:
        await caller(issuer, token, peer, **fields)
    return caught.value.reason


def token(issuer: LocalIssuer, *roles: str, name: str = "rossi", now: datetime = NOW, **claims: Any) -> str:
    return issuer.issue(name, roles or ["operator"], now, **claims)


async def test_a_good_token_says_who_and_what(issuer: LocalIssuer) -> None:
    given = await caller(issuer, token(issuer, "investigator", "operator", jti="t1"))

    assert [identity.path for identity in given.identities] == ["investigator/rossi", "operator/rossi"]
    assert (given.grant.token_id, given.grant.machine, given.grant.person) == ("t1", "system/gateway", "rossi")
    assert given.grant.rights == {"alarm", "deferred", "live"}
    assert given.grant.purposes == {"security"}
    assert given.grant.expires == (NOW + timedelta(hours=1)).replace(microsecond=0)


async def test_claims_give_less_and_more_than_the_role(issuer: LocalIssuer) -> None:
    given = await caller(
        issuer, token(issuer, "supervisor", rights=["export", "unheard-of"], purposes="traffic control")
    )

    assert given.grant.rights == {"export"}
    assert given.grant.purposes == {"traffic", "control"}


async def test_tenants_and_authorities_have_their_own_paths(issuer: LocalIssuer) -> None:
    amiat = await caller(issuer, token(issuer, "operator", tenant="amiat"))
    police = await caller(issuer, token(issuer, "authority", tenant="questura"))

    assert [identity.path for identity in amiat.identities] == ["tenants/amiat/operator/rossi"]
    assert [identity.path for identity in police.identities] == ["authority/questura"]
    assert police.grant.person == "rossi"
    assert await reason_of(issuer, token(issuer, "authority")) == "TOKEN_CLAIM"
    assert await reason_of(issuer, token(issuer, tenant="Amiat/../x")) == "TOKEN_CLAIM"
    assert await reason_of(issuer, token(issuer, tenant="elsewhere"), oidc_tenants=("amiat",)) == "TENANT_UNKNOWN"


async def test_a_providers_own_names_are_mapped(issuer: LocalIssuer) -> None:
    fields: dict[str, Any] = {
        "oidc_roles_claim": "realm_access.roles",
        "oidc_name_claim": "https://argo.example/name",
        "oidc_role_map": ("argo-op=operator", "x=y=auditor"),
    }
    claims: dict[str, Any] = {
        "realm_access": {"roles": ["argo-op", "x=y", "operator", "supervisor"]},
        "https://argo.example/name": "mrossi",
    }

    given = await caller(issuer, token(issuer, **claims), **fields)

    assert [identity.path for identity in given.identities] == ["operator/mrossi", "auditor/mrossi"]


@pytest.mark.parametrize("role", ["service", "nobody", ""])
async def test_a_token_makes_nobody_a_service(issuer: LocalIssuer, role: str) -> None:
    assert await reason_of(issuer, token(issuer, role)) == "ROLE_MISSING"


@pytest.mark.parametrize("name", ["../service/alerting", "m rossi", "", None, 7, "x" * 129])
async def test_a_name_that_could_be_something_else_is_refused(issuer: LocalIssuer, name: Any) -> None:
    assert await reason_of(issuer, token(issuer, preferred_username=name)) == "TOKEN_CLAIM"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": int((NOW - timedelta(seconds=60)).timestamp())}, "TOKEN_EXPIRED"),
        ({"nbf": int((NOW + timedelta(seconds=3600)).timestamp())}, "TOKEN_NOT_YET_VALID"),
        ({"iat": int((NOW + timedelta(seconds=3600)).timestamp())}, "TOKEN_NOT_YET_VALID"),
        ({"aud": "somebody-else"}, "TOKEN_AUDIENCE"),
        ({"aud": None}, "TOKEN_CLAIM"),
        ({"iss": "http://127.0.0.1/other"}, "TOKEN_ISSUER"),
        ({"exp": None}, "TOKEN_CLAIM"),
        ({"sub": None}, "TOKEN_CLAIM"),
    ],
)
async def test_what_is_not_good_is_refused(issuer: LocalIssuer, claims: dict[str, Any], reason: str) -> None:
    assert await reason_of(issuer, token(issuer, **claims)) == reason


async def test_clocks_may_differ_a_little(issuer: LocalIssuer) -> None:
    claims: dict[str, Any] = {"exp": int((datetime.now(UTC) - timedelta(seconds=60)).timestamp())}

    given = await caller(issuer, token(issuer, **claims), oidc_leeway_seconds=300)

    assert given.identities[0].path == "operator/rossi"


def encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


async def test_no_algorithm_and_no_shared_secret_is_believed(issuer: LocalIssuer) -> None:
    claims = jwt.decode(token(issuer), options={"verify_signature": False})
    nones = [f"{encoded({'alg': name, 'kid': issuer.key_id})}.{encoded(claims)}." for name in ("none", "None", "")]
    # The classical confusion: the public key, which everybody knows, taken for a shared secret.
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = issuer._key.public_key().public_bytes(serialization.Encoding.DER, form)
    signed = f"{encoded({'alg': 'HS256', 'kid': issuer.key_id})}.{encoded(claims)}"
    digest = hmac.digest(public, signed.encode(), "sha256")
    confused = f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    for bad in (*nones, confused):
        assert await reason_of(issuer, bad) == "TOKEN_ALGORITHM"


async def test_a_changed_or_foreign_token_is_refused(issuer: LocalIssuer, tmp_path: Path) -> None:
    head, body, signature = token(issuer).split(".")
    claims = jwt.decode(token(issuer), options={"verify_signature": False})
    stranger = LocalIssuer(tmp_path / "stranger")
    forged = jwt.encode(claims, stranger._key, algorithm="ES256", headers={"kid": issuer.key_id})

    changed = encoded({**claims, "roles": ["administrator"]})
    assert await reason_of(issuer, f"{head}.{changed}.{signature}") == "TOKEN_SIGNATURE"
    assert await reason_of(issuer, forged) == "TOKEN_SIGNATURE"
    assert await reason_of(issuer, token(stranger)) == "TOKEN_KEY_UNKNOWN"
    assert await reason_of(issuer, f"{head}.{body}") == "TOKEN_MALFORMED"
    assert await reason_of(issuer, "x" * (LARGEST_TOKEN + 1)) == "TOKEN_MALFORMED"


async def test_a_key_of_another_kind_does_not_sign(issuer: LocalIssuer, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    entry = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "rsa", "use": "sig", "alg": "RS256"}
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [entry]}))
    claims = jwt.decode(token(issuer), options={"verify_signature": False})

    def signed(algorithm: str) -> str:
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "rsa"})

    made = verifier(issuer, oidc_jwks_url=keys.as_uri())
    assert (await made.claims(signed("RS256")))["sub"] == "rossi"
    with pytest.raises(ArgoError):
        await made.claims(signed("RS384"))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("system/gateway", ""),
        ("service/alerting", ""),
        ("operator/rossi", ""),
        ("operator/verdi", "TOKEN_CARRIER"),
        ("tenants/amiat/operator/rossi", "TOKEN_CARRIER"),
        ("service/detector", "TOKEN_CARRIER"),
        ("authority/questura", "TOKEN_CARRIER"),
    ],
)
async def test_who_may_carry_a_token(issuer: LocalIssuer, path: str, reason: str) -> None:
    peer = Identity("argo.local", path)
    if reason:
        assert await reason_of(issuer, token(issuer), peer) == reason
    else:
        assert (await caller(issuer, token(issuer), peer)).grant.machine == path


# --- the provider's keys ----------------------------------------------------------------------------------------------


class Provider:
    """A key set that may change, or be away."""

    def __init__(self, *issuers: LocalIssuer) -> None:
        self.issuers = issuers
        self.away = False
        self.reads = 0
        self.now = 0.0

    async def read(self) -> Mapping[str, Any]:
        self.reads += 1
        if self.away:
            raise OSError
        return {"keys": [key for issuer in self.issuers for key in issuer.keys["keys"]]}

    def keys(self) -> ProviderKeys:
        return ProviderKeys(self.read, lambda: self.now, fresh_seconds=300, limit_seconds=3600)


async def test_keys_are_read_once_while_they_are_fresh(issuer: LocalIssuer) -> None:
    provider = Provider(issuer)
    keys = provider.keys()

    for provider.now in (0.0, 100.0, 299.0):
        await keys.find(issuer.key_id)
    assert provider.reads == 1
    provider.now = 300.0
    await keys.find(issuer.key_id)
    assert provider.reads == 2


async def test_a_new_key_is_found_at_once_and_an_unknown_one_does_not_flood_the_provider(
    issuer: LocalIssuer, tmp_path: Path
) -> None:
    second = LocalIssuer(tmp_path / "second")
    provider = Provider(issuer)
    keys = provider.keys()
    await keys.find(issuer.key_id)
    provider.issuers, provider.now = (second,), UNKNOWN_KEY_SECONDS

    assert (await keys.find(second.key_id)).key_id == second.key_id

    for _ in range(50):
        with pytest.raises(ArgoError) as caught:
            await keys.find("guessed")
        assert caught.value.reason == "TOKEN_KEY_UNKNOWN"
    assert provider.reads == 2
    with pytest.raises(ArgoError):
        await keys.find(issuer.key_id)


async def test_known_keys_go_on_while_the_provider_is_away_until_the_limit(issuer: LocalIssuer) -> None:
    provider = Provider(issuer)
    keys = provider.keys()
    await keys.find(issuer.key_id)
    provider.away = True

    provider.now = 3599.0
    await keys.find(issuer.key_id)
    provider.now = 3600.0
    with pytest.raises(Unavailable) as caught:
        await keys.find(issuer.key_id)
    assert caught.value.reason == "TOKEN_KEYS_UNAVAILABLE"

    provider.away, provider.now = False, 3700.0
    await keys.find(issuer.key_id)


async def test_without_keys_nobody_is_believed_and_the_provider_is_not_flooded(issuer: LocalIssuer) -> None:
    provider = Provider(issuer)
    provider.away = True
    keys = provider.keys()

    for _ in range(20):
        with pytest.raises(Unavailable):
            await keys.find(issuer.key_id)

    assert provider.reads == 1


def test_secret_and_foreign_keys_are_left_out(issuer: LocalIssuer) -> None:
    good = issuer.keys["keys"][0]
    document = {
        "keys": [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "secret", "alg": "HS256"},
            {**good, "kid": "encryption", "use": "enc"},
            {"kty": "unheard-of", "kid": "odd"},
            "no key",
            good,
        ]
    }

    assert list(public_keys(document)) == [issuer.key_id]
    with pytest.raises(ValueError):
        public_keys({"keys": "none"})


async def test_a_file_that_is_no_key_set_leaves_nobody_believed(issuer: LocalIssuer, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("[]")

    assert await reason_of(issuer, token(issuer), oidc_jwks_url=bad.as_uri()) == "TOKEN_KEYS_UNAVAILABLE"
    assert await reason_of(issuer, token(issuer), oidc_jwks_url=(tmp_path / "missing").as_uri()) == (
        "TOKEN_KEYS_UNAVAILABLE"
    )
