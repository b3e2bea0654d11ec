"""Telling one request from another, whatever page of it is asked for."""

from __future__ import annotations

import hashlib
from typing import Final, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

_UNCOUNTED: Final = ("page_size", "page_token", "approval")


def without_page(request: M) -> M:
    """A request without its page and its approval: what is asked for, whatever page of it."""
    counted = type(request)()
    counted.CopyFrom(request)
    for field in _UNCOUNTED:
        if field in counted.DESCRIPTOR.fields_by_name:
            counted.ClearField(field)
    return counted


def fingerprint(request: Message) -> bytes:
    """SHA-256 of a request without its page and its approval, 32 bytes."""
    counted = without_page(request)
    name = counted.DESCRIPTOR.full_name.encode()
    return hashlib.sha256(name + b"\0" + counted.SerializeToString(deterministic=True)).digest()
