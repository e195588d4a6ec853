"""Errors as `application/problem+json` (RFC 9457), the one shape that every error has over REST."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bali.errors import (
    HTTP_STATUS,
    BaliError,
    Code,
    FieldError,
    Internal,
    InvalidToken,
    MethodNotAllowed,
    TooLarge,
    UnknownRoute,
    UnsupportedMedia,
    ValidationFailed,
    error_class,
    problem_members,
)
from bali.rest.answers import WireResponse
from bali.rest.headers import RawHeaders, request_id_of, retry_after
from bali.rest.table import allowed_methods

__all__ = ["PROBLEM_TYPE", "install_errors", "problem"]

PROBLEM_TYPE = "application/problem+json"

_log = logging.getLogger("bali.rest")
_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500
_REASONS = {"missing": "REQUIRED", "extra_forbidden": "UNKNOWN_FIELD"}
#: What an HTTP status that a FastAPI user raised means, where the codes' own table is ambiguous.
_BY_STATUS: Mapping[int, type[BaliError]] = {
    405: MethodNotAllowed,
    413: TooLarge,
    415: UnsupportedMedia,
    422: ValidationFailed,
    **{
        HTTP_STATUS[code]: error_class(code)
        for code in (
            Code.INVALID_ARGUMENT,
            Code.UNAUTHENTICATED,
            Code.PERMISSION_DENIED,
            Code.NOT_FOUND,
            Code.ABORTED,
            Code.RESOURCE_EXHAUSTED,
            Code.CANCELLED,
            Code.INTERNAL,
            Code.UNIMPLEMENTED,
            Code.UNAVAILABLE,
            Code.DEADLINE_EXCEEDED,
        )
    },
}


def problem(error: BaliError, request_id: str, *, headers: RawHeaders | None = None) -> Response:
    """Return the response that tells a caller of `error`; `headers` are sent along."""
    return _response(problem_members(error, request_id), [*_headers_of(error), *(headers or ())])


def install_errors(app: FastAPI) -> None:
    """Make every error of an app a problem document, those of plain FastAPI routes included.

    A handler that the user adds for a class of error takes precedence.
    """
    handlers: dict[type[Exception], Any] = {
        BaliError: _on_bali_error,
        HTTPException: _on_http_exception,
        RequestValidationError: _on_invalid_request,
        Exception: _on_unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def is_left_to_user(scope: Mapping[str, Any], error: BaliError) -> bool:
    """Tell whether the app has a handler for this error that is not `install_errors`'s."""
    handlers = getattr(scope.get("app"), "exception_handlers", None)
    if not handlers:
        return False
    for cls in type(error).__mro__:
        if cls is Exception:
            return False
        handler = handlers.get(cls)
        if handler is not None:
            return handler is not _on_bali_error
    return False


def dumps(content: Any) -> bytes:
    """Return JSON without a line break, for text that may hold any character."""
    return json.dumps(content, separators=(",", ":"), default=str).encode("ascii")


async def _on_bali_error(request: Request, error: BaliError) -> Response:
    return problem(error, request_id_of(request.scope))


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    scope, status = request.scope, error.status_code
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in (error.headers or {}).items()
    ]
    if status < _FIRST_ERROR:
        return WireResponse(status, b"", headers)
    kind = _kind_of(status)
    if status == HTTP_STATUS[Code.NOT_FOUND] and "endpoint" not in scope:
        kind = UnknownRoute
    if kind is MethodNotAllowed:
        methods = sorted(allowed_methods(scope))
        if methods:
            headers = [item for item in headers if item[0] != b"allow"]
            headers.append((b"allow", ", ".join(methods).encode("ascii")))
    given: Any = error.detail
    own = kind(None if given in (None, "", _phrase(status)) else str(given))
    content = problem_members(own, request_id_of(scope))
    if own.http_status != status:
        content.update(title=_phrase(status), status=status)
    if given and not isinstance(given, str):
        # FastAPI's users may send any JSON; it stays where their callers look for it.
        content["detail"] = given
    missing = [item for item in _headers_of(own) if item[0] not in {name for name, _ in headers}]
    return _response(content, [*headers, *missing])


async def _on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    errors = [
        FieldError(
            field=_path(item["loc"][1:]),
            reason=_REASONS.get(item["type"], str(item["type"]).upper()),
            description=item["msg"],
        )
        for item in error.errors()
    ]
    return problem(ValidationFailed(field_errors=errors), request_id_of(request.scope))


async def _on_unexpected(request: Request, error: Exception) -> Response:
    request_id = request_id_of(request.scope)
    log_unexpected(f"{request.method} {request.scope.get('path')}", request_id, error)
    return problem(Internal(), request_id)


def log_unexpected(where: str, request_id: str, error: BaseException) -> None:
    """Log what the caller is not told."""
    _log.error(
        "unexpected exception in %s, request id %s",
        where,
        request_id,
        exc_info=error,
        extra={"request_id": request_id},
    )


def _kind_of(status: int) -> type[BaliError]:
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    code = Code.INTERNAL if status >= _FIRST_SERVER_ERROR else Code.INVALID_ARGUMENT
    return error_class(code)


def _headers_of(error: BaliError) -> RawHeaders:
    headers: RawHeaders = []
    if error.retry_after_seconds is not None:
        headers.append((b"retry-after", retry_after(error.retry_after_seconds)))
    if error.code is Code.UNAUTHENTICATED:
        is_wrong = isinstance(error, InvalidToken)  # RFC 6750 section 3: silent without a token
        headers.append(
            (b"www-authenticate", b'Bearer error="invalid_token"' if is_wrong else b"Bearer")
        )
    return headers


def _response(content: dict[str, Any], headers: RawHeaders) -> Response:
    own = [
        (b"content-type", PROBLEM_TYPE.encode("ascii")),
        (b"x-request-id", content["request_id"].encode("latin-1", "replace")),
    ]
    return WireResponse(content["status"], dumps(content), [*own, *headers])


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _path(location: Sequence[Any]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f"{'.' if path else ''}{part}"
    return path
