"""Items that belong to one of another model, as the orders of a user do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, false, literal, select

from bali.database.columns import columns_of
from bali.errors import ConfigurationError, NotFound
from bali.resources import Within

__all__ = ["ParentRow", "reference"]


class ParentRow:
    """The parent that a caller has named, for the items of one model."""

    def __init__(self, model: type[Any], within: Within) -> None:
        self._model = model
        self._attribute = within.attribute
        self._key = within.key
        self._is_any = within.is_any
        self._store: Any = within.store

    @property
    def statement(self) -> Select[Any]:
        """Finds one row when the parent is there for the caller, else none."""
        store = self._store
        is_it = store.key_column == self._key if store.may_exist(self._key) else false()
        found = select(literal(1)).select_from(store.model).where(is_it, *store.conditions)
        # It asks of a row of its own, also when the items are of the same table.
        return found.correlate(None)

    @property
    def conditions(self) -> Sequence[Any]:
        """What the items have to fulfil."""
        if self._is_any:
            store = self._store
            if not store.conditions:
                return ()
            keys = select(store.key_column).select_from(store.model).where(*store.conditions)
            return (getattr(self._model, self._attribute).in_(keys.correlate(None)),)
        if not self._store.may_exist(self._key):
            return (false(),)
        return (getattr(self._model, self._attribute) == self._key, self.statement.exists())

    @property
    def values(self) -> Mapping[str, Any]:
        """What makes an item one of this parent."""
        return {self._attribute: self._key}

    def owns(self, item: Any) -> bool:
        """Tell whether an item is one of this parent."""
        return bool(getattr(item, self._attribute) == self._key)

    def missing(self) -> NotFound:
        """Return the error for a parent that is not there."""
        error: NotFound = self._store.missing(self._key)
        return error


def reference(model: type[Any], other: type[Any], name: str | None, *, where: str) -> str:
    """Return the attribute of a model that holds the key of an object of another.

    `name` chooses one of several. Raises `ConfigurationError`, beginning with `where`.
    """
    if model.__database__ is not other.__database__:
        raise ConfigurationError(
            f"{where}: {model.__name__} and {other.__name__} are in two databases"
        )
    [key, *rest] = other.__mapper__.primary_key
    found = [
        attribute
        for attribute, column in columns_of(model).items()
        if not rest and any(item.column is key for item in column.foreign_keys)
    ]
    if name is not None and name in found:
        return name
    shown = ", ".join(found) or "none"
    if name is not None:
        raise ConfigurationError(
            f"{where}: parent_key {name!r} is no foreign key from {model.__name__} to "
            f"{other.__name__}.{key.key}; found: {shown}"
        )
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError(
            f"{where}: {model.__name__} has several foreign keys to {other.__name__}: {shown}; say "
            f"which, as in `parent_key = {found[0]!r}`"
        )
    raise ConfigurationError(
        f"{where}: {model.__name__} has no foreign key to {other.__name__}.{key.key}; add one, as "
        f'in `mapped_column(ForeignKey("{other.__tablename__}.{key.name}"))`'
    )
