"""What a request for a page of a list asks for, checked whole: the caller hears of everything that is wrong at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from mesh.errors import FieldViolation, InvalidArgument
from registry import filters, requests
from registry.domain import paging
from registry.domain.names import NamePattern
from registry.filters import Condition
from registry.resources import Resource
from registry.store import FILTER_PARAMETER


@dataclass(frozen=True)
class Listing:
    """One page of a list.

    Attributes:
        size: of the page.
        after: position that it begins after; empty: at the beginning.
        condition: which records are in it.
        query: all that must stay the same from page to page.
        secret: of page tokens.
    """

    size: int
    after: str
    condition: Condition
    query: str
    secret: bytes

    @property
    def limit(self) -> int:
        """How many to read: one more than asked for tells whether there is another page."""
        return self.size + 1

    def next_page_token(self, found: Sequence[Any], position: Callable[[Any], str] = attrgetter("name")) -> str:
        """The token of the next page, or empty.

        Args:
            found: what was read.
            position: of one of them in the list.
        """
        if len(found) <= self.size:
            return ""
        return paging.issue_token(position(found[self.size - 1]), self.query, self.secret)


def listing(
    request: Any,
    *,
    query: str,
    secret: bytes,
    resource: Resource | None = None,
    parents: NamePattern | None = None,
) -> Listing:
    """What a request asks for.

    Args:
        request: with page_size and page_token, and with parent and filter where these are given.
        query: all that must stay the same from page to page, besides the filter.
        secret: of page tokens.
        resource: whose filter the request carries; None: it has none.
        parents: names that its parent may have, ``-`` among them; None: it has no parent.

    Raises:
        InvalidArgument: with everything that is wrong.
    """
    problems = _Problems()
    if resource is not None:
        query = f"{query} where {request.filter}"
    size, after, condition = paging.DEFAULT_PAGE_SIZE, "", filters.ANY
    if parents is not None:
        with problems.gathered():
            requests.check_name("parent", request.parent, parents, wildcard=True)
    with problems.gathered():
        size = paging.page_size(request.page_size)
    with problems.gathered():
        after = paging.redeem_token(request.page_token, query, secret)
    if resource is not None:
        with problems.gathered():
            condition = filters.condition(resource, request.filter, FILTER_PARAMETER)
    problems.refuse()
    return Listing(size, after, condition, query, secret)


class _Problems:
    """What several checks refuse."""

    def __init__(self) -> None:
        self._found: list[InvalidArgument] = []

    @contextlib.contextmanager
    def gathered(self) -> Iterator[None]:
        try:
            yield
        except InvalidArgument as error:
            self._found.append(error)

    def refuse(self) -> None:
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            violations: list[FieldViolation] = [each for error in self._found for each in error.violations]
            raise InvalidArgument("the request is not valid", reason="INVALID_REQUEST", violations=violations)
