"""Code first: from the typed tree to protobuf descriptors, at run time.

Messages, enums and fields come out in the order in which they are declared and met, so the same
resources give the same descriptors in every process. A field that a caller may leave out has
presence (proto3 `optional`): "missing" can be told from zero. Where protobuf has no form for a
value (a nullable list, a list of lists, a list with gaps), a small message is put around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from google.api import annotations_pb2, field_behavior_pb2
from google.longrunning import operations_proto_pb2 as operations_pb2
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
from bali.proto.lock import lock_numbers
from bali.proto.names import (
    camel_case,
    enum_prefix,
    enum_value_names,
    is_identifier,
    json_name,
    variant_names,
)
from bali.proto.presence import add_presence
from bali.proto.shapes import HttpRule, Method, ServiceShape
from bali.proto.spelling import package_prefix
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

__all__ = ["add_to_pool", "build_file", "dependencies"]

_F = descriptor_pb2.FieldDescriptorProto
_Message = descriptor_pb2.DescriptorProto

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
_KINDS = (*_MESSAGES.values(), empty_pb2.Empty, struct_pb2.Struct, struct_pb2.ListValue)


def build_file(
    shape: ServiceShape, committed: descriptor_pb2.FileDescriptorProto | None = None
) -> descriptor_pb2.FileDescriptorProto:
    """Return the file with the service and every message it needs.

    With `committed`, the file as it was before, numbers are kept (`lock_numbers`). Raises
    `ConfigurationError` for two schemas with one message name, and for a name that protobuf does
    not allow; both name the schemas.
    """
    built = _FileBuilder(shape).build()
    if committed is None:
        return built
    locked = lock_numbers(built, committed)
    imports = {*built.dependency, *_imports(locked)}
    locked.ClearField("dependency")
    locked.dependency.extend(sorted(imports))
    return locked


def _imports(file: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    """Give the files of the types and options that the messages of a file use."""
    files = {f".{kind.DESCRIPTOR.full_name}": kind.DESCRIPTOR.file.name for kind in _KINDS}
    for message in file.message_type:
        for owner in (message, *message.nested_type):
            for item in owner.field:
                if item.type_name in files:
                    yield files[item.type_name]
                if item.options.Extensions[field_behavior_pb2.field_behavior]:
                    yield field_behavior_pb2.DESCRIPTOR.name


def dependencies() -> Iterable[FileDescriptor]:
    """Return the compiled files that a built file may import."""
    files = [kind.DESCRIPTOR.file for kind in _KINDS]
    files += [annotations_pb2.DESCRIPTOR, field_behavior_pb2.DESCRIPTOR]
    files.append(operations_pb2.Operation.DESCRIPTOR.file)
    return {file.name: file for file in files}.values()


def add_to_pool(pool: DescriptorPool, file: FileDescriptor) -> None:
    """Add a compiled file and what it imports to a pool, unless it has them."""
    try:
        pool.FindFileByName(file.name)
    except KeyError:
        for dependency in file.dependencies:
            add_to_pool(pool, dependency)
        pool.AddSerializedFile(file.serialized_pb)


class _FileBuilder:
    def __init__(self, shape: ServiceShape) -> None:
        self.shape = shape
        self.file = descriptor_pb2.FileDescriptorProto(
            name=shape.file_name, package=shape.package, syntax="proto3"
        )
        self._owners: dict[str, tuple[object, str]] = {}
        self._dependencies: set[str] = set()
        self._from_callers = {
            _identity(record) for method in shape.methods for record in records_of(method.request)
        }

    def build(self) -> descriptor_pb2.FileDescriptorProto:
        shape = self.shape
        if shape.package and not all(map(is_identifier, shape.package.split("."))):
            raise ConfigurationError(
                f"{shape.file_name}: package {shape.package!r} is no name in protobuf; write it "
                "like `user` or `acme.user.v1`"
            )
        self._claim(shape.name, shape, f"service {shape.name}")
        service = descriptor_pb2.ServiceDescriptorProto(name=shape.name)
        for method in shape.methods:
            service.method.append(self._method(method))
        self.file.service.append(service)
        self.file.dependency.extend(sorted(self._dependencies))
        return self.file

    def _method(self, method: Method) -> descriptor_pb2.MethodDescriptorProto:
        if not is_identifier(method.name):
            raise ConfigurationError(
                f"{self.shape.name}: method {method.name!r} is no name in protobuf; use letters, "
                "digits and underscores"
            )
        request = self._message(method.request)
        metadata: str | None = None
        if method.metadata is not None:
            metadata = self._message(method.metadata)
        if method.response is not None:
            response = self._message(method.response)
        elif metadata is None:
            response = self._well_known(empty_pb2.Empty)
        else:
            response = f".{empty_pb2.Empty.DESCRIPTOR.full_name}"  # named as text, not imported
        output = response if metadata is None else self._well_known(operations_pb2.Operation)
        descriptor = descriptor_pb2.MethodDescriptorProto(
            name=method.name,
            input_type=request,
            output_type=output,
            server_streaming=method.is_server_streaming or None,
        )
        if method.http:
            self._dependencies.add(annotations_pb2.DESCRIPTOR.name)
            _annotate(descriptor.options, method.http)
        if metadata is not None:
            info = descriptor.options.Extensions[operations_pb2.operation_info]
            info.response_type = self._short(response)
            info.metadata_type = self._short(metadata)
        return descriptor

    def _short(self, full_name: str) -> str:
        """Return a type as `operation_info` names it: without the package of this file."""
        return full_name.removeprefix(package_prefix(self.shape.package)).removeprefix(".")

    # -- messages ------------------------------------------------------------------------------

    def _message(self, record: Record) -> str:
        name = record.name
        if self._claim(name, _identity(record), _place(record)):
            _refuse_twins(record)
            with self._new(name) as message:
                for field in record.fields:
                    self._field(message, record, field)
        return self._full(name)

    @contextmanager
    def _new(self, name: str) -> Iterator[_Message]:
        """Make a message; its place in the file is taken first, as it may contain itself."""
        position = len(self.file.message_type)
        self.file.message_type.add(name=name)
        message = _Message(name=name)
        yield message
        _name_in_json(message)
        add_presence(message)
        self.file.message_type[position].CopyFrom(message)

    def _field(self, message: _Message, record: Record, field: Field) -> None:
        name, node = field.wire_name, field.node
        if not is_identifier(name):
            raise ConfigurationError(
                f"{_place(record)}: field {name!r} is no name in protobuf; use letters, digits and "
                "underscores, or an alias that does"
            )
        entry = message.field.add(name=name, number=len(message.field) + 1, label=_F.LABEL_OPTIONAL)
        # `b` and `_b` are two names in JSON as well, so their wrappers are two messages.
        stem = f"{record.name}{'_' * name.startswith('_')}{camel_case(name)}"
        is_many = _is_many(node)
        if is_many and field.is_nullable:
            self._wrapper(entry, f"{stem}Value", node)
        elif is_many:
            self._many(message, entry, stem, node)
        else:
            self._single(entry, stem, node)
        from_callers = _identity(record) in self._from_callers
        self._describe(entry, field, from_callers=from_callers)
        if field.is_nullable or (
            from_callers and entry.type != _F.TYPE_MESSAGE and entry.label != _F.LABEL_REPEATED
        ):
            entry.proto3_optional = True

    def _describe(self, entry: _F, field: Field, *, from_callers: bool) -> None:
        """Say how a field behaves (AIP-203); what a request needs, in messages of requests."""
        found = _behaviour_of(field)
        if from_callers and field.is_required and not field.is_output_only:
            found.insert(0, field_behavior_pb2.REQUIRED)
        if found:
            entry.options.Extensions[field_behavior_pb2.field_behavior].extend(found)
            self._dependencies.add(field_behavior_pb2.DESCRIPTOR.name)

    def _many(self, message: _Message, entry: _F, stem: str, node: Node) -> None:
        if isinstance(node, ListNode):
            self._item(entry, stem, node.item, is_nullable=node.is_item_nullable)
        elif isinstance(node, MapNode):
            nested_name = f"{camel_case(entry.name)}Entry"
            if any(other.name == nested_name for other in message.nested_type):
                raise ConfigurationError(
                    f"message {message.name}: protobuf calls the entries of {entry.name!r} and of "
                    f"another map {nested_name}; rename one of the fields, or its alias"
                )
            nested = message.nested_type.add(name=nested_name)
            nested.options.map_entry = True
            nested.field.add(
                name="key", json_name="key", number=1, label=_F.LABEL_OPTIONAL, type=_F.TYPE_STRING
            )
            value = nested.field.add(
                name="value", json_name="value", number=2, label=_F.LABEL_OPTIONAL
            )
            self._item(value, stem, node.value, is_nullable=node.is_value_nullable)
            entry.type = _F.TYPE_MESSAGE
            entry.type_name = f"{self._full(message.name)}.{nested.name}"
        entry.label = _F.LABEL_REPEATED

    def _item(self, entry: _F, stem: str, node: Node, *, is_nullable: bool) -> None:
        """Set the type of an item of a list or map; one that protobuf cannot repeat is wrapped."""
        is_many = _is_many(node)
        if is_many or (is_nullable and not _is_any(node)):
            self._wrapper(entry, f"{stem}Item", node)
        else:
            self._single(entry, stem, node)

    def _wrapper(self, entry: _F, name: str, node: Node) -> None:
        entry.type = _F.TYPE_MESSAGE
        if isinstance(node, ListNode) and _is_any(node.item):
            entry.type_name = self._well_known(struct_pb2.ListValue)
            return
        self._claim(name, ("wrapper", name), f"the wrapper message of a field, {name}")
        with self._new(name) as message:
            is_many = _is_many(node)
            inner = message.field.add(
                name="values" if is_many else "value", number=1, label=_F.LABEL_OPTIONAL
            )
            if is_many:
                self._many(message, inner, name, node)
            else:
                self._single(inner, name, node)
                inner.proto3_optional = True
        entry.type_name = self._full(name)

    def _single(self, entry: _F, stem: str, node: Node) -> None:
        if isinstance(node, Scalar) and node.kind in _PLAIN:
            entry.type = _PLAIN[node.kind]
        elif isinstance(node, EnumNode):
            entry.type, entry.type_name = _F.TYPE_ENUM, self._enum(node, stem)
        else:
            entry.type = _F.TYPE_MESSAGE
            if isinstance(node, Scalar):
                entry.type_name = self._well_known(_MESSAGES[node.kind])
            elif isinstance(node, MapNode):
                entry.type_name = self._well_known(struct_pb2.Struct)
            elif isinstance(node, UnionNode):
                entry.type_name = self._union(node, stem)
            elif isinstance(node, Record):
                entry.type_name = self._message(node)

    def _union(self, node: UnionNode, stem: str) -> str:
        name = f"{stem}Choice"
        self._claim(name, ("union", name), f"the union of a field, {name}")
        names = variant_names(node)
        with self._new(name) as message:
            taken = set(names.values())
            oneof = node.discriminator if is_identifier(node.discriminator) else "choice"
            while oneof in taken:
                oneof = f"{oneof}_"
            message.oneof_decl.add(name=oneof)
            for variant in node.variants:
                message.field.add(
                    name=names[variant.tag],
                    number=len(message.field) + 1,
                    label=_F.LABEL_OPTIONAL,
                    type=_F.TYPE_MESSAGE,
                    type_name=self._message(variant.record),
                    oneof_index=0,
                )
        return self._full(name)

    def _enum(self, node: EnumNode, stem: str) -> str:
        name = node.name or stem
        place = _place(node) if node.type else f"the Literal of a field, {name}"
        owner = node.type or (name, node.members)
        if not self._claim(name, owner, place):
            return self._full(name)
        enum = self.file.enum_type.add(name=name)
        names = enum_value_names(node, name)
        zero = f"{enum_prefix(name)}UNSPECIFIED"
        for value_name in (zero, *(item for item in names.values() if item != zero)):
            # Values are siblings of their enum (C++ scoping), so their names are of the file.
            self._claim(value_name, (owner, value_name), f"{place}, value {value_name}")
            enum.value.add(name=value_name, number=len(enum.value))
        return self._full(name)

    # -- names ---------------------------------------------------------------------------------

    def _claim(self, name: str, owner: object, place: str) -> bool:
        """Tell whether the name is new; refuse it when it belongs to something else."""
        if not is_identifier(name):
            raise ConfigurationError(
                f"{place}: {name!r} is no name in protobuf; use letters, digits and underscores, "
                "or set `title` in model_config"
            )
        if name not in self._owners:
            self._owners[name] = (owner, place)
            return True
        known, known_place = self._owners[name]
        if known == owner:
            return False
        raise ConfigurationError(
            f"two things want the name {name!r} in {self.shape.file_name}: {known_place}, and "
            f"{place}; rename one of them, or set its `title` in model_config"
        )

    def _full(self, name: str) -> str:
        return f"{package_prefix(self.shape.package)}{name}"

    def _well_known(self, message: Any) -> str:
        self._dependencies.add(message.DESCRIPTOR.file.name)
        return f".{message.DESCRIPTOR.full_name}"


def _annotate(options: Any, rules: Sequence[HttpRule]) -> None:
    """Say how a method is called over HTTP; one that is always a GET has no side effects."""
    first, *others = rules
    rule = options.Extensions[annotations_pb2.http]
    _fill_rule(rule, first)
    for other in others:
        _fill_rule(rule.additional_bindings.add(), other)
    if all(item.method == "GET" for item in rules):
        options.idempotency_level = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS


def _fill_rule(rule: Any, http: HttpRule) -> None:
    setattr(rule, http.method.lower(), http.path)
    rule.body = http.body


def _behaviour_of(field: Field) -> list[int]:
    """Return what google.api.field_behavior says of a field, whatever it is in."""
    marks = {
        field_behavior_pb2.OUTPUT_ONLY: field.is_output_only,
        field_behavior_pb2.INPUT_ONLY: field.is_input_only,
        field_behavior_pb2.IMMUTABLE: field.is_immutable,
    }
    return [value for value, is_marked in marks.items() if is_marked]


def _refuse_twins(record: Record) -> None:
    seen: set[str] = set()
    for field in record.fields:
        if field.wire_name in seen:
            raise ConfigurationError(
                f"{_place(record)}: two fields have the name {field.wire_name!r} on the wire; "
                "rename one, or its alias"
            )
        seen.add(field.wire_name)


def _name_in_json(message: _Message) -> None:
    """Set the JSON names, as protoc does; it refuses two fields that would have the same."""
    owners: dict[str, str] = {}
    for field in message.field:
        field.json_name = json_name(field.name)
        other = owners.setdefault(field.json_name, field.name)
        if other != field.name:
            raise ConfigurationError(
                f"message {message.name}: fields {other!r} and {field.name!r} have the same name "
                f"{field.json_name!r} in protobuf's JSON; rename one of them, or its alias"
            )


def _is_any(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind is ScalarKind.ANY


def _is_many(node: Node) -> bool:
    """Tell whether a node is a repeated field or a map; a map of anything is a `Struct` instead."""
    if isinstance(node, MapNode):
        return not _is_any(node.value)
    return isinstance(node, ListNode)


def _identity(record: Record) -> object:
    return record.type if record.type is not None else id(record)


def _place(owner: Record | EnumNode) -> str:
    kind = owner.type
    return f"{kind.__module__}.{kind.__qualname__}" if kind is not None else owner.name
