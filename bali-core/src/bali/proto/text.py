"""Descriptors as readable .proto text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from google.api import annotations_pb2, field_behavior_pb2
from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf import descriptor_pb2

from bali.proto.shapes import BoundService
from bali.proto.spelling import map_entry, package_prefix, plain_name
from bali.schemas import EnumNode, Field, ListNode, MapNode, Node, Record, records_of

__all__ = ["proto_text"]

#: Over a message that is in the file only so that its numbers are never given anew.
_UNUSED = "Not used any more: kept so that its numbers are not given to something else."
_F = descriptor_pb2.FieldDescriptorProto
_Message: TypeAlias = descriptor_pb2.DescriptorProto


def proto_text(service: BoundService, *, header: str = "") -> str:
    """Return the .proto file of a service, with docstrings as comments.

    `header` comes first, as a comment. Compiled by protoc it gives the descriptors that the service
    runs with.
    """
    lines = [*_comment(header, ""), *([""] if header else []), *_Writer(service).lines()]
    return "\n".join(lines) + "\n"


class _Writer:
    def __init__(self, service: BoundService) -> None:
        self._shape = service.shape
        self._file = descriptor_pb2.FileDescriptorProto()
        service.file.CopyToProto(self._file)
        self._prefix = package_prefix(self._file.package)
        records = [
            record
            for method in self._shape.methods
            for root in (method.request, method.response, method.metadata)
            if root is not None
            for record in records_of(root)
        ]
        self._records: Mapping[str, Record] = {record.name: record for record in records}
        self._used = _used_types(self._file)
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
            yield from self._type_comment(enum.name, known.description if known else "")
            yield f"enum {enum.name} {{"
            yield from _reserved(enum, last=0)
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
            options = list(_options(method.options))
            if not options:
                yield f"  rpc {method.name}({takes}) returns ({gives});"
                continue
            yield f"  rpc {method.name}({takes}) returns ({gives}) {{"
            yield from (f"    {line}" for line in options)
            yield "  }"
        yield "}"

    def _message(self, message: _Message) -> Iterator[str]:
        record = self._records.get(message.name)
        described = {field.wire_name: field for field in record.fields} if record else {}
        yield from self._type_comment(message.name, record.description if record else "")
        reserved = list(_reserved(message, last=-1))
        if not message.field and not reserved:
            yield f"message {message.name} {{}}"
            return
        yield f"message {message.name} {{"
        yield from reserved
        if message.field and reserved:
            yield ""
        optional = {field.oneof_index for field in message.field if field.proto3_optional}
        begun: set[int] = set()
        for position, field in enumerate(message.field):
            group = field.oneof_index if field.HasField("oneof_index") else None
            if group is None or group in optional:
                comment = _description(described.get(field.name))
                if position and comment:
                    yield ""
                yield from _comment(comment, "  ")
                yield from self._field(message, field, "  ")
            elif group not in begun:
                begun.add(group)
                yield f"  oneof {message.oneof_decl[group].name} {{"
                for choice in message.field:
                    if choice.HasField("oneof_index") and choice.oneof_index == group:
                        yield from self._field(message, choice, "    ")
                yield "  }"
        yield "}"

    def _type_comment(self, name: str, description: str) -> Iterator[str]:
        is_used = f"{self._prefix}{name}" in self._used
        yield from _comment(description if is_used else _UNUSED, "")

    def _field(self, message: _Message, field: _F, indent: str) -> Iterator[str]:
        declared = f"{indent}{self._field_type(message, field)} {field.name} = {field.number}"
        options = [
            f"(google.api.field_behavior) = {field_behavior_pb2.FieldBehavior.Name(value)}"
            for value in field.options.Extensions[field_behavior_pb2.field_behavior]
        ]
        if len(options) > 1:
            yield f"{declared} ["
            yield from (f"{indent}  {option}," for option in options[:-1])
            yield f"{indent}  {options[-1]}"
            yield f"{indent}];"
        else:
            yield f"{declared} [{options[0]}];" if options else f"{declared};"

    def _field_type(self, message: _Message, field: _F) -> str:
        entry = map_entry(message, field, self._prefix)
        if entry is not None:
            key, value = (self._plain(message, part) for part in entry.field)
            return f"map<{key}, {value}>"
        name = self._plain(message, field)
        if field.label == _F.LABEL_REPEATED:
            return f"repeated {name}"
        return f"optional {name}" if field.proto3_optional else name

    def _plain(self, message: _Message, field: _F) -> str:
        if not field.type_name:
            return plain_name(field)
        name = self._type(field.type_name)
        # A nested message, as that of a map's entries, hides one of the same name outside.
        is_hidden = any(nested.name == name for nested in message.nested_type)
        return field.type_name if is_hidden else name

    def _type(self, full_name: str) -> str:
        own = self._prefix
        if full_name.startswith(own) and "." not in full_name.removeprefix(own):
            return full_name.removeprefix(own)
        return full_name.removeprefix(".")


def _options(options: descriptor_pb2.MethodOptions) -> Iterator[str]:
    """Give the statements of a method's options."""
    if options.HasField("idempotency_level"):
        level = descriptor_pb2.MethodOptions.IdempotencyLevel.Name(options.idempotency_level)
        yield f"option idempotency_level = {level};"
    if options.HasExtension(operations_pb2.operation_info):
        info = options.Extensions[operations_pb2.operation_info]
        yield "option (google.longrunning.operation_info) = {"
        yield f'  response_type: "{info.response_type}"'
        yield f'  metadata_type: "{info.metadata_type}"'
        yield "};"
    if not options.HasExtension(annotations_pb2.http):
        return
    rule = options.Extensions[annotations_pb2.http]
    first = list(_rule(rule))
    if len(first) == 1 and not rule.additional_bindings:
        yield f"option (google.api.http) = {{{first[0]}}};"
        return
    yield "option (google.api.http) = {"
    yield from (f"  {line}" for line in first)
    for other in rule.additional_bindings:
        yield "  additional_bindings {"
        yield from (f"    {line}" for line in _rule(other))
        yield "  }"
    yield "};"


def _rule(rule: Any) -> Iterator[str]:
    pattern = rule.WhichOneof("pattern")
    yield f'{pattern}: "{getattr(rule, pattern)}"'
    if rule.body:
        yield f'body: "{rule.body}"'


def _reserved(owner: Any, *, last: int) -> Iterator[str]:
    """Give the `reserved` statements of a message or enum; `last`: what its ranges end with."""
    ranges = [(item.start, item.end + last) for item in owner.reserved_range]
    if ranges:
        numbers = (str(a) if a == b else f"{a} to {b}" for a, b in ranges)
        yield f"  reserved {', '.join(numbers)};"
    if owner.reserved_name:
        names = ", ".join(f'"{name}"' for name in owner.reserved_name)
        yield f"  reserved {names};"


def _innermost(node: Node) -> Node:
    while isinstance(node, ListNode | MapNode):
        node = node.item if isinstance(node, ListNode) else node.value
    return node


def _description(field: Field | None) -> str:
    return field.description if field is not None else ""


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"{indent}// {line}".rstrip()


def _operation_types(method: descriptor_pb2.MethodDescriptorProto, prefix: str) -> Iterator[str]:
    """Give the full names of the own types that a long-running method's operations have."""
    if method.options.HasExtension(operations_pb2.operation_info):
        info = method.options.Extensions[operations_pb2.operation_info]
        yield from (f"{prefix}{name}" for name in (info.response_type, info.metadata_type))


def _used_types(file: descriptor_pb2.FileDescriptorProto) -> set[str]:
    """Return the full names of the types that the methods of a file use, directly or not."""
    prefix = package_prefix(file.package)
    by_name = {f"{prefix}{message.name}": message for message in file.message_type}
    waiting = [
        name
        for service in file.service
        for method in service.method
        for name in (method.input_type, method.output_type, *_operation_types(method, prefix))
    ]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if (message := by_name.get(name)) is not None:
            for owner in (message, *message.nested_type):
                waiting += [field.type_name for field in owner.field if field.type_name]
    return seen
