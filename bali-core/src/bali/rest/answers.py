"""Responses whose bytes are ready, and responses that stream."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response

__all__ = ["JSON_TYPE", "WireResponse"]

JSON_TYPE = b"application/json"
_BODILESS = frozenset({204, 304})


class WireResponse(Response):
    """A response made of bytes and raw headers; the content length is added.

    Starlette's own constructor encodes content and headers; here both are encoded already.
    """

    def __init__(
        self, status_code: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        self.status_code = status_code
        self.background = None
        self.body = body
        self.raw_headers = list(headers)
        if status_code not in _BODILESS:
            self.raw_headers.append((b"content-length", str(len(body)).encode("ascii")))
