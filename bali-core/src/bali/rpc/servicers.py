"""Hand-written servicers: what puts the boundary around them."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from bali.concurrency import MAX_THREADS
from bali.resources import Pipeline
from bali.rpc.boundary import guarded_async, guarded_plain
from bali.rpc.calls import DirectPeer, PeerResolver
from bali.rpc.runtime import ResourceRuntime

__all__ = ["Boundary", "ProcessInterceptor", "interceptors_use", "mount_servicer"]

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


class Boundary:
    """What an app's server puts around hand-written servicers: nothing unexpected gets past it.

    A `BaliError` of theirs becomes a rich status, anything else INTERNAL with a request id; what
    `context.abort` said stays. Methods with `def` run in threads, `max_threads` at a time. It is
    no interceptor, which would cost every call of the server something, those of resources too.
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

    def inside(self, server: grpc.aio.Server) -> Any:
        """Return what to add servicers to, in place of the server."""
        return _GuardingServer(server, self)

    def guarded(self, handler: Any, method: str) -> Any:
        """Return the handler of a method, "/package.Service/Method", with the boundary around."""
        return guarded_async(handler, method, self._runtime, self._pool, self._resolve)

    def generic(self, handler: grpc.GenericRpcHandler) -> grpc.GenericRpcHandler:
        """Return the handler of a service with the boundary around each of its methods."""
        return _GuardedHandler(handler, self)


class _GuardingServer:
    """A server as those who add servicers to it see it."""

    def __init__(self, server: grpc.aio.Server, boundary: Boundary) -> None:
        self._server = server
        self._boundary = boundary
        self._named = _NamedHandlers()
        server.add_generic_rpc_handlers([self._named])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Add the handlers of services."""
        self._server.add_generic_rpc_handlers([self._boundary.generic(item) for item in handlers])

    def add_registered_method_handlers(self, service_name: str, handlers: Any) -> None:
        """Add the handlers of methods that are known by name.

        They are found as a server finds them, before all others, and the last for a method counts.
        It is not told of them: for each registered method grpc.aio waits for a next call by itself,
        and with each call it puts all these waits up again.
        """
        for name, handler in handlers.items():
            method = f"/{service_name}/{name}"
            self._named.known[method] = self._boundary.guarded(handler, method)


class _NamedHandlers(grpc.GenericRpcHandler):
    """The handlers of methods by their paths."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a call, None for a method of others."""
        return self.known.get(handler_call_details.method)


class _GuardedHandler(grpc.GenericRpcHandler):
    """Finds the handlers of a service, each with the boundary around it."""

    def __init__(self, handler: grpc.GenericRpcHandler, boundary: Boundary) -> None:
        self._handler = handler
        self._boundary = boundary
        self._guarded: dict[str, tuple[Any, Any]] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a call, None when the service has no such method."""
        handler = self._handler.service(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        known = self._guarded.get(method)
        if known is None or known[0] is not handler:
            guarded = self._boundary.guarded(handler, method)
            known = self._guarded[method] = (handler, guarded)
        return known[1]


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


def mount_servicer(server: Any, add_to_server: Callable[[Any, Any], None], servicer: Any) -> None:
    """Add a hand-written servicer, with sync or async methods, to a server."""
    add_to_server(servicer, server)
