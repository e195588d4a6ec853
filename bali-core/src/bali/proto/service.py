"""A service bound to messages: built from the tree, or found in a compiled .proto."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from bali.errors import ConfigurationError
from bali.proto.codec import Binder, Codec, Direction
from bali.proto.descriptors import add_to_pool, build_file, dependencies
from bali.proto.shapes import BoundMethod, BoundService, Method, ServiceShape
from bali.schemas import Field, Record, Scalar, ScalarKind

__all__ = ["bind_request", "bind_response", "bind_service", "build_service"]



def build_service(shape: ServiceShape) -> BoundService:
    """Build the descriptors of a service and bind it to them (code first).

    Each service has a descriptor pool of its own, so that several apps of one process may use the
    same names. Raises `ConfigurationError` for what protobuf cannot express.
    """
    pool = DescriptorPool()
    for file in dependencies():
        add_to_pool(pool, file)
    built = build_file(shape)
    pool.AddSerializedFile(built.SerializeToString())
    descriptor = pool.FindFileByName(shape.file_name).services_by_name[shape.name]
    return _bound(shape, descriptor, pool)


def bind_service(shape: ServiceShape, descriptor: ServiceDescriptor) -> BoundService:
    """Bind a service to a compiled, hand-written .proto (proto first): methods by name.

    Methods of the .proto that the resources do not have are left unanswered (UNIMPLEMENTED).
    Raises `ConfigurationError` for a method that the .proto lacks, and for a message that does not
    fit; with the file, message and field named.
    """
    return _bound(shape, descriptor, descriptor.file.pool)


def bind_request(record: Record, descriptor: Descriptor) -> Codec:
    """Return the codec of a request message."""
    is_partial = any(
        isinstance(field.node, Scalar) and field.node.kind is ScalarKind.FIELD_MASK
        for field in record.fields
    )
    return Binder(Direction.REQUEST, is_partial=is_partial).bind(record, descriptor)


def bind_response(record: Record | None, descriptor: Descriptor) -> Codec:
    """Return the codec of a response message.

    The first bali's `ItemResponse{data}` holds a whole record as its one field; an empty result may
    be any message, which is sent without a field set.
    """
    if record is None:
        codec = Codec()
        codec.complete([])
        return codec
    fields = descriptor.fields_by_name
    is_item = "data" in fields and record.field("data") is None
    holds_parts = any(record.field(name) for name in ("items", "result"))
    if is_item and not holds_parts and not any(field.wire_name in fields for field in record.fields):
        outer = Record(name=record.name).fill((Field(name="data", node=record),))
        inner = Binder(Direction.RESPONSE).bind(outer, descriptor)
        return _Item(inner)
    return Binder(Direction.RESPONSE).bind(record, descriptor)


class _Item(Codec):
    """Puts a record into the field `data` of a message."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Codec) -> None:
        super().__init__()
        self._inner = inner

    def fill(self, message: Any, value: Any) -> None:
        self._inner.fill(message, {"data": value})

    def take(self, message: Any) -> dict[str, Any]:
        values: dict[str, Any] = self._inner.take(message).get("data", {})
        return values


def _bound(
    shape: ServiceShape, descriptor: ServiceDescriptor, pool: DescriptorPool
) -> BoundService:
    return BoundService(
        full_name=descriptor.full_name,
        methods=tuple(_bound_method(method, descriptor) for method in shape.methods),
        pool=pool,
        file=descriptor.file,
        descriptor=descriptor,
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
            f"{wanted}"
        )
    request = bind_request(method.request, found.input_type)
    response = bind_response(method.response, found.output_type)
    input_type = message_factory.GetMessageClass(found.input_type)
    output_type = message_factory.GetMessageClass(found.output_type)
    return BoundMethod(
        name=method.name,
        path=f"/{service.full_name}/{method.name}",
        input_type=input_type,
        output_type=output_type,
        is_server_streaming=method.is_server_streaming,
        decode=request.take,
        encode=_encoder(output_type, response),
        encode_request=_encoder(input_type, request),
        decode_response=response.take,
    )


def _encoder(message_type: type[Message], codec: Codec) -> Callable[[Any], Message]:
    fill = codec.fill

    def encode(value: Any) -> Message:
        message = message_type()
        if value is not None:
            fill(message, value)
        return message

    return encode
