"""Resources over Connect and gRPC-Web, for browsers, on the HTTP side."""

from __future__ import annotations

import base64
import binascii
import contextvars
import re
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, suppress
from typing import Any

from connectrpc.code import Code as ConnectCode
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf import descriptor_pool
from protobuf.wkt import Any as AnyMessage
from starlette.types import ASGIApp

from bali.errors import BaliError, UnsupportedMedia
from bali.proto import BoundMethod, BoundService
from bali.proto.status import status_proto
from bali.resources import ActionSpec, Call, Context, PeerCertificate, Pipeline
from bali.resources.context import ProtocolName
from bali.rpc.calls import (
    ETAG,
    MAX_STATUS_BYTES,
    REQUEST_ID,
    message_of,
    request_id_of,
    response_headers,
)
from bali.rpc.codecs import BinaryCodec, JsonCodec
from bali.rpc.pools import Pools

__all__ = ["ConnectService"]

#: The extension of an ASGI scope in which bali's server puts the client's certificate; the library
#: shows its handlers no scope, so it gets to them in a variable of the call's task.
_CERTIFICATE = "bali.peer_certificate"
_certificate: contextvars.ContextVar[PeerCertificate | None] = contextvars.ContextVar(
    "bali_peer_certificate", default=None
)
_CODES = {code.name: code for code in ConnectCode} | {"CANCELLED": ConnectCode.CANCELED}


class ConnectService:
    """The endpoints of a bound service; `app` is the ASGI application."""

    def __init__(
        self,
        bound: BoundService,
        methods: Sequence[tuple[BoundMethod, ActionSpec]],
        pipeline: Pipeline,
        *,
        max_bytes: int,
    ) -> None:
        endpoints = {
            method.path: _Endpoint(bound.full_name, method, spec, pipeline).endpoint
            for method, spec in methods
        }
        bodies = {method.input_type: spec.body_field for method, spec in methods}
        pools = Pools([bound.pool, descriptor_pool.Default()])
        json = JsonCodec(bodies=bodies, max_depth=pipeline.max_depth, pool=pools)
        self.app: ASGIApp = _Application(bound.full_name, endpoints, max_bytes, json)


class _Application(ConnectASGIApplication[None]):
    def __init__(
        self, name: str, endpoints: dict[str, Any], max_bytes: int, json: JsonCodec
    ) -> None:
        super().__init__(
            service=None,
            endpoints=lambda _: endpoints,
            read_max_bytes=max_bytes,
            codecs=[BinaryCodec(), json],
        )
        self._path = f"/{name}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one call. Raises `UnsupportedMedia` for gRPC, which needs HTTP/2."""
        if any(name == b"content-type" and _is_grpc(value) for name, value in scope["headers"]):
            raise UnsupportedMedia("gRPC needs HTTP/2; over HTTP/1.1 use Connect or gRPC-Web")
        found = (scope.get("extensions") or {}).get(_CERTIFICATE)
        token = _certificate.set(found if isinstance(found, PeerCertificate) else None)
        try:
            readable = {**scope, "headers": _readable(scope["headers"])}
            await super().__call__(readable, receive, send)
        except BaliError:
            # Of `receive`, about the body; whoever raised it has answered the client already.
            return
        finally:
            _certificate.reset(token)

    @property
    def path(self) -> str:
        """Where it is mounted."""
        return self._path


class _Endpoint:
    """One method over Connect."""

    def __init__(
        self, domain: str, method: BoundMethod, spec: ActionSpec, pipeline: Pipeline
    ) -> None:
        self._domain = domain
        self._method = method
        self._spec = spec
        self._pipeline = pipeline
        service, _, name = method.path.strip("/").rpartition("/")
        info: MethodInfo[Any, Any] = MethodInfo(
            name=name,
            service_name=service,
            input=method.input_type,
            output=method.output_type,
            idempotency_level=IdempotencyLevel.UNKNOWN,
            stream_type=(
                StreamType.SERVER_STREAM if method.is_server_streaming else StreamType.UNARY
            ),
        )
        self.endpoint: Any = (
            Endpoint.server_stream(info, self._stream)
            if method.is_server_streaming
            else Endpoint.unary(info, self._unary)
        )

    async def _unary(self, message: Any, request: RequestContext[Any, Any]) -> Any:
        context = _context_of(request)
        try:
            result = await self._pipeline.run(self._call(message, context))
            answer = message_of(self._method.encode, result, context)
        except BaliError as error:
            raise self._error(error, context, request) from error
        _send_headers(context, request)
        return answer

    async def _stream(self, message: Any, request: RequestContext[Any, Any]) -> AsyncIterator[Any]:
        context = _context_of(request)
        is_first = True
        try:
            async with aclosing(self._pipeline.stream(self._call(message, context))) as items:
                async for item in items:
                    if is_first:
                        is_first = False
                        _send_headers(context, request)
                    yield message_of(self._method.encode, item, context)
        except BaliError as error:
            raise self._error(error, context, request) from error
        if is_first:
            _send_headers(context, request)

    def _call(self, message: Any, context: Context) -> Call:
        if isinstance(message, BaliError):
            raise message  # what the codec says of bytes that are no message
        return Call(spec=self._spec, arguments=self._method.decode(message), context=context)

    def _error(
        self, error: BaliError, context: Context, request: RequestContext[Any, Any]
    ) -> ConnectError:
        _send_headers(context, request)
        # gRPC-Web tells of an error in headers, whose room is bounded; Connect does it in a body.
        longest = MAX_STATUS_BYTES if context.protocol == "grpc-web" else None
        status = status_proto(error, context.request_id, domain=self._domain, max_bytes=longest)
        details = [
            ErrorDetail(AnyMessage(type_url=item.type_url, value=item.value))
            for item in status.details
        ]
        return ConnectError(_CODES[error.code.name], status.message, details)


def _is_grpc(content_type: bytes) -> bool:
    return re.match(rb"application/grpc(?!-web)", content_type) is not None


def _context_of(request: RequestContext[Any, Any]) -> Context:
    metadata = _metadata_of(request)
    remaining = request.timeout_ms
    context = Context(
        protocol=_protocol_of(str(metadata.get("content-type", ""))),
        metadata=metadata,
        deadline_monotonic=None if remaining is None else time.monotonic() + remaining / 1000,
        request_id=request_id_of(metadata),
        peer=_peer_of(request.client_address or ""),
        peer_certificate=_certificate.get(),
    )
    # Also for a call that the library ends: its deadline passed before the pipeline could tell.
    request.response_headers[REQUEST_ID] = context.request_id
    return context


def _metadata_of(request: RequestContext[Any, Any]) -> dict[str, str | bytes]:
    metadata: dict[str, str | bytes] = {}
    for key, value in request.request_headers.allitems():
        name = key.lower()
        known = metadata.get(name)
        if name.endswith("-bin"):
            with suppress(binascii.Error, ValueError):  # left out if it is not base64
                metadata[name] = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
        else:
            metadata[name] = f"{known}, {value}" if isinstance(known, str) else value
    return metadata


def _peer_of(address: str) -> str:
    """Return `[host]:port` for the `host:port` of an IPv6 address, as REST says it."""
    host, _, port = address.removeprefix("::ffff:").rpartition(":")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}" if host else ""


def _readable(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return headers as the library wants them: beyond ASCII it takes UTF-8, HTTP is Latin-1."""
    return [
        (name, value if value.isascii() else value.decode("latin-1").encode())
        for name, value in headers
    ]


def _protocol_of(content_type: str) -> ProtocolName:
    return "grpc-web" if content_type.startswith("application/grpc-web") else "connect"


def _send_headers(context: Context, request: RequestContext[Any, Any]) -> None:
    headers = request.response_headers
    for key, value in response_headers(context):
        headers[key] = value
    if context.etag:
        headers[ETAG] = context.etag
