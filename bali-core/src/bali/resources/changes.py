"""The values of an update, and how they meet the item that they are for.

Immutable ones must be those that it has (AIP-203); parts of nested records are merged with it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from pydantic import BaseModel, RootModel

from bali.errors import FieldError, ValidationFailed
from bali.resources.partial_records import MISSING, is_part, merged, parts_in, stored_in
from bali.resources.requests import output_only_names, wire_names
from bali.schemas.behaviour import is_immutable, is_input_only

__all__ = ["Changes", "changes_of", "check_immutable", "has_immutable", "values_of"]


class Changes(dict[str, Any]):
    """Values by attribute; a store calls `check` with the item that they are for, once locked."""

    def __init__(self, values: Mapping[str, Any], sent: BaseModel, *, place: str = "") -> None:
        super().__init__(values)
        self._place = place
        self._sent = sent
        # As long as they are not merged, no store can hold them.
        self._parts = parts_in(sent)
        self.update(self._parts)

    def check(self, item: Any) -> None:
        """Return when the item may have these values, with parts of nested records made whole.

        Raises `ValidationFailed`: with reason `IMMUTABLE` for an immutable value that is not as it
        was sent, or for a record that is not valid with the part that was sent. An immutable field
        that is input-only, too, may not be sent at all: otherwise its value could be guessed.
        """
        check_immutable(self._sent, self.keys(), item, place=self._place)
        if self._parts:
            self.update(merged(self._sent, item, place=self._place)[0])


def changes_of(sent: BaseModel, values: Mapping[str, Any], *, place: str = "") -> Mapping[str, Any]:
    """Return the values of an update, as `Changes` when they have to be held against the item.

    That is when what was sent has immutable fields or parts of nested records. `place` is what
    errors put before the names of fields.
    """
    if parts_in(sent) or has_immutable(type(sent)):
        return Changes(values, sent, place=place)
    return values


def values_of(item: BaseModel, *, with_defaults: bool = False) -> dict[str, Any]:
    """Return what was sent, by attribute; `with_defaults` adds what the schema itself supplies.

    A default of None is left to the store, which may know a better one. Parts of records have no
    values before they are merged.
    """
    names = set(item.model_fields_set)
    if with_defaults:
        values = item.__dict__
        names.update([name for name in _settable(type(item)) if values.get(name) is not None])
    else:
        names -= parts_in(item).keys()
    return item.model_dump(include=names, by_alias=False)


@functools.lru_cache(maxsize=1024)
def _settable(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the attributes of the fields that callers may set."""
    output_only = output_only_names(model)
    return tuple(name for wire, name in wire_names(model).items() if wire not in output_only)


def check_immutable(
    sent: BaseModel, names: AbstractSet[str], item: Any, *, place: str = ""
) -> None:
    """Raise `ValidationFailed` when an update would change immutable values of an item."""
    found = _changed(sent, names, item, place)
    errors = [
        FieldError(field=path, reason="IMMUTABLE", description="cannot be changed any more")
        for path in found
    ]
    if errors:
        raise ValidationFailed(field_errors=errors)


def _changed(
    sent: BaseModel, names: AbstractSet[str], item: Any, place: str, *, is_kept: bool = False
) -> Iterator[str]:
    """Yield the paths of immutable fields that change; with `is_kept` all of them are."""
    for name, info in type(sent).model_fields.items():
        value = sent.__dict__.get(name)
        if name not in names or (is_input_only(info) and name not in sent.model_fields_set):
            continue
        stored = stored_in(item, name, type(sent))
        path = f"{place}{info.alias or name}"
        keeps = is_kept or is_immutable(info)
        if isinstance(value, BaseModel) and is_part(value):
            if keeps or stored not in (None, MISSING):
                set_names = value.model_fields_set
                yield from _changed(value, set_names, stored, f"{path}.", is_kept=keeps)
        elif keeps:
            if is_input_only(info) or not _is_same(value, stored):
                yield path
        elif isinstance(value, BaseModel) and stored not in (None, MISSING):
            # What is inside is replaced as a whole, so what was not sent changes, too.
            yield from _changed(value, type(value).model_fields.keys(), stored, f"{path}.")


def _is_same(value: Any, stored: Any) -> bool:
    """Tell whether a value is what is stored, in whichever form that is."""
    if isinstance(value, RootModel):
        return _is_same(value.root, stored)
    if isinstance(value, BaseModel) and isinstance(stored, Mapping):
        model = type(value)
        return all(
            _is_same(value.__dict__.get(name), stored_in(stored, name, model))
            for name in model.model_fields
        )
    if isinstance(value, list) and isinstance(stored, list):
        return len(value) == len(stored) and all(map(_is_same, value, stored))
    if isinstance(value, Mapping) and isinstance(stored, Mapping):
        return value.keys() == stored.keys() and all(
            _is_same(item, stored[key]) for key, item in value.items()
        )
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
