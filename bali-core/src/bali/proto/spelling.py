"""How types are written in a .proto."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2

__all__ = ["map_entry", "package_prefix", "plain_name"]


def package_prefix(package: str) -> str:
    """Return what the full name of a message begins with: `.user.`, "." without a package."""
    return f".{package}." if package else "."


def map_entry(message: Any, field: Any, prefix: str) -> Any:
    """Return the nested message of a field that is a map, None for one that is not.

    `message` has the field; `prefix` is that of its file's package.
    """
    for entry in message.nested_type:
        is_entry = field.type_name == f"{prefix}{message.name}.{entry.name}"
        if is_entry and entry.options.map_entry:
            return entry
    return None


def plain_name(field: Any) -> str:
    """Return the type of a field that is neither a message nor an enum: `int64`."""
    name: str = descriptor_pb2.FieldDescriptorProto.Type.Name(field.type)
    return name.removeprefix("TYPE_").lower()
