from __future__ import annotations

import itertools

import pytest

from anonymizer.domain.viewing import ViewingBook
from mesh.errors import NotFound, PermissionDenied, ResourceExhausted, Unauthenticated

OPTIC = "devices/piazza-1/optics/north"


@pytest.fixture
def book() -> ViewingBook:
    tokens, ids = itertools.count(), itertools.count()
    return ViewingBook(lambda: f"token-{next(tokens)}", lambda: f"v{next(ids)}")


def create(book: ViewingBook, *, optic: str = OPTIC, most: int = 2, now: float = 0.0) -> str:
    return book.create(optic, "operator/rossi", "traffic", "41", lifetime=60.0, most=most, now=now)[1]


def test_a_token_begins_once_for_its_person_and_purpose(book: ViewingBook) -> None:
    token = create(book)

    viewing = book.begin(token, OPTIC, 10.0)

    assert (viewing.viewer, viewing.purpose, viewing.started) == ("operator/rossi", "traffic", 10.0)
    with pytest.raises(Unauthenticated):
        book.begin(token, OPTIC, 11.0)


def test_a_token_is_worth_nothing_after_its_time(book: ViewingBook) -> None:
    with pytest.raises(Unauthenticated):
        book.begin(create(book), OPTIC, 60.0)


def test_a_token_is_worth_nothing_for_another_optic(book: ViewingBook) -> None:
    with pytest.raises(PermissionDenied):
        book.begin(create(book), "devices/piazza-1/optics/south", 1.0)


def test_places_are_counted_and_come_free(book: ViewingBook) -> None:
    token = create(book)
    create(book)
    with pytest.raises(ResourceExhausted):
        create(book)
    assert create(book, optic="devices/piazza-1/optics/south")

    viewing = book.begin(token, OPTIC, 1.0)
    assert create(book, now=61.0), "the one that never began has given up its place"
    book.end(viewing.name)
    assert create(book, now=61.0)


def test_only_the_holder_finds_a_viewing(book: ViewingBook) -> None:
    mine, other = create(book), create(book)

    assert book.holder(mine, "viewings/v0").name == "viewings/v0"
    with pytest.raises(NotFound):
        book.holder(other, "viewings/v0")
    with pytest.raises(Unauthenticated):
        book.holder("guess", "viewings/v0")


def test_no_token_is_kept(book: ViewingBook) -> None:
    token = create(book)

    assert token not in repr(vars(book))
