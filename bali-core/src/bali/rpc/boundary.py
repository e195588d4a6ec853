"""The boundary around the methods of a hand-written servicer: nothing unexpected gets past it.

On `grpc.aio` a method that blocks runs in a thread of our own pool, not in the one that grpcio
would use: so its work ends when the caller goes away, and no thread is held by a stream that
nobody reads any more. Streams are written by a coroutine of ours: a generator that grpcio iterates
is left to the garbage collector when the call is cancelled during a write.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import aclosing, suppress
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from bali.concurrency import run_blocking, run_in_pool
from bali.errors import BaliError, Internal
from bali.resources import Context, use_servicer_runtime
from bali.rpc.calls import (
    REQUEST_ID,
    DirectPeer,
    PeerResolver,
    context_of,
    malformed_message,
    response_headers,
)
from bali.rpc.endings import ending_of
from bali.rpc.runtime import PlainWait, ResourceRuntime, ServedCall

__all__ = ["guarded_async", "guarded_plain"]

_log = logging.getLogger("bali.calls")
_END = object()


def guarded_async(
    handler: Any, method: str, runtime: ResourceRuntime, pool: Executor, resolve: PeerResolver
) -> Any:
    """Return a handler for `grpc.aio` with the boundary around `handler`, sync or async."""
    behaviour = _behaviour_of(handler)
    method_of = _AsyncMethod(handler, method, runtime, resolve)
    guarded: Any
    if inspect.iscoroutinefunction(behaviour):
        guarded = method_of.write if handler.response_streaming else method_of.answer
    elif inspect.isasyncgenfunction(behaviour):
        guarded = method_of.stream
    else:
        in_thread = _InThread(method_of, pool)
        guarded = in_thread.stream if handler.response_streaming else in_thread.answer
    return _MAKERS[handler.request_streaming, handler.response_streaming](
        guarded,
        request_deserializer=method_of.parse if handler.request_streaming else None,
        response_serializer=method_of.serialize if handler.response_streaming else None,
    )


def guarded_plain(handler: Any, method: str, runtime: ResourceRuntime) -> Any:
    """Return a handler for a plain `grpc.server` with the boundary around `handler`."""
    guarded = _PlainMethod(handler, method, runtime)
    return _MAKERS[handler.request_streaming, handler.response_streaming](
        guarded.stream if handler.response_streaming else guarded.answer,
        response_serializer=handler.response_serializer,
    )


_MAKERS: dict[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _behaviour_of(handler: Any) -> Any:
    return (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )


class _Method:
    """What is the same for every kind of method."""

    def __init__(
        self, handler: Any, method: str, runtime: ResourceRuntime, resolve: PeerResolver
    ) -> None:
        self.behaviour = _behaviour_of(handler)
        self.takes_stream = bool(handler.request_streaming)
        self.runtime = runtime
        self.resolve = resolve
        self._deserialize = handler.request_deserializer
        self._serialize = handler.response_serializer
        self._name = method
        self._domain = method.strip("/").rpartition("/")[0]

    def parse(self, data: bytes) -> Any:
        """Return the message of a request. Raises `InvalidArgument` for bytes that are none."""
        if self._deserialize is None:
            return data
        try:
            return self._deserialize(data)
        except (DecodeError, ValueError):
            raise malformed_message() from None

    def serialize(self, message: Any) -> Any:
        """Return the bytes of a response; of bytes, themselves."""
        if self._serialize is None or isinstance(message, bytes):
            return message
        return self._serialize(message)

    def ending(self, error: Exception, context: Context) -> tuple[Any, str, tuple[Any, ...]]:
        """Return what `abort` takes for an exception; log what the caller is not told."""
        outward = error if isinstance(error, BaliError) else Internal()
        if outward is not error:
            _log.error(
                "unexpected exception in %s, request id %s",
                self._name,
                context.request_id,
                exc_info=error,
                extra={"operation": self._name, "request_id": context.request_id},
            )
        return ending_of(outward, context.request_id, self._domain)


class _AsyncMethod(_Method):
    """A method with `async def`; one function for each kind of answer."""

    async def answer(self, request: Any, context: Any) -> Any:
        """Answer with one message."""
        served = self.enter(context)
        try:
            message = await self.behaviour(self.request(request), context)
            data = self.finished(message, context)
        except Exception as error:
            await self.abort(error, context, served)
            raise  # `abort` does not return
        await send_headers(context, served)
        tell_request_id(context, served)
        return data

    async def write(self, request: Any, context: Any) -> None:
        """Answer with what the method writes to the context."""
        served = self.enter(context)
        try:
            await self.behaviour(self.request(request), context)
        except Exception as error:  # noqa: BLE001 - the boundary
            await self.abort(error, context, served)
        tell_request_id(context, served)

    async def stream(self, request: Any, context: Any) -> None:
        """Answer with what the method yields."""
        served = self.enter(context)
        try:
            async with aclosing(self.behaviour(self.request(request), context)) as messages:
                async for message in messages:
                    await send_headers(context, served)
                    await context.write(message)
        except Exception as error:  # noqa: BLE001 - the boundary
            await self.abort(error, context, served)
        await send_headers(context, served)
        tell_request_id(context, served)

    def enter(self, context: Any) -> ServedCall:
        """Begin a call: its resources find their runtime."""
        served = ServedCall(self.runtime, context_of(context, self.resolve))
        use_servicer_runtime(served)
        return served

    def request(self, request: Any) -> Any:
        """Return what the method is given: a message, or the stream of them as it is."""
        return request if self.takes_stream else self.parse(request)

    def finished(self, message: Any, context: Any) -> Any:
        """Return the bytes of the answer, nothing for a method that has set an error's code."""
        if context.code() not in (None, 0, grpc.StatusCode.OK):
            return b""
        return self.serialize(message)

    async def abort(self, error: Exception, context: Any, served: ServedCall) -> None:
        """End the call with an error; one that `context.abort` raised has done so already."""
        if isinstance(error, grpc.aio.AbortError):
            raise error
        code, detail, trailers = self.ending(error, served.context)
        await send_headers(context, served)
        await context.abort(code, detail, (*(context.trailing_metadata() or ()), *trailers))


async def send_headers(context: Any, served: ServedCall) -> None:
    """Send once what the actions set as response metadata."""
    headers = response_headers(served.context)
    if headers:
        served.context.response_metadata.clear()
        with suppress(grpc.aio.UsageError):  # the servicer has sent its own
            await context.send_initial_metadata(headers)


def tell_request_id(context: Any, served: ServedCall) -> None:
    """Add the request id to what the servicer sends as trailing metadata."""
    known = tuple(context.trailing_metadata() or ())
    if not any(key == REQUEST_ID for key, *_ in known):
        context.set_trailing_metadata((*known, (REQUEST_ID, served.context.request_id)))


class _InThread:
    """A method that blocks, on `grpc.aio`."""

    def __init__(self, method: _AsyncMethod, pool: Executor) -> None:
        self._method = method
        self._pool = pool

    async def answer(self, request: Any, context: Any) -> Any:
        """Answer with one message."""
        method = self._method
        served = method.enter(context)
        try:
            call = self._call(request, context)
            data = method.finished(await run_in_pool(self._pool, call), context)
        except Exception as error:
            await method.abort(error, context, served)
            raise  # `abort` does not return
        finally:
            await served.close()
        await send_headers(context, served)
        tell_request_id(context, served)
        return data

    async def stream(self, request: Any, context: Any) -> None:
        """Answer with what the method yields."""
        method = self._method
        served = method.enter(context)
        pump = _Pump(self._call(request, context), method.serialize)
        try:
            async with aclosing(pump.items(self._pool)) as items:
                async for data in items:
                    await send_headers(context, served)
                    await context.write(data)
        except Exception as error:  # noqa: BLE001 - the boundary
            await method.abort(error, context, served)
        finally:
            await served.close()
        await send_headers(context, served)
        tell_request_id(context, served)

    def _call(self, request: Any, context: Any) -> Callable[[], Any]:
        """Return the call of the method, to be made in a thread."""
        ours = _SyncContext(context, asyncio.get_running_loop())

        def call() -> Any:
            method = self._method
            given = _blocking(request) if method.takes_stream else method.parse(request)
            return method.behaviour(given, ours)

        return call


class _Pump:
    """Iterates in one thread, as far as the loop asks for it; a thread never waits for nobody."""

    def __init__(self, start: Callable[[], Any], serialize: Callable[[Any], Any]) -> None:
        self._start = start
        self._serialize = serialize
        self._wanted = threading.Semaphore(0)
        self._is_stopped = False
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Future[Any] = self._loop.create_future()

    async def items(self, pool: Executor) -> AsyncGenerator[Any, None]:
        """Yield the items, serialized. Raises what the iteration raised."""
        thread = asyncio.ensure_future(run_in_pool(pool, self._run))
        try:
            while True:
                self._next = self._loop.create_future()
                self._wanted.release()
                await asyncio.wait((self._next, thread), return_when=asyncio.FIRST_COMPLETED)
                if not self._next.done():
                    break
                yield self._next.result()
            await thread
        finally:
            self._is_stopped = True
            self._wanted.release()
            thread.cancel()  # what it has under way on the loop
            await asyncio.wait((thread,))

    def _run(self) -> None:
        items = iter(self._start())
        try:
            while self._is_wanted():
                item = next(items, _END)
                if item is _END:
                    return
                self._loop.call_soon_threadsafe(self._deliver, self._serialize(item))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _is_wanted(self) -> bool:
        self._wanted.acquire()
        return not self._is_stopped

    def _deliver(self, data: Any) -> None:
        if not self._next.done():
            self._next.set_result(data)


def _blocking(requests: Any) -> Iterator[Any]:
    """Iterate in a thread over the requests of a stream."""

    async def take() -> Any:
        return await anext(source, _END)

    source = aiter(requests)
    while (request := run_blocking(take())) is not _END:
        yield request


class _SyncContext:
    """The context of a `grpc.aio` call for a method in a thread, as of a plain `grpc.server`."""

    def __init__(self, context: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> None:
        """End the call with a status; it does not return."""
        self._wait(self._context.abort(code, details, tuple(trailing_metadata)))

    def abort_with_status(self, status: Any) -> None:
        """End the call with a status; it does not return."""
        self._wait(self._context.abort_with_status(status))

    def send_initial_metadata(self, initial_metadata: Any) -> None:
        """Send the metadata that comes before the answer."""
        self._wait(self._context.send_initial_metadata(initial_metadata))

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Have `callback` called when the call has ended; False when it has already."""
        if not self.is_active():
            return False
        self._context.add_done_callback(lambda _: callback())
        return True

    def is_active(self) -> bool:
        """Tell whether the call still goes on."""
        return not (self._context.done() or self._context.cancelled())

    def _wait(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


class _PlainMethod(_Method):
    """A method on a plain `grpc.server`."""

    def __init__(self, handler: Any, method: str, runtime: ResourceRuntime) -> None:
        super().__init__(handler, method, runtime, DirectPeer)

    def answer(self, request: Any, context: Any) -> Any:
        """Answer with one message."""
        served = self._served(context)
        variables = contextvars.copy_context()
        variables.run(use_servicer_runtime, served)
        try:
            message = variables.run(self.behaviour, self._request(request), context)
        except Exception as error:  # noqa: BLE001 - the boundary
            return self._abort(error, context, served)
        finally:
            _close(served)
        self._tell(context, served)
        return message

    def stream(self, request: Any, context: Any) -> Iterator[Any]:
        """Answer with what the method yields."""
        served = self._served(context)
        variables = contextvars.copy_context()
        variables.run(use_servicer_runtime, served)
        try:
            messages = variables.run(self._messages, request, context)
            for message in iter(functools.partial(variables.run, next, messages, _END), _END):
                self._send_headers(context, served)
                yield message
        except Exception as error:  # noqa: BLE001 - the boundary
            self._abort(error, context, served)
        finally:
            _close(served)
        self._tell(context, served)

    def _messages(self, request: Any, context: Any) -> Iterator[Any]:
        return iter(self.behaviour(self._request(request), context))

    def _served(self, context: Any) -> ServedCall:
        return ServedCall(self.runtime, context_of(context, DirectPeer), PlainWait(context))

    def _request(self, request: Any) -> Any:
        return map(self.parse, request) if self.takes_stream else self.parse(request)

    def _abort(self, error: Exception, context: Any, served: ServedCall) -> Any:
        if type(error) is Exception and not error.args and context.code() is not None:
            raise error  # how grpcio's `abort` leaves
        code, detail, trailers = self.ending(error, served.context)
        self._send_headers(context, served)
        context.set_trailing_metadata((*(context.trailing_metadata() or ()), *trailers))
        return context.abort(code, detail)

    def _tell(self, context: Any, served: ServedCall) -> None:
        self._send_headers(context, served)
        tell_request_id(context, served)

    def _send_headers(self, context: Any, served: ServedCall) -> None:
        headers = response_headers(served.context)
        if headers:
            served.context.response_metadata.clear()
            with suppress(ValueError):  # the servicer has sent its own
                context.send_initial_metadata(headers)


def _close(served: ServedCall) -> None:
    if served.is_open:
        run_blocking(served.close())
