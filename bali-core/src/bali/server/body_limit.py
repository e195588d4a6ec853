"""HTTP request bodies: bounded in size, and decompressed within the same bound.

This is ASGI middleware, so that the bound holds under any ASGI server and in tests. The body is
decompressed as the application reads it, at most 64 KiB at a time; what is held in memory is what
the application has collected, never more than the limit, however small the bomb on the wire was.
Times and rates are kept by the server's protocol (`bali.server.http_protocol`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial

from bali.errors import BaliError, InvalidArgument, TooLarge, UnsupportedMedia
from bali.server.disconnect import ASGIApp, Message, Receive, Scope, Send
from bali.server.options import Limits
from bali.server.problems import (
    PROBLEM_TYPE,
    connect_body,
    problem_body,
    request_id_of,
    speaks_connect,
)

__all__ = ["BodyLimit"]

_CHUNK_BYTES = 64 * 1024
#: A gzip body may consist of several members (RFC 1952 section 2.2); each costs time to set up.
_MAX_MEMBERS = 64
_ZLIB_HEAD_BYTES = 2
_ENCODINGS = b"gzip, deflate"

#: Returns how a client is told of an error: the content and its type.
Tell = Callable[[BaliError], tuple[bytes, bytes]]


class BodyLimit:
    """ASGI middleware that refuses a request body of more than `max_body_bytes` with 413.

    Bodies sent with `Content-Encoding: gzip` or `deflate` are decompressed: the application sees
    the plain body, without the headers `Content-Encoding` and `Content-Length`. Another encoding is
    refused with 415, a damaged body with 400. A refusal is sent by this object; the application's
    `receive` raises the same error to end its work, and nothing that it still sends goes out.

    For one route that takes more, raise this limit and give every other route FastAPI's own
    `max_body_size`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int = Limits().max_body_bytes,
        request_id: Callable[[Scope], str] | None = None,
    ) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self._request_id = request_id or (lambda scope: request_id_of(scope["headers"]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request within the limit."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length, encodings = _body_headers(scope)
        body = _Body(receive, send, partial(self._told, dict(scope)), self.max_body_bytes)
        try:
            if length is not None:
                await body.announce(length)
            if encodings:
                body.decoder = await self._decoder(encodings, body)
                scope = _plain_scope(scope)
            await self.app(scope, body.receive, body.send)
        except Exception:
            if not body.refused:
                raise

    def _told(self, scope: Scope, error: BaliError) -> tuple[bytes, bytes]:
        """Return how a client is told of an error: the content and its type."""
        if speaks_connect(scope["headers"]):
            return connect_body(error), b"application/json"
        return problem_body(error, self._request_id(scope)), PROBLEM_TYPE

    async def _decoder(self, encodings: list[bytes], body: _Body) -> _Decoder:
        if len(encodings) == 1 and encodings[0] in (b"gzip", b"x-gzip"):
            return _Decoder(deflate=False)
        if encodings == [b"deflate"]:
            return _Decoder(deflate=True)
        named = b", ".join(encodings).decode("latin-1")
        raise await body.refuse(
            UnsupportedMedia(
                f"The content encoding {named!r} is not supported; use gzip, deflate or none",
                reason="UNSUPPORTED_CONTENT_ENCODING",
            )
        )


class _Body:
    """The body of one request on its way to the application."""

    __slots__ = (
        "_count",
        "_ended",
        "_limit",
        "_receive",
        "_send",
        "_started",
        "_tell",
        "_wire_count",
        "_wire_ended",
        "decoder",
        "refused",
    )

    def __init__(self, receive: Receive, send: Send, tell: Tell, limit: int) -> None:
        self._receive = receive
        self._send = send
        self._tell = tell
        self._limit = limit
        self._count = 0
        self._wire_count = 0
        self._wire_ended = False
        self._ended = False
        self._started = False
        self.decoder: _Decoder | None = None
        self.refused = False

    async def announce(self, length: int) -> None:
        """Take the length that the client names; refuse it before a byte is read."""
        if length > self._limit:
            raise await self.refuse(_too_large(self._limit))

    async def receive(self) -> Message:
        if self.decoder is None or self._ended:
            message = await self._receive()
        else:
            message = await self._decoded(self.decoder)
        if message["type"] == "http.request":
            self._count += len(message.get("body", b""))
            if self._count > self._limit:
                raise await self.refuse(_too_large(self._limit))
        return message

    async def _decoded(self, decoder: _Decoder) -> Message:
        try:
            while not (data := decoder.read(_CHUNK_BYTES)) and not self._wire_ended:
                message = await self._receive()
                if message["type"] != "http.request":
                    return message
                self._wire_ended = not message.get("more_body", False)
                self._wire_count += len(message.get("body", b""))
                if self._wire_count > self._limit:
                    raise await self.refuse(_too_large(self._limit))
                decoder.feed(message.get("body", b""))
            if not data:
                decoder.finish()
        except zlib.error as error:
            raise await self.refuse(
                InvalidArgument(
                    f"The body is not what its content encoding says: {error}",
                    reason="MALFORMED_BODY",
                )
            ) from error
        self._ended = not data
        return {"type": "http.request", "body": data, "more_body": not self._ended}

    async def send(self, message: Message) -> None:
        if self.refused:
            return
        self._started = True
        await self._send(message)

    async def refuse(self, error: BaliError) -> BaliError:
        """Answer with `error`, if nothing was answered yet, and return it to be raised."""
        if self._started or self.refused:
            return error
        self.refused = True
        content, media_type = self._tell(error)
        headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(content))]
        if isinstance(error, UnsupportedMedia):
            headers.append((b"accept-encoding", _ENCODINGS))
        start = {"type": "http.response.start", "status": error.http_status, "headers": headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": content})
        return error


class _Decoder:
    """Decompression in steps of bounded output."""

    __slots__ = ("_deflate", "_held", "_input", "_members", "_stream")

    def __init__(self, *, deflate: bool) -> None:
        self._deflate = deflate
        self._input = b""
        #: zlib may have taken all input and still hold output that did not fit.
        self._held = False
        self._stream: zlib._Decompress | None = None
        self._members = 0

    def feed(self, data: bytes) -> None:
        self._input += data

    def read(self, max_bytes: int) -> bytes:
        """Return the next plain bytes; none if more input is needed."""
        while self._input or self._held:
            stream = self._stream
            if stream is None:
                if self._deflate and len(self._input) < _ZLIB_HEAD_BYTES:
                    return b""
                stream = self._stream = self._next_member()
            data = stream.decompress(self._input, max_bytes)
            self._input = stream.unused_data if stream.eof else stream.unconsumed_tail
            self._held = not stream.eof and len(data) == max_bytes
            if stream.eof:
                self._stream = None
            if data:
                return data
        return b""

    def _next_member(self) -> zlib._Decompress:
        self._members += 1
        if self._members > (1 if self._deflate else _MAX_MEMBERS):
            raise zlib.error("there is more after its end")
        if not self._deflate:
            return zlib.decompressobj(wbits=31)
        # RFC 9110 section 8.4.1.2: "deflate" is the zlib format, but some send it bare.
        head = int.from_bytes(self._input[:_ZLIB_HEAD_BYTES], "big")
        is_zlib = (head >> 8) & 0x0F == zlib.DEFLATED and head % 31 == 0
        return zlib.decompressobj(wbits=15 if is_zlib else -15)

    def finish(self) -> None:
        """Check that the body ended where its encoding ends."""
        if self._stream is not None or self._input:
            raise zlib.error("it ends too early")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is larger than the {limit} bytes allowed")


def _body_headers(scope: Scope) -> tuple[int | None, list[bytes]]:
    length: int | None = None
    encodings: list[bytes] = []
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"content-encoding":
            encodings += [part.strip().lower() for part in value.split(b",")]
    return length, [encoding for encoding in encodings if encoding not in (b"", b"identity")]


def _plain_scope(scope: Scope) -> Scope:
    dropped = (b"content-encoding", b"content-length")
    headers = [(name, value) for name, value in scope["headers"] if name not in dropped]
    return {**scope, "headers": headers}
