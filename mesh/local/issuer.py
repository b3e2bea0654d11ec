"""A small provider of tokens, for local mode and tests only: whoever can read its folder is whoever it likes."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ISSUER: Final = "http://127.0.0.1/argo-local"
AUDIENCE: Final = "argo"
LIFETIME: Final = timedelta(hours=1)


class LocalIssuer:
    """Signs tokens with a P-256 key that lies in a folder, for its owner only.

    Args:
        folder: holds the key and ``jwks.json``; both are made if they do not exist.
        issuer: as tokens name it.
        audience: that tokens are for.
    """

    def __init__(self, folder: Path, *, issuer: str = ISSUER, audience: str = AUDIENCE) -> None:
        self.issuer = issuer
        self.audience = audience
        self.keys_file = folder / "jwks.json"
        self._key_file = folder / "issuer-key.pem"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = self._open() if self._key_file.exists() else self._create()

    @property
    def key_id(self) -> str:
        """The key's name: the beginning of the SHA-256 of its public half."""
        encoded = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(encoded).hexdigest()[:16]

    @property
    def keys(self) -> Mapping[str, Any]:
        """The public key as a JSON Web Key Set."""
        key = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self.key_id, "use": "sig", "alg": "ES256"}]}

    @property
    def settings(self) -> Mapping[str, str]:
        """What a service is told so that it believes these tokens."""
        return {
            "ARGO_OIDC_ISSUER": self.issuer,
            "ARGO_OIDC_AUDIENCE": self.audience,
            "ARGO_OIDC_JWKS_URL": self.keys_file.resolve().as_uri(),
        }

    def rotate(self) -> None:
        """A new key; tokens of the old one are good no longer once its set is read again."""
        self._key = self._create()

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token with exactly these claims."""
        return jwt.encode(dict(claims), self._key, algorithm="ES256", headers={"kid": self.key_id, "typ": "JWT"})

    def issue(
        self, name: str, roles: Sequence[str], now: datetime, *, lifetime: timedelta = LIFETIME, **claims: Any
    ) -> str:
        """A token for somebody.

        Args:
            name: of the person or system.
            roles: for example ``["operator"]``.
            now: the time, in UTC.
            lifetime: from then on.
            claims: more of them, for example ``tenant`` or ``purposes``; None: without it.
        """
        said = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": name,
            "preferred_username": name,
            "roles": list(roles),
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jti": secrets.token_hex(8),
            **claims,
        }
        return self.sign({claim: value for claim, value in said.items() if value is not None})

    def _open(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self._key_file} holds no P-256 key")
        return key

    def _create(self) -> ec.EllipticCurvePrivateKey:
        self._key = ec.generate_private_key(ec.SECP256R1())
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        temporary = self._key_file.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        temporary.replace(self._key_file)
        keys = self.keys_file.with_suffix(".new")
        keys.write_text(json.dumps(self.keys), encoding="utf-8")
        keys.replace(self.keys_file)
        return self._key
