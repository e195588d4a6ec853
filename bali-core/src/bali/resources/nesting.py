"""Nested resources, whose items belong to one item of another: `/users/{user_id}/orders`.

The key of the parent is a field of every request, first of all, and part of every path. The store
of a call holds the items of that parent alone, and none when the parent is not there for the
caller; the parent's own parents count in the same way.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from bali.errors import ConfigurationError
from bali.resources.action import place_of
from bali.resources.requests import request_field, wire_names
from bali.resources.store import ContractStore, Store, Within

__all__ = [
    "Parent",
    "nested_path",
    "parent_fields",
    "parent_keys",
    "parents_of",
    "related_store",
    "seen_store",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A resource above another.

    `name` is the field of a request that holds its key, "user_id"; `attribute` is what refers to
    it in the items below.
    """

    resource: type[Any]
    name: str
    attribute: str
    key_type: Any


def parents_of(resource: type[Any]) -> tuple[Parent, ...]:
    """Return the resources above one, from the outermost on.

    Raises `ConfigurationError` for a parent that nothing refers to.
    """
    if resource.parent is None:
        return ()
    hashable: Any = resource
    return _parents(hashable)


@functools.lru_cache(maxsize=1024)
def _parents(resource: Any) -> tuple[Parent, ...]:
    above: Any = resource.parent
    seen: list[Any] = [resource]
    while above is not None:
        if not _is_resource(above):
            raise ConfigurationError(
                f"{place_of(seen[-1])}: parent {above!r} is not a Resource class"
            )
        if above in seen:
            raise ConfigurationError(f"{place_of(resource)}: it is one of its own parents")
        seen.append(above)
        above = above.parent
    pairs = list(itertools.pairwise(seen))
    found = tuple(_parent(child, parent) for child, parent in reversed(pairs))
    names = [parent.name for parent in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"{place_of(resource)}: two of its parents have keys of the name {name!r}; set "
                "`name` of one of them"
            )
    return found


def _is_resource(value: Any) -> bool:
    return inspect.isclass(value) and hasattr(value, "find_store")


def _parent(child: type[Any], parent: type[Any]) -> Parent:
    where = f"{place_of(child)}: parent"
    own, above = child.find_store(), parent.find_store()
    for resource, store in ((child, own), (parent, above)):
        if not isinstance(store, ContractStore):
            raise ConfigurationError(
                f"{where}: {resource.__name__} has no database model; set its `model`"
            )
    return Parent(
        resource=parent,
        name=f"{parent.singular_name()}_id",
        attribute=own.reference_to(above, child.parent_key, where=where),
        key_type=above.key_type,
    )


def nested_path(resource: type[Any]) -> str:
    """Return the path of a collection below those of its parents, "/users/{user_id}/orders"."""
    above = "".join(f"{item.resource.endpoint()}/{{{item.name}}}" for item in parents_of(resource))
    return above + str(resource.endpoint())


def parent_fields(resource: type[Any]) -> dict[str, Any]:
    """Return the fields of every request of a resource, as `create_model` takes them."""
    fields: dict[str, Any] = {}
    for parent in parents_of(resource):
        text = f"The key of the {parent.resource.singular_name().replace('_', ' ')}."
        fields |= request_field(parent.name, parent.key_type, description=text)
    return fields


def parent_keys(names: Sequence[str], parameters: BaseModel | None) -> Mapping[str, Any]:
    """Return the keys of the parents that a request names."""
    if not names or parameters is None:
        return {}
    attributes = wire_names(type(parameters))
    return {name: getattr(parameters, attributes[name]) for name in names}


def seen_store(resource: Any, store: Store, *, show_deleted: bool) -> Store:
    """Return the store of a resource (an object, for one call) as its caller sees it.

    Raises `RuntimeError` when the call names no parent and there should be one, and `TypeError` for
    a `visible_to` that says nothing.
    """
    within = _within(resource)
    return _seen(resource, store, show_deleted=show_deleted, within=within)


def _seen(resource: Any, store: Store, *, show_deleted: bool, within: Within | None) -> Store:
    kind = type(resource)
    is_limited = kind.limits_sight()
    if not (is_limited or show_deleted or within is not None):
        return store
    visible = resource.visible_to(resource.auth) if is_limited else True
    if visible is None:
        raise TypeError(
            f"{kind.__name__}.visible_to returned None; return a condition, True for everything, "
            "or False for nothing"
        )
    seen: Store = store.seen(  # type: ignore[attr-defined]  # refused at start without it
        visible=visible, show_deleted=show_deleted, within=within
    )
    return seen


def related_store(resource: Any, *, show_deleted: bool) -> Store:
    """Return the store of a resource (an object, for one call) with the items of any parent.

    The parents have to be visible, and there.
    """
    kind = type(resource)
    within = None
    if kind.parent is not None:
        parent = parents_of(kind)[-1]
        above: Any = related_store(parent.resource(None, resource.context), show_deleted=False)
        within = Within(attribute=parent.attribute, key=None, store=above, is_any=True)
    return _seen(resource, kind.find_store(), show_deleted=show_deleted, within=within)


def _within(resource: Any) -> Within | None:
    if type(resource).parent is None:
        return None
    parent = parents_of(type(resource))[-1]
    if parent.name not in resource.context.parents:
        raise RuntimeError(
            f"{type(resource).__name__} has the items of one {parent.resource.singular_name()}, "
            f"and this call names none; set {parent.name!r} in `context.parents`"
        )
    above = parent.resource(None, resource.context)
    store: Any = seen_store(above, parent.resource.find_store(), show_deleted=False)
    return Within(
        attribute=parent.attribute, key=resource.context.parents[parent.name], store=store
    )
