"""The generic actions of a model, as resources ask for them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Select, false, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bali.database.aip_filter import filter_condition, filterable
from bali.database.columns import columns_of, integer_range, python_type
from bali.database.filters import filter_types, get_filters_expr
from bali.database.managers import load_what_the_database_set, store_object
from bali.database.ordering import Term, order_by_clauses, ordering_of, rows_after
from bali.database.parents import ParentRow, reference
from bali.database.reads import ReadPlan, is_plain
from bali.database.related import MAX_KEYS, related_rows, relation
from bali.database.repeats import DatabaseRepeats
from bali.database.schema import model_to_schema
from bali.database.soft_delete import SoftDelete, is_alive, mark_deleted, take_back
from bali.database.tokens import decode_token, encode_token, invalid_token
from bali.database.unit import Unit
from bali.database.writes import WritePlan, write_plan
from bali.errors import (
    AlreadyExists,
    ConfigurationError,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
)
from bali.resources import Changes, ListQuery, Page, Within

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
    """The items of one model, as one caller sees them; see `bali.resources.ContractStore`."""

    def __init__(
        self,
        model: type[Any],
        *,
        visible: Any = True,
        show_deleted: bool = False,
        within: Within | None = None,
    ) -> None:
        self.model = model
        self.database = model.__database__
        self.is_soft = issubclass(model, SoftDelete)
        #: Whether deleted items are left out.
        self.hides_deleted = self.is_soft and not show_deleted
        self._visible: tuple[Any, ...] = ()
        if visible is not True:
            self._visible = (false() if visible is False else visible,)
        #: Whose items these are, None for those of nobody in particular.
        self.parent = None if within is None else ParentRow(model, within)

    def seen(
        self, *, visible: Any = True, show_deleted: bool = False, within: Within | None = None
    ) -> ModelStore:
        """Return the store as one caller sees it."""
        return ModelStore(self.model, visible=visible, show_deleted=show_deleted, within=within)

    @functools.cached_property
    def limits(self) -> tuple[Any, ...]:
        """What an item has to fulfil that the caller sees, deleted or not."""
        return self._visible if self.parent is None else (*self._visible, *self.parent.conditions)

    @property
    def conditions(self) -> tuple[Any, ...]:
        """What every item has to fulfil that is read."""
        return (*self.limits, is_alive(self.model)) if self.hides_deleted else self.limits

    async def check_parent(self) -> None:
        """Raise `NotFound` when the parent that the store is within is not there."""
        parent = self.parent
        if parent is not None and not await self.database.run(
            lambda session: session.scalar(parent.statement)
        ):
            raise parent.missing()

    def filterable_through(self, relations: Sequence[str]) -> Mapping[str, Any]:
        """Return the annotation of each column of what relations lead to."""
        model = self.model
        for name in relations:
            found = model.__mapper__.relationships.get(name)
            if found is None:
                return {}
            model = found.mapper.class_
        return filterable(model)

    def leads_to(self, name: str, other: Any) -> bool:
        """Tell whether a relation leads to the items of another store."""
        found = self.model.__mapper__.relationships.get(name)
        return found is not None and found.mapper is other.model.__mapper__

    def relation_to(self, name: str, other: Any, *, where: str) -> bool:
        """Tell whether a relation to the items of another store leads to many of them."""
        return bool(relation(self.model, name, other.model, where=where).uselist)

    def is_many(self, name: str) -> bool:
        """Tell whether a relation leads to many items."""
        return bool(self.model.__mapper__.relationships[name].uselist)

    async def related(
        self, name: str, keys: Sequence[Any], others: Any
    ) -> Sequence[tuple[Any, Any]]:
        """Return the items that a relation leads to, each with the key of whose it is."""

        async def work(session: AsyncSession) -> Sequence[tuple[Any, Any]]:
            found: list[tuple[Any, Any]] = []
            for start in range(0, len(keys), MAX_KEYS):
                chunk = keys[start : start + MAX_KEYS]
                rows = await session.execute(related_rows(self, name, chunk, others))
                found += [(key, item) for key, item in rows.unique()]
            return found

        return await self.database.run(work)  # type: ignore[no-any-return]  # of `work`

    def reference_to(self, other: Any, name: str | None, *, where: str) -> str:
        """Return the attribute that holds the key of an item of another store."""
        return reference(self.model, other.model, name, where=where)

    @property
    def version_name(self) -> str | None:
        """The attribute that counts the changes of an item, None without one."""
        column = self.model.__mapper__.version_id_col
        if column is None:
            return None
        return str(self.model.__mapper__.get_property_by_column(column).key)

    @property
    def repeats(self) -> DatabaseRepeats:
        """What remembers requests, beside the items."""
        return DatabaseRepeats(self.database)

    @property
    def key_name(self) -> str:
        """The attribute that identifies an item."""
        return str(self.model.__mapper__.get_property_by_column(self._key).key)

    @property
    def key_type(self) -> Any:
        """The Python type of the key."""
        return python_type(self._key)

    @property
    def key_column(self) -> Any:
        """The column of the key."""
        return self._key

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
        own = getattr(schema, "__unexpanded__", schema)
        return ReadPlan(self, own, schema) if is_plain(self.model, own) else None

    def write_plan(self, schema: type[BaseModel]) -> WritePlan | None:
        """Return the way to write items and return objects of `schema`, None without one."""
        read = self.read_plan(schema)
        return None if read is None else write_plan(self, read)

    async def list(self, query: ListQuery) -> Page[Any]:
        """Return one page."""
        conditions = (*get_filters_expr(self.model, **query.filters), *self.conditions)
        total = select(func.count()).select_from(self.model).where(*conditions)
        return await self.page(query, select(self.model).where(*conditions), total)

    async def page(
        self, query: ListQuery, chosen: Select[Any], total: Select[Any] | None = None
    ) -> Page[Any]:
        """Return one page of the items that a `select` chooses, whatever the query's filters are.

        `total` counts them; without it the `select` itself is counted. The query's condition is
        added to both.
        """
        conditions = filter_condition(self.model, query.condition, query.relations)
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

    async def lock(self, keys: Sequence[Any]) -> Sequence[Any]:
        """Return items, deleted or not; nobody changes them before the unit ends."""
        return await self.database.run(  # type: ignore[no-any-return]  # of `_locked`
            lambda session: self._locked(session, keys)
        )

    async def create(self, values: Mapping[str, Any]) -> Any:
        """Store a new item and return it."""

        async def work(session: AsyncSession) -> Any:
            item = await store_object(session, self.model(**self._placed(values)))
            await self._refuse_invisible(session, [item])
            return item

        return await self.database.run(work, writes=True)

    async def create_many(self, values: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Store new items, in one statement, and return them in this order."""

        async def work(session: AsyncSession) -> Sequence[Any]:
            items = [self.model(**self._placed(item)) for item in values]
            session.add_all(items)
            await session.flush()
            await self._load_rest(session, items)
            await self._refuse_invisible(session, items)
            return items

        return await self.database.run(work, writes=True)  # type: ignore[no-any-return]  # of `work`

    async def update(self, key: Any, values: Mapping[str, Any]) -> Any:
        """Change attributes of an item and return it."""
        return (await self.update_many([(key, values)]))[0]

    async def update_many(self, changes: Sequence[tuple[Any, Mapping[str, Any]]]) -> Sequence[Any]:
        """Change attributes of items and return them in this order."""

        async def work(session: AsyncSession) -> Sequence[Any]:
            keys = [key for key, _ in changes]
            items = await self._locked(session, keys, key_share=True)
            for item, (_, values) in zip(items, changes, strict=True):
                self._refuse_deleted(item)
                if isinstance(values, Changes):
                    values.check(item)
                for name, value in values.items():
                    setattr(item, name, value)
            await session.flush()
            if len(items) > 1 and any(
                column.onupdate for column in columns_of(self.model).values()
            ):
                # SQLAlchemy takes what the first row was given for that of all.
                items = await self._all_found(session, keys, (), is_fresh=True)
            await self._load_rest(session, items)
            await self._refuse_invisible(session, items)
            return items

        return await self.database.run(work, writes=True)  # type: ignore[no-any-return]  # of `work`

    async def get_many(self, keys: Sequence[Any]) -> Sequence[Any]:
        """Return the items with these keys, in one statement, in this order."""
        return await self.database.run(  # type: ignore[no-any-return]  # of `_all_found`
            lambda session: self._all_found(session, keys, self.conditions)
        )

    async def delete(self, key: Any) -> None:
        """Remove the item with this key."""
        await self.delete_many([key])

    async def delete_many(self, keys: Sequence[Any]) -> None:
        """Remove the items with these keys."""

        async def work(session: AsyncSession) -> None:
            items = await self._locked(session, keys)
            gone = [key for key, item in zip(keys, items, strict=True) if self._is_deleted(item)]
            if gone:
                raise self.missing(*gone)
            for item in items:
                if self.is_soft:
                    mark_deleted(item)
                else:
                    await session.delete(item)
            await session.flush()

        await self.database.run(work, writes=True)

    async def undelete(self, key: Any) -> Any:
        """Take back the deletion of an item and return it."""

        async def work(session: AsyncSession) -> Any:
            [item] = await self._locked(session, [key])
            if not self._is_deleted(item):
                raise AlreadyExists(
                    f"The {self.model.__name__} with the {self.key_name} {str(key)[:80]} is not "
                    "deleted",
                    reason="NOT_DELETED",
                )
            take_back(item)
            await session.flush()
            await self._load_rest(session, [item])
            return item

        return await self.database.run(work, writes=True)

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

    async def _found(self, session: AsyncSession, key: Any) -> Any:
        """Return one item."""
        if not self.conditions:
            item = await session.get(self.model, key) if self.may_exist(key) else None
            if item is None:
                raise self.missing(key)
            return item
        return (await self._all_found(session, [key], self.conditions))[0]

    async def _locked(
        self, session: AsyncSession, keys: Sequence[Any], *, key_share: bool = False
    ) -> Sequence[Any]:
        """Return items that nobody else can change now, deleted ones among them.

        `key_share` lets others refer to them meanwhile.
        """
        if self.database.backend == "sqlite":
            await _lock_sqlite(session)
        return await self._all_found(
            session, keys, self.limits, lock={"key_share": True} if key_share else {}
        )

    async def _all_found(
        self,
        session: AsyncSession,
        keys: Sequence[Any],
        conditions: Sequence[Any],
        *,
        lock: Mapping[str, Any] | None = None,
        is_fresh: bool = False,
    ) -> Sequence[Any]:
        """Return the items with these keys in this order.

        `lock` holds options of FOR UPDATE. Locked or fresh ones are as they are in the database,
        the others may be as this unit of work has seen them before.
        """
        possible = [key for key in keys if self.may_exist(key)]
        key_of = self.model.__mapper__.get_property_by_column(self._key).class_attribute
        chosen = key_of == possible[0] if len(possible) == 1 else key_of.in_(possible)
        statement = select(self.model).where(chosen, *conditions)
        if lock is not None:
            # In one order, so that two calls never wait for one another.
            statement = statement.order_by(self._key).with_for_update(**lock)
        if lock is not None or is_fresh:
            statement = statement.execution_options(populate_existing=True)
        rows = (await session.scalars(statement)).unique().all() if possible else ()
        found = {getattr(item, self.key_name): item for item in rows}
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing:
            raise self.missing(*missing)
        return [found[key] for key in keys]

    def _is_deleted(self, item: Any) -> bool:
        return self.is_soft and item.deleted_time is not None

    def _refuse_deleted(self, item: Any) -> None:
        if self._is_deleted(item):
            raise FailedPrecondition(
                f"This {self.model.__name__} is deleted; undelete it first", reason="DELETED"
            )

    async def _load_rest(self, session: AsyncSession, items: Sequence[Any]) -> None:
        """Read what the database itself has set, where the statement did not return it."""
        for item in items:
            await load_what_the_database_set(session, item)

    async def _refuse_invisible(self, session: AsyncSession, items: Sequence[Any]) -> None:
        """Raise `PermissionDenied` when an item became one that its caller cannot see."""
        if self.parent is not None and not all(map(self.parent.owns, items)):
            raise self._forbidden()
        if not self._visible:
            return
        keys = {getattr(item, self.key_name) for item in items}
        statement = (
            select(func.count()).select_from(self.model).where(self._key.in_(keys), *self._visible)
        )
        if await session.scalar(statement) != len(keys):
            raise self._forbidden()

    def _forbidden(self) -> PermissionDenied:
        return PermissionDenied(
            f"You may not make such a {self.model.__name__}", reason="NOT_VISIBLE"
        )

    def _placed(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values of a new item, which belongs to the parent."""
        return values if self.parent is None else {**values, **self.parent.values}

    def missing(self, *keys: Any) -> NotFound:
        """Return the error for keys without an item."""
        shown = ", ".join(str(key)[:80] for key in keys[:20])
        return NotFound(
            f"There is no {self.model.__name__} with the {self.key_name} {shown}",
            resource_type=self.model.__name__,
            resource_name=f"{self.model.__tablename__}/{keys[0]}",
        )

    def may_exist(self, key: Any) -> bool:
        """Tell whether the key's column could hold a value; drivers refuse what it cannot."""
        if not isinstance(key, int):
            return True
        low, high = self._key_range
        return low <= key <= high

    @functools.cached_property
    def _key_range(self) -> tuple[int, int]:
        return integer_range(self._key)


async def _lock_sqlite(session: AsyncSession) -> None:
    """Begin to write before reading: SQLite locks no rows, and cannot wait once it has read."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    if raw.driver_connection is not None and not raw.driver_connection.in_transaction:
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
