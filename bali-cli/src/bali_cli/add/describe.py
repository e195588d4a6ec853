"""From the descriptors of a contract to records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from bali_cli.add.comments import Comments
from bali_cli.add.names import attribute, enum_members
from bali_cli.add.records import (
    Contract,
    EnumRecord,
    FieldRecord,
    FileRecord,
    Import,
    MessageRecord,
    OneofRecord,
)
from bali_cli.add.scope import ModuleScope, Names
from bali_cli.add.services import ServiceDescriber
from bali_cli.add.walk import (
    class_in_protoc,
    enums_of,
    files_used,
    is_installed,
    is_synthetic,
    messages_of,
    module_of,
)

__all__ = ["describe"]


_MESSAGE = Import(source="google.protobuf.message", name="Message", alias="Message")


def describe(name: str, root: str, descriptors: FileDescriptorSet) -> Contract:
    """Return the contract of a service: of the file `root` and every file whose types it uses.

    `descriptors` hold `root` and all that it imports, with comments (`--include_source_info`).
    """
    pool = DescriptorPool()
    for proto in descriptors.file:
        pool.AddSerializedFile(proto.SerializeToString())
    contract = Names({proto.name: Comments(proto) for proto in descriptors.file})
    files: dict[str, FileRecord] = {}
    waiting = [root]
    while waiting:
        path = waiting.pop(0)
        if path not in files:
            file = pool.FindFileByName(path)
            waiting.extend(sorted(used.name for used in files_used(file)))
            files[path] = _FileDescriber(contract, file).record()
    return Contract(name=name, files=tuple(files.values()))


class _FileDescriber:
    """Describes one file."""

    def __init__(self, names: Names, file: FileDescriptor) -> None:
        self._names = names
        self._file = file
        self._comments = names.comments[file.name]
        self._schemas = ModuleScope(names, file, own="")
        self._clients = ModuleScope(names, file, own="schemas.")

    def record(self) -> FileRecord:
        """Return the record of the file."""
        enums = tuple(self._enums())
        messages = tuple(self._message(*found) for found in messages_of(self._file))
        services = ServiceDescriber(self._file, self._clients, self._comments).records()
        return FileRecord(
            path=self._file.name,
            module=module_of(self._file.name),
            is_installed=is_installed(self._file.name),
            schema_imports=tuple(self._schemas.imports.values()),
            client_imports=tuple(self._clients.imports.values()),
            enums=enums,
            messages=messages,
            services=services,
        )

    def _enums(self) -> Iterator[EnumRecord]:
        classes = self._names.classes(self._file)
        for enum, path in enums_of(self._file):
            members = enum_members(enum.name, [value.name for value in enum.values])
            numbers = [value.number for value in enum.values]
            yield EnumRecord(
                name=classes[enum.full_name],
                doc=self._comments.lines(*path),
                members=tuple(zip(members, numbers, strict=True)),
            )

    def _message(self, message: Any, path: tuple[int, ...]) -> MessageRecord:
        names = self._names.attributes(message)
        self._schemas.imports["Message"] = _MESSAGE
        fields = []
        for index, field in enumerate(message.fields):
            annotation, default = self._schemas.field_type(field)
            fields.append(
                FieldRecord(
                    wire_name=field.name,
                    name=names[field.name],
                    annotation=annotation,
                    default=default,
                    comment=self._comments.lines(*path, 2, index),
                )
            )
        return MessageRecord(
            name=self._names.classes(self._file)[message.full_name],
            message_type=class_in_protoc(self._schemas.protoc_module(self._file), message),
            doc=self._comments.lines(*path),
            fields=tuple(fields),
            oneofs=tuple(
                OneofRecord(
                    name=attribute(oneof.name, (), names.values()),
                    fields=tuple(names[field.name] for field in oneof.fields),
                )
                for oneof in message.oneofs
                if not is_synthetic(oneof)
            ),
        )
