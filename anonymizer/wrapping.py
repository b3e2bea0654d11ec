"""The key that wraps the days' data keys: in a file, or behind a key service that never gives it away."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

import boto3
import botocore.config
import botocore.exceptions

from anonymizer.sealing import KEY_BYTES, Seal, SealBrokenError, new_data_key
from mesh.errors import Unavailable

_LENGTH_BYTES: Final = 2
_REFUSED: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
"""What the service says of a key that was changed, renamed, or wrapped with another one."""
_SECONDS: Final = 5


class KeyWrapping(Protocol):
    """Wraps data keys of 32 bytes, each under the name of its object, so that one cannot be passed off as another."""

    async def wrap(self, name: str, key: bytes) -> bytes:
        """The key of the object `name`, wrapped.

        Raises:
            Unavailable: the key service does not answer.
        """

    async def unwrap(self, name: str, wrapped: bytes) -> bytes:
        """The reverse of `wrap`.

        Raises:
            SealBrokenError: it was changed, renamed, or wrapped with another key.
            Unavailable: the key service does not answer.
        """


class FileWrapping:
    """Wraps with a key that this process holds.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._seal = Seal(key)

    async def wrap(self, name: str, key: bytes) -> bytes:
        """See KeyWrapping."""
        return self._seal.close(name, key)

    async def unwrap(self, name: str, wrapped: bytes) -> bytes:
        """See KeyWrapping."""
        return self._seal.open(name, wrapped)


class KmsWrapping:
    """Wraps with a key behind AWS' KMS API; the name goes with it as encryption context.

    The address and the credentials come from the AWS_ variables, as for the store.

    Args:
        key: id, alias or ARN of the key.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        limits = botocore.config.Config(
            connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"mode": "standard", "max_attempts": 2}
        )
        self._client: Any = boto3.client("kms", config=limits)

    async def wrap(self, name: str, key: bytes) -> bytes:
        """See KeyWrapping."""
        answer = await self._ask("encrypt", name, Plaintext=key)
        wrapped: bytes = answer["CiphertextBlob"]
        return wrapped

    async def unwrap(self, name: str, wrapped: bytes) -> bytes:
        """See KeyWrapping."""
        key: bytes = (await self._ask("decrypt", name, CiphertextBlob=wrapped))["Plaintext"]
        if len(key) != KEY_BYTES:
            raise SealBrokenError(f"{name} holds no data key")
        return key

    async def _ask(self, method: str, name: str, **arguments: Any) -> Any:
        call = getattr(self._client, method)
        try:
            # boto3 waits for its answer: a handful of calls per optic and day, in a thread.
            return await asyncio.to_thread(call, KeyId=self._key, EncryptionContext={"object": name}, **arguments)
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _REFUSED:
                raise SealBrokenError(f"{name} cannot be opened with this key") from error
            raise _unavailable(code) from error
        except botocore.exceptions.BotoCoreError as error:
            raise _unavailable(type(error).__name__) from error


async def seal_with(wrapping: KeyWrapping, name: str, content: bytes) -> bytes:
    """Content of any length, sealed with a key of its own, which goes with it, wrapped.

    Raises:
        Unavailable: the key service does not answer.
    """
    key = new_data_key()
    wrapped = await wrapping.wrap(name, key)
    return len(wrapped).to_bytes(_LENGTH_BYTES, "big") + wrapped + Seal(key).close(name, content)


async def open_with(wrapping: KeyWrapping, name: str, sealed: bytes) -> bytes:
    """The reverse of `seal_with`.

    Raises:
        SealBrokenError: it was changed, renamed, or sealed with another key.
        Unavailable: the key service does not answer.
    """
    end = _LENGTH_BYTES + int.from_bytes(sealed[:_LENGTH_BYTES], "big")
    key = await wrapping.unwrap(name, sealed[_LENGTH_BYTES:end])
    return Seal(key).open(name, sealed[end:])


def _unavailable(kind: str) -> Unavailable:
    return Unavailable(
        f"the key service does not answer ({kind})", reason="KEY_SERVICE_UNAVAILABLE", metadata={"error": kind}
    )
