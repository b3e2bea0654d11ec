"""Encryption of recordings: AES-256-GCM, a data key per optic and day, each wrapped by one key that the service holds.

An object is `nonce (12 bytes) + ciphertext + tag (16 bytes)`; its own name is authenticated with it, so that one
segment cannot be passed off as another (NIST SP 800-38D).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mesh.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class SealBrokenError(Exception):
    """The object was changed, renamed, or sealed with another key."""


class Seal:
    """Seals and opens objects with one key.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, name: str, content: bytes) -> bytes:
        """The content of the object `name`, sealed."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """The content of the object `name`.

        Raises:
            SealBrokenError: it is not what was sealed under that name with this key.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError(f"{name} cannot be opened with this key") from error


def new_data_key() -> bytes:
    """A fresh random key."""
    return AESGCM.generate_key(KEY_BYTES * 8)


def read_wrapping_key(path: Path) -> bytes:
    """The key that wraps the data keys: 64 hexadecimal digits in a file.

    Raises:
        StartupError: the file cannot be read or holds something else; says nothing of what it holds.
    """
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(
            f"the recording key in {path} cannot be read ({type(error).__name__})",
            "set ARGO_RECORDING_KEY_FILE to a readable key",
        ) from None
    if not re.fullmatch(rf"[0-9a-fA-F]{{{KEY_BYTES * 2}}}", text):
        raise StartupError(
            f"{path} holds no recording key",
            f"write {KEY_BYTES} random bytes as {KEY_BYTES * 2} hexadecimal digits into it",
        )
    return bytes.fromhex(text)
