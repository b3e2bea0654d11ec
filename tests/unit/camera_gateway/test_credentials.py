from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from camera_gateway.credentials import CredentialStore
from mesh.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("content", ["", "[]", '{"cam": {"user": "x"}}', '{"cam": {"password": "canary"'])
def test_an_unreadable_file_of_secrets_stops_the_start_without_quoting_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(content)

    with pytest.raises(StartupError) as caught:
        CredentialStore(path)

    assert "canary" not in str(caught.value)


def test_secrets_are_read_again_and_a_broken_file_leaves_the_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"cam": {"username": "u", "password": "one", "tokens": {"a": "t", "b": ""}}}))
    store = CredentialStore(path)
    first = store.credentials("cam")
    path.write_text(json.dumps({"cam": {"username": "u", "password": "two", "tokens": {"a": "t", "b": ""}}}))
    second = store.credentials("cam")
    path.write_text("{")
    third = store.credentials("cam")

    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.password, second.password, third.password) == ("one", "two", "two")
    assert (store.token("cam", "a"), store.token("cam", "b"), store.token("other", "a")) == ("t", None, None)
    assert store.credentials("other") is None
