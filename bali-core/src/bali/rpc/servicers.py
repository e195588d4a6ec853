"""Hand-written servicers: the interceptors that put the boundary around them."""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from bali.concurrency import MAX_THREADS
from bali.resources import Pipeline
from bali.rpc.boundary import guarded_async, guarded_plain
from bali.rpc.calls import DirectPeer, PeerResolver
from bali.rpc.runtime import ResourceRuntime

__all__ = ["BoundaryInterceptor", "ProcessInterceptor", "interceptors_use", "mount_servicer"]

_pipeline: contextvars.ContextVar[Pipeline | None] = contextvars.ContextVar(
    "bali_interceptor_pipeline", default=None
)


@contextmanager
def interceptors_use(pipeline: Pipeline) -> Iterator[None]:
    """Give `pipeline` to each `ProcessInterceptor()` that the block makes without one."""
    token = _pipeline.set(pipeline)
    try:
        yield
    finally:
        _pipeline.reset(token)


class BoundaryInterceptor(grpc.aio.ServerInterceptor):
    """The innermost interceptor of an app's server: nothing unexpected gets past it.

    A `BaliError` of a hand-written servicer becomes a rich status, anything else INTERNAL with a
    request id; what `context.abort` said stays. Methods with `def` run in threads, `max_threads`
    at a time.
    """

    def __init__(
        self,
        pipeline: Pipeline | None,
        *,
        resolve_peer: PeerResolver = DirectPeer,
        max_threads: int = MAX_THREADS,
    ) -> None:
        self._runtime = ResourceRuntime(pipeline)
        self._resolve = resolve_peer
        self._pool = ThreadPoolExecutor(max_threads, thread_name_prefix="bali-servicer")
        self._guarded: dict[str, tuple[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler with the boundary around it."""
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            return None
        known = self._guarded.get(method)
        if known is None or known[0] is not handler:
            guarded = handler
            if not _is_ours(handler):
                guarded = guarded_async(handler, method, self._runtime, self._pool, self._resolve)
            known = self._guarded[method] = (handler, guarded)
        guarded_handler: grpc.RpcMethodHandler[Any, Any] = known[1]
        return guarded_handler


class ProcessInterceptor(grpc.ServerInterceptor):
    """The same for a plain `grpc.server(..., interceptors=[ProcessInterceptor()])`.

    Without a pipeline it has that of the app which runs the `serve()` that makes it; elsewhere each
    resource gets one with the unit of work of its own database, and callers are anonymous.
    """

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        self._runtime = ResourceRuntime(pipeline or _pipeline.get())
        self._guarded: dict[str, tuple[Any, Any]] = {}

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Return the handler with the boundary around it."""
        handler = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            return None
        known = self._guarded.get(method)
        if known is None or known[0] is not handler:
            guarded = guarded_plain(handler, method, self._runtime)
            known = self._guarded[method] = (handler, guarded)
        return known[1]


def mount_servicer(
    server: grpc.aio.Server, add_to_server: Callable[[Any, Any], None], servicer: Any
) -> None:
    """Add a hand-written servicer, with sync or async methods, to a server."""
    add_to_server(servicer, server)


def _is_ours(handler: Any) -> bool:
    behaviour = handler.unary_unary or handler.unary_stream
    module = getattr(behaviour, "__module__", "") or ""
    return bool(module == "bali.rpc.service")
