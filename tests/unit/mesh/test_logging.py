from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from mesh.logging import mask_secrets
from mesh.secrecy import is_secret_name, mask_text


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "PostgresDsn",
        "token",
        "access_key",
        "Authorization",
        "recording_key",
        "cookie",
        "key",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["optic", "method", "stream", "monkey", "consumer", "keyframe", "task"])
def test_names_that_are_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("rtsp://admin:hunter2@10.0.0.7:554/s1?x=1", "rtsp://***@10.0.0.7:554/s1?x=1"),
        ("rtsp://admin:p@ss/word@10.0.0.7/s1", None),
        (
            "a postgresql://argo:hunter2@db/argo b nats://t0ken-hunter2@n c",
            "a postgresql://***@db/argo b nats://***@n c",
        ),
        ("GET /x?token=hunter2&a=1", "GET /x?token=***&a=1"),
        ("password: hunter2", "password: ***"),
        ("rtsp://10.0.0.7/s1", "rtsp://10.0.0.7/s1"),
    ],
)
def test_credentials_in_text_are_masked(text: str, masked: str | None) -> None:
    result = mask_text(text)

    assert "hunter2" not in result
    assert "ss/word" not in result
    assert masked is None or result == masked


def test_secrets_are_masked_at_every_depth() -> None:
    event: dict[str, Any] = {
        "event": "camera.connected",
        "password": "hunter2",
        "settings": {"nats": {"token": "hunter2"}, "urls": ["rtsp://u:hunter2@c/1"]},
        "error": ValueError("rtsp://u:hunter2@c/1"),
        "count": 3,
        "pair": ("rtsp://u:hunter2@c/1", 1),
    }

    masked = mask_secrets(None, "info", event)

    assert "hunter2" not in str(masked)
    assert masked["event"] == "camera.connected"
    assert masked["count"] == 3


_PROGRAM = """
import logging, pathlib, sys, structlog
from opentelemetry.sdk.trace import TracerProvider
from mesh import logging as mesh_logging
from mesh.settings import ServiceSettings
path = pathlib.Path("x")
settings = ServiceSettings(tls_certificate=path, tls_key=path, tls_ca=path, log_format=sys.argv[1])
mesh_logging.configure("registry", settings)
log = structlog.get_logger()
log.debug("not.shown")
with TracerProvider().get_tracer("t").start_as_current_span("s"):
    log.info("camera.connected", url="rtsp://admin:hunter2@10.0.0.7/s1", token="hunter2")
logging.getLogger("nats.aio.client").error("lost nats://u:hunter2@n")
logging.getLogger("grpc").info("chatter")
try:
    secret = "hunter2"
    raise RuntimeError("cannot open rtsp://admin:hunter2@10.0.0.7/s1")
except RuntimeError:
    log.exception("rpc.failed")
"""


def _run(log_format: str) -> str:
    command = [sys.executable, "-c", _PROGRAM, log_format]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_json_lines_carry_context_and_no_secret() -> None:
    output = _run("json")
    lines = [json.loads(line) for line in output.splitlines()]

    assert [line["event"] for line in lines] == ["camera.connected", "library.logged", "rpc.failed"]
    assert "hunter2" not in output
    assert {line["service"] for line in lines} == {"registry"}
    assert [line["level"] for line in lines] == ["info", "error", "error"]
    assert len(lines[0]["trace_id"]) == 32
    assert len(lines[0]["span_id"]) == 16
    assert lines[1]["logger"] == "nats.aio.client"
    assert lines[2]["exception"][0]["exc_type"] == "RuntimeError"


def test_console_lines_carry_no_secret() -> None:
    output = _run("console")

    assert "camera.connected" in output
    assert "RuntimeError" in output
    assert "hunter2" not in output
