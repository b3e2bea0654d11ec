"""Who asks for a recording, for whom, and why. Who may have what stands in ``mesh/access/permissions.toml``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mesh.access import matrix
from mesh.errors import FieldViolation, InvalidArgument, PermissionDenied
from mesh.identity import Identity

if TYPE_CHECKING:
    from argo.anonymizer.v1 import recording_service_pb2

_LONGEST_TEXT: Final = 1000


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who asks for recordings, with what the law wants to know.

    Attributes:
        who: the person's identity path, for example "operator/mrossi".
        through: the service that asks for them; empty: they ask themselves.
        purpose: what for.
        reason: why now.
        case: of the proceeding; may be empty.
    """

    who: str
    through: str
    purpose: str
    reason: str
    case: str

    @property
    def why(self) -> str:
        """Purpose and reason, as they go on record."""
        return f"{self.purpose}: {self.reason}"


def admit(caller: Identity, access: recording_service_pb2.Access, method: str) -> Reader:
    """The person behind a call, who may make it and has said why.

    A person who calls was admitted by the server. A service has no right of its own: it names a person, who is admitted
    here by role, as if they had called, with the rights that the service says their token gives or they have taken by
    breaking the glass.

    Args:
        caller: the identity of the peer.
        access: what the request says.
        method: full name, ``/package.Service/Method``.

    Raises:
        InvalidArgument: purpose or reason is missing, or the viewer is: a service asks for somebody, a person for
            nobody else.
        PermissionDenied: this person may not.
    """
    who = access.viewer.strip() if caller.is_machine else caller.path
    violations = [
        FieldViolation(f"access.{field}", f"is required, and has at most {_LONGEST_TEXT} characters")
        for field in ("purpose", "reason")
        if not 0 < len(getattr(access, field).strip()) <= _LONGEST_TEXT
    ]
    if caller.is_machine and not who:
        violations.append(FieldViolation("access.viewer", "is required: a service asks for a person"))
    if not caller.is_machine and access.viewer not in ("", caller.path):
        violations.append(FieldViolation("access.viewer", "must be empty: a person asks for nobody else"))
    if not caller.is_machine and (access.rights or access.rights_taken):
        violations.append(FieldViolation("access.rights", "must be empty: a person has what certificate or token give"))
    if len(access.case_reference) > _LONGEST_TEXT:
        violations.append(FieldViolation("access.case_reference", f"has at most {_LONGEST_TEXT} characters"))
    if violations:
        raise InvalidArgument("the request cannot be used", reason="INVALID_ACCESS", violations=violations)
    person = _person(caller, who)
    if caller.is_machine:
        _admit_viewer(person, access, method)
    through = caller.path if caller.is_machine else ""
    return Reader(person.path, through, access.purpose.strip(), access.reason.strip(), access.case_reference.strip())


def _admit_viewer(person: Identity, access: recording_service_pb2.Access, method: str) -> None:
    if person.is_machine:
        raise PermissionDenied("a service asks for a person", reason="VIEWER_NOT_ALLOWED")
    viewer = matrix().by_certificate(person)
    if access.rights:
        viewer = replace(viewer, grant=replace(viewer.grant, rights=frozenset(access.rights)))
    try:
        matrix().admit(replace(viewer, taken=frozenset(access.rights_taken)), method, through=True)
    except PermissionDenied as error:
        raise PermissionDenied(
            f"this {person.kind} may not: {error.message}",
            reason="VIEWER_NOT_ALLOWED",
            metadata={"method": method, "kind": person.kind},
        ) from error


def _person(caller: Identity, who: str) -> Identity:
    try:
        return Identity.parse(f"spiffe://{caller.trust_domain}/{who}")
    except ValueError:
        raise InvalidArgument(
            "the request cannot be used",
            reason="INVALID_ACCESS",
            violations=[FieldViolation("access.viewer", "must be an identity path, e.g. operator/mrossi")],
        ) from None
