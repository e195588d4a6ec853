"""Which fields the filters of a list may name: those that its caller sees, or fewer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from bali.errors import ConfigurationError
from bali.resources.filter import FilterFields, filter_fields
from bali.resources.filter.literals import near
from bali.resources.store import Store
from bali.resources.traversal import traversed
from bali.schemas import Describer
from bali.schemas.behaviour import input_only_attributes, is_input_only

__all__ = ["filterable_fields", "refuse_input_only"]


def filterable_fields(
    resource: type[Any],
    schema: type[BaseModel] | None,
    store: Store | None,
    *,
    describer: Describer,
    where: str,
) -> FilterFields:
    """Return what the filters of a list of `schema` may name, with the types of the values.

    In a store these are its own; a field that it does not hold cannot be filtered by. Raises
    `ConfigurationError`, beginning with `where`, for a name in the resource's `filter_fields` that
    there is not, and for a function that no filter can call.
    """
    known = dict(_annotations(schema, store))
    declared: Any = resource.filter_fields
    if declared is not None:
        if isinstance(declared, str) or not isinstance(declared, Iterable):
            raise ConfigurationError(f"{where}: filter_fields is {declared!r}; write a list")
        names = list(declared)
        for name in names:
            if "." in str(name):
                known[name] = name, traversed(resource, store, str(name), where=where)
            elif name not in known:
                raise ConfigurationError(
                    f"{where}: filter_fields: there is no field {name!r} that a caller sees and "
                    f"that can be filtered by; {near(str(name), known)}"
                )
        known = {name: known[name] for name in names}
    return filter_fields(known, resource.filter_functions, describer=describer, where=where)


def refuse_input_only(names: Iterable[str], schema: type[BaseModel] | None, *, where: str) -> None:
    """Refuse declared filters by what callers never see: answers would tell it bit by bit.

    Raises `ConfigurationError`, beginning with `where`.
    """
    hidden = input_only_attributes(schema) if schema is not None else frozenset()
    for name in names:
        if name in hidden or name.rpartition("__")[0] in hidden:
            raise ConfigurationError(
                f"{where}: {name!r} is about an input-only field, which no filter may tell of"
            )


def _annotations(
    schema: type[BaseModel] | None, store: Store | None
) -> Mapping[str, tuple[str, Any]]:
    """Return attribute and annotation of each field by the name that callers use."""
    if schema is None:
        return {}
    found: dict[str, tuple[str, Any]] = {
        info.alias or name: (name, info.annotation)
        for name, info in schema.model_fields.items()
        if not (info.exclude or is_input_only(info))
    }
    if store is None:
        for name, computed in schema.model_computed_fields.items():
            found[computed.alias or name] = (name, computed.return_type)
        return found
    held = store.filterable()
    return {wire: (name, held[name]) for wire, (name, _) in found.items() if name in held}
