"""The generic actions of a model, as resources ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy import BigInteger, Integer, SmallInteger, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bali.database.filters import filter_types, get_filters_expr, python_type
from bali.database.ordering import decode_token, encode_token, ordering_of, rows_after
from bali.database.schema import model_to_schema
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
            owner.__bali_store__ = store
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
                "needs a key of one column"
            )
        return keys[0]

    def schema(self) -> type[BaseModel]:
        """Return the schema of all columns."""
        return model_to_schema(self.model)

    def filter_types(self, declared: Sequence[str], *, where: str) -> Mapping[str, Any]:
        """Return the annotation of each declared filter."""
        return filter_types(self.model, declared, where=where)

    def unit(self) -> Unit:
        """Open a unit of work on the model's database."""
        unit: Unit = self.database.unit()
        return unit

    async def list(self, query: ListQuery) -> Page[Any]:
        """Return one page."""
        terms = ordering_of(self.model, query.order_by)
        conditions = get_filters_expr(self.model, **query.filters)
        statement = select(self.model).where(*conditions)
        if query.page_token:
            secret = self.database.secret
            after = decode_token(query.page_token, terms, query.filters, secret)
            statement = statement.where(rows_after(terms, after))
        nulls = self.database.url.get_backend_name() == "postgresql"
        statement = statement.order_by(*(term.expression(nulls=nulls) for term in terms))
        statement = statement.limit(query.page_size + 1)
        if query.skip:
            statement = statement.offset(query.skip)
        total = select(func.count()).select_from(self.model).where(*conditions)

        async def work(session: AsyncSession) -> tuple[list[Any], int | None]:
            items = list((await session.scalars(statement)).all())
            count = await session.scalar(total) if query.with_total else None
            return items, count

        items, count = await self.database.run(work)
        token = ""
        if len(items) > query.page_size:
            del items[query.page_size :]
            token = encode_token(terms, items[-1], query.filters, self.database.secret)
        return Page(items=items, next_page_token=token, total=count)

    async def get(self, key: Any) -> Any:
        """Return the item with this key."""
        return await self.database.run(lambda session: self._found(session, key))

    async def create(self, values: Mapping[str, Any]) -> Any:
        """Store a new item and return it."""
        item = self.model(**values)

        async def work(session: AsyncSession) -> Any:
            session.add(item)
            await session.flush()
            return item

        return await self.database.run(work)

    async def update(self, key: Any, values: Mapping[str, Any]) -> Any:
        """Change attributes of an item and return it."""

        async def work(session: AsyncSession) -> Any:
            item = await self._found(session, key)
            for name, value in values.items():
                setattr(item, name, value)
            await session.flush()
            return item

        return await self.database.run(work)

    async def delete(self, key: Any) -> None:
        """Remove the item with this key."""

        async def work(session: AsyncSession) -> None:
            await session.delete(await self._found(session, key))
            await session.flush()

        await self.database.run(work)

    async def _found(self, session: AsyncSession, key: Any) -> Any:
        item = await session.get(self.model, key) if self._may_exist(key) else None
        if item is None:
            plural = self.model.__tablename__
            raise NotFound(
                f"There is no {self.model.__name__} {str(key)[:80]!r}",
                resource_type=self.model.__name__,
                resource_name=f"{plural}/{key}",
            )
        return item

    def _may_exist(self, key: Any) -> bool:
        """Tell whether the key's column could hold a value; drivers refuse what it cannot."""
        if not isinstance(key, int):
            return True
        kind = self._key.type
        bits = 16 if isinstance(kind, SmallInteger) else 64 if isinstance(kind, BigInteger) else 32
        if not isinstance(kind, Integer):
            bits = 64
        return bool(-(2 ** (bits - 1)) <= key < 2 ** (bits - 1))
