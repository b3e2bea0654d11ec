"""What is wrong with requests that change records, and with the records in them; all of it at once."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from mesh.errors import FieldViolation, InvalidArgument
from registry.domain import fields
from registry.domain.names import NamePattern, is_id
from registry.domain.network import CameraNetworks
from registry.resources import Resource
from registry.store import Author, IdempotentRequest


def check_reason(request: Any) -> list[FieldViolation]:
    """Every change says why."""
    found = fields.Violations()
    found.add("reason", fields.reason_problem(request.reason))
    return found.found


def check_new(resource: Resource, request: Any, parent: str) -> list[FieldViolation]:
    """The parent, id, request id and reason of a request to make a record."""
    return check_ids(resource, request, parent) + check_reason(request)


def check_ids(resource: Resource, request: Any, parent: str) -> list[FieldViolation]:
    """The parent, id and request id of a request to make a record."""
    found = fields.Violations()
    pattern = resource.pattern.parent
    if not resource.is_root and not pattern.matches(parent):
        found.add("parent", f"must be {pattern}")
    if not is_id(getattr(request, f"{resource.kind}_id")):
        found.add(f"{resource.kind}_id", "must be 1 to 63 of a-z, 0-9 and '-', and begin with a letter")
    if request.request_id:
        found.add("request_id", fields.request_id_problem(request.request_id))
    return found.found


def repeatable(request: Any, author: Author) -> IdempotentRequest | None:
    """The request with its fingerprint, as it came, if it may be repeated; ``check_new`` tells of a malformed id."""
    if not request.request_id or fields.request_id_problem(request.request_id):
        return None
    return IdempotentRequest.of(request.request_id, author, request)


def check_name(
    field: str, name: str, pattern: NamePattern, others: list[FieldViolation] | None = None, *, wildcard: bool = False
) -> None:
    """Refuses a name that is not of the pattern, together with what else is wrong."""
    violations = list(others or ())
    if pattern.matches(name, wildcard=wildcard):
        if violations:
            raise InvalidArgument("the request is not valid", reason="INVALID_REQUEST", violations=violations)
        return
    violations.insert(0, FieldViolation(field, f"must be {pattern}"))
    raise InvalidArgument(f"{field} is not a valid name", reason="INVALID_NAME", violations=violations)


def refuse(violations: list[FieldViolation]) -> None:
    """Refuses a request if there is anything wrong with it.

    Raises:
        InvalidArgument: there is.
    """
    if violations:
        raise InvalidArgument("the request is not valid", reason="INVALID_REQUEST", violations=violations)


def check_encodable(message: Message, kind: str) -> None:
    """Times and durations beyond their ranges pass the wire but have no JSON form, hence no row."""
    try:
        json_format.MessageToDict(message)
    except (json_format.Error, ValueError, OverflowError):
        violation = FieldViolation(kind, "holds a time or duration outside the range of its type")
        raise InvalidArgument(f"the {kind} is not valid", reason="INVALID_RECORD", violations=[violation]) from None


def check_record(resource: Resource, message: Any, violations: list[FieldViolation], networks: CameraNetworks) -> None:
    """Brings a record into the form that is stored.

    Args:
        resource: the kind.
        message: the record as it is to be; is changed.
        violations: what else is wrong with the request.
        networks: where cameras may be.

    Raises:
        InvalidArgument: the record, or something else, is not valid.
    """
    check_encodable(message, resource.kind)
    violations = violations + resource.check(message, networks)
    if violations:
        raise InvalidArgument(f"the {resource.kind} is not valid", reason="INVALID_RECORD", violations=violations)
    resource.normalise(message)
