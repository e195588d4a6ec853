"""How a generated module writes the types of a contract, and what it imports for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, FileDescriptor

from bali.clients.codec import KNOWN_MESSAGES
from bali.proto.forms import is_map
from bali_cli.add.comments import Comments
from bali_cli.add.names import attribute, enum_members, message_class
from bali_cli.add.records import Import
from bali_cli.add.walk import enums_of, files_used, is_installed, messages_of, module_of

__all__ = ["ModuleScope", "Names"]

_F = FieldDescriptor
_SCALARS: Mapping[int, tuple[str, str]] = {
    _F.TYPE_DOUBLE: ("float", "0.0"),
    _F.TYPE_FLOAT: ("float", "0.0"),
    _F.TYPE_BOOL: ("bool", "False"),
    _F.TYPE_STRING: ("str", '""'),
    _F.TYPE_BYTES: ("bytes", 'b""'),
}
#: Python's types for the messages that have one; the wrappers of integers are `int`.
_TYPES: Mapping[str, str] = {
    "google.type.Decimal": "decimal.Decimal",
    "google.protobuf.Timestamp": "datetime.datetime",
    "google.type.Date": "datetime.date",
    "google.type.TimeOfDay": "datetime.time",
    "google.protobuf.Duration": "datetime.timedelta",
    "google.protobuf.Value": "Any",
    "google.protobuf.Struct": "dict[str, Any]",
    "google.protobuf.ListValue": "list[Any]",
    "google.protobuf.FieldMask": "list[str]",
    "google.protobuf.Any": "any_pb2.Any",
    "google.protobuf.DoubleValue": "float",
    "google.protobuf.FloatValue": "float",
    "google.protobuf.BoolValue": "bool",
    "google.protobuf.StringValue": "str",
    "google.protobuf.BytesValue": "bytes",
}


class Names:
    """The names of classes and attributes, which every file of a contract must agree on."""

    def __init__(self, comments: Mapping[str, Comments]) -> None:
        self.comments = comments
        self._classes: dict[str, dict[str, str]] = {}
        self._attributes: dict[str, dict[str, str]] = {}

    def classes(self, file: FileDescriptor) -> Mapping[str, str]:
        """Return the class of each message and enum of a file, by full name in the .proto."""
        found = self._classes.get(file.name)
        if found is None:
            found = self._classes[file.name] = {}
            prefix = f"{file.package}." if file.package else ""
            for item, _ in (*messages_of(file), *enums_of(file)):
                path = item.full_name.removeprefix(prefix).split(".")
                found[item.full_name] = message_class(path, found.values())
        return found

    def attributes(self, message: Any) -> Mapping[str, str]:
        """Return the attribute of each field of a message, by its name in the .proto."""
        found = self._attributes.get(message.full_name)
        if found is None:
            found = self._attributes[message.full_name] = {}
            # What the module of the message imports and defines would be hidden in its class.
            hidden = set(self.classes(message.file).values())
            for used in (message.file, *files_used(message.file)):
                stem = "_".join(module_of(used.name))
                hidden |= {f"{stem}_schema", f"{stem}_pb2", f"{module_of(used.name)[-1]}_pb2"}
            for field in message.fields:
                found[field.name] = attribute(field.name, hidden, found.values())
        return found


class ModuleScope:
    """What one generated module imports, and how it writes the types of others."""

    def __init__(self, names: Names, file: FileDescriptor, *, own: str) -> None:
        self.names = names
        self._file = file
        self._own = own
        self.imports: dict[str, Import] = {}

    def field_type(self, field: Any) -> tuple[str, str]:
        """Return the annotation and the default of a field, as code."""
        if is_map(field):
            key, value = (field.message_type.fields_by_name[part] for part in ("key", "value"))
            return f"dict[{self.item_type(key)[0]}, {self.item_type(value)[0]}]", "{}"
        annotation, default = self.item_type(field)
        if field.is_repeated:
            return f"list[{annotation}]", "[]"
        if field.has_presence:
            return (annotation if annotation == "Any" else f"{annotation} | None"), "None"
        return annotation, default

    def item_type(self, field: Any) -> tuple[str, str]:
        """Return the annotation and the zero of one value of a field."""
        if field.type in _SCALARS:
            return _SCALARS[field.type]
        target = field.enum_type or field.message_type
        if target is None:
            return "int", "0"
        if target.full_name in KNOWN_MESSAGES:
            return self._known(target.full_name), "None"
        code = self.class_code(target)
        if field.enum_type is None:
            return code, "None"
        return code, f"{code}.{enum_members(target.name, [v.name for v in target.values])[0]}"

    def class_code(self, target: Any) -> str:
        """Return the class of a message or enum as it is written in this module."""
        name = self.names.classes(target.file)[target.full_name]
        if target.file.name == self._file.name:
            return f"{self._own}{name}"
        *folder, stem = module_of(target.file.name)
        alias = "_".join([*folder, stem, "schema"])
        self._add(self._relative(folder), f"{stem}_schema", alias)
        return f"{alias}.{name}"

    def protoc_module(self, file: FileDescriptor) -> str:
        """Return the name under which this module has that of protoc for a file."""
        *folder, stem = module_of(file.name)
        name = f"{stem}_pb2"
        if file.name == self._file.name and not is_installed(file.name):
            self._add(".", name, name)
            return name
        alias = name if is_installed(file.name) else "_".join([*folder, name])
        source = ".".join(folder) if is_installed(file.name) else self._relative(folder)
        self._add(source, name, alias)
        return alias

    def _known(self, full_name: str) -> str:
        if full_name == "google.protobuf.Any":
            self._add("google.protobuf", "any_pb2", "any_pb2")
        return _TYPES.get(full_name, "int")

    def _relative(self, module: Sequence[str]) -> str:
        return "." * len(module_of(self._file.name)) + ".".join(module)

    def _add(self, source: str, name: str, alias: str) -> None:
        self.imports[alias] = Import(source=source, name=name, alias=alias)
