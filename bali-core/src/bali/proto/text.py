"""Descriptors as readable .proto text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from google.protobuf import descriptor_pb2

from bali.proto.shapes import BoundService
from bali.schemas import EnumNode, Field, ListNode, MapNode, Node, Record, records_of

__all__ = ["proto_text"]

_F = descriptor_pb2.FieldDescriptorProto
_Message: TypeAlias = descriptor_pb2.DescriptorProto


def proto_text(service: BoundService) -> str:
    """Return the .proto file of a service, with docstrings as comments.

    Compiled by protoc it gives the descriptors that the service runs with.
    """
    return "\n".join(_Writer(service).lines()) + "\n"


class _Writer:
    def __init__(self, service: BoundService) -> None:
        self._shape = service.shape
        self._file = descriptor_pb2.FileDescriptorProto()
        service.file.CopyToProto(self._file)
        records = [
            record
            for method in self._shape.methods
            for root in (method.request, method.response)
            if root is not None
            for record in records_of(root)
        ]
        self._records: Mapping[str, Record] = {record.name: record for record in records}
        self._enums = {
            node.name: node
            for record in records
            for field in record.fields
            if isinstance(node := _innermost(field.node), EnumNode) and node.name
        }

    def lines(self) -> Iterator[str]:
        yield 'syntax = "proto3";'
        if self._file.package:
            yield from ("", f"package {self._file.package};")
        if self._file.dependency:
            yield ""
            yield from (f'import "{name}";' for name in self._file.dependency)
        for service in self._file.service:
            yield ""
            yield from self._service(service)
        for message in self._file.message_type:
            yield ""
            yield from self._message(message)
        for enum in self._file.enum_type:
            yield ""
            known = self._enums.get(enum.name)
            yield from _comment(known.description if known else "", "")
            yield f"enum {enum.name} {{"
            yield from (f"  {value.name} = {value.number};" for value in enum.value)
            yield "}"

    def _service(self, service: descriptor_pb2.ServiceDescriptorProto) -> Iterator[str]:
        descriptions = {method.name: method.description for method in self._shape.methods}
        yield from _comment(self._shape.description, "")
        if not service.method:
            yield f"service {service.name} {{}}"
            return
        yield f"service {service.name} {{"
        for position, method in enumerate(service.method):
            description = descriptions.get(method.name, "")
            if position and description:
                yield ""
            yield from _comment(description, "  ")
            takes, gives = self._type(method.input_type), self._type(method.output_type)
            if method.client_streaming:
                takes = f"stream {takes}"
            if method.server_streaming:
                gives = f"stream {gives}"
            yield f"  rpc {method.name}({takes}) returns ({gives});"
        yield "}"

    def _message(self, message: _Message) -> Iterator[str]:
        record = self._records.get(message.name)
        described = {field.wire_name: field for field in record.fields} if record else {}
        yield from _comment(record.description if record else "", "")
        if not message.field:
            yield f"message {message.name} {{}}"
            return
        yield f"message {message.name} {{"
        optional = {field.oneof_index for field in message.field if field.proto3_optional}
        begun: set[int] = set()
        for position, field in enumerate(message.field):
            group = field.oneof_index if field.HasField("oneof_index") else None
            if group is None or group in optional:
                comment = _description(described.get(field.name))
                if position and comment:
                    yield ""
                yield from _comment(comment, "  ")
                yield f"  {self._field(message, field)}"
            elif group not in begun:
                begun.add(group)
                yield f"  oneof {message.oneof_decl[group].name} {{"
                for choice in message.field:
                    if choice.HasField("oneof_index") and choice.oneof_index == group:
                        yield f"    {self._field(message, choice)}"
                yield "  }"
        yield "}"

    def _field(self, message: _Message, field: _F) -> str:
        return f"{self._field_type(message, field)} {field.name} = {field.number};"

    def _field_type(self, message: _Message, field: _F) -> str:
        own = f"{self._own_prefix()}{message.name}."
        for entry in message.nested_type:
            if field.type_name == f"{own}{entry.name}" and entry.options.map_entry:
                key, value = (self._plain(message, part) for part in entry.field)
                return f"map<{key}, {value}>"
        name = self._plain(message, field)
        if field.label == _F.LABEL_REPEATED:
            return f"repeated {name}"
        return f"optional {name}" if field.proto3_optional else name

    def _plain(self, message: _Message, field: _F) -> str:
        if not field.type_name:
            return str(_F.Type.Name(field.type)).removeprefix("TYPE_").lower()
        name = self._type(field.type_name)
        # A nested message, as that of a map's entries, hides one of the same name outside.
        is_hidden = any(nested.name == name for nested in message.nested_type)
        return field.type_name if is_hidden else name

    def _own_prefix(self) -> str:
        return f".{self._file.package}." if self._file.package else "."

    def _type(self, full_name: str) -> str:
        own = self._own_prefix()
        if full_name.startswith(own) and "." not in full_name.removeprefix(own):
            return full_name.removeprefix(own)
        return full_name.removeprefix(".")


def _innermost(node: Node) -> Node:
    while isinstance(node, ListNode | MapNode):
        node = node.item if isinstance(node, ListNode) else node.value
    return node


def _description(field: Field | None) -> str:
    return field.description if field is not None else ""


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"{indent}// {line}".rstrip()
