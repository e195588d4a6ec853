"""Parts of nested records, as in an update of `address.city`: sent alone, merged with the rest.

A part is an object of a subclass of the record's model: the fields that its caller named are its
`model_fields_set`, the others say nothing. It stands in the object that was sent in place of the
whole, until the item that it is for is locked and the two are merged.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from bali.errors import FieldError, ValidationFailed
from bali.resources.field_errors import field_errors, placed, wrong_field
from bali.resources.requests import input_model, schema_of_input
from bali.resources.update_masks import named_values
from bali.resources.values import check_values
from bali.schemas import Record, describe
from bali.schemas.parts import Paths

__all__ = [
    "MISSING",
    "is_part",
    "merged",
    "part_paths",
    "parts_in",
    "put_parts",
    "read_parts",
    "stored_in",
]

MISSING: Any = object()


def read_parts(
    record: Record, paths: Paths, sent: Mapping[str, Any], errors: list[FieldError], place: str = ""
) -> dict[str, BaseModel]:
    """Return the parts of nested records that paths name, by attribute; only they are validated.

    Adds to `errors` what is wrong, with full paths.
    """
    parts: dict[str, BaseModel] = {}
    for field in record.fields:
        inner = paths.get(field.wire_name)
        if inner is not None and isinstance(field.node, Record):
            where = f"{place}{field.wire_name}"
            part = _read_part(field.node, inner, sent.get(field.wire_name), errors, where)
            if part is not None:
                parts[field.name] = part
    return parts


def put_parts(sent: BaseModel, parts: Mapping[str, BaseModel]) -> None:
    """Put parts where the whole records would be; what was sent may be frozen."""
    sent.__dict__.update(parts)
    sent.__pydantic_fields_set__.update(parts)


def is_part(value: Any) -> bool:
    """Tell whether a value is a part of a record."""
    return isinstance(value, BaseModel) and "__is_part__" in type(value).__dict__


def parts_in(sent: BaseModel) -> dict[str, BaseModel]:
    """Return the parts in what was sent, by attribute."""
    values = sent.__dict__
    return {name: values[name] for name in sent.model_fields_set if is_part(values.get(name))}


def part_paths(sent: BaseModel, place: str = "") -> list[str]:
    """Return the paths of the fields that the parts in what was sent set."""
    paths: list[str] = []
    for name, part in sorted(parts_in(sent).items()):
        inner = parts_in(part)
        paths += [f"{place}{name}.{leaf}" for leaf in sorted(part.model_fields_set - inner.keys())]
        paths += part_paths(part, f"{place}{name}.")
    return paths


def merged(sent: BaseModel, item: Any, *, place: str = "") -> tuple[dict[str, Any], BaseModel]:
    """Return the records of an item with the parts that were sent, in the form they are stored in.

    The fields that no part names are as they are stored. The second value holds the same as an
    object of the model of what was sent. Raises `ValidationFailed` for a record that the schema
    does not allow; `place` is what its errors put before the names of fields.
    """
    model = type(sent)
    values = {
        name: _merged(part, stored_in(item, name, model)) for name, part in parts_in(sent).items()
    }
    try:
        whole = model.model_validate(values, by_alias=True, by_name=True)
    except ValidationError as error:
        found = field_errors(error, describe(schema_of_input(model)), is_stored=True)
        raise ValidationFailed(field_errors=_before(place, found)) from None
    problems = check_values(whole)
    if problems:
        raise ValidationFailed(field_errors=_before(place, problems))
    parts = parts_in(sent)
    return {
        name: _with_defaults(
            parts[name], stored_in(item, name, model), values[name], whole.__dict__[name]
        )
        for name in values
    }, whole


def stored_in(item: Any, name: str, model: type[BaseModel]) -> Any:
    """Return the value of a field of something stored, `MISSING` without one.

    A mapping may have it by the name that it has on the wire, and lack what has its default.
    """
    if not isinstance(item, Mapping):
        return getattr(item, name, MISSING)
    info = model.model_fields[name]
    if info.alias is not None and info.alias not in model.model_fields and info.alias in item:
        return item[info.alias]
    is_made = info.is_required() or info.default_factory is not None
    return item.get(name, MISSING if is_made else info.default)


def _read_part(
    record: Record, paths: Paths, sent: Any, errors: list[FieldError], place: str
) -> BaseModel | None:
    if isinstance(sent, BaseModel):
        sent = sent.model_dump(exclude_unset=True, by_alias=True)
    if sent is None:
        sent = {}
    kind: Any = record.type
    if not isinstance(sent, Mapping) or kind is None:
        errors.append(wrong_field(place, "OBJECT_TYPE", "must be an object"))
        return None
    values = named_values(record, paths, sent, f"{place}.", errors)
    parts = read_parts(record, paths, sent, errors, f"{place}.")
    try:
        part = _part_model(kind).model_validate(values, by_alias=True)
    except ValidationError as error:
        errors.extend(placed(place, field_errors(error, record)))
        return None
    errors.extend(placed(place, check_values(part)))
    put_parts(part, parts)
    return part


@functools.lru_cache(maxsize=1024)
def _part_model(model: type[BaseModel]) -> type[BaseModel]:
    made = input_model(model, model.__name__, is_partial=True)
    made.__is_part__ = True  # type: ignore[attr-defined]  # read by `is_part`
    return made


def _merged(part: BaseModel, stored: Any) -> dict[str, Any]:
    """Return a record with the fields of a part in it; what is stored is left as it is."""
    if stored is None or stored is MISSING:
        values: dict[str, Any] = {}
    elif isinstance(stored, Mapping):
        values = dict(stored)
    else:
        values = _as_model(part, stored).model_dump()
    inner = parts_in(part)
    changed = part.model_dump(include=part.model_fields_set - inner.keys(), by_alias=False)
    for name, own in inner.items():
        changed[name] = _merged(own, stored_in(values, name, type(part)))
    fields = type(part).model_fields
    for name in changed:
        alias = fields[name].alias
        if alias is not None and alias not in fields:
            values.pop(alias, None)
    return values | changed


def _with_defaults(
    part: BaseModel, stored: Any, values: dict[str, Any], whole: BaseModel
) -> dict[str, Any]:
    """Return a merged record with its defaults where it was made from nothing."""
    inner = {
        name: _with_defaults(
            own, stored_in(stored, name, type(part)), values[name], whole.__dict__[name]
        )
        for name, own in parts_in(part).items()
    }
    is_new = stored is None or stored is MISSING
    return (whole.model_dump() if is_new else {}) | values | inner


def _as_model(part: BaseModel, stored: Any) -> BaseModel:
    model = schema_of_input(type(part))
    return model.model_validate(stored, from_attributes=True, by_name=True)


def _before(place: str, errors: list[FieldError]) -> list[FieldError]:
    return [
        wrong_field(f"{place}{error.field}", error.reason, error.description) for error in errors
    ]
