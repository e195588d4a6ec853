"""Servicers written by hand, sync and async, with every kind of method."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc

from bali.errors import AlreadyExists
from tests.rpc.served import SECRET, NoteResource, service, signals

Echo = service.methods["echo"].input_type
Told = service.methods["echo"].output_type
Tick = service.methods["ticks"].output_type


def misbehave(kind: str, context: Any) -> Any:
    """Do what a text asks for; nothing for any other text."""
    if kind == "unexpected":
        raise RuntimeError(f"password {SECRET}")
    if kind == "bare":
        raise Exception
    if kind == "bali":
        raise AlreadyExists("there is one", reason="ONE_IS_ENOUGH")
    if kind == "abort":
        return context.abort(grpc.StatusCode.ABORTED, "said on purpose")
    if kind == "code":
        context.set_code(grpc.StatusCode.OUT_OF_RANGE)
        context.set_details("set on purpose")
    if kind == "trailers":
        context.set_trailing_metadata((("x-mine", "1"),))
    if kind == "initial":
        return context.send_initial_metadata((("x-mine", "1"),))
    return None


class Sync:
    """Methods that block."""

    def one(self, request: Any, context: Any) -> Any:
        misbehave(request.text, context)
        return 5 if request.text == "wrong" else Told(text=request.text)

    def many(self, request: Any, context: Any) -> Iterator[Any]:
        yield Told(text="first")
        yield self.one(request, context)

    def join(self, requests: Any, context: Any) -> Any:
        text = "".join(request.text for request in requests)
        misbehave(text, context)
        return Told(text=text)

    def each(self, requests: Any, context: Any) -> Iterator[Any]:
        for request in requests:
            yield self.one(request, context)

    def listed(self, request: Any, context: Any) -> Any:
        return [Told(text="a"), Told(text="b")]


class Async:
    """The same for an event loop."""

    async def one(self, request: Any, context: Any) -> Any:
        outcome = misbehave(request.text, context)
        if outcome is not None:
            await outcome
        return 5 if request.text == "wrong" else Told(text=request.text)

    async def many(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield Told(text="first")
        yield await self.one(request, context)

    async def join(self, requests: Any, context: Any) -> Any:
        text = "".join([request.text async for request in requests])
        outcome = misbehave(text, context)
        if outcome is not None:
            await outcome
        return Told(text=text)

    async def each(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield await self.one(request, context)

    async def listed(self, request: Any, context: Any) -> None:
        for text in "ab":
            await context.write(Told(text=text))


class Writer(Async):
    """Methods that read from and write to their context."""

    async def many(self, request: Any, context: Any) -> None:  # type: ignore[override]  # by design
        await context.write(Told(text="first"))
        await context.write(await self.one(request, context))

    async def each(self, requests: Any, context: Any) -> None:  # type: ignore[override]  # by design
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(await self.one(request, context))


class SyncResources:
    """Methods that hand on to the resource, and block."""

    def look(self, request: Any, context: Any) -> Any:
        return self.made("look", request, context)

    def whoami(self, request: Any, context: Any) -> Any:
        return self.made("whoami", request, context)

    def fail(self, request: Any, context: Any) -> Any:
        return self.made("fail", request, context)

    def headers(self, request: Any, context: Any) -> Any:
        return self.made("headers", request, context)

    def hang(self, request: Any, context: Any) -> Any:
        return self.made("hang", request, context)

    def ticks(self, request: Any, context: Any) -> Iterator[Any]:
        mark = request.mark
        try:
            yield from self.made("ticks", request, context)
        finally:
            signals.set(f"{mark} left")

    def secrets(self, request: Any, context: Any) -> Iterator[Any]:
        yield from self.made("secrets", request, context)

    def twice(self, request: Any, context: Any) -> Any:
        first = self.made("look", request, context)
        second = self.made("look", request, context)
        same = first.request_id == second.request_id
        return Told(text=first.request_id if same else "")

    def first(self, request: Any, context: Any) -> Any:
        """Leave a stream after its first item."""
        ticks = self.made("ticks", request, context)
        return Told(text=str(next(iter(ticks)).number))

    def made(self, name: str, request: Any, context: Any) -> Any:
        given = request
        if not isinstance(request, service.methods[name].input_type):
            given = service.methods[name].input_type()
        resource: Any = NoteResource(given, context, service.methods[name].output_type)
        return getattr(resource, name)()


class AsyncResources(SyncResources):
    """The same for an event loop."""

    async def look(self, request: Any, context: Any) -> Any:
        return await self.made("look", request, context)

    async def whoami(self, request: Any, context: Any) -> Any:
        return await self.made("whoami", request, context)

    async def fail(self, request: Any, context: Any) -> Any:
        return await self.made("fail", request, context)

    async def headers(self, request: Any, context: Any) -> Any:
        return await self.made("headers", request, context)

    async def hang(self, request: Any, context: Any) -> Any:
        return await self.made("hang", request, context)

    async def ticks(self, request: Any, context: Any) -> AsyncIterator[Any]:  # type: ignore[override]  # by design
        try:
            async for item in self.made("ticks", request, context):
                yield item
        finally:
            signals.set(f"{request.mark} left")

    async def secrets(self, request: Any, context: Any) -> AsyncIterator[Any]:  # type: ignore[override]  # by design
        async for item in self.made("secrets", request, context):
            yield item

    async def twice(self, request: Any, context: Any) -> Any:
        calls = [self.made("look", request, context) for _ in range(2)]
        first, second = await asyncio.gather(*calls)
        return Told(text=first.request_id if first.request_id == second.request_id else "")

    async def first(self, request: Any, context: Any) -> Any:
        async for tick in self.made("ticks", request, context):
            return Told(text=str(tick.number))
        return Told()


class Waiting:
    """Methods that block, each until a test lets it go."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.callbacks = threading.Event()

    def stream(self, request: Any, context: Any) -> Iterator[Any]:
        signals.set(f"{request.text} started")
        try:
            while True:
                yield Told(text="x" * 1000)
        finally:
            signals.set(f"{request.text} ended")

    def watched(self, request: Any, context: Any) -> Any:
        assert context.is_active()
        assert context.add_callback(self.callbacks.set)
        signals.set(f"{request.text} started")
        assert self.released.wait(10)
        return Told(text=str(context.is_active()))

    def taking(self, requests: Any, context: Any) -> Any:
        first = next(requests)
        signals.set(f"{first.text} started")
        try:
            return Told(text="".join(request.text for request in requests))
        finally:
            signals.set(f"{first.text} ended")


KINDS: dict[str, Callable[..., Any]] = {
    "one": grpc.unary_unary_rpc_method_handler,
    "many": grpc.unary_stream_rpc_method_handler,
    "join": grpc.stream_unary_rpc_method_handler,
    "each": grpc.stream_stream_rpc_method_handler,
    "listed": grpc.unary_stream_rpc_method_handler,
    "stream": grpc.unary_stream_rpc_method_handler,
    "watched": grpc.unary_unary_rpc_method_handler,
    "taking": grpc.stream_unary_rpc_method_handler,
}


def handler_of(servicer: Any) -> grpc.GenericRpcHandler:
    """Return the handler for a servicer of texts, as protoc's `add_..._to_server` makes it."""
    handlers = {
        name: make(
            getattr(servicer, name),
            request_deserializer=Echo.FromString,
            response_serializer=Told.SerializeToString,
        )
        for name, make in KINDS.items()
        if hasattr(servicer, name)
    }
    return grpc.method_handlers_generic_handler("written.Written", handlers)


def resources_handler_of(servicer: Any) -> grpc.GenericRpcHandler:
    """Return the handler for a servicer over the resource."""
    handlers: dict[str, Any] = {}
    for name in ("look", "whoami", "fail", "headers", "hang", "ticks", "secrets"):
        method = service.methods[name]
        make = (
            grpc.unary_stream_rpc_method_handler
            if method.is_server_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        handlers[name] = make(
            getattr(servicer, name),
            request_deserializer=method.input_type.FromString,
            response_serializer=method.output_type.SerializeToString,
        )
    for name, request in (("twice", Echo), ("first", service.methods["ticks"].input_type)):
        handlers[name] = grpc.unary_unary_rpc_method_handler(
            getattr(servicer, name),
            request_deserializer=request.FromString,
            response_serializer=Told.SerializeToString,
        )
    return grpc.method_handlers_generic_handler("written.Resources", handlers)
