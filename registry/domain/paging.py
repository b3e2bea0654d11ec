"""Page tokens (AIP-158) and resume tokens: opaque to the caller, bound to the query, and proof against tampering.

A page token holds the last name of the page before (keyset paging), so records that come or go meanwhile shift nothing.
The resume token of a watch holds the number of the last change.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from mesh.errors import FieldViolation, InvalidArgument

DEFAULT_PAGE_SIZE = 50
MAXIMUM_PAGE_SIZE = 1000
_MAC_BYTES = 16


def page_size(requested: int) -> int:
    """The size of a page: 0 means the default, more than the maximum means the maximum.

    Raises:
        InvalidArgument: ``requested`` is negative.
    """
    if requested < 0:
        violation = FieldViolation("page_size", "must not be negative")
        raise InvalidArgument("the page size is negative", reason="INVALID_PAGE_SIZE", violations=[violation])
    return min(requested or DEFAULT_PAGE_SIZE, MAXIMUM_PAGE_SIZE)


def issue_token(position: str, query: str, secret: bytes) -> str:
    """A token that continues ``query`` after ``position``.

    Args:
        position: resource name of the last record of the page, or number of the last change.
        query: all that must stay the same from page to page, for example kind and parent.
        secret: the same for every replica.
    """
    return base64.urlsafe_b64encode(_mac(position, query, secret) + position.encode()).decode().rstrip("=")


def redeem_token(token: str, query: str, secret: bytes, *, field: str = "page_token") -> str:
    """The position to continue after; empty for the empty token.

    Args:
        token: from a caller.
        query: as when it was issued.
        secret: as when it was issued.
        field: of the request that holds it.

    Raises:
        InvalidArgument: the token was changed, or issued for another query.
    """
    if not token:
        return ""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        position = raw[_MAC_BYTES:].decode()
    except (binascii.Error, ValueError):
        raise _refused(field) from None
    if not hmac.compare_digest(raw[:_MAC_BYTES], _mac(position, query, secret)):
        raise _refused(field)
    return position


def _mac(position: str, query: str, secret: bytes) -> bytes:
    return hmac.digest(secret, f"{query}\n{position}".encode(), hashlib.sha256)[:_MAC_BYTES]


def _refused(field: str) -> InvalidArgument:
    violation = FieldViolation(field, "must come unchanged from an answer to the same query")
    return InvalidArgument("the token is not valid here", reason=f"INVALID_{field.upper()}", violations=[violation])
