"""What a client got, as objects: exactly the fields that were on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import SchemaValidator

from bali.resources import ActionSpec
from bali.schemas import records_of
from bali.schemas.answers import with_absence
from bali.schemas.computed import part_class, with_stored_fields
from bali.schemas.parts import EVERYTHING, Paths, paths_in
from bali.schemas.payload import BytesDecoder, has_bytes

__all__ = ["answer_from_json", "answer_from_message"]

_ABSENT = object()


def answer_from_json(
    spec: ActionSpec, content: bytes | str, arguments: Mapping[str, Any]
) -> BaseModel:
    """Return the object of a JSON document, in which bytes are base64."""
    model, record = spec.response_model, spec.response
    if model is None or record is None:
        raise LookupError(f"{spec.operation} answers with nothing")
    if has_bytes(record):
        return _object(spec, BytesDecoder().decode(record, json.loads(content), "", []), arguments)
    if _mask(arguments) or arguments.get("expand"):
        return _part_reader(model).validate_json(content, by_alias=True)  # type: ignore[no-any-return]  # of the model
    if spec.answers is not None:
        _refuse_input_only(spec, json.loads(content))
        return spec.answers.read_json(content)
    return model.model_validate_json(content)


def answer_from_message(
    spec: ActionSpec, values: Mapping[str, Any], arguments: Mapping[str, Any]
) -> BaseModel | None:
    """Return the object of the values of a message.

    Of a part, a zero without presence counts as absent unless the mask names its field.
    """
    if spec.response_model is None:
        return None
    paths = paths_in(_mask(arguments)) if _mask(arguments) else None
    if paths is not None and spec.response is not None:
        if "items" in values:
            values = {**values, "items": [_present(item, paths) for item in values["items"]]}
        else:
            values = _present(values, paths)
    return _object(spec, values, arguments)


def _object(spec: ActionSpec, values: Any, arguments: Mapping[str, Any]) -> BaseModel:
    model: Any = spec.response_model
    if _mask(arguments) or arguments.get("expand"):
        return _part_reader(model).validate_python(values, by_alias=True)  # type: ignore[no-any-return]  # of the model
    if spec.answers is not None:
        _refuse_input_only(spec, values)
        return spec.answers.read_wire(values)
    return model.model_validate(values)  # type: ignore[no-any-return]  # of the model


def _mask(arguments: Mapping[str, Any]) -> Sequence[str]:
    mask = arguments.get("read_mask") or arguments.get("fields") or ()
    return mask.split(",") if isinstance(mask, str) else mask


def _present(values: Any, paths: Paths | None) -> Any:
    if isinstance(values, list):
        inner = None if paths is None else paths.get(EVERYTHING)
        return [_present(item, inner) for item in values]
    if not isinstance(values, Mapping) or paths is None:
        return values
    if EVERYTHING in paths:
        return {key: _present(item, paths[EVERYTHING]) for key, item in values.items()}
    return {
        name: _present(item, paths.get(name)) for name, item in values.items()
        if name in paths or item not in (None, "", b"", 0, [], {})
    }  # fmt: skip


def _refuse_input_only(spec: ActionSpec, values: Any) -> None:
    """Raise `AssertionError` for an answer with a field that no answer may have."""
    hidden = {
        field.wire_name
        for record in (records_of(spec.response) if spec.response is not None else ())
        for field in record.fields
        if field.is_input_only
    }
    pending = [values]
    while pending:
        current = pending.pop()
        if isinstance(current, Mapping):
            found = hidden & current.keys()
            if found:
                raise AssertionError(f"{spec.operation} answered with {', '.join(found)}")
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)


def _part_reader(model: type[BaseModel]) -> SchemaValidator:
    """Return a validator of objects that may lack any field."""
    schema = _of_parts(with_stored_fields(model.__pydantic_core_schema__))
    return SchemaValidator(with_absence(schema, _all_optional), _use_prebuilt=False)


def _of_parts(schema: Any) -> Any:
    """Return a core schema whose validator makes parts of objects."""
    if isinstance(schema, list | tuple):
        return type(schema)(_of_parts(item) for item in schema)
    if not isinstance(schema, dict):
        return schema
    copied = {
        key: value if key in ("metadata", "default") else _of_parts(value)
        for key, value in schema.items()
    }
    if schema.get("type") == "model":
        copied["cls"] = part_class(schema["cls"])
    return copied


def _all_optional(fields: dict[str, Any], model: type[BaseModel]) -> Any:
    del model
    optional = {}
    for name, field in fields["fields"].items():
        schema = field["schema"]
        while schema["type"] == "default":
            schema = schema["schema"]
        absent = {"type": "default", "schema": schema, "default": _ABSENT, "copy_default": False}
        optional[name] = {**field, "schema": absent}
    ignoring = {**fields, "fields": optional, "extra_behavior": "ignore"}
    function = {"type": "no-info", "function": _without_absent}
    return {"type": "function-after", "schema": ignoring, "function": function}


def _without_absent(values: Any) -> Any:
    fields, extra, names = values
    return {name: item for name, item in fields.items() if item is not _ABSENT}, extra, names
