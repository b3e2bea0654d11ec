"""Signed statements that anybody can check without ARGO: JSON Web Signatures (RFC 7515) with Ed25519 (RFC 8037).

A statement is a file in the flattened JSON serialization, without blanks, its names in alphabetical order. The
protected header carries the public key; whose key that is shows its thumbprint (RFC 7638), which the city publishes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from mesh.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class StatementBrokenError(Exception):
    """A statement is not what was signed; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What was signed.

    Attributes:
        payload: the statement itself.
        thumbprint: of the key that signed it.
    """

    payload: Mapping[str, Any]
    thumbprint: str


class Signer:
    """Signs statements with one key.

    Args:
        key: of Ed25519.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._jwk = _jwk(key.public_key())
        self.thumbprint: Final = thumbprint_of(key.public_key())

    def sign(self, payload: Mapping[str, Any]) -> bytes:
        """The statement as a file; the same payload gives the same bytes."""
        header = {"alg": "EdDSA", "jwk": self._jwk, "kid": self.thumbprint, "typ": "JOSE+JSON"}
        protected, content = _encode(canonical(header)), _encode(canonical(payload))
        signature = _encode(self._key.sign(f"{protected}.{content}".encode()))
        return canonical({"payload": content, "protected": protected, "signature": signature})


def verify(statement: bytes, trusted: Ed25519PublicKey | None = None) -> Statement:
    """Checks a statement, every bit of it.

    Args:
        statement: the file.
        trusted: the key that must have signed it; None: any, and the caller compares the thumbprint.

    Raises:
        StatementBrokenError: it was changed, or signed with another key.
    """
    parts = _parts(statement)
    header = _header(parts["protected"])
    key = _public_key(header)
    if trusted is not None and thumbprint_of(trusted) != thumbprint_of(key):
        raise StatementBrokenError(f"it was signed with another key, {thumbprint_of(key)}")
    try:
        key.verify(_decode(parts["signature"], "signature"), f"{parts['protected']}.{parts['payload']}".encode())
    except InvalidSignature:
        raise StatementBrokenError("its content, its header or its signature was changed") from None
    payload = json.loads(_decode(parts["payload"], "payload"))
    return Statement(payload, thumbprint_of(key))


def canonical(value: object) -> bytes:
    """JSON in UTF-8 without blanks, names in alphabetical order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def thumbprint_of(key: Ed25519PublicKey) -> str:
    """How a key is called: SHA-256 over its members in alphabetical order (RFC 7638; RFC 8037, appendix A.3)."""
    return _encode(hashlib.sha256(canonical(_jwk(key))).digest())


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """A private key in a PEM file.

    Raises:
        StartupError: the file cannot be read or holds something else; says nothing of what it holds.
    """
    remedy = "make one with: openssl genpkey -algorithm ed25519"
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise StartupError(
            f"the signing key in {path} cannot be read ({type(error).__name__})",
            "set ARGO_SIGNING_KEY_FILE to a readable key",
        ) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise StartupError(f"{path} holds no private key without a password", remedy) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StartupError(f"{path} holds no Ed25519 key", remedy)
    return key


def read_public_key(content: bytes) -> Ed25519PublicKey:
    """A public key in PEM form.

    Raises:
        ValueError: it is something else.
    """
    try:
        key = load_pem_public_key(content)
    except UnsupportedAlgorithm:
        raise ValueError("no key that is known") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("no Ed25519 key")  # noqa: TRY004 - the content is wrong, not the type of an argument
    return key


def _parts(statement: bytes) -> dict[str, str]:
    try:
        parts = json.loads(statement)
        is_whole = canonical(parts) == statement and set(parts) == {"payload", "protected", "signature"}
        texts = {name: str(text) for name, text in parts.items()}
    except (ValueError, AttributeError, TypeError):
        raise StatementBrokenError("its form was changed: it is no signed statement") from None
    if not is_whole:
        raise StatementBrokenError("its form was changed: it is no signed statement")
    return texts


def _header(protected: str) -> Any:
    try:
        header = json.loads(_decode(protected, "header"))
    except ValueError:
        raise StatementBrokenError("its header was changed") from None
    if not isinstance(header, dict) or header.get("alg") != "EdDSA":
        raise StatementBrokenError("its header was changed")
    return header


def _public_key(header: Mapping[str, Any]) -> Ed25519PublicKey:
    try:
        key = Ed25519PublicKey.from_public_bytes(_decode(header["jwk"]["x"], "header"))
    except (KeyError, TypeError, ValueError):
        raise StatementBrokenError("its header was changed") from None
    if _jwk(key) != header["jwk"] or header.get("kid") != thumbprint_of(key):
        raise StatementBrokenError("its header was changed")
    return key


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": _encode(key.public_bytes_raw())}


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str, part: str) -> bytes:
    """The bytes; the last digit of base64 has spare bits, which count too: one flipped bit is found everywhere."""
    try:
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error, TypeError):
        raise StatementBrokenError(f"its {part} was changed") from None
    if _encode(content) != text:
        raise StatementBrokenError(f"its {part} was changed")
    return content
