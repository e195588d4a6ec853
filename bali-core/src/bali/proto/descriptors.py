"""Code first: from the typed tree to protobuf descriptors, at run time.

Messages, enums and fields come out in the order in which they are declared and met, so the same
resources give the same descriptors in every process. A field that a caller may leave out has
presence (proto3 `optional`): "missing" can be told from zero. Where protobuf has no form for a
value (a nullable list, a list of lists, a list with gaps), a small message is put around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
)
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.type import date_pb2, decimal_pb2, timeofday_pb2

from bali.errors import ConfigurationError
from bali.proto.shapes import Method, ServiceShape
from bali.schemas import (
    EnumNode,
    Field,
    ListNode,
    MapNode,
    Node,
    Record,
    Scalar,
    ScalarKind,
    UnionNode,
    records_of,
)

__all__ = ["add_to_pool", "build_file", "enum_value_name"]

_F = descriptor_pb2.FieldDescriptorProto
_PLAIN = {
    ScalarKind.BOOL: _F.TYPE_BOOL,
    ScalarKind.INT: _F.TYPE_INT64,
    ScalarKind.FLOAT: _F.TYPE_DOUBLE,
    ScalarKind.STRING: _F.TYPE_STRING,
    ScalarKind.BYTES: _F.TYPE_BYTES,
    ScalarKind.UUID: _F.TYPE_STRING,
}
_MESSAGES: dict[ScalarKind, Any] = {
    ScalarKind.DECIMAL: decimal_pb2.Decimal,
    ScalarKind.DATETIME: timestamp_pb2.Timestamp,
    ScalarKind.DATE: date_pb2.Date,
    ScalarKind.TIME: timeofday_pb2.TimeOfDay,
    ScalarKind.TIMEDELTA: duration_pb2.Duration,
    ScalarKind.ANY: struct_pb2.Value,
    ScalarKind.FIELD_MASK: field_mask_pb2.FieldMask,
}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def build_file(shape: ServiceShape) -> descriptor_pb2.FileDescriptorProto:
    """Return the file with the service and every message it needs.

    Raises `ConfigurationError` for two schemas with one message name, and for a field name that
    protobuf does not allow; both name the schemas.
    """
    return _FileBuilder(shape).build()


def add_to_pool(pool: DescriptorPool, file: FileDescriptor) -> None:
    """Add a compiled file and what it imports to a pool that does not have them yet."""
    try:
        pool.FindFileByName(file.name)
    except KeyError:
        for dependency in file.dependencies:
            add_to_pool(pool, dependency)
        pool.AddSerializedFile(file.serialized_pb)


def enum_value_name(enum_name: str, member: str) -> str:
    """Return the name of an enum value: `Size`, `large` become `SIZE_LARGE`."""
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", enum_name).upper()
    return f"{prefix}_{re.sub(r'[^0-9A-Za-z]+', '_', member).strip('_').upper() or 'EMPTY'}"


class _FileBuilder:
    def __init__(self, shape: ServiceShape) -> None:
        self.shape = shape
        self.file = descriptor_pb2.FileDescriptorProto(
            name=shape.file_name, package=shape.package, syntax="proto3"
        )
        self._owners: dict[str, Any] = {}
        self._dependencies: set[str] = set()
        self._from_callers = {
            id(record) for method in shape.methods for record in records_of(method.request)
        }

    def build(self) -> descriptor_pb2.FileDescriptorProto:
        service = descriptor_pb2.ServiceDescriptorProto(name=self.shape.name)
        for method in self.shape.methods:
            service.method.append(self._method(method))
        self.file.service.append(service)
        self.file.dependency.extend(sorted(self._dependencies))
        return self.file

    def _method(self, method: Method) -> descriptor_pb2.MethodDescriptorProto:
        request = self._message(method.request)
        if method.response is None:
            response = self._well_known(empty_pb2.Empty)
        else:
            response = self._message(method.response)
        return descriptor_pb2.MethodDescriptorProto(
            name=method.name,
            input_type=request,
            output_type=response,
            server_streaming=method.is_server_streaming or None,
        )

    # -- messages ------------------------------------------------------------------------------

    def _message(self, record: Record) -> str:
        name = record.name
        if not self._claim(name, record, "schema", record.type):
            return self._full(name)
        # A place is taken before the fields are read, so that a record can contain itself.
        position = len(self.file.message_type)
        self.file.message_type.add(name=name)
        message = descriptor_pb2.DescriptorProto(name=name)
        for field in record.fields:
            self._field(message, record, field)
        _add_presence(message)
        self.file.message_type[position].CopyFrom(message)
        return self._full(name)

    def _field(
        self, message: descriptor_pb2.DescriptorProto, record: Record, field: Field
    ) -> None:
        where = f"{record.name}.{field.wire_name}"
        if not _IDENTIFIER.match(field.wire_name):
            raise ConfigurationError(
                f"{_place(record)}: field {field.wire_name!r} is no name in protobuf; use letters, "
                "digits and underscores"
            )
        entry = message.field.add(
            name=field.wire_name, number=len(message.field) + 1, label=_F.LABEL_OPTIONAL
        )
        stem = f"{record.name}{_camel(field.wire_name)}"
        node = field.node
        if isinstance(node, ListNode | MapNode) and field.is_nullable:
            self._wrapper(entry, f"{stem}Value", "values", node)
        elif isinstance(node, ListNode):
            self._repeated(entry, stem, node)
        elif isinstance(node, MapNode):
            self._map(message, entry, stem, node)
        else:
            self._single(entry, stem, node, where)
            is_optional = field.is_nullable or id(record) in self._from_callers
            if is_optional and entry.type != _F.TYPE_MESSAGE:
                entry.proto3_optional = True

    def _repeated(self, entry: Any, stem: str, node: ListNode) -> None:
        if node.is_item_nullable or isinstance(node.item, ListNode | MapNode):
            self._wrapper(entry, f"{stem}Item", _wrapped_name(node.item), node.item)
        else:
            self._single(entry, stem, node.item, stem)
        entry.label = _F.LABEL_REPEATED

    def _map(
        self, message: descriptor_pb2.DescriptorProto, entry: Any, stem: str, node: MapNode
    ) -> None:
        nested = message.nested_type.add(name=f"{_camel(entry.name)}Entry")
        nested.options.map_entry = True
        nested.field.add(name="key", number=1, label=_F.LABEL_OPTIONAL, type=_F.TYPE_STRING)
        value = nested.field.add(name="value", number=2, label=_F.LABEL_OPTIONAL)
        if node.is_value_nullable or isinstance(node.value, ListNode | MapNode):
            self._wrapper(value, f"{stem}Item", _wrapped_name(node.value), node.value)
        else:
            self._single(value, stem, node.value, stem)
        entry.label = _F.LABEL_REPEATED
        entry.type = _F.TYPE_MESSAGE
        entry.type_name = f"{self._full(message.name)}.{nested.name}"

    def _single(self, entry: Any, stem: str, node: Node, where: str) -> None:
        if isinstance(node, Scalar) and node.kind in _PLAIN:
            entry.type = _PLAIN[node.kind]
        elif isinstance(node, Scalar):
            entry.type, entry.type_name = _F.TYPE_MESSAGE, self._well_known(_MESSAGES[node.kind])
        elif isinstance(node, EnumNode):
            entry.type, entry.type_name = _F.TYPE_ENUM, self._enum(node, stem)
        elif isinstance(node, UnionNode):
            entry.type, entry.type_name = _F.TYPE_MESSAGE, self._union(node, stem)
        elif isinstance(node, Record):
            entry.type, entry.type_name = _F.TYPE_MESSAGE, self._message(node)
        else:
            raise ConfigurationError(f"{where}: {node!r} has no form in protobuf")

    def _wrapper(self, entry: Any, name: str, field_name: str, node: Node) -> None:
        self._claim(name, name, "wrapper", None)
        message = descriptor_pb2.DescriptorProto(name=name)
        position = len(self.file.message_type)
        self.file.message_type.add(name=name)
        inner = message.field.add(name=field_name, number=1, label=_F.LABEL_OPTIONAL)
        if isinstance(node, ListNode):
            self._repeated(inner, name, node)
        elif isinstance(node, MapNode):
            self._map(message, inner, name, node)
        else:
            self._single(inner, name, node, name)
            if inner.type != _F.TYPE_MESSAGE:
                inner.proto3_optional = True
        _add_presence(message)
        self.file.message_type[position].CopyFrom(message)
        entry.type, entry.type_name = _F.TYPE_MESSAGE, self._full(name)

    def _union(self, node: UnionNode, stem: str) -> str:
        name = f"{stem}Choice"
        if not self._claim(name, node, "union", None):
            return self._full(name)
        position = len(self.file.message_type)
        self.file.message_type.add(name=name)
        message = descriptor_pb2.DescriptorProto(name=name)
        message.oneof_decl.add(name="choice")
        for variant in node.variants:
            if not _IDENTIFIER.match(variant.tag):
                raise ConfigurationError(
                    f"{_place(variant.record)}: tag {variant.tag!r} is no name in protobuf; use "
                    "letters, digits and underscores"
                )
            message.field.add(
                name=variant.tag,
                number=len(message.field) + 1,
                label=_F.LABEL_OPTIONAL,
                type=_F.TYPE_MESSAGE,
                type_name=self._message(variant.record),
                oneof_index=0,
            )
        self.file.message_type[position].CopyFrom(message)
        return self._full(name)

    def _enum(self, node: EnumNode, stem: str) -> str:
        name = node.name or stem
        if not self._claim(name, node.type or node, "enum", node.type):
            return self._full(name)
        enum = self.file.enum_type.add(name=name)
        enum.value.add(name=enum_value_name(name, "unspecified"), number=0)
        taken = {enum.value[0].name}
        for number, (member, _) in enumerate(node.members, start=1):
            value_name = enum_value_name(name, member)
            if value_name in taken:
                raise ConfigurationError(
                    f"enum {name}: member {member!r} has the same name in protobuf as another, "
                    f"{value_name}; rename one of them"
                )
            taken.add(value_name)
            enum.value.add(name=value_name, number=number)
        return self._full(name)

    # -- names ---------------------------------------------------------------------------------

    def _claim(self, name: str, owner: Any, what: str, python_type: Any) -> bool:
        """Tell whether the name is new; refuse it when it belongs to something else."""
        if not _IDENTIFIER.match(name):
            raise ConfigurationError(f"{what} {name!r}: no name for a protobuf message")
        key = name
        known = self._owners.get(key)
        if known is None:
            self._owners[key] = owner
            return True
        if known is owner or known == owner:
            return False
        raise ConfigurationError(
            f"two schemas want the message name {name!r}: {_place(known)} and "
            f"{_place(owner)}; rename one of them, or set its title in model_config"
        )

    def _full(self, name: str) -> str:
        return f".{self.shape.package}.{name}" if self.shape.package else f".{name}"

    def _well_known(self, message: Any) -> str:
        self._dependencies.add(message.DESCRIPTOR.file.name)
        return f".{message.DESCRIPTOR.full_name}"


def dependencies() -> Iterable[FileDescriptor]:
    """Return the compiled files that a built file may import."""
    messages = [*_MESSAGES.values(), empty_pb2.Empty]
    return {message.DESCRIPTOR.file.name: message.DESCRIPTOR.file for message in messages}.values()


def _add_presence(message: descriptor_pb2.DescriptorProto) -> None:
    """Give each `optional` field the oneof of its own that protobuf wants (after all others)."""
    for field in message.field:
        if field.proto3_optional:
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")


def _wrapped_name(node: Node) -> str:
    return "values" if isinstance(node, ListNode | MapNode) else "value"


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_") if part)


def _place(owner: Any) -> str:
    kind = getattr(owner, "type", owner)
    module, name = getattr(kind, "__module__", None), getattr(kind, "__qualname__", None)
    if module and name and not isinstance(owner, str):
        return f"{module}.{name}"
    return getattr(owner, "name", None) or repr(owner)
