"""The standard gRPC service of operations, `google.longrunning.Operations`, bound to the resource.

Client libraries know it (`google.api_core.operation`), so nobody has to write one.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf import empty_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from bali.operations.outcomes import PREFIX, OperationActions
from bali.operations.resource import SERVICE
from bali.proto import BoundMethod, BoundService, ServiceShape, fill_operation

__all__ = ["bind_operations"]

#: What is longer than this, in the request of a wait, is the same to us.
_DAY_SECONDS = 86_400
#: Takes the fields of a request by wire name, or an object with them.
Fields = Mapping[str, Any] | Any


def bind_operations(actions: OperationActions, pool: DescriptorPool) -> BoundService:
    """Return the service with the conversions of its five methods.

    `pool` has the messages of the actions.
    """
    messages = _Messages(actions)
    pb2: Any = operations_pb2
    one = (pb2.Operation, messages.operation, messages.operation_values)
    nothing = (empty_pb2.Empty, _empty, _no_values)
    many = (pb2.ListOperationsResponse, messages.page, messages.page_values)
    descriptor = operations_pb2.Operation.DESCRIPTOR.file.services_by_name["Operations"]
    return BoundService(
        full_name=SERVICE,
        methods=(
            _method("ListOperations", pb2.ListOperationsRequest, _listed, many),
            _method("GetOperation", pb2.GetOperationRequest, _named, one),
            _method("DeleteOperation", pb2.DeleteOperationRequest, _named, nothing),
            _method("CancelOperation", pb2.CancelOperationRequest, _named, nothing),
            _method("WaitOperation", pb2.WaitOperationRequest, _awaited, one),
        ),
        pool=pool,
        file=descriptor.file,
        descriptor=descriptor,
        shape=ServiceShape(
            package="google.longrunning",
            name="Operations",
            file_name=descriptor.file.name,
            methods=(),
        ),
    )


def _method(
    name: str,
    request: type[Any],
    decode: Callable[[Any], dict[str, Any]],
    answer: tuple[type[Any], Callable[[Any], Message], Callable[[Any], dict[str, Any]]],
) -> BoundMethod:
    def encode_request(fields: Fields) -> Message:
        message: Message = _request(request(), fields)
        return message

    output, encode, decode_response = answer
    return BoundMethod(
        name=name,
        path=f"/{SERVICE}/{name}",
        input_type=request,
        output_type=output,
        is_server_streaming=False,
        decode=decode,
        encode=encode,
        encode_request=encode_request,
        decode_response=decode_response,
    )


def _empty(_: Any) -> Message:
    return empty_pb2.Empty()


def _no_values(_: Any) -> dict[str, Any]:
    return {}


class _Messages:
    """Operations as messages, and back."""

    def __init__(self, actions: OperationActions) -> None:
        self._actions = actions

    def operation(self, operation: Any) -> Message:
        """Return the message of an operation."""
        message: Message = operations_pb2.Operation()
        self._fill(message, operation)
        return message

    def page(self, page: Any) -> Message:
        """Return the message of one page of operations."""
        answer: Any = operations_pb2.ListOperationsResponse(next_page_token=page.next_page_token)
        for item in page.items:
            self._fill(answer.operations.add(), item)
        message: Message = answer
        return message

    def operation_values(self, message: Any) -> dict[str, Any]:
        """Return what the message of an operation holds, by wire name."""
        bound = self._actions.bound_of(message)
        return {} if bound is None else self._actions.with_json(bound.values(message))

    def page_values(self, message: Any) -> dict[str, Any]:
        """Return what the message of a page holds, by wire name."""
        items = [self.operation_values(item) for item in message.operations]
        return {"items": items, "next_page_token": message.next_page_token}

    def _fill(self, message: Any, operation: Any) -> None:
        bound = self._actions.bound(operation.metadata.action)
        fill_operation(message, operation, bound.metadata if bound else None)


def _named(message: Any) -> dict[str, Any]:
    return {"id": message.name.removeprefix(PREFIX)}


def _awaited(message: Any) -> dict[str, Any]:
    values = _named(message)
    if message.HasField("timeout"):
        seconds = max(0, min(message.timeout.seconds, _DAY_SECONDS))
        values["timeout"] = datetime.timedelta(
            seconds=seconds, microseconds=message.timeout.nanos // 1000
        )
    return values


def _listed(message: Any) -> dict[str, Any]:
    values = {"page_size": message.page_size, "page_token": message.page_token}
    if message.filter:
        values["filter"] = message.filter  # which no list of operations takes
    return values


def _request(message: Any, fields: Fields) -> Any:
    given = fields if isinstance(fields, Mapping) else dict(fields)
    for name, value in given.items():
        if name == "id":
            message.name = f"{PREFIX}{str(value).removeprefix(PREFIX)}"
        elif name == "timeout" and value is not None:
            is_span = isinstance(value, datetime.timedelta)
            message.timeout.FromTimedelta(value if is_span else datetime.timedelta(seconds=value))
        elif value is not None:
            setattr(message, name, value)
    return message
