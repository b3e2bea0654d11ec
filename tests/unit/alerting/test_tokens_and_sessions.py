from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.console.sessions import SESSION_LIFETIME, Sessions
from alerting.domain.tokens import Position, Sequence, decode_token, encode_token, page_size, resume
from mesh.errors import InvalidArgument, OutOfRange

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EPOCH = uuid.UUID(int=7)


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_a_token_carries_its_parts(parts: list[str]) -> None:
    assert decode_token(encode_token(*parts), len(parts), "page_token") == parts


@given(st.text(max_size=40))
def test_whatever_comes_as_a_token_is_read_or_refused(text: str) -> None:
    try:
        parts = decode_token(text, 3, "page_token")
    except InvalidArgument:
        return
    assert len(parts) == 3


@pytest.mark.parametrize(("asked", "given_"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000)])
def test_page_sizes_are_coerced(asked: int, given_: int) -> None:
    assert page_size(asked) == given_


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        page_size(-1)


@pytest.mark.parametrize(("change", "taken"), [(4, False), (5, True), (9, True), (10, False)])
def test_a_watch_goes_on_between_the_floor_and_the_head(change: int, taken: bool) -> None:  # noqa: FBT001
    sequence = Sequence(EPOCH, floor=5, head=9)
    token = Position(EPOCH, change).token
    if taken:
        assert resume(token, sequence) == Position(EPOCH, change)
    else:
        with pytest.raises(OutOfRange):
            resume(token, sequence)


def test_a_token_of_another_database_is_out_of_range() -> None:
    with pytest.raises(OutOfRange):
        resume(Position(uuid.UUID(int=8), 6).token, Sequence(EPOCH, 5, 9))


def test_a_session_holds_until_its_end_and_on_every_replica() -> None:
    session = Sessions("a long secret", "rossi", "argo.local").begin(NOW, "nonce")
    cookie = Sessions("a long secret", "rossi", "argo.local").cookie(session)
    replica = Sessions("a long secret", "rossi", "argo.local")

    assert replica.read(cookie, NOW) == session
    assert replica.read(cookie, NOW + SESSION_LIFETIME - timedelta(seconds=1)) == session
    assert replica.read(cookie, NOW + SESSION_LIFETIME) is None


@pytest.mark.parametrize(
    "other", [Sessions("another secret", "rossi", "argo.local"), Sessions("a long secret", "bianchi", "argo.local")]
)
def test_a_session_of_another_secret_or_operator_is_none(other: Sessions) -> None:
    cookie = other.cookie(other.begin(NOW, "nonce"))
    assert Sessions("a long secret", "rossi", "argo.local").read(cookie, NOW) is None


@given(st.text(max_size=80))
def test_no_text_is_a_session_by_chance(text: str) -> None:
    assert Sessions("a long secret", "rossi", "argo.local").read(text, NOW) is None


def test_a_csrf_token_belongs_to_its_session() -> None:
    sessions = Sessions("a long secret", "rossi", "argo.local")
    one, other = sessions.begin(NOW, "one"), sessions.begin(NOW, "other")

    assert sessions.is_csrf_token(one, sessions.csrf_token(one))
    assert not sessions.is_csrf_token(one, sessions.csrf_token(other))
    assert not sessions.is_csrf_token(one, "")


def test_neither_cookie_nor_digest_tells_the_secret() -> None:
    sessions = Sessions("a long secret", "rossi", "argo.local")
    told = sessions.cookie(sessions.begin(NOW, "n")).encode() + sessions.link_digest
    assert b"a long secret" not in told
