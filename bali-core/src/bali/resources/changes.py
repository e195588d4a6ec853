"""The values of an update, and those among them that may not change (AIP-203, immutable)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from bali.errors import FieldError, ValidationFailed
from bali.resources.requests import output_only_names, wire_names
from bali.schemas.behaviour import is_immutable, is_input_only

__all__ = ["Changes", "changes_of", "has_immutable", "values_of"]

_MISSING = object()


class Changes(dict[str, Any]):
    """Values by attribute; a store calls `check` with the item that they are for, once locked."""

    def __init__(self, values: Mapping[str, Any], sent: BaseModel, *, place: str = "") -> None:
        super().__init__(values)
        self._place = place
        self._sent = sent

    def check(self, item: Any) -> None:
        """Return when the item has every immutable value as it was sent.

        Raises `ValidationFailed` with reason `IMMUTABLE`. A field that is input-only, too, may not
        be sent at all: otherwise its value could be guessed.
        """
        found = _changed(self._sent, self.keys(), item, self._place)
        errors = [
            FieldError(field=path, reason="IMMUTABLE", description="cannot be changed any more")
            for path in found
        ]
        if errors:
            raise ValidationFailed(field_errors=errors)


def changes_of(sent: BaseModel, values: Mapping[str, Any], *, place: str = "") -> Mapping[str, Any]:
    """Return the values of an update, as `Changes` when what was sent has immutable fields.

    `place` is what errors put before the names of fields.
    """
    return Changes(values, sent, place=place) if has_immutable(type(sent)) else values


def values_of(item: BaseModel, *, with_defaults: bool = False) -> dict[str, Any]:
    """Return what was sent, by attribute; `with_defaults` adds what the schema itself supplies.

    A default of None is left to the store, which may know a better one.
    """
    names = set(item.model_fields_set)
    if with_defaults:
        output_only = output_only_names(type(item))
        names.update(
            name
            for wire, name in wire_names(type(item)).items()
            if wire not in output_only and getattr(item, name) is not None
        )
    return item.model_dump(include=names, by_alias=False)


def _changed(sent: BaseModel, names: Any, item: Any, place: str) -> Iterator[str]:
    for name, info in type(sent).model_fields.items():
        value = sent.__dict__.get(name)
        if name not in names or (is_input_only(info) and name not in sent.model_fields_set):
            continue
        stored = item.get(name) if isinstance(item, Mapping) else getattr(item, name, _MISSING)
        path = f"{place}{info.alias or name}"
        if is_immutable(info):
            if is_input_only(info) or not _is_same(value, stored):
                yield path
        elif isinstance(value, BaseModel) and stored not in (None, _MISSING):
            # What is inside is replaced as a whole, so what was not sent changes, too.
            yield from _changed(value, type(value).model_fields, stored, f"{path}.")


def _is_same(value: Any, stored: Any) -> bool:
    if isinstance(value, BaseModel) and not isinstance(stored, BaseModel):
        return bool(value.model_dump() == stored)
    return bool(value == stored)


@functools.lru_cache(maxsize=1024)
def has_immutable(model: type[BaseModel]) -> bool:
    """Tell whether a model, or one within it, has a field that may not change."""
    return _has_immutable(model, set())


def _has_immutable(model: type[BaseModel], seen: set[type[BaseModel]]) -> bool:
    if model in seen:
        return False
    seen.add(model)
    return any(
        is_immutable(info)
        or any(_has_immutable(inner, seen) for inner in _models_in(info.annotation))
        for info in model.model_fields.values()
    )


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models_in(part)
