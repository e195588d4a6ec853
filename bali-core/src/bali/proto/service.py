"""A service bound to messages: built from the tree, or found in a compiled .proto."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from bali.errors import ConfigurationError
from bali.proto.codec import Codec
from bali.proto.descriptors import add_to_pool, build_file, dependencies
from bali.proto.messages import bind_request, bind_response, counts_total
from bali.proto.operations import bind_operation, fill_operation
from bali.proto.shapes import BoundMethod, BoundService, Method, ServiceShape
from bali.schemas import Record

__all__ = ["bind_service", "build_service", "request_decoder"]


def build_service(
    shape: ServiceShape, committed: FileDescriptorProto | None = None
) -> BoundService:
    """Build the descriptors of a service and bind it to them (code first).

    Each service has a descriptor pool of its own, so that several apps of one process may use the
    same names. `committed`: the file as it was before, whose numbers are kept. Raises
    `ConfigurationError` for what protobuf cannot express.
    """
    pool = DescriptorPool()
    for file in dependencies():
        add_to_pool(pool, file)
    built = build_file(shape, committed)
    try:
        pool.AddSerializedFile(built.SerializeToString())
    except TypeError as error:
        raise ConfigurationError(f"{shape.file_name}: protobuf refuses it: {error}") from error
    descriptor = pool.FindFileByName(shape.file_name).services_by_name[shape.name]
    return _bound(shape, descriptor, pool)


def bind_service(shape: ServiceShape, descriptor: ServiceDescriptor) -> BoundService:
    """Bind a service to a compiled, hand-written .proto (proto first): methods by name.

    Methods of the .proto that the resources do not have are left unanswered (UNIMPLEMENTED).
    Raises `ConfigurationError` for a method that the .proto lacks, and for a message that does not
    fit; with the file, message and field named.
    """
    return _bound(shape, descriptor, descriptor.file.pool)


def _bound(
    shape: ServiceShape, descriptor: ServiceDescriptor, pool: DescriptorPool
) -> BoundService:
    return BoundService(
        full_name=descriptor.full_name,
        methods=tuple(_bound_method(method, descriptor) for method in shape.methods),
        pool=pool,
        file=descriptor.file,
        descriptor=descriptor,
        shape=shape,
    )


def _bound_method(method: Method, service: ServiceDescriptor) -> BoundMethod:
    found = service.methods_by_name.get(method.name)
    if found is None:
        raise ConfigurationError(
            f"{service.file.name}: service {service.full_name} has no method {method.name}; it has "
            f"{', '.join(service.methods_by_name) or 'none'}. Add it, or set rpc_name or http_only "
            "on the action"
        )
    if found.client_streaming or found.server_streaming != method.is_server_streaming:
        wanted = "a stream of responses" if method.is_server_streaming else "one response"
        raise ConfigurationError(
            f"{service.file.name}: method {found.full_name} must take one request and return "
            f"{wanted}, as the action does"
        )
    request = bind_request(method.request, found.input_type)
    if method.metadata is not None:
        return _long_running(method, found, request)
    response = bind_response(method.response, found.output_type)
    return BoundMethod(
        name=method.name,
        path=f"/{service.full_name}/{method.name}",
        input_type=request.message_type,
        output_type=response.message_type,
        is_server_streaming=method.is_server_streaming,
        decode=_decoder(method.request, method.response, request, response),
        encode=response.to_message,
        encode_request=request.to_message,
        decode_response=response.to_values,
    )


def _long_running(method: Method, found: MethodDescriptor, request: Codec) -> BoundMethod:
    operation = bind_operation(method.response, method.metadata, found)
    output = message_factory.GetMessageClass(found.output_type)

    def encode(value: Any) -> Message:
        message = output()
        fill_operation(message, value, operation.metadata)
        return message

    return BoundMethod(
        name=method.name,
        path=f"/{found.containing_service.full_name}/{method.name}",
        input_type=request.message_type,
        output_type=output,
        is_server_streaming=False,
        decode=request.to_values,
        encode=encode,
        encode_request=request.to_message,
        decode_response=operation.values,
        operation=operation,
    )


def request_decoder(
    request: Record, response: Record | None, input_type: Descriptor, output_type: Descriptor
) -> Callable[[Message], dict[str, Any]]:
    """Return what reads requests; it asks for the total when the response has a `count` of all."""
    return _decoder(
        request, response, bind_request(request, input_type), bind_response(response, output_type)
    )


def _decoder(
    shape: Record, answer: Record | None, request: Codec, response: Codec
) -> Callable[[Message], dict[str, Any]]:
    takes_question = any(field.wire_name == "with_total" for field in shape.fields)
    is_asked = any(slot.wire_name == "with_total" for slot in request.slots)
    if not takes_question or is_asked or not counts_total(answer, response.descriptor):
        return request.to_values

    def decode(message: Message) -> dict[str, Any]:
        return {**request.to_values(message), "with_total": True}

    return decode
