"""Queries in one call: `await User.aio.first(username="ann")`, `User.io.first(username="ann")`.

Both managers have the same methods. `aio` is for asynchronous code. `io` is for code that blocks:
in a `def` action it takes part in the unit of work of the call; in a script each call is a unit of
its own. Keyword arguments are filters as in `get_filters_expr`: `age__gte=18`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bali.concurrency import run_blocking
from bali.database.queries import AsyncQuery, SyncQuery, select_of
from bali.errors import NotFound

__all__ = [
    "AsyncAccess",
    "AsyncManager",
    "AsyncObject",
    "SyncAccess",
    "SyncManager",
    "SyncObject",
    "load_what_the_database_set",
    "store_object",
]

M = TypeVar("M")


class AsyncManager(Generic[M]):
    """Queries of one model, awaited."""

    def __init__(self, model: type[M]) -> None:
        self._model = model
        self._database = model.__database__  # type: ignore[attr-defined]  # of every model

    def query(self, *conditions: Any, **filters: Any) -> AsyncQuery[M]:
        """Return a query to be refined; awaited it gives every object that fits."""
        return AsyncQuery(self._model, select_of(self._model, *conditions, **filters))

    async def get(self, key: Any) -> M | None:
        """Return the object with this key, None when there is none."""
        return await self._database.run(lambda session: session.get(self._model, key))  # type: ignore[no-any-return]  # of the session

    async def first(self, *conditions: Any, **filters: Any) -> M | None:
        """Return the first object in order of the key, None when there is none."""
        return await self.query(*conditions, **filters).first()

    async def first_or_error(self, *conditions: Any, **filters: Any) -> M:
        """Return the first object. Raises `NotFound` when there is none."""
        found = await self.first(*conditions, **filters)
        if found is None:
            raise NotFound(resource_type=self._model.__name__)
        return found

    async def filter(
        self,
        *conditions: Any,
        order_by: str = "",
        limit: int | None = None,
        offset: int | None = None,
        **filters: Any,
    ) -> Sequence[M]:
        """Return every object that fits, in order of `order_by` and the key."""
        query = self.query(*conditions, **filters).order_by(order_by)
        return await AsyncQuery(self._model, query.statement.limit(limit).offset(offset)).all()

    async def list(
        self,
        *conditions: Any,
        order_by: str = "",
        limit: int | None = None,
        offset: int | None = None,
        **filters: Any,
    ) -> Sequence[M]:
        """The same as `filter`."""
        return await self.filter(
            *conditions, order_by=order_by, limit=limit, offset=offset, **filters
        )

    async def all(self, statement: Any = None) -> Sequence[M]:
        """Return every object, or those of a query or of SQLAlchemy's `select`."""
        chosen = select_of(self._model) if statement is None else statement
        return await AsyncQuery(self._model, getattr(chosen, "statement", chosen)).all()

    async def count(self, *conditions: Any, **filters: Any) -> int:
        """Return how many objects fit."""
        return await self.query(*conditions, **filters).count()

    async def exists(self, *conditions: Any, **filters: Any) -> bool:
        """Tell whether any object fits."""
        return await self.query(*conditions, **filters).exists()

    async def create(self, **values: Any) -> M:
        """Store a new object and return it. Raises `AlreadyExists` for a unique value twice."""
        return await AsyncObject(self._model(**values)).save()

    async def get_or_create(
        self, defaults: Mapping[str, Any] | None = None, **filters: Any
    ) -> tuple[M, bool]:
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
                    await store_object(session, made)
            except IntegrityError:
                if await session.scalar(select_of(self._model, **filters).limit(1)) is None:
                    raise  # it is another value that exists already
                return False
            return True

        if await self._database.run(work, writes=True):
            return made, True
        return await self.first_or_error(**filters), False

    async def create_or_first(self, **values: Any) -> M:
        """Store a new object, or return the one that has these values already."""
        return (await self.get_or_create(**values))[0]

    async def update_or_create(
        self, defaults: Mapping[str, Any] | None = None, **filters: Any
    ) -> tuple[M, bool]:
        """Change the object that fits to `defaults`, or make it; and tell whether it was made."""
        async with self._database.unit():
            found, made = await self.get_or_create(defaults, **filters)
            if not made:
                for name, value in (defaults or {}).items():
                    setattr(found, name, value)
                await AsyncObject(found).save()
        return found, made


class SyncManager(Generic[M]):
    """Queries of one model in code that blocks: the methods of `AsyncManager`, not awaited."""

    def __init__(self, model: type[M]) -> None:
        self._model = model
        self._manager = AsyncManager(model)

    def query(self, *conditions: Any, **filters: Any) -> SyncQuery[M]:
        """Return a query to be refined; iterating over it gives every object that fits."""
        return SyncQuery(self._model, select_of(self._model, *conditions, **filters))

    def get(self, key: Any) -> M | None:
        """Return the object with this key, None when there is none."""
        return run_blocking(self._manager.get(key))

    def first(self, *conditions: Any, **filters: Any) -> M | None:
        """Return the first object in order of the key, None when there is none."""
        return run_blocking(self._manager.first(*conditions, **filters))

    def first_or_error(self, *conditions: Any, **filters: Any) -> M:
        """Return the first object. Raises `NotFound` when there is none."""
        return run_blocking(self._manager.first_or_error(*conditions, **filters))

    def filter(self, *conditions: Any, **options: Any) -> Sequence[M]:
        """Return every object that fits; `order_by`, `limit`, `offset` and filters."""
        return run_blocking(self._manager.filter(*conditions, **options))

    def list(self, *conditions: Any, **options: Any) -> Sequence[M]:
        """The same as `filter`."""
        return run_blocking(self._manager.filter(*conditions, **options))

    def all(self, statement: Any = None) -> Sequence[M]:
        """Return every object, or those of a query or of SQLAlchemy's `select`."""
        return run_blocking(self._manager.all(statement))

    def count(self, *conditions: Any, **filters: Any) -> int:
        """Return how many objects fit."""
        return run_blocking(self._manager.count(*conditions, **filters))

    def exists(self, *conditions: Any, **filters: Any) -> bool:
        """Tell whether any object fits."""
        return run_blocking(self._manager.exists(*conditions, **filters))

    def create(self, **values: Any) -> M:
        """Store a new object and return it. Raises `AlreadyExists` for a unique value twice."""
        return run_blocking(self._manager.create(**values))

    def get_or_create(
        self, defaults: Mapping[str, Any] | None = None, **filters: Any
    ) -> tuple[M, bool]:
        """Return the object that fits, made when there is none, and whether it was made."""
        return run_blocking(self._manager.get_or_create(defaults, **filters))

    def create_or_first(self, **values: Any) -> M:
        """Store a new object, or return the one that has these values already."""
        return run_blocking(self._manager.create_or_first(**values))

    def update_or_create(
        self, defaults: Mapping[str, Any] | None = None, **filters: Any
    ) -> tuple[M, bool]:
        """Change the object that fits to `defaults`, or make it; and tell whether it was made."""
        return run_blocking(self._manager.update_or_create(defaults, **filters))


class AsyncObject(Generic[M]):
    """What can be done with one object, awaited."""

    def __init__(self, item: M) -> None:
        self._item = item
        self._database = type(item).__database__  # type: ignore[attr-defined]  # of every model

    async def save(self) -> M:
        """Store the object as it is now and return it."""
        return await self._database.run(  # type: ignore[no-any-return]  # of `store_object`
            lambda session: store_object(session, self._item), writes=True
        )

    async def delete(self) -> None:
        """Remove the object's row. Raises `NotFound` when there is none any more."""

        async def work(session: AsyncSession) -> None:
            item = self._item
            state: Any = inspect(item)
            if not state.key:
                raise NotFound(resource_type=type(item).__name__)
            found = await session.get(type(item), state.identity, with_for_update=True)
            if found is None:
                raise NotFound(resource_type=type(item).__name__)
            await session.delete(found)
            await session.flush()

        await self._database.run(work, writes=True)


class SyncObject(Generic[M]):
    """What can be done with one object, in code that blocks."""

    def __init__(self, item: M) -> None:
        self._item = AsyncObject(item)

    def save(self) -> M:
        """Store the object as it is now and return it."""
        return run_blocking(self._item.save())

    def delete(self) -> None:
        """Remove the object's row. Raises `NotFound` when there is none any more."""
        run_blocking(self._item.delete())


class AsyncAccess:
    """`User.aio` and `user.aio`."""

    @overload
    def __get__(self, item: None, owner: type[M]) -> AsyncManager[M]: ...
    @overload
    def __get__(self, item: M, owner: type[M]) -> AsyncObject[M]: ...
    def __get__(self, item: Any, owner: type[Any]) -> Any:
        """Return the manager of a model, or of one object of it."""
        return AsyncManager(owner) if item is None else AsyncObject(item)


class SyncAccess:
    """`User.io` and `user.io`."""

    @overload
    def __get__(self, item: None, owner: type[M]) -> SyncManager[M]: ...
    @overload
    def __get__(self, item: M, owner: type[M]) -> SyncObject[M]: ...
    def __get__(self, item: Any, owner: type[Any]) -> Any:
        """Return the manager of a model, or of one object of it."""
        return self.of(owner if item is None else item)

    @staticmethod
    def of(target: Any) -> Any:
        """Return the manager of a model, or of one object."""
        return SyncManager(target) if isinstance(target, type) else SyncObject(target)


async def store_object(session: AsyncSession, item: M) -> M:
    """Store an object as it is now, with all that the database sets in it."""
    state: Any = inspect(item)
    if item not in session:
        if state.session is not None:
            raise RuntimeError(
                f"this {type(item).__name__} belongs to another unit of work that is still open; "
                "use it there, or end that one first"
            )
        twin = session.sync_session.identity_map.get(state.key) if state.key else None
        if twin is not None:  # the same row, read once more in this unit
            await session.flush()
            session.expunge(twin)
        session.add(item)
    await session.flush()
    await load_what_the_database_set(session, item)
    return item


async def load_what_the_database_set(session: AsyncSession, item: Any) -> None:
    """Read server defaults and computed columns that a flush left to be read later."""
    state: Any = inspect(item)
    columns = {attribute.key for attribute in state.mapper.column_attrs}
    unread = sorted(state.expired_attributes & columns)
    if unread:
        await session.refresh(item, unread)
