"""Checkpoints in an S3-compatible bucket: a server that really runs here (moto)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from moto.server import ThreadedMotoServer

from mesh.audit import Anchor
from mesh.audit.checkpoints import Checkpoint
from mesh.embedded import EmbeddedPostgres
from mesh.errors import Unavailable
from tests.integration.local.test_audit_checkpoints import NOW, REWRITE, Kept, key, log_of
from tests.integration.local.test_audit_command import ENTRY, argo, postgres, tamper

__all__ = ["key", "postgres"]

BUCKET = "argo-checkpoints"
URL = f"s3://{BUCKET}/turin"


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadedMotoServer]:
    logging.getLogger("werkzeug").disabled = True
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def environment(server: ThreadedMotoServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    host, port = server.get_host_and_port()
    values = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "no", "AWS_REGION": "eu-south-1", "AWS_DEFAULT_REGION": "eu-south-1",
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@pytest.fixture
def bucket(environment: dict[str, str]) -> Iterator[Any]:
    """The bucket, by the client of somebody else."""
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-south-1"})
    yield client
    empty(client)


def empty(client: Any) -> None:
    """Takes the bucket away with all that is in it, if it is there."""
    with contextlib.suppress(client.exceptions.NoSuchBucket):
        for path in listing(client):
            client.delete_object(Bucket=BUCKET, Key=path)
        client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
async def kept(bucket: Any, postgres: EmbeddedPostgres, key: Ed25519PrivateKey) -> AsyncIterator[Kept]:
    async with log_of(postgres) as log:
        yield Kept(log, URL, key)


def listing(bucket: Any) -> list[str]:
    return [item["Key"] for item in bucket.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


async def test_checkpoints_lie_under_the_prefix_by_log_and_day_and_the_newest_is_found(kept: Kept, bucket: Any) -> None:
    first = await kept.anchorage.once()
    kept.now += timedelta(days=1)
    await kept.log.append(ENTRY)
    second = await kept.restarted().once()

    assert first is not None
    assert listing(bucket) == [
        f"turin/alerting/2026-11-30/{12:020}.json",
        f"turin/alerting/2026-12-01/{13:020}.json",
    ]
    assert await kept.store.newest("alerting") == second
    assert await kept.store.daily("alerting") == [first, second]
    assert await kept.store.newest("registry") is None


async def test_none_is_ever_written_over_in_a_bucket_either(kept: Kept) -> None:
    good = await kept.anchorage.once()

    await kept.store.keep(Checkpoint("alerting", Anchor(12, bytes(32)), NOW), kept.signer)

    assert await kept.store.newest("alerting") == good


@pytest.mark.parametrize(
    ("statement", "sequence", "fault"),
    [("DELETE FROM audit_entries WHERE sequence > 9", 10, "missing"), (REWRITE, 12, "changed")],
)
async def test_what_a_superuser_cut_or_wrote_anew_is_found_by_the_bucket(
    kept: Kept,
    environment: dict[str, str],
    postgres: EmbeddedPostgres,
    tmp_path: Path,
    statement: str,
    sequence: int,
    fault: str,
) -> None:
    await kept.anchorage.once()
    look = ("verify", "--schema", "alerting", "--checkpoints", URL, "--key", str(tmp_path / "public.pem"))
    status, output = await argo(*look, dsn=postgres.dsn, **environment)
    assert status == 0, output
    await tamper(postgres, statement)

    status, output = await argo(*look, dsn=postgres.dsn, **environment)

    assert status == 1, output
    assert f"alerting: NOT WHOLE at entry {sequence}: {fault}\n" in output


async def test_a_bucket_that_is_not_there_is_told_and_proves_nothing(
    kept: Kept, environment: dict[str, str], bucket: Any, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    empty(bucket)

    with pytest.raises(Unavailable) as caught:
        await kept.anchorage.once()
    assert caught.value.reason == "CHECKPOINT_STORE_UNAVAILABLE"
    look = ("verify", "--schema", "alerting", "--checkpoints", URL, "--key", str(tmp_path / "public.pem"))
    status, output = await argo(*look, dsn=postgres.dsn, **environment)
    assert status == 2, output
    assert "Traceback" not in output
