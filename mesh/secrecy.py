"""What must never be printed: names that hold secrets, and credentials inside URLs."""

from __future__ import annotations

import re

MASK = "***"

_SECRET_NAME = re.compile(
    r"passw|secret|token|credential|authori[sz]ation|cookie|(api|private|access|recording|tls)_?key$|dsn|^key$|jwt|bearer",
    re.IGNORECASE,
)
# Up to the last @: a password may hold an unescaped "@" or "/". A URL with an @ in its path loses its host, which is
# the safe side.
_URL_CREDENTIALS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s'\"<>]*@", re.IGNORECASE)
_SECRET_PARAMETER = re.compile(
    r"(?P<name>\b(?:passw(?:or)?d|secret|token|signature|api_?key|access_?key)\b[\"']?\s*[=:]\s*)(?P<value>[^\s&,;'\"]+)",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a field of that name may hold a secret."""
    return _SECRET_NAME.search(name) is not None


def mask_text(text: str) -> str:
    """Masks the credentials of every URL in a text, and the values of parameters that look like secrets."""
    text = _URL_CREDENTIALS.sub(rf"\g<scheme>{MASK}@", text)
    return _SECRET_PARAMETER.sub(rf"\g<name>{MASK}", text)
