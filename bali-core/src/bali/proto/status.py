"""Errors over gRPC: `google.rpc.Status` with its standard details (AIP-193), and back again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from bali.errors import BaliError, Code, FieldError, error_class

__all__ = ["DETAILS_KEY", "OMITTED_KEY", "error_from_status", "shortened", "status_proto"]

#: The trailing metadata that carries the serialized `google.rpc.Status`.
DETAILS_KEY = "grpc-status-details-bin"

#: In the metadata of `ErrorInfo`: how many field errors had no room.
OMITTED_KEY = "omitted_field_errors"

_NANOS = 1_000_000_000
_MAX_TEXT_BYTES = 2000
_MAX_SECONDS = 10 * 365 * 86400.0
_ELLIPSIS = "..."
#: What the details that have no list in them may take, and what a list costs besides its items.
_ROOM_BYTES = 64


def status_proto(
    error: BaliError, request_id: str, *, domain: str, max_bytes: int | None = None
) -> status_pb2.Status:
    """Return the status of an error; `domain` names the service that the reason belongs to.

    With `max_bytes`, texts are shortened and field errors left out from the end until the status
    is at most that long; the metadata of `ErrorInfo` then tells how many (`OMITTED_KEY`). It never
    raises: what an error holds besides text is written as text.
    """
    longest = _MAX_TEXT_BYTES if max_bytes is None else max(1, max_bytes // 8)
    status = status_pb2.Status(code=int(error.code), message=shortened(error.detail, longest))
    info = error_details_pb2.ErrorInfo(reason=shortened(error.reason, longest), domain=domain)
    others = list(_details(error, request_id, longest))
    spent = status.ByteSize() + info.ByteSize() + sum(_packed_bytes(item) for item in others)
    room = math.inf if max_bytes is None else max_bytes - spent - 2 * _ROOM_BYTES
    for key, value in error.metadata.items():
        name, text = shortened(key, longest), shortened(value, longest)
        room -= len(name.encode()) + len(text.encode()) + _ROOM_BYTES // 4
        if room >= 0:
            info.metadata[name] = text
    bad = _bad_request(error, longest, room)
    omitted = len(error.field_errors) - len(bad.field_violations)
    if omitted:
        info.metadata[OMITTED_KEY] = str(omitted)
    for detail in (info, *([bad] if bad.field_violations else ()), *others):
        status.details.add().Pack(detail)
    return status


def _bad_request(error: BaliError, longest: int, room: float) -> Any:
    bad = error_details_pb2.BadRequest()
    for item in error.field_errors:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=shortened(item.field, longest),
            reason=shortened(item.reason, longest),
            description=shortened(item.description, longest),
        )
        room -= violation.ByteSize() + _ROOM_BYTES // 16
        if room < 0:
            break
        bad.field_violations.append(violation)
    return bad


def _details(error: BaliError, request_id: str, longest: int) -> Iterable[Message]:
    if error.resource_type:
        yield error_details_pb2.ResourceInfo(
            resource_type=shortened(error.resource_type, longest),
            resource_name=shortened(error.resource_name or "", longest),
            description=shortened(error.detail, longest),
        )
    pause = error.retry_after_seconds
    if pause is not None and not math.isnan(pause):
        seconds, rest = divmod(round(min(max(pause, 0.0), _MAX_SECONDS) * _NANOS), _NANOS)
        yield error_details_pb2.RetryInfo(
            retry_delay=duration_pb2.Duration(seconds=seconds, nanos=rest)
        )
    yield error_details_pb2.RequestInfo(request_id=request_id)


def _packed_bytes(message: Message) -> int:
    return message.ByteSize() + _ROOM_BYTES


def shortened(value: Any, max_bytes: int) -> str:
    """Return a value as text that protobuf and gRPC can carry, in at most `max_bytes`.

    A character counts as many bytes as `grpc-message` spends on it, which is percent-encoded;
    three more for the ellipsis that tells of an end that was cut off. Lone surrogates become
    question marks.
    """
    text = str(value).encode("utf-8", "replace").decode()
    spent = 0
    for index, character in enumerate(text):
        plain = " " <= character <= "~" and character != "%"
        spent += 1 if plain else 3 * len(character.encode())
        if spent > max_bytes:
            return text[:index] + _ELLIPSIS
    return text


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
