"""Work for a client that has gone away is cancelled, not finished.

The work runs in the task that called the application; when the client disconnects before its
response is complete, that task is cancelled, so the cancellation reaches whatever the endpoint
waits for: a query, a call to another service, a sleep. bali's own server tells of a disconnect
through the scope, at no cost per request; under any other ASGI server the request's `receive` is
read ahead, within a bound, so that a disconnect is seen without losing a byte of the body.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["EXTENSION", "DisconnectSignal", "DisconnectWatcher"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The ASGI extension under which bali's server offers a `DisconnectSignal`.
EXTENSION = "bali.disconnect"

_READ_AHEAD_BYTES = 64 * 1024


class DisconnectSignal:
    """One connection's end, told to whoever subscribed; a late subscriber is told at once."""

    __slots__ = ("_callbacks", "_fired")

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], None]] = []
        self._fired = False

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the client has gone."""
        if self._fired:
            callback()
        else:
            self._callbacks.append(callback)

    def unsubscribe(self, callback: Callable[[], None]) -> None:
        """Undo `subscribe`."""
        callbacks = self._callbacks
        if callbacks and callbacks[-1] is callback:
            callbacks.pop()
        elif callback in callbacks:
            callbacks.remove(callback)

    def fire(self) -> None:
        """Tell everyone, once."""
        self._fired = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class DisconnectWatcher:
    """ASGI middleware that cancels a request's work when its client disconnects.

    Put it outermost.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; return normally if its client went away."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(send, task)
        signal = (scope.get("extensions") or {}).get(EXTENSION)
        if isinstance(signal, DisconnectSignal):
            signal.subscribe(exchange.cancel)
            try:
                await exchange.run(self.app(scope, receive, exchange.send))
            finally:
                signal.unsubscribe(exchange.cancel)
        else:
            reader = _Reader(receive, exchange.cancel)
            if not any(name == b"expect" for name, _ in scope["headers"]):
                reader.start()
            try:
                await exchange.run(self.app(scope, reader.receive, exchange.send))
            finally:
                reader.stop()


class _Exchange:
    """A request being answered: its task, and whether its response is complete."""

    __slots__ = ("_cancelled", "_complete", "_send", "_task")

    def __init__(self, send: Send, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._send = send
        self._complete = False
        self._cancelled = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._complete = True
        await self._send(message)

    def cancel(self) -> None:
        # After the response, background tasks of the application may still be at work.
        if not self._complete and not self._cancelled:
            self._cancelled = True
            self._task.cancel("the client disconnected")

    async def run(self, work: Awaitable[None]) -> None:
        cancelling = self._task.cancelling()
        try:
            await work
        except asyncio.CancelledError:
            if not self._cancelled or self._task.uncancel() > cancelling:
                raise
        else:
            if self._cancelled:
                self._task.uncancel()
        finally:
            self._complete = True


class _Reader:
    """A request's messages, read ahead by a task of its own so that a disconnect is noticed."""

    __slots__ = (
        "_arrived",
        "_buffer",
        "_bytes",
        "_error",
        "_gone",
        "_on_gone",
        "_receive",
        "_room",
        "_task",
    )

    def __init__(self, receive: Receive, on_gone: Callable[[], None]) -> None:
        self._receive = receive
        self._on_gone = on_gone
        self._buffer: deque[Message] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._gone = False
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._pump())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def receive(self) -> Message:
        self.start()
        while not self._buffer:
            if self._error is not None:
                raise self._error
            if self._gone:
                return {"type": "http.disconnect"}
            self._arrived.clear()
            await self._arrived.wait()
        message = self._buffer.popleft()
        self._bytes -= len(message.get("body", b""))
        self._room.set()
        return message

    async def _pump(self) -> None:
        try:
            while True:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    self._gone = True
                    self._arrived.set()
                    self._on_gone()
                    return
                self._buffer.append(message)
                self._bytes += len(message.get("body", b""))
                self._arrived.set()
                while message.get("more_body", False) and self._bytes > _READ_AHEAD_BYTES:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:  # noqa: BLE001 - handed to whoever reads the request
            self._error = error
            self._arrived.set()
