"""Streams over HTTP: server-sent events (WHATWG HTML section 9.2) and one JSON document a line.

A failure before the first item is an ordinary problem response. Once something was sent it is the
last item: the event `error` with the problem as data, or the line `{"error": {...}}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import Enum
from typing import Any, Protocol

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bali.rest.disconnect import DisconnectGuard
from bali.rest.headers import RawHeaders

__all__ = ["KEEP_ALIVE_SECONDS", "StreamFormat", "StreamResponse", "format_of"]

#: A stream that is silent for so long sends a comment, so that no proxy takes it for dead.
KEEP_ALIVE_SECONDS = 15.0


class StreamFormat(Enum):
    """The media types of a stream."""

    EVENTS = "text/event-stream"
    NDJSON = "application/x-ndjson"
    JSONL = "application/jsonl"


def format_of(accept: str | None) -> StreamFormat:
    """Return the format that an `Accept` header likes best; events unless it says otherwise."""
    best, best_quality = StreamFormat.EVENTS, 0.0
    for part in (accept or "").split(","):
        media_type, *parameters = (item.strip().lower() for item in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                quality = _quality(parameter[2:])
        name = "application/x-ndjson" if media_type == "application/ndjson" else media_type
        known = next((item for item in StreamFormat if item.value == name), None)
        if known is not None and quality > best_quality:
            best, best_quality = known, quality
    return best


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class Refuse(Protocol):
    """Turns what a stream raised into what its caller is told."""

    def __call__(self, error: Exception, *, is_started: bool) -> tuple[bytes, Response]:
        """Return the problem's JSON, and the response for a stream that sent nothing yet.

        Raises `error` again if it is left to a handler of the app.
        """


class StreamResponse(Response):
    """Sends the items of `source` as they come, all in the task that calls it.

    `encode` turns an item into JSON, `refuse` an exception into the problem's JSON and into the
    response that is sent when nothing was sent before; it raises what it leaves to others.
    `headers` are asked for when the stream starts.
    """

    def __init__(
        self,
        source: AbstractAsyncContextManager[AsyncIterator[BaseModel]],
        encode: Callable[[BaseModel], bytes],
        *,
        stream_format: StreamFormat,
        headers: Callable[[], RawHeaders],
        refuse: Refuse,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self.raw_headers = []
        self._source = source
        self._encode = encode
        self._format = stream_format
        self._head = headers
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the whole stream; return when it is over or the client has gone."""
        writer = _Writer(send, self._format, lambda: [*self._head(), *self.raw_headers])
        with DisconnectGuard(scope, receive):
            try:
                async with _keeping_alive(writer), self._source as items:
                    async for item in items:
                        await writer.item(self._encode(item))
                await writer.end()
            except _ClientGone:
                return
            except Exception as error:  # noqa: BLE001 - everything becomes a problem or is raised
                text, response = self._refuse(error, is_started=writer.is_started)
                if writer.is_started:
                    await writer.fail(text)
                else:
                    await response(scope, receive, send)


class _ClientGone(Exception):
    """The server has nobody to send to."""


class _Writer:
    """Writes one stream; its lock keeps an item and a comment from mixing."""

    def __init__(
        self, send: Send, stream_format: StreamFormat, headers: Callable[[], RawHeaders]
    ) -> None:
        self.is_started = False
        self.is_events = stream_format is StreamFormat.EVENTS
        self.last_sent = asyncio.get_running_loop().time()
        self._send = send
        self._format = stream_format
        self._headers = headers
        self._lock = asyncio.Lock()

    async def item(self, text: bytes) -> None:
        await self._write(b"data: %b\n\n" % text if self.is_events else text + b"\n")

    async def fail(self, text: bytes) -> None:
        frame = b"event: error\ndata: %b\n\n" if self.is_events else b'{"error":%b}\n'
        await self._write(frame % text, is_last=True)

    async def end(self) -> None:
        await self._write(b"", is_last=True)

    async def keep_alive(self) -> None:
        await self._write(b": keep-alive\n\n" if self.is_events else b"")

    async def _write(self, body: bytes, *, is_last: bool = False) -> None:
        async with self._lock:
            try:
                if not self.is_started:
                    self.is_started = True
                    await self._send(self._start())
                await self._send(
                    {"type": "http.response.body", "body": body, "more_body": not is_last}
                )
            except OSError as error:
                raise _ClientGone from error
            self.last_sent = asyncio.get_running_loop().time()

    def _start(self) -> dict[str, Any]:
        headers = [
            (b"content-type", self._format.value.encode("ascii")),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            *self._headers(),
        ]
        return {"type": "http.response.start", "status": 200, "headers": headers}


@asynccontextmanager
async def _keeping_alive(writer: _Writer) -> AsyncIterator[None]:
    task = asyncio.create_task(_keep_alive(writer))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _keep_alive(writer: _Writer) -> None:
    loop = asyncio.get_running_loop()
    while True:
        silence = loop.time() - writer.last_sent
        if silence < KEEP_ALIVE_SECONDS:
            await asyncio.sleep(KEEP_ALIVE_SECONDS - silence)
            continue
        try:
            await writer.keep_alive()
        except _ClientGone:
            return
