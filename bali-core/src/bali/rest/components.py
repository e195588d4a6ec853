"""The schemas of an OpenAPI document, named as the messages are over gRPC."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import (
    GenerateJsonSchema,
    JsonSchemaMode,
    JsonSchemaValue,
    models_json_schema,
)
from pydantic_core import core_schema

from bali.resources import ActionSpec, Kind
from bali.schemas import Record, records_of
from bali.schemas.behaviour import EXPANDED, INPUT_ONLY

__all__ = ["PREFIX", "Components"]

PREFIX = "#/components/schemas/"
Mode = Literal["validation", "serialization"]
_Key = tuple[Any, JsonSchemaMode]


class _Generator(GenerateJsonSchema):
    """pydantic's generator, with the formats that OpenAPI knows and our form of bytes."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as declared there

    def bytes_schema(self, schema: core_schema.BytesSchema) -> JsonSchemaValue:
        """Return the schema of base64 text."""
        del schema
        return {"type": "string", "format": "byte", "contentEncoding": "base64"}

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        """Return the schema of a 64-bit integer."""
        return {**super().int_schema(schema), "format": "int64"}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        """Return the schema of a double."""
        return {**super().float_schema(schema), "format": "double"}

    def field_is_present(
        self,
        field: core_schema.ModelField
        | core_schema.DataclassField
        | core_schema.TypedDictField
        | core_schema.ComputedField,
    ) -> bool:
        """Tell whether a field is there at all: one that is input-only is in no answer."""
        if self.mode == "serialization":
            extra = field.get("metadata", {}).get("pydantic_js_extra")
            if isinstance(extra, dict) and extra.get(INPUT_ONLY):
                return False
        return super().field_is_present(field)

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,  # noqa: FBT001 - pydantic's signature
    ) -> bool:
        """Tell whether a field is always there: in what is returned, it is, default or not."""
        extra = field.get("metadata", {}).get("pydantic_js_extra")
        if isinstance(extra, dict) and extra.get(EXPANDED):
            return False
        if self.mode == "serialization" and field["type"] != "typed-dict-field":
            return field.get("serialization_exclude_if") is None
        return super().field_is_required(field, total)


class Components:
    """Every schema that the operations mention, generated together and then named."""

    def __init__(self, actions: Sequence[ActionSpec], taken: Mapping[str, Any]) -> None:
        """`taken` are the schemas that FastAPI's own part of the document has by name."""
        names: dict[type[BaseModel], str] = {}
        keys: dict[_Key, None] = {}
        for action in actions:
            _collect(action, names, keys)
        mapping, document = models_json_schema(
            list(keys), ref_template=PREFIX + "{model}", schema_generator=_Generator
        )
        raw: dict[str, Any] = document.get("$defs", {})
        self._names = _renamed(mapping, raw, names, taken)
        self.schemas = {
            self._names.get(name, name): _with_refs(schema, self._names)
            for name, schema in raw.items()
        }
        self._mapping = mapping
        for schema in self.schemas.values():
            _drop_impossible_defaults(schema)
        for action in actions:
            if action.kind is Kind.UPDATE and action.body is not None:
                # What is absent stays as it is, so nothing has a default.
                for field in self.schema(action.body, "validation").get("properties", {}).values():
                    field.pop("default", None)

    def ref(self, model: type[BaseModel], mode: Mode) -> dict[str, Any]:
        """Return the reference to a model's schema."""
        return {"$ref": PREFIX + self._name(model, mode)}

    def schema(self, model: type[BaseModel], mode: Mode) -> dict[str, Any]:
        """Return a model's schema itself."""
        schema: dict[str, Any] = self.schemas[self._name(model, mode)]
        return schema

    def _name(self, model: type[BaseModel], mode: Mode) -> str:
        old = str(self._mapping[model, mode]["$ref"]).removeprefix(PREFIX)
        return self._names.get(old, old)


def _collect(action: ActionSpec, names: dict[type[BaseModel], str], keys: dict[_Key, None]) -> None:
    trees: list[tuple[Record | None, Mode]] = [
        (action.request, "validation"),
        (action.response, "serialization"),
    ]
    for tree, mode in trees:
        for record in records_of(tree) if tree is not None else ():
            if record.type is not None:
                names[record.type] = record.name
                keys[(record.type, mode)] = None
    models: list[tuple[type[BaseModel] | None, Mode]] = [
        (action.parameters, "validation"),
        (action.body, "validation"),
        (action.response_model, "serialization"),
    ]
    for model, mode in models:
        if model is not None:
            names.setdefault(model, model.__name__)
            keys[(model, mode)] = None


def _renamed(
    mapping: Mapping[_Key, JsonSchemaValue],
    raw: Mapping[str, Any],
    names: Mapping[type[BaseModel], str],
    taken: Mapping[str, Any],
) -> dict[str, str]:
    """Return the new name of each generated definition.

    A model has the name of its record; where what is accepted differs from what is returned, the
    former ends with `Input`. A name that FastAPI's part uses for something else gets a number.
    """
    wanted: dict[str, str] = {}
    used: dict[str, str] = {}
    ordered = sorted(mapping.items(), key=lambda item: item[0][1] == "validation")
    for (model, mode), reference in ordered:
        old = reference["$ref"].removeprefix(PREFIX)
        if old in wanted:
            continue
        name = names[model]
        if name in used and mode == "validation":
            name = f"{name}Input"
        wanted[old] = _free(name, raw[old], used, taken)
        used[wanted[old]] = old
    for old in raw:
        if old not in wanted:
            wanted[old] = _free(old.rpartition("__")[2], raw[old], used, taken)
            used[wanted[old]] = old
    return wanted


def _free(name: str, schema: Any, used: Mapping[str, Any], taken: Mapping[str, Any]) -> str:
    candidate, number = name, 1
    while candidate in used or (candidate in taken and not _same(taken[candidate], schema)):
        number += 1
        candidate = f"{name}{number}"
    return candidate


def _same(left: Any, right: Any) -> bool:
    return json.dumps(left, sort_keys=True, default=str) == json.dumps(
        right, sort_keys=True, default=str
    )


def _drop_impossible_defaults(schema: dict[str, Any]) -> None:
    """Drop `null` as the default of fields that are not null when they are sent."""
    for field in schema.get("properties", {}).values():
        choices = [field, *field.get("anyOf", ()), *field.get("oneOf", ())]
        takes_null = any(choice.get("type") == "null" for choice in choices)
        if "default" in field and field["default"] is None and not takes_null:
            del field["default"]


def _with_refs(schema: Any, names: Mapping[str, str]) -> Any:
    if isinstance(schema, dict):
        return {
            key: _reference(value, names)
            if isinstance(value, str) and value.startswith(PREFIX)
            else _with_refs(value, names)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_with_refs(item, names) for item in schema]
    return schema


def _reference(value: str, names: Mapping[str, str]) -> str:
    old = value.removeprefix(PREFIX)
    return PREFIX + names.get(old, old)
