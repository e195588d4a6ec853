"""One client interface over every protocol, for tests that compare them.

Each client calls an operation by name with the fields of its request, and returns an object of the
operation's response model or raises the error class that the service raised: what differs between
two clients differs between two protocols.
"""

from __future__ import annotations

import base64
import functools
import json
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import quote

import grpc
import httpx2
from connectrpc.client import ConnectClientSync
from connectrpc.code import Code as ConnectCode
from connectrpc.compat import google_protobuf_binary_codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.protocol import ProtocolType
from pydantic import BaseModel

from bali.app import Bali
from bali.concurrency import run_blocking
from bali.errors import BaliError, Code, FieldError, error_class
from bali.proto import BoundMethod, error_from_status
from bali.resources import ActionSpec
from bali.testing.answers import answer_from_json, answer_from_message
from bali.testing.live import LiveServer

__all__ = [
    "ConnectServiceClient",
    "LocalServiceClient",
    "RestServiceClient",
    "RpcServiceClient",
    "ServiceClient",
]

Metadata = Mapping[str, str] | None


class ServiceClient(ABC):
    """Calls the operations of a live app over one protocol."""

    def __init__(self, live: LiveServer) -> None:
        self.live = live
        self.app: Bali = live.app
        self._actions = {
            action.operation: action for spec in live.app.resources for action in spec.actions
        }

    @abstractmethod
    def call(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Metadata = None,
        timeout_seconds: float | None = None,
    ) -> BaseModel | None:
        """Call a unary operation; None for an empty response. Raises `BaliError`."""

    @abstractmethod
    def stream(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Metadata = None,
        timeout_seconds: float | None = None,
    ) -> Iterator[BaseModel]:
        """Call a streaming operation and yield its items. Raises `BaliError`."""

    def close(self) -> None:  # noqa: B027 - most clients have something to close, not all
        """Close the client's connections."""

    def _method(self, operation: str) -> BoundMethod:
        methods = self.app.services.methods
        if not methods:
            raise LookupError(f"{operation}: the app has no gRPC service of its own")
        return methods[self._actions[operation]]

    def _answer(
        self, operation: str, arguments: Mapping[str, Any] | None, message: Any
    ) -> BaseModel | None:
        values = self._method(operation).decode_response(message)
        return answer_from_message(self._actions[operation], values, arguments or {})


class LocalServiceClient(ServiceClient):
    """Calls the pipeline in this process."""

    def call(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Metadata = None,
        timeout_seconds: float | None = None,
    ) -> BaseModel | None:
        """Run the call on the loop that serves the app."""
        return run_blocking(
            self.app.call(operation, arguments, metadata=metadata, timeout_seconds=timeout_seconds)
        )

    def stream(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Metadata = None,
        timeout_seconds: float | None = None,
    ) -> Iterator[BaseModel]:
        """Run the stream to its end, then yield what it gave before it ended or failed."""
        items: list[BaseModel] = []

        async def collect() -> None:
            source = self.app.stream(
                operation, arguments, metadata=metadata, timeout_seconds=timeout_seconds
            )
            async for item in source:
                items.append(item)  # noqa: PERF401 - what came before an error counts

        try:
            run_blocking(collect())
        except BaliError:
            yield from items
            raise
        yield from items


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return what clients share: to load the certificates takes longer than a test."""
    return httpx2.create_ssl_context()


class RestServiceClient(ServiceClient):
    """Calls over REST, with the HTTP bindings of the operations."""

    def __init__(self, live: LiveServer, **options: Any) -> None:
        super().__init__(live)
        options.setdefault("verify", _tls())
        self.http = httpx2.Client(base_url=live.url, timeout=30.0, **options)

    def close(self) -> None:
        """Close the HTTP connections."""
        self.http.close()

    def call(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Metadata = None,
        timeout_seconds: float | None = None,
    ) -> BaseModel | None:
        """Send the request and read the JSON or the problem that comes back."""
        spec = self._actions[operation]
        request = self._request(spec, dict(arguments or {}), metadata, timeout_seconds)
        response = self.http.send(request)
        if response.is_error:
            raise error_from_problem(response.json())
        if spec.response_model is None:
            return None
        return answer_from_json(spec, response.content, arguments or {})

    def stream(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Metadata = None,
        timeout_seconds: float | None = None,
    ) -> Iterator[BaseModel]:
        """Read server-sent events."""
        spec = self._actions[operation]
        request = self._request(spec, dict(arguments or {}), metadata, timeout_seconds)
        request.headers["accept"] = "text/event-stream"
        with closing(self.http.send(request, stream=True)) as response:
            if response.is_error:
                response.read()
                raise error_from_problem(response.json())
            for event, data in _events(response.iter_lines()):
                if event == "error":
                    raise error_from_problem(json.loads(data))
                yield answer_from_json(spec, data, {})

    def _request(
        self,
        spec: ActionSpec,
        arguments: dict[str, Any],
        metadata: Metadata,
        timeout_seconds: float | None,
    ) -> httpx2.Request:
        binding = spec.bindings[0]
        headers = dict(metadata or {})
        if timeout_seconds is not None:
            headers["x-request-timeout"] = f"{timeout_seconds:.6f}"
        path = binding.path
        for name in binding.path_names:
            path = path.replace(f"{{{name}}}", quote(str(arguments.pop(name)), safe=""))
        content = None
        if binding.body is not None:
            body = arguments if binding.body == "*" else arguments.pop(binding.body, {})
            content = json.dumps(body, default=_as_base64).encode()
            headers.setdefault("content-type", "application/json")
        query = {} if binding.body == "*" else _query(arguments)
        return self.http.build_request(
            binding.method, path, params=query, content=content, headers=headers
        )


class RpcServiceClient(ServiceClient):
    """Calls over gRPC, with grpcio's channel."""

    def __init__(self, live: LiveServer, *, credentials: Any = None) -> None:
        super().__init__(live)
        if credentials is None:
            self.channel = grpc.insecure_channel(live.address)
        else:
            self.channel = grpc.secure_channel(live.address, credentials)

    def close(self) -> None:
        """Close the channel."""
        self.channel.close()

    def call(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Metadata = None,
        timeout_seconds: float | None = None,
    ) -> BaseModel | None:
        """Send the message and read the one that comes back."""
        method = self._method(operation)
        stub = self.channel.unary_unary(
            method.path,
            request_serializer=method.input_type.SerializeToString,
            response_deserializer=method.output_type.FromString,
        )
        try:
            message = stub(
                method.encode_request(dict(arguments or {})),
                metadata=tuple((metadata or {}).items()),
                timeout=timeout_seconds,
            )
        except grpc.RpcError as error:
            raise _from_rpc_error(error) from error
        return self._answer(operation, arguments, message)

    def stream(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Metadata = None,
        timeout_seconds: float | None = None,
    ) -> Iterator[BaseModel]:
        """Send the message and read the stream that comes back."""
        method = self._method(operation)
        stub = self.channel.unary_stream(
            method.path,
            request_serializer=method.input_type.SerializeToString,
            response_deserializer=method.output_type.FromString,
        )
        call = stub(
            method.encode_request(dict(arguments or {})),
            metadata=tuple((metadata or {}).items()),
            timeout=timeout_seconds,
        )
        try:
            for message in call:
                item = self._answer(operation, arguments, message)
                if item is not None:
                    yield item
        except grpc.RpcError as error:
            raise _from_rpc_error(error) from error
        finally:
            call.cancel()


class ConnectServiceClient(ServiceClient):
    """Calls over Connect, or gRPC-Web with `protocol`, with the connectrpc library."""

    def __init__(
        self, live: LiveServer, *, protocol: ProtocolType = ProtocolType.CONNECT, **options: Any
    ) -> None:
        super().__init__(live)
        self.client = ConnectClientSync(
            live.url, codec=google_protobuf_binary_codec(), protocol=protocol, **options
        )

    def close(self) -> None:
        """Close the client."""
        self.client.close()

    def call(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Metadata = None,
        timeout_seconds: float | None = None,
    ) -> BaseModel | None:
        """Send the message and read the one that comes back."""
        method = self._method(operation)
        try:
            message = self.client.execute_unary(
                request=method.encode_request(dict(arguments or {})),
                method=self._info(method),
                headers=dict(metadata or {}),
                timeout_ms=_milliseconds(timeout_seconds),
            )
        except ConnectError as error:
            raise _from_connect_error(error) from error
        return self._answer(operation, arguments, message)

    def stream(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        metadata: Metadata = None,
        timeout_seconds: float | None = None,
    ) -> Iterator[BaseModel]:
        """Send the message and read the stream that comes back."""
        method = self._method(operation)
        try:
            for message in self.client.execute_server_stream(
                request=method.encode_request(dict(arguments or {})),
                method=self._info(method),
                headers=dict(metadata or {}),
                timeout_ms=_milliseconds(timeout_seconds),
            ):
                item = self._answer(operation, arguments, message)
                if item is not None:
                    yield item
        except ConnectError as error:
            raise _from_connect_error(error) from error

    def _info(self, method: BoundMethod) -> Any:
        service, _, name = method.path.strip("/").rpartition("/")
        return MethodInfo(
            name=name,
            service_name=service,
            input=method.input_type,
            output=method.output_type,
            idempotency_level=IdempotencyLevel.UNKNOWN,
            stream_type=(
                StreamType.SERVER_STREAM if method.is_server_streaming else StreamType.UNARY
            ),
        )


def error_from_problem(problem: Mapping[str, Any]) -> BaliError:
    """Return the error that an `application/problem+json` document tells of (RFC 9457)."""
    kind = error_class(Code[problem["code"]], problem.get("reason"))
    return kind(
        problem.get("detail"),
        reason=problem.get("reason"),
        field_errors=[FieldError(**item) for item in problem.get("errors", ())],
    )


def _from_rpc_error(error: Any) -> BaliError:
    details = next(
        (
            value
            for key, value in error.trailing_metadata() or ()
            if key == "grpc-status-details-bin"
        ),
        None,
    )
    return error_from_status(error.code().value[0], error.details() or "", details)


def _from_connect_error(error: ConnectError) -> BaliError:
    code = Code.CANCELLED if error.code is ConnectCode.CANCELED else Code[error.code.name]
    details = [(item.type_name, item.message_bytes) for item in error.details]
    return error_from_status(code, error.message, details)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds * 1000))


def _as_base64(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def _query(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _query_value(value) for name, value in arguments.items() if value is not None}


def _query_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [_query_value(item) for item in value]
    return value


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    event, data = "message", ""
    for line in lines:
        if not line:
            if data:
                yield event, data
            event, data = "message", ""
        elif line.startswith("event:"):
            event = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data += line.removeprefix("data:").strip()
