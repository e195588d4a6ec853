"""Long-running operations as a caller holds them (AIP-151)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from bali.clients.codec import codec_of
from bali.clients.method import CallOptions, Method, Shape
from bali.clients.schema import Schema
from bali.errors import BaliError, DeadlineExceeded
from bali.proto import error_from_status

if TYPE_CHECKING:
    from bali.clients.async_client import AsyncClient
    from bali.clients.client import Client

__all__ = ["AsyncOperation", "Operation", "done_operation"]

R = TypeVar("R")
M = TypeVar("M")

_PREFIX = "type.googleapis.com/"
_SERVICE = "/google.longrunning.Operations/"
#: How long one call waits for the result, and how much longer its own answer may take.
_WAIT_SECONDS = 30.0
_MARGIN_SECONDS = 5.0


def _method(
    name: str, rpc_name: str, request: Any, response: Any, *, is_idempotent: bool
) -> Method:
    return Method(
        name=name,
        path=f"{_SERVICE}{rpc_name}",
        request=request,
        response=response,
        is_idempotent=is_idempotent,
    )


_pb2: Any = operations_pb2
_GET = _method(
    "get_operation", "GetOperation", _pb2.GetOperationRequest, _pb2.Operation, is_idempotent=True
)
_WAIT = _method(
    "wait_operation", "WaitOperation", _pb2.WaitOperationRequest, _pb2.Operation, is_idempotent=True
)
_CANCEL = _method(
    "cancel_operation", "CancelOperation", _pb2.CancelOperationRequest, None, is_idempotent=True
)
_DELETE = _method(
    "delete_operation", "DeleteOperation", _pb2.DeleteOperationRequest, None, is_idempotent=False
)


class _Held(Generic[R, M]):
    """What sync and async operations share: what is known of one."""

    def __init__(self, method: Method, message: Any, call: CallOptions) -> None:
        self._method = method
        self._message = message
        #: What the call that began it was sent with: it says who asks.
        self._metadata = call.get("metadata") or {}

    def __repr__(self) -> str:
        state = "done" if self.done else "going on"
        return f"<{type(self).__name__} {self.name!r} of {self._method.name}, {state}>"

    @property
    def name(self) -> str:
        """Identifies it at its service: `"operations/3f..."`."""
        return str(self._message.name)

    @property
    def done(self) -> bool:
        """Whether it had ended when it was last asked for."""
        return bool(self._message.done)

    @property
    def metadata(self) -> M | None:
        """What the service told of it, such as its progress; None when that was nothing."""
        shape = self._method.operation.metadata if self._method.operation else None
        found: M | None = _unpacked(shape, self._message.metadata)
        return found

    @property
    def error(self) -> BaliError | None:
        """Why it failed, as a direct call would have raised it; None when it did not."""
        if not self._message.HasField("error"):
            return None
        status = self._message.error
        details = [(item.type_url, item.value) for item in status.details]
        return error_from_status(status.code, status.message, details)

    def _ended(self) -> R:
        """Return the result of one that is done. Raises its error."""
        error = self.error
        if error is not None:
            raise error
        shape = self._method.operation.result if self._method.operation else None
        result: R = _unpacked(shape, self._message.response)
        return result

    def _request(self, method: Method, seconds: float | None = None) -> Any:
        request: Any = method.request_type(name=self.name)
        if seconds is not None:
            whole, rest = divmod(seconds, 1)
            request.timeout.seconds, request.timeout.nanos = int(whole), int(rest * 1e9)
        return request


class Operation(_Held[R, M]):
    """An operation that another service performs; the client that began it asks for it."""

    def __init__(self, client: Client, method: Method, message: Any, call: CallOptions) -> None:
        super().__init__(method, message, call)
        self._client = client

    def refresh(self) -> Operation[R, M]:
        """Ask how far it is, and return it. Raises `BaliError`."""
        self._message = self._ask(_GET, self._request(_GET), {})
        return self

    def wait(self, timeout: float | None = None) -> Operation[R, M]:
        """Return it when it is done, or after `timeout` seconds; None for as long as it takes."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self.done:
            seconds = _slice(end)
            if seconds is None:
                break
            request = self._request(_WAIT, seconds)
            self._message = self._ask(_WAIT, request, {"timeout": seconds + _MARGIN_SECONDS})
        return self

    def result(self, timeout: float | None = None) -> R:
        """Return what the method returns, when it is done.

        Raises the error of an operation that failed, and `DeadlineExceeded` after `timeout`
        seconds; None waits for as long as it takes.
        """
        if not self.wait(timeout).done:
            raise _late(self.name)
        return self._ended()

    def cancel(self) -> None:
        """Ask it to end; it may be done before it hears of that."""
        self._ask(_CANCEL, self._request(_CANCEL), {})

    def delete(self) -> None:
        """Say that nobody needs it any more."""
        self._ask(_DELETE, self._request(_DELETE), {})

    def _ask(self, method: Method, request: Any, call: CallOptions) -> Any:
        told: CallOptions = {"metadata": self._metadata, **call}
        return self._client._unary(method, request, {}, told)  # noqa: SLF001 - for generated code


class AsyncOperation(_Held[R, M]):
    """The same for asynchronous code."""

    def __init__(
        self, client: AsyncClient, method: Method, message: Any, call: CallOptions
    ) -> None:
        super().__init__(method, message, call)
        self._client = client

    async def refresh(self) -> AsyncOperation[R, M]:
        """Ask how far it is, and return it. Raises `BaliError`."""
        self._message = await self._ask(_GET, self._request(_GET), {})
        return self

    async def wait(self, timeout: float | None = None) -> AsyncOperation[R, M]:  # noqa: ASYNC109 - as in the sync one
        """Return it when it is done, or after `timeout` seconds; None for as long as it takes."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self.done:
            seconds = _slice(end)
            if seconds is None:
                break
            request = self._request(_WAIT, seconds)
            call: CallOptions = {"timeout": seconds + _MARGIN_SECONDS}
            self._message = await self._ask(_WAIT, request, call)
        return self

    async def result(self, timeout: float | None = None) -> R:  # noqa: ASYNC109 - the same
        """Return what the method returns, when it is done; see `Operation.result`."""
        if not (await self.wait(timeout)).done:
            raise _late(self.name)
        return self._ended()

    async def cancel(self) -> None:
        """Ask it to end; it may be done before it hears of that."""
        await self._ask(_CANCEL, self._request(_CANCEL), {})

    async def delete(self) -> None:
        """Say that nobody needs it any more."""
        await self._ask(_DELETE, self._request(_DELETE), {})

    async def _ask(self, method: Method, request: Any, call: CallOptions) -> Any:
        told: CallOptions = {"metadata": self._metadata, **call}
        return await self._client._unary(method, request, {}, told)  # noqa: SLF001 - the same


def done_operation(result: Any) -> Message:
    """Return an operation that ended with a result: a schema, a message, or None for nothing."""
    message: Any = operations_pb2.Operation(name="operations/fake", done=True)
    packed = codec_of(type(result)).to_message(result) if isinstance(result, Schema) else result
    packed = Empty() if packed is None else packed
    message.response.type_url = f"{_PREFIX}{packed.DESCRIPTOR.full_name}"
    message.response.value = packed.SerializeToString()
    done: Message = message
    return done


def _unpacked(shape: Shape, packed: Any) -> Any:
    if shape is None or not packed.type_url:
        return None
    if issubclass(shape, Schema):
        return codec_of(shape).to_schema(shape.message_type.FromString(packed.value))
    return shape.FromString(packed.value)


def _slice(end: float | None) -> float | None:
    """Return how long the next call waits, None when the time is over."""
    if end is None:
        return _WAIT_SECONDS
    left = end - time.monotonic()
    return min(left, _WAIT_SECONDS) if left > 0 else None


def _late(name: str) -> DeadlineExceeded:
    return DeadlineExceeded(f"{name} was not done in the time that was allowed")
