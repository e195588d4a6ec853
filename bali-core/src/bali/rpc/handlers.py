"""The methods of a bound service on grpc.aio."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError

from bali.errors import BaliError
from bali.proto import BoundMethod
from bali.resources import ActionSpec, Call, Context
from bali.rpc.calls import (
    REQUEST_ID,
    answer_trailers,
    context_of,
    malformed_message,
    message_of,
    response_headers,
)
from bali.rpc.endings import ending_of

if TYPE_CHECKING:
    from bali.rpc.service import RpcService

__all__ = ["generic_handler"]


def generic_handler(service: RpcService) -> grpc.GenericRpcHandler:
    """Return what answers the methods of a service, to add to a `grpc.aio` server."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for method, spec in service.methods:
        handler = _Handler(service, method, spec)
        if method.is_server_streaming:
            handlers[method.name] = grpc.unary_stream_rpc_method_handler(handler.stream)
        else:
            handlers[method.name] = grpc.unary_unary_rpc_method_handler(handler.unary)
    return grpc.method_handlers_generic_handler(service.bound.full_name, handlers)


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
        if ours.response_metadata:
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
