"""What a resource asks of the place where its model lives; `bali.database` provides it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from pydantic import BaseModel

from bali.resources.filter import Condition

__all__ = [
    "ContractStore",
    "ListQuery",
    "Listing",
    "Page",
    "ReadPlan",
    "Repeats",
    "Store",
    "Stored",
    "UnitFactory",
    "Within",
]

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
    `show_deleted` says that the store was asked for soft-deleted items, too, and `parents` whose
    items they are. `relations` are the items that the caller sees at the paths of relations that
    the condition goes through ("user", "user.orders").
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
    show_deleted: bool = False
    parents: Mapping[str, Any] = field(default_factory=dict)
    relations: Mapping[str, Store] = field(default_factory=dict)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What chooses items, by name: a page token holds only for the same."""
        if self.condition is None and not (self.show_deleted or self.parents):
            return self.filters
        chosen = {} if self.condition is None else {"filter": self.filter}
        deleted = {"show_deleted": True} if self.show_deleted else {}
        return {**self.parents, **self.filters, **chosen, **deleted}


#: Opens one unit of work: commits when its block succeeds, rolls back otherwise.
UnitFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]


class Listing(Protocol):
    """A query that an action returned without running it: the pipeline does, as far as needed."""

    async def read_page(self, query: ListQuery) -> Page[Any]:
        """Return one page of what it finds; `query.filters` are the action's business."""

    async def read_all(self) -> Sequence[Any]:
        """Return everything that it finds."""


class ReadPlan(Protocol):
    """Reads items as objects of one schema, outside any unit of work.

    `store` is the store as the caller sees it (`ContractStore.seen`).
    """

    async def get(self, store: Store, key: Any) -> BaseModel:
        """Return the item with this key; raise `NotFound` when there is none."""

    async def list(
        self, store: Store, query: ListQuery, *, packs: bool = False
    ) -> Page[BaseModel] | None:
        """Return one page; None for a query that only `Store.list` can answer.

        With `packs`, moments in its `Rows` may be packed.
        """


class WritePlan(Protocol):
    """Writes items and returns them as objects of one schema, each in a transaction of its own."""

    async def create(self, values: Mapping[str, Any]) -> BaseModel | None:
        """Store a new item and return it; None when only `Store.create` can, or says why not."""

    async def update(self, key: Any, values: Mapping[str, Any]) -> BaseModel | None:
        """Change an item and return it; None when only `Store.update` can, or says why not."""


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

    async def list(self, query: ListQuery) -> Page[Any]:
        """Return one page. Raises `InvalidArgument` for a bad token or ordering."""

    async def get(self, key: Any) -> Any:
        """Return the item with this key."""

    async def create(self, values: Mapping[str, Any]) -> Any:
        """Store a new item and return it as stored."""

    async def update(self, key: Any, values: Mapping[str, Any]) -> Any:
        """Change the given attributes of an item and return it as stored.

        Where they are `Changes`, their `check` is called with the item first, once it is locked.
        """

    async def delete(self, key: Any) -> None:
        """Remove the item with this key."""


class Repeats(Protocol):
    """Remembers what was answered to requests with an id (AIP-155), in the current unit of work."""

    @property
    def secret(self) -> bytes:
        """What fingerprints of requests are made with: they may hold a password."""

    def prepare(self) -> None:
        """See to it that there is a place to remember; called when a resource is read."""

    async def claim(self, key: str, fingerprint: str) -> bytes | None:
        """Return what was answered to the request with this key, None when it is a new one.

        A second call with the key waits until the first one's unit of work has ended. Raises
        `ValidationFailed` for a key that came with another fingerprint before.
        """

    async def remember(self, key: str, answer: bytes) -> None:
        """Keep the answer to a request that was claimed in this unit of work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """The parent of items: those whose `attribute` is `key`, the key of an item of `store`.

    `store` holds the parents as the caller sees them. With `is_any` the key does not matter: the
    items of every one of them count.
    """

    attribute: str
    key: Any
    store: ContractStore
    is_any: bool = False


@runtime_checkable
class ContractStore(Store, Protocol):
    """A store that can keep what the AIPs promise of a resource, all in one unit of work."""

    @property
    def is_soft(self) -> bool:
        """Whether a deleted item is kept for a while, and can be taken back."""

    @property
    def version_name(self) -> str | None:
        """The attribute that counts the changes of an item, None without one."""

    @property
    def repeats(self) -> Repeats:
        """What remembers requests, beside the items."""

    def read_plan(self, schema: type[BaseModel]) -> ReadPlan | None:
        """Return a faster way to `get` and `list` with the same results, None without one."""

    def write_plan(self, schema: type[BaseModel]) -> WritePlan | None:
        """Return a faster way to `create` and `update` with the same results, None without one."""

    def seen(
        self, *, visible: Any = True, show_deleted: bool = False, within: Within | None = None
    ) -> ContractStore:
        """Return the store as one caller sees it.

        `visible` is True for everything, False for nothing, or a condition of the database. What it
        leaves out is not there: not found, not listed, not changed, and nothing can be made so.
        `within` is the parent whose items there are; new ones become its items, too.
        """

    def reference_to(self, other: ContractStore, name: str | None, *, where: str) -> str:
        """Return the attribute that holds the key of an item of another store.

        `name` chooses one of several. Raises `ConfigurationError`, beginning with `where`, when
        there is none, or more than one.
        """

    def filterable_through(self, relations: Sequence[str]) -> Mapping[str, Any]:
        """Return what `filterable` does for the items that relations lead to.

        Nothing for relations that there are not.
        """

    def leads_to(self, name: str, other: ContractStore) -> bool:
        """Tell whether a relation leads to the items of another store."""

    def relation_to(self, name: str, other: ContractStore, *, where: str) -> bool:
        """Tell whether a relation to the items of another store leads to many of them.

        Raises `ConfigurationError`, beginning with `where`, when there is no such relation.
        """

    async def related(
        self, name: str, keys: Sequence[Any], others: ContractStore
    ) -> Sequence[tuple[Any, Any]]:
        """Return the items that a relation of the items with these keys leads to.

        Each comes with the key of the item that it belongs to, in one statement. `others` are the
        items of the other store as the caller sees them.
        """

    async def check_parent(self) -> None:
        """Raise `NotFound` when the parent that the store is within is not there."""

    async def lock(self, keys: Sequence[Any]) -> Sequence[Any]:
        """Return the items with these keys; nobody else changes them before the unit ends."""

    async def undelete(self, key: Any) -> Any:
        """Take back the deletion of an item and return it; `AlreadyExists` if it is not deleted."""

    async def get_many(self, keys: Sequence[Any]) -> Sequence[Any]:
        """Return the items with these keys, in this order. Raises `NotFound` naming the others."""

    async def create_many(self, values: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Store new items and return them, in this order: all or none."""

    async def update_many(self, changes: Sequence[tuple[Any, Mapping[str, Any]]]) -> Sequence[Any]:
        """Change attributes of the items with these keys and return them: all or none."""

    async def delete_many(self, keys: Sequence[Any]) -> None:
        """Remove the items with these keys: all or none."""


@runtime_checkable
class Stored(Protocol):
    """A model class that knows its store."""

    __store__: Store
