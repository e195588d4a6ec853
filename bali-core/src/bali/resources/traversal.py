"""Filters that look through relations, as in `user.name = "Ann"` (AIP-160, traversal)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bali.errors import ConfigurationError
from bali.resources.expanding import own_schema
from bali.resources.nesting import related_store
from bali.resources.store import ContractStore, Store

__all__ = ["MAX_TRAVERSAL", "filter_relations", "seen_relations", "traversed"]

#: How many relations a path of a filter may go through.
MAX_TRAVERSAL = 3


def traversed(resource: type[Any], store: Store | None, name: str, *, where: str) -> Any:
    """Return the annotation of the field that a path of `filter_fields` leads to.

    Raises `ConfigurationError`, beginning with `where`, for a path that leads to none.
    """
    *relations, last = name.split(".")
    if not isinstance(store, ContractStore) or len(relations) > MAX_TRAVERSAL:
        raise ConfigurationError(
            f"{where}: filter_fields: {name!r} goes through relations of a database model, at most "
            f"{MAX_TRAVERSAL} of them"
        )
    found = store.filterable_through(relations).get(last)
    known = _resource_at(resource, relations)
    shown = own_schema(known) if known is not None else None
    if found is None or (shown is not None and not _shows(shown, last)):
        raise ConfigurationError(
            f"{where}: filter_fields: {name!r} leads to no field that can be filtered by; write "
            "names of relationships with dots between, and a field that a caller sees at the end"
        )
    return found


def filter_relations(resource: type[Any]) -> Mapping[str, type[Any]]:
    """Return whose items there are at each path of relations that filters go through.

    A path whose resource is not known (`expandable`, `parent`) is left out.
    """
    found: dict[str, type[Any]] = {}
    for name in resource.filter_fields or ():
        relations = str(name).split(".")[:-1]
        for count in range(1, len(relations) + 1):
            known = _resource_at(resource, relations[:count])
            if known is not None:
                found[".".join(relations[:count])] = known
    return found


def seen_relations(relations: Mapping[str, type[Any]], context: Any) -> Mapping[str, Store]:
    """Return the items at each path, as a caller sees them."""
    return {
        path: related_store(resource(None, context), show_deleted=False)
        for path, resource in relations.items()
    }


def _resource_at(resource: type[Any], relations: list[str]) -> type[Any] | None:
    current: Any = resource
    for name in relations:
        store = current.find_store()
        following = current.expandable.get(name)
        if following is None and current.parent is not None:
            above = current.parent
            if store.leads_to(name, above.find_store()):
                following = above
        if following is None:
            return None
        current = following
    found: type[Any] = current
    return found


def _shows(schema: Any, name: str) -> bool:
    info = schema.model_fields.get(name)
    extra = getattr(info, "json_schema_extra", None)
    is_hidden = isinstance(extra, dict) and bool(extra.get("writeOnly"))
    return info is not None and not (info.exclude or is_hidden)
