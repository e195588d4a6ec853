"""Refusals that the server writes itself, before any application sees the request (RFC 9457)."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable

from bali.errors import BaliError

__all__ = [
    "PROBLEM_TYPE",
    "connect_body",
    "problem_body",
    "refusal",
    "request_id_of",
    "speaks_connect",
]

PROBLEM_TYPE = b"application/problem+json"

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the caller's `X-Request-Id` if it is a sane one, else a new id."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return uuid.uuid4().hex


def speaks_connect(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request is one of the Connect protocol, whose errors have their own form."""
    return any(
        name == b"connect-protocol-version"
        or (name == b"content-type" and value.startswith(b"application/proto"))
        for name, value in headers
    )


def connect_body(error: BaliError) -> bytes:
    """Return the JSON body that tells a Connect client of `error`."""
    content = {"code": error.code.name.lower(), "message": error.detail}
    return json.dumps(content, separators=(",", ":")).encode()


def problem_body(error: BaliError, request_id: str) -> bytes:
    """Return the JSON body that tells a client of `error`."""
    content = {
        "type": "about:blank",
        "title": error.title,
        "status": error.http_status,
        "code": error.code.name,
        "reason": error.reason,
        "detail": error.detail,
        "request_id": request_id,
    }
    return json.dumps(content, separators=(",", ":")).encode()


def refusal(error: BaliError, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a whole HTTP/1.1 response that tells of `error` and ends the connection.

    It has the form of the protocol that the request's `headers` speak.
    """
    headers = tuple(headers)
    request_id = request_id_of(headers)
    if speaks_connect(headers):
        body, content_type = connect_body(error), b"application/json"
    else:
        body, content_type = problem_body(error, request_id), PROBLEM_TYPE
    head = (
        f"HTTP/1.1 {error.http_status} {error.title}\r\n"
        f"content-type: {content_type.decode()}\r\n"
        f"content-length: {len(body)}\r\n"
        f"x-request-id: {request_id}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
