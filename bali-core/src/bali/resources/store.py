"""What a resource asks of the place where its model lives; `bali.database` provides it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from pydantic import BaseModel

from bali.resources.filter import Condition

__all__ = ["ListQuery", "Listing", "Page", "ReadPlan", "Store", "Stored", "UnitFactory"]

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Page(Generic[T]):
    """Some items of a list, and how to go on.

    `next_page_token` is "" on the last page; `total` is the number of items on all pages, None
    when nobody asked for it.
    """

    items: Sequence[T]
    next_page_token: str = ""
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What a list call asks for.

    `page_size` items after `page_token` ("" for the start), of which `skip` are passed over first;
    sorted by `order_by` ("age desc, username"; "" for the key); `filters` maps declared filters
    ("age__gte") to values; `condition` is what `filter`, the caller's text, means; `with_total`
    asks for the number of all items. `sortable` are the names that `order_by` may have, None for
    every column: what a caller does not see must not be learnt from an ordering either.
    """

    page_size: int
    page_token: str = ""
    skip: int = 0
    order_by: str = ""
    with_total: bool = False
    filters: Mapping[str, Any] = field(default_factory=dict)
    sortable: frozenset[str] | None = None
    filter: str = ""
    condition: Condition | None = None

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What chooses items, by name: a page token holds only for the same."""
        if self.condition is None:
            return self.filters
        return {**self.filters, "filter": self.filter}


#: Opens one unit of work: commits when its block succeeds, rolls back otherwise.
UnitFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]


class Listing(Protocol):
    """A query that an action returned without running it: the pipeline does, as far as needed."""

    async def read_page(self, query: ListQuery) -> Page[Any]:
        """Return one page of what it finds; `query.filters` are the action's business."""

    async def read_all(self) -> Sequence[Any]:
        """Return everything that it finds."""


class ReadPlan(Protocol):
    """Reads items as objects of one schema, outside any unit of work."""

    async def get(self, key: Any) -> BaseModel:
        """Return the item with this key; raise `NotFound` when there is none."""

    def serves(self, query: ListQuery) -> bool:
        """Tell whether `list` can answer a query."""

    async def list(self, query: ListQuery) -> Page[BaseModel]:
        """Return one page of a query that it serves."""


class Store(Protocol):
    """The generic actions of one model. Each runs in the current unit of work.

    Every method raises `NotFound` for a key that does not exist, `AlreadyExists` for a unique
    value that does, `FailedPrecondition` for a reference that does not hold, and
    `ValidationFailed` for a value the store cannot hold.
    """

    @property
    def key_name(self) -> str:
        """The attribute that identifies an item."""

    @property
    def key_type(self) -> Any:
        """The annotation of the key, such as `int` or `UUID`."""

    def schema(self) -> type[BaseModel]:
        """Return the pydantic model of an item; fields set by the store are read-only in it."""

    def filter_types(self, declared: Sequence[str], *, where: str) -> Mapping[str, Any]:
        """Return the annotation of each declared filter, such as `{"age__gte": int}`.

        Raises `ConfigurationError`, beginning with `where`, for an unknown field or operator.
        """

    def filterable(self) -> Mapping[str, Any]:
        """Return the annotation of each attribute that `ListQuery.condition` may compare.

        Any stands for values that no filter can hold: it may only ask whether there is one.
        """

    def unit(self) -> AbstractAsyncContextManager[Any]:
        """Open a unit of work on the database of this store (see `UnitFactory`)."""

    def read_plan(self, schema: type[BaseModel]) -> ReadPlan | None:
        """Return a faster way to `get` and `list` with the same results, None without one."""

    async def list(self, query: ListQuery) -> Page[Any]:
        """Return one page. Raises `InvalidArgument` for a bad token or ordering."""

    async def get(self, key: Any) -> Any:
        """Return the item with this key."""

    async def create(self, values: Mapping[str, Any]) -> Any:
        """Store a new item and return it as stored."""

    async def update(self, key: Any, values: Mapping[str, Any]) -> Any:
        """Change the given attributes of an item and return it as stored."""

    async def delete(self, key: Any) -> None:
        """Remove the item with this key."""


@runtime_checkable
class Stored(Protocol):
    """A model class that knows its store."""

    __store__: Store
