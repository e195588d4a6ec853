"""The tree of errors, row by row."""

from __future__ import annotations

import copy
import pickle

import pytest

from bali import errors
from bali.errors import (
    HTTP_STATUS,
    BaliError,
    Code,
    ConfigurationError,
    FieldError,
    InvalidArgument,
    NotFound,
    Unknown,
    error_class,
)

#: class name, its parent, gRPC's code, HTTP status, reason, title
ROWS = [
    ("Cancelled", "BaliError", 1, 499, "CANCELLED", "Client Closed Request"),
    ("Unknown", "BaliError", 2, 500, "UNKNOWN", "Internal Server Error"),
    ("InvalidArgument", "BaliError", 3, 400, "INVALID_ARGUMENT", "Bad Request"),
    ("ValidationFailed", "InvalidArgument", 3, 422, "VALIDATION_FAILED", "Unprocessable Content"),
    (
        "UnsupportedMedia",
        "InvalidArgument",
        3,
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        "Unsupported Media Type",
    ),
    ("DeadlineExceeded", "BaliError", 4, 504, "DEADLINE_EXCEEDED", "Gateway Timeout"),
    ("NotFound", "BaliError", 5, 404, "NOT_FOUND", "Not Found"),
    ("UnknownRoute", "NotFound", 5, 404, "UNKNOWN_ROUTE", "Not Found"),
    ("AlreadyExists", "BaliError", 6, 409, "ALREADY_EXISTS", "Conflict"),
    ("PermissionDenied", "BaliError", 7, 403, "PERMISSION_DENIED", "Forbidden"),
    ("ResourceExhausted", "BaliError", 8, 429, "RESOURCE_EXHAUSTED", "Too Many Requests"),
    ("TooLarge", "ResourceExhausted", 8, 413, "REQUEST_TOO_LARGE", "Content Too Large"),
    ("FailedPrecondition", "BaliError", 9, 400, "FAILED_PRECONDITION", "Bad Request"),
    ("Aborted", "BaliError", 10, 409, "ABORTED", "Conflict"),
    ("EtagMismatch", "Aborted", 10, 412, "ETAG_MISMATCH", "Precondition Failed"),
    ("OutOfRange", "BaliError", 11, 400, "OUT_OF_RANGE", "Bad Request"),
    ("Unimplemented", "BaliError", 12, 501, "UNIMPLEMENTED", "Not Implemented"),
    ("MethodNotAllowed", "Unimplemented", 12, 405, "METHOD_NOT_ALLOWED", "Method Not Allowed"),
    ("Internal", "BaliError", 13, 500, "INTERNAL", "Internal Server Error"),
    ("Unavailable", "BaliError", 14, 503, "UNAVAILABLE", "Service Unavailable"),
    ("DataLoss", "BaliError", 15, 500, "DATA_LOSS", "Internal Server Error"),
    ("Unauthenticated", "BaliError", 16, 401, "UNAUTHENTICATED", "Unauthorized"),
    ("InvalidToken", "Unauthenticated", 16, 401, "TOKEN_INVALID", "Unauthorized"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_row_of_the_tree(row: tuple[str, str, int, int, str, str]) -> None:
    name, parent, number, status, reason, title = row
    cls: type[BaliError] = getattr(errors, name)
    error = cls()
    assert cls.__bases__ == (getattr(errors, parent),)
    assert (int(error.code), error.http_status) == (number, status)
    assert (error.reason, error.title) == (reason, title)
    assert error.detail == cls.default_detail == str(error)
    assert error.detail
    assert name in (errors.__doc__ or "")


def test_every_error_has_a_row() -> None:
    public = {name for name in errors.__all__ if name[0].isupper() and not name.isupper()}
    rows = {name for name, *_ in ROWS}
    assert public - rows == {"BaliError", "Code", "ConfigurationError", "FieldError"}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("OK", 200),
        ("CANCELLED", 499),
        ("UNKNOWN", 500),
        ("INVALID_ARGUMENT", 400),
        ("DEADLINE_EXCEEDED", 504),
        ("NOT_FOUND", 404),
        ("ALREADY_EXISTS", 409),
        ("PERMISSION_DENIED", 403),
        ("RESOURCE_EXHAUSTED", 429),
        ("FAILED_PRECONDITION", 400),
        ("ABORTED", 409),
        ("OUT_OF_RANGE", 400),
        ("UNIMPLEMENTED", 501),
        ("INTERNAL", 500),
        ("UNAVAILABLE", 503),
        ("DATA_LOSS", 500),
        ("UNAUTHENTICATED", 401),
    ],
)
def test_http_status_of_each_code(code: str, status: int) -> None:
    assert HTTP_STATUS[Code[code]] == status


def test_every_code_has_a_status() -> None:
    assert set(HTTP_STATUS) == set(Code)
    assert [int(code) for code in Code] == list(range(17))


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_class_of_each_code_has_that_code(code: Code) -> None:
    assert error_class(code).code is code
    assert error_class(int(code)) is error_class(code)
    assert BaliError in error_class(code).__bases__


@pytest.mark.parametrize("code", [0, 17, -1])
def test_a_number_without_a_class_is_unknown(code: int) -> None:
    assert error_class(code) is Unknown


def test_an_error_carries_what_it_was_given() -> None:
    fields = [FieldError(field="name", reason="REQUIRED", description="is missing")]
    error = NotFound(
        "No such user",
        reason="NO_USER",
        field_errors=iter(fields),
        metadata={"shard": "7"},
        retry_after_seconds=1.5,
        resource_type="user",
        resource_name="42",
    )
    assert (error.detail, error.reason, str(error)) == ("No such user", "NO_USER", "No such user")
    assert error.field_errors == tuple(fields)
    assert error.metadata == {"shard": "7"}
    assert error.retry_after_seconds == 1.5
    assert (error.resource_type, error.resource_name) == ("user", "42")


def test_an_empty_detail_is_kept() -> None:
    assert InvalidArgument("").detail == ""


def test_errors_do_not_share_metadata() -> None:
    given = {"a": "1"}
    error = NotFound(metadata=given)
    given["a"] = "2"
    assert error.metadata == {"a": "1"}
    assert NotFound().metadata is not NotFound().metadata


@pytest.mark.parametrize("how", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301 - our own bytes
def test_a_copied_error_is_the_same(how: object) -> None:
    error = NotFound("gone", reason="GONE", metadata={"a": "1"}, retry_after_seconds=2)
    again = how(error)  # type: ignore[operator]  # either of the two above
    assert type(again) is NotFound
    assert vars(again) == vars(error)


def test_an_authors_mistake_is_not_for_the_wire() -> None:
    assert not issubclass(ConfigurationError, BaliError)
