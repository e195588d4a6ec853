"""The generic actions of a model, as resources ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bali.database.aip_filter import filter_condition, filterable
from bali.database.columns import integer_range, python_type
from bali.database.filters import filter_types, get_filters_expr
from bali.database.managers import load_what_the_database_set, store_object
from bali.database.ordering import Term, order_by_clauses, ordering_of, rows_after
from bali.database.reads import ReadPlan, is_plain
from bali.database.schema import model_to_schema
from bali.database.tokens import decode_token, encode_token, invalid_token
from bali.database.unit import Unit
from bali.errors import ConfigurationError, NotFound
from bali.resources import ListQuery, Page

__all__ = ["ModelStore", "StoreAccess"]


class StoreAccess:
    """Gives each model class its store, as `User.__store__`."""

    def __get__(self, item: Any, owner: type[Any]) -> ModelStore:
        store: ModelStore | None = owner.__dict__.get("__bali_store__")
        if store is None:
            store = ModelStore(owner)
            type.__setattr__(owner, "__bali_store__", store)
        return store


class ModelStore:
    """List, get, create, update and delete of one model; see `bali.resources.Store`."""

    def __init__(self, model: type[Any]) -> None:
        self.model = model
        self.database = model.__database__

    @property
    def key_name(self) -> str:
        """The attribute that identifies an item."""
        return str(self.model.__mapper__.get_property_by_column(self._key).key)

    @property
    def key_type(self) -> Any:
        """The Python type of the key."""
        return python_type(self._key)

    @property
    def _key(self) -> Any:
        keys = self.model.__mapper__.primary_key
        if len(keys) != 1:
            names = ", ".join(key.name for key in keys)
            raise ConfigurationError(
                f"{self.model.__module__}.{self.model.__name__} has the key ({names}); a resource "
                "needs a key of one column: add an `id`, or write the actions yourself"
            )
        return keys[0]

    def schema(self) -> type[BaseModel]:
        """Return the schema of all columns."""
        return model_to_schema(self.model)

    def filter_types(self, declared: Sequence[str], *, where: str) -> Mapping[str, Any]:
        """Return the annotation of each declared filter."""
        return filter_types(self.model, declared, where=where)

    def filterable(self) -> Mapping[str, Any]:
        """Return the annotation of each column, as the filter of a list may compare it."""
        return filterable(self.model)

    def unit(self) -> Unit:
        """Open a unit of work on the model's database."""
        unit: Unit = self.database.unit()
        return unit

    def read_plan(self, schema: type[BaseModel]) -> ReadPlan | None:
        """Return the way to read items as objects of `schema` without the ORM, None without one."""
        return ReadPlan(self, schema) if is_plain(self.model, schema) else None

    async def list(self, query: ListQuery) -> Page[Any]:
        """Return one page."""
        conditions = get_filters_expr(self.model, **query.filters)
        total = select(func.count()).select_from(self.model).where(*conditions)
        return await self.page(query, select(self.model).where(*conditions), total)

    async def page(
        self, query: ListQuery, chosen: Select[Any], total: Select[Any] | None = None
    ) -> Page[Any]:
        """Return one page of the items that a `select` chooses, whatever the query's filters are.

        `total` counts them; without it the `select` itself is counted. The query's condition is
        added to both.
        """
        conditions = filter_condition(self.model, query.condition)
        chosen = chosen.where(*conditions)
        terms = ordering_of(self.model, query.order_by, query.sortable)
        backend = self.database.backend
        statement = chosen.order_by(*order_by_clauses(terms, backend))
        statement = statement.limit(query.page_size + 1).offset(query.skip or None)
        if total is None:
            total = select(func.count()).select_from(chosen.subquery())
        else:
            total = total.where(*conditions)

        async def work(session: AsyncSession) -> tuple[list[Any], int | None]:
            page = statement
            if query.page_token:
                after = await self._after(session, query, terms)
                page = page.where(rows_after(terms, after, backend))
            items = list((await session.scalars(page)).unique().all())
            return items, await session.scalar(total) if query.with_total else None

        items, count = await self.database.run(work)
        token = ""
        if len(items) > query.page_size:
            del items[query.page_size :]
            secret = self.database.page_token_secret
            token = encode_token(terms, items[-1], self.key_name, query.arguments, secret)
        return Page(items=items, next_page_token=token, total=count)

    async def get(self, key: Any) -> Any:
        """Return the item with this key."""
        return await self.database.run(lambda session: self._found(session, key))

    async def create(self, values: Mapping[str, Any]) -> Any:
        """Store a new item and return it."""

        async def work(session: AsyncSession) -> Any:
            return await store_object(session, self.model(**values))

        return await self.database.run(work, writes=True)

    async def update(self, key: Any, values: Mapping[str, Any]) -> Any:
        """Change attributes of an item and return it."""

        async def work(session: AsyncSession) -> Any:
            item = await self._found(session, key, lock={"key_share": True})
            for name, value in values.items():
                setattr(item, name, value)
            await session.flush()
            await load_what_the_database_set(session, item)
            return item

        return await self.database.run(work, writes=True)

    async def delete(self, key: Any) -> None:
        """Remove the item with this key."""

        async def work(session: AsyncSession) -> None:
            await session.delete(await self._found(session, key, lock={}))
            await session.flush()

        await self.database.run(work, writes=True)

    async def _after(
        self, session: AsyncSession, query: ListQuery, terms: tuple[Term, ...]
    ) -> tuple[Any, ...]:
        """Return the sort values of the row that the page begins after."""
        secret = self.database.page_token_secret
        place = decode_token(query.page_token, terms, self.key_name, query.arguments, secret)
        if place.values is not None:
            return place.values
        columns = (term.attribute for term in terms)
        statement: Select[Any] = select(*columns).where(self._key == place.key)
        row = (await session.execute(statement)).first()
        if row is None:
            raise invalid_token()
        return tuple(row)

    async def _found(
        self, session: AsyncSession, key: Any, *, lock: dict[str, bool] | None = None
    ) -> Any:
        """Return an item; `lock` (options of FOR UPDATE) keeps others from changing it."""
        item = None
        if self.may_exist(key):
            if lock is not None and self.database.backend == "sqlite":
                await _lock_sqlite(session)
            item = await session.get(self.model, key, with_for_update=lock)
        if item is None:
            raise self.missing(key)
        return item

    def missing(self, key: Any) -> NotFound:
        """Return the error for a key without an item."""
        return NotFound(
            f"There is no {self.model.__name__} with the {self.key_name} {str(key)[:80]}",
            resource_type=self.model.__name__,
            resource_name=f"{self.model.__tablename__}/{key}",
        )

    def may_exist(self, key: Any) -> bool:
        """Tell whether the key's column could hold a value; drivers refuse what it cannot."""
        if not isinstance(key, int):
            return True
        low, high = integer_range(self._key)
        return low <= key <= high


async def _lock_sqlite(session: AsyncSession) -> None:
    """Begin to write before reading: SQLite locks no rows, and cannot wait once it has read."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    if raw.driver_connection is not None and not raw.driver_connection.in_transaction:
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
