"""Somebody has decided on every field of every record: a new field of the contract fails here until it is decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from registry.public.disclosure import _TABLE, DECISIONS, ROOTS, Disclosure, public_part
from tests.unit.registry.public import made_up


def _published_messages() -> Iterator[Descriptor]:
    """The records and whatever is reached from them through fields that are not withheld."""
    waiting: list[Any] = [root.DESCRIPTOR for root in ROOTS]
    seen: set[str] = set()
    while waiting:
        message = waiting.pop()
        if message.full_name in seen or message.full_name.startswith("google.protobuf."):
            continue
        seen.add(message.full_name)
        yield message
        decisions = DECISIONS.get(message.full_name, {})
        waiting += [
            field.message_type
            for field in message.fields
            if field.message_type is not None and decisions.get(field.name) is not Disclosure.WITHHELD
        ]


@pytest.mark.parametrize("message", list(_published_messages()), ids=lambda message: message.full_name)
def test_every_field_is_decided_on(message: Descriptor) -> None:
    assert sorted(DECISIONS.get(message.full_name, {})) == sorted(field.name for field in message.fields)


def test_no_decision_is_about_a_message_that_is_not_reached() -> None:
    assert set(DECISIONS) == {message.full_name for message in _published_messages()}


def test_no_field_has_two_decisions() -> None:
    for message, fields in _TABLE.items():
        names = [name for part in fields for name in part.split()]
        assert len(names) == len(set(names)), message.DESCRIPTOR.full_name


@pytest.mark.parametrize("collection", sorted(made_up.raw()))
def test_a_public_part_holds_nothing_that_is_withheld(collection: str) -> None:
    for record in made_up.raw()[collection]:
        for message, field in _set_fields(public_part(record)):
            assert DECISIONS[message][field] is not Disclosure.WITHHELD


def _set_fields(record: Message) -> Iterator[tuple[str, str]]:
    for field, value in record.ListFields():
        yield record.DESCRIPTOR.full_name, field.name
        if field.message_type is not None and field.message_type.full_name in DECISIONS:
            yield from _set_fields(value)


def test_what_is_published_stays_as_it_is() -> None:
    for found in made_up.raw().values():
        for record in found:
            decisions = DECISIONS[record.DESCRIPTOR.full_name]
            kept = {field.name for field, _ in public_part(record).ListFields()}
            wanted = {
                field.name for field, _ in record.ListFields() if decisions[field.name] is not Disclosure.WITHHELD
            }
            assert kept == wanted
