"""Queries in one call: `await User.aio.first(username="ann")`, `User.io.first(username="ann")`.

Both managers have the same methods. `aio` is for asynchronous code. `io` is for code that blocks: in
a `def` action it takes part in the unit of work of the call; in a script it is a unit of its own.
Keyword arguments are filters as in `get_filters_expr`: `age__gte=18`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bali.concurrency import run_blocking
from bali.database.filters import get_filters_expr
from bali.database.ordering import ordering_of
from bali.errors import NotFound

__all__ = [
    "AsyncAccess",
    "AsyncManager",
    "AsyncObject",
    "SyncAccess",
    "SyncManager",
    "SyncObject",
    "delete_now",
    "save_now",
]


class AsyncManager:
    """Queries of one model, awaited."""

    def __init__(self, model: type[Any]) -> None:
        self._model = model
        self._database = model.__database__

    def query(self, *conditions: Any, **filters: Any) -> Any:
        """Return SQLAlchemy's `select` of the model, to be refined and given to `all` or `first`."""
        return select(self._model).where(*conditions, *get_filters_expr(self._model, **filters))

    async def get(self, key: Any) -> Any:
        """Return the object with this key, None when there is none."""
        return await self._database.run(lambda session: session.get(self._model, key))

    async def first(self, *conditions: Any, **filters: Any) -> Any:
        """Return the first object in order of the key, None when there is none."""
        statement = self.query(*conditions, **filters).order_by(*_keys(self._model)).limit(1)
        return await self._database.run(lambda session: session.scalar(statement))

    async def first_or_error(self, *conditions: Any, **filters: Any) -> Any:
        """Return the first object; raise `NotFound` when there is none."""
        found = await self.first(*conditions, **filters)
        if found is None:
            raise NotFound(resource_type=self._model.__name__)
        return found

    async def filter(
        self, *conditions: Any, order_by: str = "", limit: int | None = None, **filters: Any
    ) -> Sequence[Any]:
        """Return every object that fits, in order of `order_by` and the key."""
        statement = self.query(*conditions, **filters)
        for term in ordering_of(self._model, order_by):
            statement = statement.order_by(term.expression())
        return await self.all(statement.limit(limit))

    async def all(self, statement: Any = None) -> Sequence[Any]:
        """Return every object, or those of a statement made by `query`."""
        chosen = self.query() if statement is None else statement

        async def work(session: AsyncSession) -> Sequence[Any]:
            return (await session.scalars(chosen)).all()

        return await self._database.run(work)  # type: ignore[no-any-return]  # of `work`

    async def count(self, *conditions: Any, **filters: Any) -> int:
        """Return how many objects fit."""
        statement = (
            select(func.count())
            .select_from(self._model)
            .where(*conditions, *get_filters_expr(self._model, **filters))
        )
        return int(await self._database.run(lambda session: session.scalar(statement)))

    async def exists(self, *conditions: Any, **filters: Any) -> bool:
        """Tell whether any object fits."""
        statement = self.query(*conditions, **filters).with_only_columns(*_keys(self._model))
        found = await self._database.run(lambda session: session.execute(statement.limit(1)))
        return found.first() is not None

    async def create(self, **values: Any) -> Any:
        """Store a new object and return it. Raises `AlreadyExists` for a unique value twice."""
        return await _store(self._database, self._model(**values))

    async def get_or_create(
        self, defaults: dict[str, Any] | None = None, **filters: Any
    ) -> tuple[Any, bool]:
        """Return the object that fits, made when there is none, and whether it was made.

        When another call makes it at the same moment, theirs is returned.
        """
        found = await self.first(**filters)
        if found is not None:
            return found, False
        made = self._model(**{**filters, **(defaults or {})})

        async def work(session: AsyncSession) -> bool:
            try:
                async with session.begin_nested():
                    session.add(made)
            except IntegrityError:
                return False
            return True

        if await self._database.run(work):
            return made, True
        return await self.first_or_error(**filters), False

    async def create_or_first(self, **values: Any) -> Any:
        """Store a new object, or return the one that has these values already."""
        return (await self.get_or_create(**values))[0]

    async def update_or_create(
        self, defaults: dict[str, Any] | None = None, **filters: Any
    ) -> tuple[Any, bool]:
        """Change the object that fits to `defaults`, or make it; and tell whether it was made."""
        found, made = await self.get_or_create(defaults, **filters)
        if not made:
            for name, value in (defaults or {}).items():
                setattr(found, name, value)
            await _store(self._database, found)
        return found, made


class SyncManager:
    """Queries of one model in code that blocks: the methods of `AsyncManager`, not awaited."""

    def __init__(self, model: type[Any]) -> None:
        self._manager = AsyncManager(model)

    def query(self, *conditions: Any, **filters: Any) -> Any:
        """Return SQLAlchemy's `select` of the model, to be refined and given to `all`."""
        return self._manager.query(*conditions, **filters)

    def get(self, key: Any) -> Any:
        """Return the object with this key, None when there is none."""
        return run_blocking(self._manager.get(key))

    def first(self, *conditions: Any, **filters: Any) -> Any:
        """Return the first object in order of the key, None when there is none."""
        return run_blocking(self._manager.first(*conditions, **filters))

    def first_or_error(self, *conditions: Any, **filters: Any) -> Any:
        """Return the first object; raise `NotFound` when there is none."""
        return run_blocking(self._manager.first_or_error(*conditions, **filters))

    def filter(
        self, *conditions: Any, order_by: str = "", limit: int | None = None, **filters: Any
    ) -> Sequence[Any]:
        """Return every object that fits, in order of `order_by` and the key."""
        return run_blocking(
            self._manager.filter(*conditions, order_by=order_by, limit=limit, **filters)
        )

    def all(self, statement: Any = None) -> Sequence[Any]:
        """Return every object, or those of a statement made by `query`."""
        return run_blocking(self._manager.all(statement))

    def count(self, *conditions: Any, **filters: Any) -> int:
        """Return how many objects fit."""
        return run_blocking(self._manager.count(*conditions, **filters))

    def exists(self, *conditions: Any, **filters: Any) -> bool:
        """Tell whether any object fits."""
        return run_blocking(self._manager.exists(*conditions, **filters))

    def create(self, **values: Any) -> Any:
        """Store a new object and return it."""
        return run_blocking(self._manager.create(**values))

    def get_or_create(
        self, defaults: dict[str, Any] | None = None, **filters: Any
    ) -> tuple[Any, bool]:
        """Return the object that fits, made when there is none, and whether it was made."""
        return run_blocking(self._manager.get_or_create(defaults, **filters))

    def create_or_first(self, **values: Any) -> Any:
        """Store a new object, or return the one that has these values already."""
        return run_blocking(self._manager.create_or_first(**values))

    def update_or_create(
        self, defaults: dict[str, Any] | None = None, **filters: Any
    ) -> tuple[Any, bool]:
        """Change the object that fits to `defaults`, or make it; and tell whether it was made."""
        return run_blocking(self._manager.update_or_create(defaults, **filters))


class AsyncObject:
    """What can be done with one object, awaited."""

    def __init__(self, item: Any) -> None:
        self._item = item
        self._database = type(item).__database__

    async def save(self) -> Any:
        """Store the object as it is now and return it."""
        return await _store(self._database, self._item)

    async def delete(self) -> None:
        """Remove the object's row."""

        async def work(session: AsyncSession) -> None:
            await session.delete(await session.merge(self._item))
            await session.flush()

        await self._database.run(work)


class SyncObject:
    """What can be done with one object, in code that blocks."""

    def __init__(self, item: Any) -> None:
        self._item = AsyncObject(item)

    def save(self) -> Any:
        """Store the object as it is now and return it."""
        return run_blocking(self._item.save())

    def delete(self) -> None:
        """Remove the object's row."""
        run_blocking(self._item.delete())


class _Access:
    def __init__(self, of_model: Callable[[type[Any]], Any], of_object: Callable[[Any], Any]):
        self._of_model = of_model
        self._of_object = of_object

    def __get__(self, item: Any, owner: type[Any]) -> Any:
        return self._of_model(owner) if item is None else self._of_object(item)


class AsyncAccess(_Access):
    """`User.aio` and `user.aio`."""

    def __init__(self) -> None:
        super().__init__(AsyncManager, AsyncObject)


class SyncAccess(_Access):
    """`User.io` and `user.io`."""

    def __init__(self) -> None:
        super().__init__(SyncManager, SyncObject)


def save_now(item: Any) -> Any:
    """Store an object from code that blocks."""
    return SyncObject(item).save()


def delete_now(item: Any) -> None:
    """Remove an object from code that blocks."""
    SyncObject(item).delete()


def _keys(model: type[Any]) -> tuple[Any, ...]:
    return tuple(model.__mapper__.primary_key)


async def _store(database: Any, item: Any) -> Any:
    async def work(session: AsyncSession) -> Any:
        if item not in session:
            owner = getattr(item, "_sa_instance_state").session  # noqa: B009 - not in the stubs
            if owner is not None:
                owner.expunge(item)
            session.add(item)
        await session.flush()
        return item

    return await database.run(work)
