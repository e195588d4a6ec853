"""Every error a caller of a service can meet, once, for all protocols.

gRPC's canonical codes are the inner truth (https://grpc.io/docs/guides/status-codes/); the HTTP
status is derived from the code by one table. Raise the class whose meaning fits; the adapter of
each protocol turns it into that protocol's bytes. Anything that is not a `BaliError` reaches the
caller as `Internal` with fixed text and a request id, and its trace goes to the log only.

```
BaliError
├── Cancelled             the caller went away
├── Unknown               a peer's error that names no better code
├── InvalidArgument       the request is wrong whatever the state of the system
│   ├── ValidationFailed  ... and these fields are why (HTTP 422)
│   └── UnsupportedMedia  ... since its encoding or type is not understood (HTTP 415)
├── DeadlineExceeded      the time allowed has passed
├── NotFound              no such resource, or none the caller may know of
│   └── UnknownRoute      no such operation (HTTP 404)
├── AlreadyExists         a resource with this key exists
├── PermissionDenied      known caller, forbidden operation
├── ResourceExhausted     a quota or a limit of the caller
│   └── TooLarge          ... of the size of one request (HTTP 413)
├── FailedPrecondition    the state of the system forbids it; retrying does not help
├── Aborted               a concurrent change won; retry the whole read-modify-write
│   └── EtagMismatch      ... since the caller read it (HTTP 412)
├── OutOfRange            past the end
├── Unimplemented         the operation does not exist here
│   └── MethodNotAllowed  ... with this HTTP method (HTTP 405)
├── Internal              a bug of the service
├── Unavailable           transient: retry after a pause
├── DataLoss              data is gone or corrupt
└── Unauthenticated       no or bad credentials
    └── InvalidToken      ... a bearer token that is not accepted

ConfigurationError        a mistake of the service's author, refused at start; never on a wire
```
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from typing import Any, ClassVar

__all__ = [
    "HTTP_STATUS",
    "Aborted",
    "AlreadyExists",
    "BaliError",
    "Cancelled",
    "Code",
    "ConfigurationError",
    "DataLoss",
    "DeadlineExceeded",
    "EtagMismatch",
    "FailedPrecondition",
    "FieldError",
    "Internal",
    "InvalidArgument",
    "InvalidToken",
    "MethodNotAllowed",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "UnknownRoute",
    "UnsupportedMedia",
    "ValidationFailed",
    "error_class",
    "problem_members",
]


class Code(IntEnum):
    """gRPC's canonical status codes, with their numbers (google/rpc/code.proto)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


#: The HTTP status of each code, as in google/rpc/code.proto.
HTTP_STATUS: Mapping[Code, int] = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}


#: Phrases that Python does not have, or has by their former names before 3.13 (RFC 9110).
_PHRASES: Mapping[int, str] = {
    413: "Content Too Large",
    422: "Unprocessable Content",
    499: "Client Closed Request",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One field of a request that is wrong.

    `field` is the path as the caller wrote it (`"address.lines[1]"`), relative to the resource for
    the fields of a body; `reason` is a stable UPPER_SNAKE word; `description` is for people.
    """

    field: str
    reason: str
    description: str


class BaliError(Exception):
    """An error that was raised on purpose and may be shown to the caller.

    `detail` is one sentence for people, `reason` a stable UPPER_SNAKE word for programs (default:
    the class's), `field_errors` the fields at fault, `metadata` further strings for programs,
    `retry_after_seconds` when trying again may help, `resource_type` and `resource_name` what the
    error is about. Shapes on the wire: AIP-193 and RFC 9457.
    """

    code: ClassVar[Code] = Code.UNKNOWN
    default_reason: ClassVar[str] = "UNKNOWN"
    default_detail: ClassVar[str] = "Unknown error"
    #: Overrides the status that `HTTP_STATUS` gives for the code.
    status_override: ClassVar[int | None] = None

    def __init__(
        self,
        detail: str | None = None,
        *,
        reason: str | None = None,
        field_errors: Iterable[FieldError] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after_seconds: float | None = None,
        resource_type: str | None = None,
        resource_name: str | None = None,
    ) -> None:
        self.detail = detail if detail is not None else self.default_detail
        self.reason = reason or self.default_reason
        self.field_errors = tuple(field_errors)
        self.metadata = dict(metadata or {})
        self.retry_after_seconds = retry_after_seconds
        self.resource_type = resource_type
        self.resource_name = resource_name
        super().__init__(self.detail)

    @property
    def http_status(self) -> int:
        """The HTTP status code of this error."""
        return self.status_override or HTTP_STATUS[self.code]

    @property
    def title(self) -> str:
        """The standard phrase of the HTTP status (RFC 9457 section 3.1.4)."""
        return _PHRASES.get(self.http_status) or HTTPStatus(self.http_status).phrase


class Cancelled(BaliError):
    """The caller gave up before the answer was ready."""

    code = Code.CANCELLED
    default_reason = "CANCELLED"
    default_detail = "The call was cancelled by its caller"


class Unknown(BaliError):
    """A peer answered with an error that has no better code here."""


class InvalidArgument(BaliError):
    """The request is wrong, whatever the state of the system."""

    code = Code.INVALID_ARGUMENT
    default_reason = "INVALID_ARGUMENT"
    default_detail = "The request is not valid"


class ValidationFailed(InvalidArgument):
    """Fields of the request are missing or wrong; `field_errors` names each."""

    default_reason = "VALIDATION_FAILED"
    default_detail = "The request has fields that are missing or wrong"
    status_override = 422


class UnsupportedMedia(InvalidArgument):
    """The content type or content encoding of the request is not understood."""

    default_reason = "UNSUPPORTED_MEDIA_TYPE"
    default_detail = "The content type of the request is not supported"
    status_override = 415


class DeadlineExceeded(BaliError):
    """The time the caller allowed has passed."""

    code = Code.DEADLINE_EXCEEDED
    default_reason = "DEADLINE_EXCEEDED"
    default_detail = "The deadline of the call has passed"


class NotFound(BaliError):
    """There is no such resource, or none that the caller may know of."""

    code = Code.NOT_FOUND
    default_reason = "NOT_FOUND"
    default_detail = "The resource does not exist"


class UnknownRoute(NotFound):
    """There is no operation at this address."""

    default_reason = "UNKNOWN_ROUTE"
    default_detail = "There is nothing at this address"


class AlreadyExists(BaliError):
    """A resource with this key exists already."""

    code = Code.ALREADY_EXISTS
    default_reason = "ALREADY_EXISTS"
    default_detail = "A resource with these values exists already"


class PermissionDenied(BaliError):
    """The caller is known and may not do this."""

    code = Code.PERMISSION_DENIED
    default_reason = "PERMISSION_DENIED"
    default_detail = "The caller is not allowed to do this"


class ResourceExhausted(BaliError):
    """A quota or limit of the caller is used up."""

    code = Code.RESOURCE_EXHAUSTED
    default_reason = "RESOURCE_EXHAUSTED"
    default_detail = "A limit has been reached"


class TooLarge(ResourceExhausted):
    """One request, or one part of it, is larger than allowed."""

    default_reason = "REQUEST_TOO_LARGE"
    default_detail = "The request is too large"
    status_override = 413


class FailedPrecondition(BaliError):
    """The state of the system forbids the operation; trying again does not help."""

    code = Code.FAILED_PRECONDITION
    default_reason = "FAILED_PRECONDITION"
    default_detail = "The system is not in a state that allows this"


class Aborted(BaliError):
    """A concurrent change won; read again and repeat the whole operation."""

    code = Code.ABORTED
    default_reason = "ABORTED"
    default_detail = "A concurrent change got in the way; read again and retry"


class EtagMismatch(Aborted):
    """The resource is no longer what the caller has seen (AIP-154, RFC 9110 section 13.1.1)."""

    default_reason = "ETAG_MISMATCH"
    default_detail = "It has changed since it was read; read again and retry"
    status_override = 412


class OutOfRange(BaliError):
    """The operation went past the end of what there is."""

    code = Code.OUT_OF_RANGE
    default_reason = "OUT_OF_RANGE"
    default_detail = "The value is out of range"


class Unimplemented(BaliError):
    """The operation does not exist in this service."""

    code = Code.UNIMPLEMENTED
    default_reason = "UNIMPLEMENTED"
    default_detail = "The operation is not implemented"


class MethodNotAllowed(Unimplemented):
    """The address exists, but not with this HTTP method."""

    default_reason = "METHOD_NOT_ALLOWED"
    default_detail = "The HTTP method is not allowed at this address"
    status_override = 405


class Internal(BaliError):
    """A bug of the service. The caller learns a request id and nothing else."""

    code = Code.INTERNAL
    default_reason = "INTERNAL"
    default_detail = "An internal error occurred; quote the request id to have it looked up"


class Unavailable(BaliError):
    """The service cannot answer now; the same call may succeed after a pause."""

    code = Code.UNAVAILABLE
    default_reason = "UNAVAILABLE"
    default_detail = "The service is temporarily unable to answer"


class DataLoss(BaliError):
    """Data is lost or corrupt beyond repair."""

    code = Code.DATA_LOSS
    default_reason = "DATA_LOSS"
    default_detail = "Data is lost or corrupt"


class Unauthenticated(BaliError):
    """The call carries no credentials, or none that are accepted."""

    code = Code.UNAUTHENTICATED
    default_reason = "UNAUTHENTICATED"
    default_detail = "The call needs valid credentials"


class InvalidToken(Unauthenticated):
    """The call carries a bearer token that is not accepted (RFC 6750 section 3.1)."""

    default_reason = "TOKEN_INVALID"
    default_detail = "The token is not accepted"


class ConfigurationError(Exception):
    """The author of the service made a mistake; the service refuses to start.

    The message names what is wrong, where it is, and what would be right.
    """


_CLASSES: Mapping[Code, type[BaliError]] = {
    cls.code: cls
    for cls in (
        Cancelled,
        Unknown,
        InvalidArgument,
        DeadlineExceeded,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        ResourceExhausted,
        FailedPrecondition,
        Aborted,
        OutOfRange,
        Unimplemented,
        Internal,
        Unavailable,
        DataLoss,
        Unauthenticated,
    )
}


def error_class(code: Code | int, reason: str | None = None) -> type[BaliError]:
    """Return the class that stands for a code, the more special one that a reason tells of.

    `Unknown` stands for a number without a code.
    """
    try:
        found = _CLASSES[Code(code)]
    except (KeyError, ValueError):
        return Unknown
    special = (kind for kind in found.__subclasses__() if kind.default_reason == reason)
    return next(special, found)


def problem_members(error: BaliError, request_id: str) -> dict[str, Any]:
    """Return the members of the problem document that tells of an error (RFC 9457)."""
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.http_status,
        "code": error.code.name,
        "reason": error.reason,
        "detail": error.detail,
    }
    if error.field_errors:
        members["errors"] = [
            {"field": item.field, "reason": item.reason, "description": item.description}
            for item in error.field_errors
        ]
    members["request_id"] = request_id
    return members
