"""Resource names (AIP-122): ``devices/{device}/optics/{optic}`` and their like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

ID_PATTERN = "[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
WILDCARD = "-"
_ID = re.compile(ID_PATTERN)


def is_id(text: str) -> bool:
    """Whether ``text`` may be the id of a resource: lower-case letters, digits and hyphens, at most 63."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True)
class NamePattern:
    """The names of one kind of resource.

    Attributes:
        collections: plural names from the outside in, for example ``("devices", "optics", "zones")``.
    """

    collections: tuple[str, ...]

    def __str__(self) -> str:
        """For people: ``devices/{device}/optics/{optic}``."""
        return "/".join(f"{collection}/{{{collection.removesuffix('s')}}}" for collection in self.collections)

    @property
    def parent(self) -> NamePattern:
        """The pattern of the resource above; that of a root resource has no collections."""
        return NamePattern(self.collections[:-1])

    def matches(self, name: str, *, wildcard: bool = False) -> bool:
        """Whether ``name`` is of this pattern.

        Args:
            name: a resource name.
            wildcard: ``-`` may stand for an id (AIP-159).
        """
        segments = name.split("/") if name else []
        if len(segments) != 2 * len(self.collections) or tuple(segments[::2]) != self.collections:
            return False
        return all(is_id(segment) or (wildcard and segment == WILDCARD) for segment in segments[1::2])

    def child(self, parent: str, resource_id: str) -> str:
        """The name of a resource of this pattern below ``parent`` (empty for a root resource)."""
        return "/".join(part for part in (parent, self.collections[-1], resource_id) if part)


def ancestor(name: str, depth: int) -> str:
    """The first ``depth`` levels of a name: ``ancestor("devices/a/optics/b/zones/c", 2)`` is ``devices/a/optics/b``."""
    return "/".join(name.split("/")[: 2 * depth])


def has_wildcard(name: str) -> bool:
    """Whether a ``-`` stands for an id in ``name``."""
    return WILDCARD in name.split("/")[1::2]


def like_pattern(parent: str) -> str:
    """The SQL LIKE pattern of a parent with wildcards. An id holds no ``%`` or ``_``, so nothing is to be escaped."""
    segments: Sequence[str] = parent.split("/")
    return "/".join("%" if segment == WILDCARD else segment for segment in segments)
