"""Long-running operations as `google.longrunning.Operation` (AIP-151), and back again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.rpc import error_details_pb2, status_pb2

from bali.errors import ConfigurationError, problem_members
from bali.proto.codec import Codec
from bali.proto.messages import bind_response
from bali.proto.status import error_from_status
from bali.schemas import Record

__all__ = ["OPERATION", "BoundOperation", "bind_operation", "fill_operation"]

#: The message that every long-running method returns.
OPERATION = operations_pb2.Operation.DESCRIPTOR.full_name

_PREFIX = "type.googleapis.com/"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundOperation:
    """The messages of one long-running method: of its result and of its metadata.

    `has_result` is False for a method whose operations end without one.
    """

    result: Codec
    metadata: Codec
    has_result: bool

    def packed(self, value: Any) -> tuple[str, bytes]:
        """Return the type and the bytes of a result. Raises `EncodeError`."""
        message = self.result.to_message(value)
        return message.DESCRIPTOR.full_name, message.SerializeToString()

    def values(self, message: Any) -> dict[str, Any]:
        """Return what a `google.longrunning.Operation` holds, by wire name."""
        metadata = self.metadata.message_type.FromString(message.metadata.value)
        found: dict[str, Any] = {
            "name": message.name,
            "done": message.done,
            "metadata": self.metadata.to_values(metadata),
            "error": None,
            "response": None,
        }
        if message.HasField("error"):
            found["error"] = _problem(message.error)
        elif message.HasField("response"):
            result = self.result.message_type.FromString(message.response.value)
            found["response"] = self.result.to_values(result) if self.has_result else {}
        return found


def fill_operation(message: Any, operation: Any, metadata: Codec | None) -> None:
    """Put an operation into a `google.longrunning.Operation`.

    `metadata` makes the message of its metadata, which is left out without one.
    """
    message.name = operation.name
    message.done = operation.done
    if metadata is not None:
        told = metadata.to_message(operation.metadata)
        message.metadata.type_url = f"{_PREFIX}{told.DESCRIPTOR.full_name}"
        message.metadata.value = told.SerializeToString()
    wire = operation.wire
    if wire is not None and wire.status is not None:
        message.error.MergeFromString(wire.status)
    elif wire is not None:
        message.response.type_url = f"{_PREFIX}{wire.type_name}"
        message.response.value = wire.value


def bind_operation(
    result: Record | None, metadata: Record | None, method: MethodDescriptor
) -> BoundOperation:
    """Bind the operations of a method to the messages that its `operation_info` names.

    Raises `ConfigurationError` for a method that returns something else, and for messages that are
    not there or do not fit.
    """
    place = f"{method.containing_service.file.name}: method {method.full_name}"
    if method.output_type.full_name != OPERATION:
        raise ConfigurationError(
            f"{place} returns {method.output_type.full_name}, and its action is lro=True; let it "
            f"return {OPERATION}"
        )
    # The options of a pool of its own know the extension as bytes alone.
    options: Any = MethodOptions.FromString(method.GetOptions().SerializeToString())
    info = options.Extensions[operations_pb2.operation_info]
    return BoundOperation(
        result=bind_response(result, _named(info.response_type, "response_type", method, place)),
        metadata=bind_response(
            metadata, _named(info.metadata_type, "metadata_type", method, place)
        ),
        has_result=result is not None,
    )


def _named(name: str, option: str, method: MethodDescriptor, place: str) -> Descriptor:
    package = method.containing_service.file.package
    pool = method.containing_service.file.pool
    if not name:
        raise ConfigurationError(
            f"{place}: the option (google.longrunning.operation_info) has no {option}; name the "
            "message there"
        )
    for full_name in (f"{package}.{name}" if package else name, name):
        try:
            found: Descriptor = pool.FindMessageTypeByName(full_name)
        except KeyError:
            continue
        return found
    raise ConfigurationError(f"{place}: {option} {name!r} is no message that the file knows")


def _problem(status: status_pb2.Status) -> Mapping[str, Any]:
    details = [(item.type_url, item.value) for item in status.details]
    error = error_from_status(status.code, status.message, details)
    request = error_details_pb2.RequestInfo()
    for item in status.details:
        item.Unpack(request)
    return problem_members(error, request.request_id)
