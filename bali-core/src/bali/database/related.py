"""The items that relations lead to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased, lazyload

from bali.errors import ConfigurationError

__all__ = ["MAX_KEYS", "related_rows", "relation"]

#: How many keys one statement may have; drivers know at most 32,766 parameters.
MAX_KEYS = 10_000


def relation(model: type[Any], name: str, other: type[Any], *, where: str) -> Any:
    """Return a relationship of a model to another.

    Raises `ConfigurationError`, beginning with `where`, when there is none of this name.
    """
    mapper: Any = model.__mapper__
    found = mapper.relationships.get(name)
    if found is None:
        known = ", ".join(mapper.relationships.keys()) or "none"
        raise ConfigurationError(
            f"{where}: {name!r} is no relationship of {model.__name__}; there are: {known}"
        )
    if found.mapper is not other.__mapper__:
        raise ConfigurationError(
            f"{where}: {name!r} of {model.__name__} leads to {found.mapper.class_.__name__}, and "
            f"not to {other.__name__}"
        )
    return found


def related_rows(store: Any, name: str, keys: Sequence[Any], others: Any) -> Select[Any]:
    """Return what finds the items of `others` that belong to items with these keys, and the keys.

    Nothing else is loaded with them.
    """
    owner: Any = aliased(store.model)
    key = getattr(owner, store.key_name)
    ordering = store.model.__mapper__.relationships[name].order_by or ()
    return (
        select(key, others.model)
        .select_from(owner)
        .join(getattr(owner, name))
        .where(key.in_(keys), *others.conditions)
        .order_by(*ordering, others.key_column)
        .options(lazyload("*"))
    )
