"""Reading what the page sends."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from alerting.domain.tokens import invalid


async def read_body(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        InvalidArgument: it is none.
    """
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        raise invalid("body", "must be JSON") from None
    if not isinstance(body, dict):
        raise invalid("body", "must be a JSON object")
    return body


def text(body: dict[str, Any], field: str) -> str:
    """A text in it; empty if it is not there.

    Raises:
        InvalidArgument: it is something else.
    """
    value = body.get(field, "")
    if not isinstance(value, str):
        raise invalid(field, "must be a text")
    return value
