from __future__ import annotations

import pytest

from mesh.local.demo.sources import UrlSource, parse_source
from mesh.local.errors import SourceError


def _resolve(host: str) -> str:
    known = {"camera.example": "192.0.2.7", "192.0.2.9": "192.0.2.9", "2001:db8::5": "2001:db8::5"}
    if host not in known:
        raise OSError
    return known[host]


@pytest.mark.parametrize(
    ("url", "address", "network", "path"),
    [
        ("rtsp://camera.example/stream", "192.0.2.7", "192.0.2.7/32", "/stream"),
        ("rtsp://192.0.2.9:8554/a/b?channel=1", "192.0.2.9:8554", "192.0.2.9/32", "/a/b?channel=1"),
        ("rtsp://[2001:db8::5]:554/x", "[2001:db8::5]", "2001:db8::5/128", "/x"),
        ("rtsp://camera.example", "192.0.2.7", "192.0.2.7/32", "/"),
    ],
)
def test_url_is_taken_apart(url: str, address: str, network: str, path: str) -> None:
    source = parse_source(url, _resolve)

    assert isinstance(source, UrlSource)
    assert (source.address, source.network, source.path) == (address, network, path)


def test_credentials_are_read_and_never_shown() -> None:
    source = parse_source("rtsp://guard:p%40ss@camera.example/stream?token=abc", _resolve)

    assert isinstance(source, UrlSource)
    assert (source.username, source.password) == ("guard", "p@ss")
    for shown in (source.label, repr(source)):
        assert "p@ss" not in shown
        assert "guard" not in shown
    assert "abc" not in source.label


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://camera.example/video.mjpg", "neither a file nor an rtsp:// URL"),
        ("rtsp://", "neither a file nor an rtsp:// URL"),
        ("rtsp://camera.example:99999/x", "neither a file nor an rtsp:// URL"),
        ("rtsp://unknown.example/x", "host unknown.example is not known"),
        ("/no/such/file.avi", "no such file"),
    ],
)
def test_bad_source_is_said_plainly(text: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        parse_source(text, _resolve)


def test_bad_url_does_not_repeat_its_password() -> None:
    with pytest.raises(SourceError) as caught:
        parse_source("http://guard:s3cret@camera.example/x", _resolve)

    assert "s3cret" not in str(caught.value)
