"""What a client is generated from: a contract in small records, without protobuf in them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Contract", "EnumRecord", "FieldRecord", "FileRecord", "Import", "MessageRecord",
           "MethodRecord", "OneofRecord", "OperationRecord", "ServiceRecord", "Shape"]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import statement of a generated module: `from {source} import {name} as {alias}`."""

    source: str
    name: str
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRecord:
    """A field: its name in the .proto and in Python, its type in Python, its default as code."""

    wire_name: str
    name: str
    annotation: str
    default: str
    comment: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OneofRecord:
    """A oneof: its name and the Python names of its fields."""

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecord:
    """A message: the class to write, and the class that protoc made."""

    name: str
    message_type: str
    doc: tuple[str, ...]
    fields: tuple[FieldRecord, ...]
    oneofs: tuple[OneofRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumRecord:
    """An enum with its members in order, as (name in Python, number)."""

    name: str
    doc: tuple[str, ...]
    members: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The request or response of a method.

    `code`: the class as it is written in the client module, "None" for an empty message.
    `is_schema`: it is one of the generated models. `fields`: of a request, its keyword arguments.
    """

    code: str
    is_schema: bool = False
    fields: tuple[tuple[str, str, str], ...] = ()  # (field, parameter, annotation)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send."""
        return self.code == "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRecord:
    """The classes of a long-running method's result and metadata, as they are written."""

    result: str
    metadata: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRecord:
    """A method: its Python name, the constant that describes it, its shapes and kind.

    `pages`: the field with the items when it gives pages (AIP-158), else None; `pages_name` and
    `item` are then the name and the item type of the helper that walks them. `operation`: it is
    long-running.
    """

    name: str
    constant: str
    path: str
    doc: tuple[str, ...]
    request: Shape
    response: Shape
    is_client_streaming: bool
    is_server_streaming: bool
    is_idempotent: bool
    pages: str | None = None
    pages_name: str = ""
    item: str = ""
    former_name: str = ""
    operation: OperationRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRecord:
    """A service: its full name in the .proto, the stem of its client's name, its methods."""

    full_name: str
    stem: str
    table: str
    doc: tuple[str, ...]
    methods: tuple[MethodRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One .proto file: where its modules are, and what they hold.

    `module`: path of the modules without their endings, `("user", "user")`. `is_installed`:
    protoc's module of it is in a package that is installed anyway (google.*).
    """

    path: str
    module: tuple[str, ...]
    is_installed: bool
    schema_imports: tuple[Import, ...]
    client_imports: tuple[Import, ...]
    enums: tuple[EnumRecord, ...]
    messages: tuple[MessageRecord, ...]
    services: tuple[ServiceRecord, ...]

    @property
    def needs_field(self) -> bool:
        """Whether a schema says more of a field than its default."""
        fields = [field for message in self.messages for field in message.fields]
        return any(f.default in ("[]", "{}") or f.name != f.wire_name for f in fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Everything that the client of one service is made of."""

    name: str
    files: tuple[FileRecord, ...]

    @property
    def services(self) -> tuple[ServiceRecord, ...]:
        """The services of all files."""
        return tuple(service for file in self.files for service in file.services)
