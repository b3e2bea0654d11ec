"""What the contracts must never carry: the schema itself leaves no room for biometrics, nor for pixels on the bus."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

# As whole words of a field, message or enum value: "sex" must not find "sextant", nor "face" "interface".
BIOMETRIC = {
    "age", "beard", "biometric", "biometrics", "clothes", "clothing", "embedding", "embeddings", "emotion", "ethnic",
    "ethnicity", "face", "faces", "facial", "fingerprint", "gait", "gender", "glasses", "hair", "identikit",
    "nationality", "race", "religion", "reid", "sex", "skin", "voice", "voiceprint", "watchlist",
}  # fmt: skip
OF_NO_PERSON = {"age_seconds", "fingerprint"}
"""Of an edition of the public register, and of a request or a certificate."""
# What the services publish, by stream.
BUS = [
    "argo.detector.v1.EventBatch",
    "argo.detector.v1.ObservationBatch",
    "argo.detector.v1.FlowBatch",
    "argo.camera_gateway.v1.HealthReport",
]
SCORED = {"person_score", "district_score", "suspicion", "suspect", "threat_score"}


@pytest.fixture(scope="module")
def files(root: Path) -> list[FileDescriptor]:
    paths = sorted((root / "protos" / "argo").rglob("*.proto"))
    modules = [
        path.relative_to(root / "protos").with_suffix("").as_posix().replace("/", ".") + "_pb2" for path in paths
    ]
    return [importlib.import_module(module).DESCRIPTOR for module in modules]


def _messages(messages: list[Descriptor]) -> Iterator[Descriptor]:
    for message in messages:
        yield message
        yield from _messages(list(message.nested_types))


def _enums(file: FileDescriptor) -> Iterator[EnumDescriptor]:
    yield from file.enum_types_by_name.values()
    for message in _messages(list(file.message_types_by_name.values())):
        yield from message.enum_types


def _fields(files: list[FileDescriptor]) -> Iterator[FieldDescriptor]:
    for file in files:
        for message in _messages(list(file.message_types_by_name.values())):
            yield from message.fields


def _names(files: list[FileDescriptor]) -> Iterator[str]:
    yield from (field.full_name for field in _fields(files))
    for file in files:
        for enum in _enums(file):
            yield from (f"{enum.full_name}.{value.name}" for value in enum.values)


def test_every_service_has_its_contract(files: list[FileDescriptor]) -> None:
    packages = {file.package for file in files if file.services_by_name}

    assert packages == {
        f"argo.{name}.v1" for name in ("registry", "camera_gateway", "detector", "anonymizer", "alerting")
    }


def test_no_field_and_no_value_is_biometric(files: list[FileDescriptor]) -> None:
    names = list(_names(files))
    found = [name for name in names if BIOMETRIC & set(name.rsplit(".", 1)[1].lower().split("_"))]

    assert len(names) > 200
    assert found == []


def test_no_column_and_no_field_of_a_log_is_biometric(root: Path) -> None:
    statements = [path.read_text() for path in root.glob("*/sql/**/*.sql")]
    # Comments may say what is not kept.
    names = set(re.findall(r"[a-z_]+", re.sub(r"--.*|'[^']*'", "", "\n".join(statements)).lower()))
    events = [path.read_text() for path in (root / "docs" / "events").glob("*.md")]
    names |= set(re.findall(r"`([a-z_.]+)`", "\n".join(events)))

    assert len(names) > 1000
    assert {name for name in names if BIOMETRIC & set(re.split(r"[_.]", name))} == OF_NO_PERSON


def test_nobody_is_scored(files: list[FileDescriptor]) -> None:
    assert [name for name in _names(files) if any(word in name.rsplit(".", 1)[1].lower() for word in SCORED)] == []


def _reachable(root: Descriptor) -> Iterator[Descriptor]:
    """A message and everything that it can hold, at any depth."""
    pending, seen = [root], set()
    while pending:
        message = pending.pop()
        if message.full_name not in seen:
            seen.add(message.full_name)
            yield message
            pending += [field.message_type for field in message.fields if field.message_type is not None]


@pytest.mark.parametrize("name", BUS)
def test_what_goes_over_the_bus_has_no_room_for_pixels(name: str, files: list[FileDescriptor]) -> None:
    messages = {message.full_name: message for file in files for message in file.message_types_by_name.values()}
    raw = [
        field.full_name
        for message in _reachable(messages[name])
        for field in message.fields
        if field.type == FieldDescriptor.TYPE_BYTES
    ]

    assert raw == []
