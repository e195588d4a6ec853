"""Errors over gRPC: `google.rpc.Status` with its standard details (AIP-193), and back again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from bali.errors import BaliError, Code, FieldError, error_class

__all__ = ["DETAILS_KEY", "error_from_status", "status_proto"]

#: The trailing metadata that carries the serialized `google.rpc.Status`.
DETAILS_KEY = "grpc-status-details-bin"

_NANOS = 1_000_000_000
_MAX_DETAIL = 2000


def status_proto(error: BaliError, request_id: str, *, domain: str) -> status_pb2.Status:
    """Return the status of an error; `domain` names the service that the reason belongs to."""
    status = status_pb2.Status(code=int(error.code), message=error.detail[:_MAX_DETAIL])
    for detail in _details(error, request_id, domain):
        status.details.add().Pack(detail)
    return status


def _details(error: BaliError, request_id: str, domain: str) -> Iterable[Message]:
    yield error_details_pb2.ErrorInfo(reason=error.reason, domain=domain, metadata=error.metadata)
    if error.field_errors:
        yield error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(
                    field=item.field, reason=item.reason, description=item.description
                )
                for item in error.field_errors
            ]
        )
    if error.resource_type:
        yield error_details_pb2.ResourceInfo(
            resource_type=error.resource_type,
            resource_name=error.resource_name or "",
            description=error.detail[:_MAX_DETAIL],
        )
    if error.retry_after_seconds is not None:
        seconds, rest = divmod(round(error.retry_after_seconds * _NANOS), _NANOS)
        yield error_details_pb2.RetryInfo(
            retry_delay=duration_pb2.Duration(seconds=seconds, nanos=rest)
        )
    yield error_details_pb2.RequestInfo(request_id=request_id)


def error_from_status(
    code: Code | int, message: str, details: bytes | Iterable[tuple[str, bytes]] | None = None
) -> BaliError:
    """Return the error that a status tells of, of the same class as on the server.

    `details` are the bytes of `grpc-status-details-bin`, or (type name, bytes) pairs as Connect
    has them. Details that cannot be read are passed over.
    """
    found: dict[str, Message] = {}
    for type_name, value in _pairs(details):
        kind = _KINDS.get(type_name.rpartition("/")[2])
        if kind is not None:
            try:
                found[kind.DESCRIPTOR.name] = kind.FromString(value)
            except DecodeError:
                continue
    return _assembled(code, message, found)


def _pairs(details: bytes | Iterable[tuple[str, bytes]] | None) -> Iterable[tuple[str, bytes]]:
    if details is None:
        return ()
    if not isinstance(details, bytes):
        return details
    try:
        status = status_pb2.Status.FromString(details)
    except DecodeError:
        return ()
    items: Iterable[any_pb2.Any] = status.details
    return [(item.type_url, item.value) for item in items]


def _assembled(code: Code | int, message: str, found: Mapping[str, Any]) -> BaliError:
    info, bad = found.get("ErrorInfo"), found.get("BadRequest")
    resource, retry = found.get("ResourceInfo"), found.get("RetryInfo")
    reason = info.reason if info else None
    kind = error_class(code, reason)
    delay = retry.retry_delay if retry else None
    return kind(
        message,
        reason=reason,
        field_errors=[
            FieldError(field=item.field, reason=item.reason, description=item.description)
            for item in (bad.field_violations if bad else ())
        ],
        metadata=dict(info.metadata) if info else None,
        retry_after_seconds=delay.seconds + delay.nanos / _NANOS if delay else None,
        resource_type=resource.resource_type if resource else None,
        resource_name=resource.resource_name if resource else None,
    )


_KINDS: Mapping[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.ResourceInfo,
        error_details_pb2.RetryInfo,
        error_details_pb2.RequestInfo,
    )
}
