from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import InvalidArgument
from registry.domain.paging import issue_token, page_size, redeem_token

SECRET = b"0123456789abcdef"


@pytest.mark.parametrize(("asked", "given_size"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_sizes(asked: int, given_size: int) -> None:
    assert page_size(asked) == given_size


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidArgument) as refused:
        page_size(-1)

    assert refused.value.violations[0].field == "page_size"


@given(st.text(max_size=80), st.text(max_size=40))
def test_a_token_gives_back_its_position(position: str, query: str) -> None:
    assert redeem_token(issue_token(position, query, SECRET), query, SECRET) == position


def test_the_empty_token_is_the_start() -> None:
    assert redeem_token("", "zones of x", SECRET) == ""


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    token = issue_token("devices/a", "devices of ", SECRET)
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    changed = base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")

    with pytest.raises(InvalidArgument) as refused:
        redeem_token(changed, "devices of ", SECRET)
    assert refused.value.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("token", ["x", "!!!", "devices/a", "ÿ", "AAAA", "A" * 5000])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument):
        redeem_token(token, "devices of ", SECRET)


def test_a_token_of_another_query_or_mesh_is_refused() -> None:
    token = issue_token("devices/a", "optics of devices/a", SECRET)

    with pytest.raises(InvalidArgument):
        redeem_token(token, "optics of devices/b", SECRET)
    with pytest.raises(InvalidArgument):
        redeem_token(token, "optics of devices/a", SECRET[::-1])


def test_the_wrong_field_is_named() -> None:
    with pytest.raises(InvalidArgument) as refused:
        redeem_token("x", "watch ", SECRET, field="resume_token")

    assert (refused.value.reason, refused.value.violations[0].field) == ("INVALID_RESUME_TOKEN", "resume_token")
