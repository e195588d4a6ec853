"""Hand-written servicers: the boundary around them, and the resources that they call."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from bali.concurrency import in_event_loop, run_blocking, serve_loop
from bali.errors import BaliError, Internal, InvalidArgument
from bali.proto import bind_response, request_decoder
from bali.resources import ActionSpec, Call, Collector, Context, Pipeline, use_servicer_runtime
from bali.rpc.calls import PeerResolver, context_of, status_code, trailers_of

__all__ = ["BoundaryInterceptor", "ProcessInterceptor", "ResourceRuntime", "mount_servicer"]

_log = logging.getLogger("bali.calls")
_DOMAIN = "bali"


class ResourceRuntime:
    """Runs the actions that servicers call, through a pipeline.

    Without a pipeline each resource gets one with the unit of work of its own database.
    """

    def __init__(self, pipeline: Pipeline | None, resolve_peer: PeerResolver = str) -> None:
        self._pipeline = pipeline
        self._resolve = resolve_peer
        self._specs: dict[type[Any], dict[str, ActionSpec]] = {}
        self._pipelines: dict[type[Any], Pipeline] = {}
        self._codecs: dict[tuple[ActionSpec, Any, Any], tuple[Any, Any]] = {}

    def call(
        self, resource: type[Any], action: str, request: Any, context: Any, response: Any
    ) -> Any:
        """Run an action; see `bali.resources.ServicerRuntime`."""
        spec = self._spec(resource, action)
        decode, encode = self._codec(spec, request.DESCRIPTOR, response.DESCRIPTOR)
        ours = context_of(context, self._resolve)
        call = Call(spec=spec, arguments=decode(request), context=ours)
        pipeline = self._pipeline_of(resource)
        if spec.is_streaming:
            return self._stream(pipeline, call, encode, response)
        work = self._run(pipeline, call, encode, response)
        return work if in_event_loop() else run_blocking(work)

    async def _run(
        self, pipeline: Pipeline, call: Call, encode: Callable[[Any, Any], None], response: Any
    ) -> Message:
        result = await pipeline.run(call)
        return _message(response, encode, result)

    def _stream(
        self, pipeline: Pipeline, call: Call, encode: Callable[[Any, Any], None], response: Any
    ) -> Any:
        async def items() -> Any:
            async with aclosing(pipeline.stream(call)) as source:
                async for item in source:
                    yield _message(response, encode, item)

        return items() if in_event_loop() else _blocking(items)

    def _spec(self, resource: type[Any], action: str) -> ActionSpec:
        if resource not in self._specs:
            collected = Collector().collect(resource)
            self._specs[resource] = {spec.name: spec for spec in collected.actions}
        return self._specs[resource][action]

    def _codec(self, spec: ActionSpec, request: Any, response: Any) -> tuple[Any, Any]:
        key = (spec, request, response)
        if key not in self._codecs:
            codec = bind_response(spec.response, response)
            decode = request_decoder(spec.request, spec.response, request, response)
            self._codecs[key] = (decode, codec.fill)
        return self._codecs[key]

    def _pipeline_of(self, resource: type[Any]) -> Pipeline:
        if self._pipeline is not None:
            return self._pipeline
        if resource not in self._pipelines:
            store = resource.find_store()
            self._pipelines[resource] = Pipeline(units=[store.unit] if store else [])
        return self._pipelines[resource]


def _message(response: Any, fill: Callable[[Any, Any], None], result: Any) -> Message:
    message: Message = response()
    if result is not None:
        fill(message, result)
    return message


def _blocking(items: Callable[[], Any]) -> Iterator[Any]:
    """Iterate in a thread what one task of the loop produces."""

    async def start() -> asyncio.Queue[Any]:
        queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)

        async def produce() -> None:
            try:
                async for item in items():
                    await queue.put((item, None))
            except Exception as error:  # noqa: BLE001 - raised again where it is awaited
                await queue.put((None, error))
            else:
                await queue.put((None, StopIteration()))

        tasks.append(asyncio.create_task(produce()))
        return queue

    tasks: list[asyncio.Task[None]] = []
    queue = run_blocking(start())
    try:
        while True:
            item, error = run_blocking(queue.get())
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        run_blocking(_cancel(tasks[0]))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class BoundaryInterceptor(grpc.aio.ServerInterceptor):
    """The innermost interceptor of an app's server: nothing unexpected gets past it.

    A `BaliError` of a hand-written servicer becomes a rich status, anything else INTERNAL with a
    request id; what `context.abort` said stays.
    """

    def __init__(self, pipeline: Pipeline | None, *, resolve_peer: PeerResolver = str) -> None:
        self._runtime = ResourceRuntime(pipeline, resolve_peer)

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler with the boundary around it."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or _is_ours(handler):
            return handler
        guarded: grpc.RpcMethodHandler[Any, Any] = _guarded(
            handler, method, self._runtime, asyncio.get_running_loop()
        )
        return guarded


class ProcessInterceptor(grpc.ServerInterceptor):
    """The same for a plain `grpc.server(..., interceptors=[ProcessInterceptor()])`."""

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        self._runtime = ResourceRuntime(pipeline)

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Return the handler with the boundary around it."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        return _guarded(handler, handler_call_details.method, self._runtime, None)


def mount_servicer(
    server: grpc.aio.Server, add_to_server: Callable[[Any, Any], None], servicer: Any
) -> None:
    """Add a hand-written servicer, with sync or async methods, to a server."""
    add_to_server(servicer, server)


def _is_ours(handler: Any) -> bool:
    behaviour = handler.unary_unary or handler.unary_stream
    module = getattr(behaviour, "__module__", "") or ""
    return bool(module == "bali.rpc.service")


def _guarded(handler: Any, method: str, runtime: ResourceRuntime, loop: Any) -> Any:
    boundary = _Boundary(handler, method, runtime, loop)
    behaviour = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    if inspect.iscoroutinefunction(behaviour):
        guarded: Any = boundary.coroutine
    elif inspect.isasyncgenfunction(behaviour):
        guarded = boundary.async_generator
    elif handler.response_streaming:
        guarded = boundary.generator
    else:
        guarded = boundary.function
    make = _MAKERS[handler.request_streaming, handler.response_streaming]
    deserializer = handler.request_deserializer if handler.request_streaming else None
    return make(
        guarded,
        request_deserializer=deserializer,
        response_serializer=handler.response_serializer,
    )


_MAKERS: dict[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class _Boundary:
    """Calls one behaviour of a servicer; one method per kind of behaviour."""

    def __init__(self, handler: Any, method: str, runtime: ResourceRuntime, loop: Any) -> None:
        self._behaviour = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )
        self._deserialize = None if handler.request_streaming else handler.request_deserializer
        self._method = method
        self._runtime = runtime
        self._loop = loop

    async def coroutine(self, request: Any, context: Any) -> Any:
        use_servicer_runtime(self._runtime)
        try:
            return await self._behaviour(self._request(request), context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary
            await context.abort(*self._told(error, context))

    async def async_generator(self, request: Any, context: Any) -> Any:
        use_servicer_runtime(self._runtime)
        try:
            async for item in self._behaviour(self._request(request), context):
                yield item
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary
            await context.abort(*self._told(error, context))

    def function(self, request: Any, context: Any) -> Any:
        return contextvars.copy_context().run(self._function, request, context)

    def generator(self, request: Any, context: Any) -> Any:
        self._enter()
        try:
            yield from self._behaviour(self._request(request), context)
        except Exception as error:  # noqa: BLE001 - the boundary
            self._abort(error, context)

    def _function(self, request: Any, context: Any) -> Any:
        self._enter()
        try:
            return self._behaviour(self._request(request), context)
        except Exception as error:  # noqa: BLE001 - the boundary
            return self._abort(error, context)

    def _enter(self) -> None:
        use_servicer_runtime(self._runtime)
        if self._loop is not None:
            serve_loop(self._loop)

    def _request(self, request: Any) -> Any:
        if self._deserialize is None:
            return request
        try:
            return self._deserialize(request)
        except (DecodeError, ValueError):
            raise InvalidArgument(
                "The request is not a message of this method", reason="MALFORMED_MESSAGE"
            ) from None

    def _abort(self, error: Exception, context: Any) -> Any:
        is_plain_abort = type(error) is Exception and not error.args  # how grpcio's `abort` leaves
        if is_plain_abort or isinstance(error, grpc.aio.AbortError):
            raise error
        code, detail, trailers = self._told(error, context)
        context.set_trailing_metadata(trailers)
        return context.abort(code, detail)

    def _told(self, error: Exception, context: Any) -> tuple[Any, str, Any]:
        ours: Context = context_of(context, str)
        outward = error if isinstance(error, BaliError) else Internal()
        if outward is not error:
            _log.error(
                "unexpected exception in %s, request id %s",
                self._method,
                ours.request_id,
                exc_info=error,
                extra={"operation": self._method, "request_id": ours.request_id},
            )
        domain = self._method.strip("/").rpartition("/")[0] or _DOMAIN
        return status_code(outward), outward.detail, trailers_of(outward, ours.request_id, domain)
