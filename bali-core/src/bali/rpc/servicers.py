"""Hand-written servicers: the interceptors that put the boundary around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from bali.concurrency import MAX_THREADS
from bali.resources import Pipeline
from bali.rpc.boundary import guarded_async, guarded_plain
from bali.rpc.calls import PeerResolver
from bali.rpc.runtime import ResourceRuntime

__all__ = ["BoundaryInterceptor", "ProcessInterceptor", "mount_servicer"]


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
        resolve_peer: PeerResolver = str,
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
    """The same for a plain `grpc.server(..., interceptors=[ProcessInterceptor()])`."""

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        self._runtime = ResourceRuntime(pipeline)
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
