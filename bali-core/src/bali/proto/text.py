"""Descriptors as readable .proto text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from google.protobuf import descriptor_pb2

from bali.proto.descriptors import build_file
from bali.proto.shapes import ServiceShape
from bali.schemas import Record, records_of

__all__ = ["proto_text"]

_F = descriptor_pb2.FieldDescriptorProto


def proto_text(shape: ServiceShape) -> str:
    """Return the .proto file of a service, with the docstrings of resources and schemas as comments.

    Compiled by protoc it gives the descriptors that the service runs with.
    """
    return "\n".join(_Writer(shape).lines()) + "\n"


class _Writer:
    def __init__(self, shape: ServiceShape) -> None:
        self.shape = shape
        self.file = build_file(shape)
        self.records: Mapping[str, Record] = {
            record.name: record
            for method in shape.methods
            for root in (method.request, method.response)
            if root is not None
            for record in records_of(root)
        }

    def lines(self) -> Iterator[str]:
        yield 'syntax = "proto3";'
        yield ""
        if self.file.package:
            yield f"package {self.file.package};"
            yield ""
        if self.file.dependency:
            for name in self.file.dependency:
                yield f'import "{name}";'
            yield ""
        yield from self._service()
        for message in self.file.message_type:
            yield ""
            yield from self._message(message)
        for enum in self.file.enum_type:
            yield ""
            yield f"enum {enum.name} {{"
            for value in enum.value:
                yield f"  {value.name} = {value.number};"
            yield "}"

    def _service(self) -> Iterator[str]:
        service = self.file.service[0]
        yield from _comment(self.shape.description, "")
        yield f"service {service.name} {{"
        for position, (method, shape) in enumerate(
            zip(service.method, self.shape.methods, strict=True)
        ):
            if position and shape.description:
                yield ""
            yield from _comment(shape.description, "  ")
            stream = "stream " if method.server_streaming else ""
            request, response = self._type(method.input_type), self._type(method.output_type)
            yield f"  rpc {method.name}({request}) returns ({stream}{response});"
        yield "}"

    def _message(self, message: descriptor_pb2.DescriptorProto) -> Iterator[str]:
        record = self.records.get(message.name)
        yield from _comment(record.description if record else "", "")
        if not message.field:
            yield f"message {message.name} {{}}"
            return
        yield f"message {message.name} {{"
        entries = {nested.name: nested for nested in message.nested_type}
        real = [
            number
            for number, oneof in enumerate(message.oneof_decl)
            if not oneof.name.startswith("_")
        ]
        for number in real:
            yield f"  oneof {message.oneof_decl[number].name} {{"
            for field in message.field:
                if field.HasField("oneof_index") and field.oneof_index == number:
                    yield f"    {self._type(field.type_name)} {field.name} = {field.number};"
            yield "  }"
        for field in message.field:
            if field.HasField("oneof_index") and field.oneof_index in real:
                continue
            found = next(
                (item for item in record.fields if item.wire_name == field.name), None
            ) if record else None
            yield from _comment(found.description if found else "", "  ")
            yield f"  {self._field_type(field, entries)} {field.name} = {field.number};"
        yield "}"

    def _field_type(
        self, field: descriptor_pb2.FieldDescriptorProto, entries: Mapping[str, object]
    ) -> str:
        short = field.type_name.rpartition(".")[2]
        entry = entries.get(short)
        if isinstance(entry, descriptor_pb2.DescriptorProto):
            return f"map<string, {self._plain(entry.field[1])}>"
        name = self._plain(field)
        if field.label == _F.LABEL_REPEATED:
            return f"repeated {name}"
        return f"optional {name}" if field.proto3_optional else name

    def _plain(self, field: descriptor_pb2.FieldDescriptorProto) -> str:
        if field.type_name:
            return self._type(field.type_name)
        return str(_F.Type.Name(field.type)).removeprefix("TYPE_").lower()

    def _type(self, full_name: str) -> str:
        own = f".{self.file.package}." if self.file.package else "."
        if full_name.startswith(own) and "." not in full_name.removeprefix(own):
            return full_name.removeprefix(own)
        return full_name.removeprefix(".")


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"{indent}// {line}".rstrip()
