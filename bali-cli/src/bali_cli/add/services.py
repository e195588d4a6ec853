"""From the services of a file to records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from bali.clients.codec import KNOWN_MESSAGES
from bali.proto.forms import is_map
from bali.resources.naming import snake
from bali_cli.add.comments import Comments
from bali_cli.add.names import free, method_name, parameter
from bali_cli.add.records import MethodRecord, OperationRecord, ServiceRecord, Shape
from bali_cli.add.scope import ModuleScope
from bali_cli.add.walk import EMPTY, operation_types

__all__ = ["ServiceDescriber"]


class ServiceDescriber:
    """Describes the services of one file, as its client module writes them."""

    def __init__(self, file: FileDescriptor, scope: ModuleScope, comments: Comments) -> None:
        self._file = file
        self._scope = scope
        self._comments = comments
        self._constants: list[str] = []

    def records(self) -> tuple[ServiceRecord, ...]:
        """Return the records of all services."""
        stems: list[str] = []
        found: list[ServiceRecord] = []
        for index, service in enumerate(self._file.services_by_name.values()):
            stem = service.name.removesuffix("Service") or service.name
            stem = free(service.name if stem in stems else stem, stems)
            stems.append(stem)
            found.append(
                ServiceRecord(
                    full_name=service.full_name,
                    stem=stem[:1].upper() + stem[1:],
                    table=self._constant(f"{snake(stem).upper()}_METHODS"),
                    doc=self._comments.lines(6, index),
                    methods=tuple(self._methods(service, index, stem)),
                )
            )
        return tuple(found)

    def _methods(self, service: Any, service_index: int, stem: str) -> Iterator[MethodRecord]:
        names: list[str] = []
        for method in service.methods:
            names.append(method_name(method.name, names))
        taken = list(names)
        for index, (method, name) in enumerate(zip(service.methods, names, strict=True)):
            pages, item = self._pages(method)
            pages_name = free(f"iter_{name.removeprefix('list_')}", taken) if pages else ""
            former = f"get_{name.removeprefix('list_')}" if name.startswith("list_") else ""
            is_stream = method.client_streaming or method.server_streaming
            former = "" if former in taken or is_stream else former
            taken += [pages_name, former]
            operation = self._operation(method)
            yield MethodRecord(
                name=name,
                constant=self._constant(f"_{snake(stem)}_{name}".upper()),
                path=f"/{service.full_name}/{method.name}",
                doc=self._comments.lines(6, service_index, 2, index),
                request=self._shape(method.input_type, is_request=not method.client_streaming),
                response=Shape(code="None") if operation else self._shape(method.output_type),
                operation=operation,
                is_client_streaming=method.client_streaming,
                is_server_streaming=method.server_streaming,
                is_idempotent=_is_idempotent(method),
                pages=pages,
                pages_name=pages_name,
                item=item,
                former_name=former,
            )

    def _operation(self, method: Any) -> OperationRecord | None:
        types = operation_types(method)
        if types is None:
            return None
        result, metadata = (self._shape(found).code for found in types)
        return OperationRecord(result=result, metadata=metadata)

    def _constant(self, name: str) -> str:
        self._constants.append(free(name, self._constants))
        return self._constants[-1]

    def _shape(self, message: Any, *, is_request: bool = False) -> Shape:
        if message.full_name == EMPTY:
            return Shape(code="None")
        if message.full_name in KNOWN_MESSAGES:
            return Shape(code=f"{self._scope.protoc_module(message.file)}.{message.name}")
        fields: list[tuple[str, str, str]] = []
        parameters: list[str] = []
        if is_request:
            names = self._scope.names.attributes(message)
            for field in message.fields:
                parameters.append(free(parameter(names[field.name]), parameters))
                annotation, _ = self._scope.field_type(field)
                fields.append((names[field.name], parameters[-1], annotation))
        code = self._scope.class_code(message)
        return Shape(code=code, is_schema=True, fields=tuple(fields))

    def _pages(self, method: Any) -> tuple[str | None, str]:
        """Return the field with the items of a page and their type, when there are pages."""
        takes, gives = method.input_type.fields_by_name, method.output_type
        is_one = not (method.client_streaming or method.server_streaming)
        if not is_one or "page_token" not in takes:
            return None, ""
        if "next_page_token" not in gives.fields_by_name:
            return None, ""
        many = [field for field in gives.fields if field.is_repeated and not is_map(field)]
        if len(many) != 1:
            return None, ""
        return self._scope.names.attributes(gives)[many[0].name], self._scope.item_type(many[0])[0]


def _is_idempotent(method: Any) -> bool:
    """Tell whether a method may be repeated: as it says, as a GET, or as a standard read (AIP)."""
    options = MethodOptions.FromString(method.GetOptions().SerializeToString())
    if options.idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN:
        return True
    if options.Extensions[annotations_pb2.http].HasField("get"):
        return True
    return str(method.name).startswith(("Get", "List", "BatchGet"))
