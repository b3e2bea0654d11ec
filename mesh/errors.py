"""The errors of the mesh, split by blame: the caller's, ours, and the surroundings'.

Nothing here imports grpc: ``code`` is the *name* of a ``google.rpc.Code``, so pure domain code may raise these errors
and the server turns them into a ``google.rpc.Status`` (see ``mesh.rpc.status``).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class FieldViolation:
    """One wrong field of a request, as in ``google.rpc.BadRequest``.

    Attributes:
        field: path of the field in the request, for example ``"zone.polygon[2].x"``.
        description: what is wrong and what would be right, in one sentence.
    """

    field: str
    description: str


class ArgoError(Exception):
    """An error that may be told to the caller.

    Args:
        message: one sentence for a developer; never holds a secret, a pixel or a person.
        reason: constant UPPER_SNAKE_CASE name of the cause, at most 63 characters (AIP-193).
        metadata: camelCase keys; every variable part of the message (AIP-193).
        violations: the wrong fields of the request, when it is the request that is wrong.
        retry_after: seconds after which the caller may try again, when we know.
    """

    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        metadata: Mapping[str, str] = _NOTHING,
        violations: Sequence[FieldViolation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata)
        self.violations = tuple(violations)
        self.retry_after = retry_after


class InvalidArgument(ArgoError):
    """The request is wrong in itself, whatever the state of the system."""

    code = "INVALID_ARGUMENT"


class OutOfRange(ArgoError):
    """The request points past what exists, for example a resume token that is too old."""

    code = "OUT_OF_RANGE"


class NotFound(ArgoError):
    """The named resource does not exist, or the caller may not know that it does."""

    code = "NOT_FOUND"


class AlreadyExists(ArgoError):
    """A resource with that name exists."""

    code = "ALREADY_EXISTS"


class FailedPrecondition(ArgoError):
    """The system is not in the state that the call needs; trying again alone does not help."""

    code = "FAILED_PRECONDITION"


class Aborted(ArgoError):
    """Somebody else changed the resource meanwhile: read it again, then try again."""

    code = "ABORTED"


class Unauthenticated(ArgoError):
    """The caller has no valid identity."""

    code = "UNAUTHENTICATED"


class PermissionDenied(ArgoError):
    """The caller's identity may not do this."""

    code = "PERMISSION_DENIED"


class ResourceExhausted(ArgoError):
    """A quota, a buffer or a disk is full."""

    code = "RESOURCE_EXHAUSTED"


class DeadlineExceeded(ArgoError):
    """The call took longer than it may."""

    code = "DEADLINE_EXCEEDED"


class Unavailable(ArgoError):
    """Something that the call needs does not answer now; trying again later may help."""

    code = "UNAVAILABLE"


class StartupError(Exception):
    """The process cannot start, and a person can put it right.

    Args:
        problem: what is wrong, in one line.
        remedy: what to do about it, in one line.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}: {remedy}")
        self.problem = problem
        self.remedy = remedy


ERRORS: Mapping[str, type[ArgoError]] = MappingProxyType({error.code: error for error in ArgoError.__subclasses__()})
"""Every kind of error by its code name, to turn an answer of a peer back into an exception."""
