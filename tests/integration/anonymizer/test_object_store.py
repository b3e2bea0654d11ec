"""Recordings in an S3-compatible bucket, their keys behind a KMS: a server that really runs here (moto)."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from anonymizer.database import Database
from anonymizer.domain.holding import Holds
from anonymizer.domain.segments import SegmentName
from anonymizer.sealing import SealBrokenError
from anonymizer.store import RecordingStore, open_objects
from anonymizer.wrapping import KmsWrapping
from mesh.errors import Unavailable
from mesh.postgres import Pool
from tests.integration.anonymizer.erasing import LENGTH, MONTH, NOON, NORTH, SOUTH, WEEK, World, hold, recorded

BUCKET, PREFIX = "argo-recordings", "turin"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    logging.getLogger("werkzeug").disabled = True
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def aws(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The bucket, empty, by the client of somebody else."""
    environment = {
        "AWS_ENDPOINT_URL": server, "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "no",
        "AWS_REGION": "eu-south-1", "AWS_DEFAULT_REGION": "eu-south-1",
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-south-1"})
    yield client
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def kms_key(aws: Any) -> str:
    return str(boto3.client("kms").create_key()["KeyMetadata"]["KeyId"])


@pytest.fixture
def world(aws: Any, kms_key: str, pool: Pool) -> World:
    return World.of(RecordingStore(open_objects(f"s3://{BUCKET}/{PREFIX}"), KmsWrapping(kms_key)), Database(pool))


def listing(aws: Any) -> set[str]:
    return {item["Key"] for item in aws.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


async def test_the_bucket_shows_that_what_is_due_is_gone_with_its_keys(world: World, aws: Any) -> None:
    held = await recorded(world, SOUTH, NOON)
    for minute in range(3):
        await recorded(world, NORTH, NOON + timedelta(minutes=minute))
    unknown = await recorded(world, NORTH, NOON + timedelta(days=1), indexed=False)
    world.registry.holds = hold(SOUTH, NOON, NOON + LENGTH)
    before = listing(aws)

    await world.left_at(MONTH)

    assert {f"{PREFIX}/{unknown.name}", f"{PREFIX}/{unknown.scope.name}"} <= before
    assert listing(aws) == {
        f"{PREFIX}/{held.name}",
        f"{PREFIX}/{held.scope.name}",
        f"{PREFIX}/holds.sealed",
        f"{PREFIX}/reports/erasure/2026-12-21.json",
    }


async def test_what_lies_in_the_bucket_opens_with_its_key_and_no_other(world: World, aws: Any, kms_key: str) -> None:
    segment = await recorded(world, NORTH, NOON)
    objects = open_objects(f"s3://{BUCKET}/{PREFIX}")
    other = str(boto3.client("kms").create_key()["KeyMetadata"]["KeyId"])

    again = await RecordingStore(objects, KmsWrapping(kms_key)).read(segment)

    assert again == f"{NORTH} {NOON}".encode()
    assert again not in aws.get_object(Bucket=BUCKET, Key=f"{PREFIX}/{segment.name}")["Body"].read()
    # AWS says that the key is wrong, moto that it may not be used: in neither case does anything open.
    with pytest.raises((SealBrokenError, Unavailable)):
        await RecordingStore(objects, KmsWrapping(other)).read(segment)


async def test_a_wrapped_key_under_another_name_does_not_open(kms_key: str) -> None:
    wrapping = KmsWrapping(kms_key)
    wrapped = await wrapping.wrap("keys/one", b"\1" * 32)

    assert await wrapping.unwrap("keys/one", wrapped) == b"\1" * 32
    with pytest.raises(SealBrokenError):
        await wrapping.unwrap("keys/two", wrapped)


async def test_two_replicas_take_one_key_for_a_day(world: World, kms_key: str) -> None:
    other = RecordingStore(open_objects(f"s3://{BUCKET}/{PREFIX}"), KmsWrapping(kms_key))
    first = await recorded(world, NORTH, NOON)
    second = type(first)(NORTH, NOON + LENGTH, LENGTH, first.retention)

    await other.write(second, b"second")

    assert await world.store.read(second) == b"second"
    assert await other.read(first) == f"{NORTH} {NOON}".encode()


async def test_what_is_held_is_kept_sealed_whatever_its_length(world: World, aws: Any) -> None:
    many = Holds(frozenset().union(*(hold(NORTH, NOON + n * LENGTH, MONTH).intervals for n in range(200))))
    await world.store.keep_holds(many)

    assert await world.store.kept_holds() == many
    assert b"devices" not in aws.get_object(Bucket=BUCKET, Key=f"{PREFIX}/holds.sealed")["Body"].read()


async def test_a_key_service_that_is_away_is_unavailable(
    world: World, kms_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = await recorded(world, NORTH, NOON)
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")
    away = RecordingStore(open_objects(f"s3://{BUCKET}/{PREFIX}"), KmsWrapping(kms_key))

    with pytest.raises(Unavailable) as caught:
        await away.read(segment)

    assert caught.value.reason == "KEY_SERVICE_UNAVAILABLE"
    assert kms_key not in str(caught.value)


async def test_a_bucket_that_takes_connections_and_never_answers_counts_as_gone(
    aws: Any, kms_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes meanwhile is masked and shown all the same: see test_store_failures."""

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        store = RecordingStore(open_objects(f"s3://{BUCKET}/{PREFIX}"), KmsWrapping(kms_key), patience_seconds=0.2)
        with pytest.raises(Unavailable) as caught:
            await store.write(SegmentName(NORTH, NOON, LENGTH, WEEK), b"x")

    assert caught.value.reason == "STORE_UNAVAILABLE"
