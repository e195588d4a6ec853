"""Resources as a gRPC service on grpc.aio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from starlette.types import ASGIApp

from bali.errors import BaliError
from bali.proto import BoundMethod, BoundService, HttpRule, Method, ServiceShape
from bali.resources import ActionSpec, Call, Context, Pipeline, ResourceSpec
from bali.rpc.calls import (
    REQUEST_ID,
    DirectPeer,
    PeerResolver,
    answer_trailers,
    context_of,
    ending_of,
    message_of,
    response_headers,
)
from bali.rpc.codecs import malformed_message
from bali.rpc.connect import ConnectService
from bali.schemas import Record

__all__ = ["RpcService", "metadata_of", "shape_of"]


def shape_of(specs: Sequence[ResourceSpec], *, package: str, service: str) -> ServiceShape:
    """Return the shape of the one service that offers every action with a gRPC name."""
    return ServiceShape(
        package=package,
        name=service,
        file_name=f"{package.replace('.', '/')}/{package.rpartition('.')[2]}.proto",
        methods=tuple(
            Method(
                name=action.rpc_name,
                request=action.request,
                response=action.work.response if action.work else action.response,
                metadata=metadata_of(action),
                is_server_streaming=action.is_streaming,
                description=action.description,
                http=tuple(
                    HttpRule(method=rule.method, path=rule.path, body=rule.body or "")
                    for rule in action.bindings
                ),
            )
            for spec in specs
            for action in spec.actions
            if action.rpc_name and action.rpc_service is None
        ),
        description="\n\n".join(
            spec.description
            for spec in specs
            if spec.description and any(action.rpc_service is None for action in spec.actions)
        ),
    )


def metadata_of(action: ActionSpec) -> Record | None:
    """Return the tree of what a long-running action's operations tell of themselves."""
    if action.work is None or action.response is None:
        return None
    found = action.response.field("metadata")
    return found.node if found is not None and isinstance(found.node, Record) else None


class RpcService:
    """Answers the methods of a bound service through the pipeline."""

    def __init__(
        self,
        bound: BoundService,
        specs: Sequence[ResourceSpec],
        pipeline: Pipeline,
        *,
        resolve_peer: PeerResolver = DirectPeer,
    ) -> None:
        actions = {
            action.rpc_name: action
            for spec in specs
            for action in spec.actions
            if action.rpc_name and action.rpc_service in (None, bound.full_name)
        }
        self.bound = bound
        self.pipeline = pipeline
        self.resolve_peer = resolve_peer
        self.methods: tuple[tuple[BoundMethod, ActionSpec], ...] = tuple(
            (method, actions[method.name]) for method in bound.methods
        )

    def generic_handler(self) -> grpc.GenericRpcHandler:
        """Return the handler to add to a `grpc.aio` server."""
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for method, spec in self.methods:
            handler = _Handler(self, method, spec)
            if method.is_server_streaming:
                handlers[method.name] = grpc.unary_stream_rpc_method_handler(handler.stream)
            else:
                handlers[method.name] = grpc.unary_unary_rpc_method_handler(handler.unary)
        return grpc.method_handlers_generic_handler(self.bound.full_name, handlers)

    def connect_app(self, *, max_bytes: int = 4 * 1024 * 1024) -> ASGIApp:
        """Return what answers Connect and gRPC-Web on `POST /{service}/{method}`.

        A message has at most `max_bytes`, also after decompression.
        """
        return ConnectService(self.bound, self.methods, self.pipeline, max_bytes=max_bytes).app


class _Handler:
    """One method: bytes in, bytes out. Errors never get past it."""

    __slots__ = ("_decode", "_domain", "_encode", "_parse", "_pipeline", "_resolve", "_spec")

    def __init__(self, service: RpcService, method: BoundMethod, spec: ActionSpec) -> None:
        self._pipeline = service.pipeline
        self._resolve = service.resolve_peer
        self._domain = service.bound.full_name
        self._parse: Callable[[bytes], Any] = method.input_type.FromString
        self._decode = method.decode
        self._encode = method.encode
        self._spec = spec

    async def unary(self, request: bytes, context: Any) -> bytes:
        """Answer one call."""
        ours = context_of(context, self._resolve)
        try:
            result = await self._pipeline.run(self._call(request, ours))
            answer = message_of(self._encode, result, ours).SerializeToString()
        except BaliError as error:
            await self._abort(context, ours, error)
            raise  # `abort` does not return
        await _send_headers(context, ours)
        context.set_trailing_metadata(answer_trailers(ours))
        return answer

    async def stream(self, request: bytes, context: Any) -> None:
        """Answer one call with many messages.

        They are written here: a generator that grpcio iterates is left to the garbage collector
        when the call is cancelled during a write.
        """
        ours = context_of(context, self._resolve)
        is_first = True
        try:
            async with aclosing(self._pipeline.stream(self._call(request, ours))) as items:
                async for item in items:
                    data = message_of(self._encode, item, ours).SerializeToString()
                    if is_first:
                        is_first = False
                        await _send_headers(context, ours)
                    await context.write(data)
        except BaliError as error:
            await self._abort(context, ours, error, has_begun=not is_first)
        if is_first:
            await _send_headers(context, ours)
        context.set_trailing_metadata(((REQUEST_ID, ours.request_id),))

    def _call(self, request: bytes, ours: Context) -> Call:
        ours.operation = self._spec.operation
        try:
            message = self._parse(request)
        except DecodeError:
            raise malformed_message() from None
        return Call(spec=self._spec, arguments=self._decode(message), context=ours)

    async def _abort(
        self, context: Any, ours: Context, error: BaliError, *, has_begun: bool = False
    ) -> None:
        if not has_begun:
            await _send_headers(context, ours)
        await context.abort(*ending_of(error, ours.request_id, self._domain))


async def _send_headers(context: Any, ours: Context) -> None:
    headers = response_headers(ours)
    if headers:
        await context.send_initial_metadata(headers)
