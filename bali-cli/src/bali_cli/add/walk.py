"""Going through the descriptors of a file."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from typing import Any

from google.longrunning import operations_proto_pb2 as operations_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from bali.clients.codec import KNOWN_MESSAGES
from bali.proto import OPERATION
from bali.proto.forms import is_map

__all__ = [
    "EMPTY",
    "class_in_protoc",
    "enums_of",
    "files_used",
    "is_installed",
    "is_synthetic",
    "messages_of",
    "module_of",
    "operation_types",
]

EMPTY = "google.protobuf.Empty"
Path = tuple[int, ...]


def messages_of(file: FileDescriptor) -> Iterator[tuple[Any, Path]]:
    """Give every message of a file, outer ones first, with its path (descriptor.proto).

    The entries of maps are left out, as protobuf hides them.
    """

    def below(message: Any, path: Path) -> Iterator[tuple[Any, Path]]:
        if not message.GetOptions().map_entry:
            yield message, path
            for index, nested in enumerate(message.nested_types):
                yield from below(nested, (*path, 3, index))

    for index, message in enumerate(file.message_types_by_name.values()):
        yield from below(message, (4, index))


def enums_of(file: FileDescriptor) -> Iterator[tuple[Any, Path]]:
    """Give every enum of a file, nested ones last, with its path."""
    for index, enum in enumerate(file.enum_types_by_name.values()):
        yield enum, (5, index)
    for message, path in messages_of(file):
        for index, enum in enumerate(message.enum_types):
            yield enum, (*path, 4, index)


def files_used(file: FileDescriptor) -> list[FileDescriptor]:
    """Return the files whose messages and enums a file uses, without those Python has types for."""
    targets: list[Any] = []
    for message, _ in messages_of(file):
        for field in message.fields:
            if is_map(field):
                field = field.message_type.fields_by_name["value"]  # noqa: PLW2901 - what counts
            targets.append(field.enum_type or field.message_type)
    for service in file.services_by_name.values():
        for method in service.methods:
            targets += [method.input_type, *(operation_types(method) or [method.output_type])]
    found = {
        target.file.name: target.file
        for target in targets
        if target is not None and target.full_name not in {*KNOWN_MESSAGES, EMPTY}
    }
    found.pop(file.name, None)
    return list(found.values())


def operation_types(method: Any) -> tuple[Any, Any] | None:
    """Return the messages of a long-running method: its result, and its metadata (AIP-151).

    None for a method that is not long-running, or does not say with what it ends.
    """
    if method.output_type.full_name != OPERATION:
        return None
    options: Any = MethodOptions.FromString(method.GetOptions().SerializeToString())
    info = options.Extensions[operations_pb2.operation_info]
    file = method.containing_service.file
    result = _named(info.response_type, file)
    metadata = _named(info.metadata_type, file)
    return None if result is None or metadata is None else (result, metadata)


def _named(name: str, file: FileDescriptor) -> Any:
    for full_name in (f"{file.package}.{name}", name):
        try:
            return file.pool.FindMessageTypeByName(full_name)
        except KeyError:
            continue
    return None


def module_of(path: str) -> tuple[str, ...]:
    """Return where the modules of a .proto file are: `user-x/a.proto` is `("user_x", "a")`."""
    return tuple(path.removesuffix(".proto").replace("-", "_").split("/"))


def is_installed(path: str) -> bool:
    """Tell whether protoc's module of a file is in a package that is installed anyway."""
    return path.startswith("google/")


def class_in_protoc(module: str, message: Any) -> str:
    """Return the class of a message in protoc's module, as code: `user_pb2.Order.Item`."""
    outer = message.containing_type
    owner = module if outer is None else class_in_protoc(module, outer)
    if keyword.iskeyword(message.name):
        return f'getattr({owner}, "{message.name}")'
    return f"{owner}.{message.name}"


def is_synthetic(oneof: Any) -> bool:
    """Tell whether a oneof is what protoc makes of an `optional` field."""
    field = oneof.fields[0]
    return len(oneof.fields) == 1 and oneof.name.lstrip("X") == f"_{field.name}".lstrip("X")
