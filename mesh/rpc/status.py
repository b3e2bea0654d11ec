"""Errors on the wire: ``mesh.errors`` to ``google.rpc.Status`` and back (AIP-193)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from mesh.errors import ERRORS, ArgoError, FieldViolation

if TYPE_CHECKING:
    import grpc

DOMAIN = "argo"


def to_status(error: ArgoError) -> status_pb2.Status:
    """Exactly one ErrorInfo, then BadRequest and RetryInfo where the error has violations or a time to try again."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    details: list[any_pb2.Any] = [_pack(info)]
    if error.violations:
        details.append(
            _pack(
                error_details_pb2.BadRequest(
                    field_violations=[
                        error_details_pb2.BadRequest.FieldViolation(field=wrong.field, description=wrong.description)
                        for wrong in error.violations
                    ]
                )
            )
        )
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status_pb2.Status(code=code_pb2.Code.Value(error.code), message=error.message, details=details)


def from_rpc_error(error: grpc.aio.AioRpcError) -> ArgoError:
    """The error that a peer answered with, or that the road to it made.

    A code that ``mesh.errors`` does not know (INTERNAL, UNKNOWN, UNIMPLEMENTED, CANCELLED, DATA_LOSS) gives a plain
    ArgoError.
    """
    kind = ERRORS.get(error.code().name, ArgoError)
    message = error.details() or error.code().name
    reason, metadata, violations = f"PEER_{error.code().name}", {}, []
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad_request):
            violations = [FieldViolation(wrong.field, wrong.description) for wrong in bad_request.field_violations]
    return kind(message, reason=reason, metadata=metadata, violations=violations)


def _pack(
    message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
