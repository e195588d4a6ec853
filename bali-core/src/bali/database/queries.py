"""Queries in steps: `User.io.query().filter(age__gte=18).order_by("-age").limit(10).all()`.

Every method of SQLAlchemy's `Select` is there too (`where`, `join`, `options`, `with_for_update`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any, Generic, Self, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import operators

from bali.concurrency import run_blocking
from bali.database.columns import columns_of
from bali.database.filters import get_filters_expr
from bali.database.ordering import order_by_clauses, ordering_of
from bali.errors import FieldError, NotFound, ValidationFailed
from bali.resources import ListQuery, Page

__all__ = ["AsyncQuery", "SyncQuery", "key_columns", "select_of"]

M = TypeVar("M")

_DIRECTIONS = (operators.asc_op, operators.desc_op)


def select_of(model: type[Any], *conditions: Any, **filters: Any) -> Select[Any]:
    """Return SQLAlchemy's `select` of the objects that fit."""
    return select(model).where(*conditions, *get_filters_expr(model, **filters))


def key_columns(model: type[Any]) -> tuple[Any, ...]:
    """Return the columns of a model's key."""
    mapper: Any = model.__mapper__
    return tuple(mapper.primary_key)


class _Steps(Generic[M]):
    """What both kinds of query share: the steps that change what is asked."""

    def __init__(self, model: type[M], statement: Select[Any], order: str | None = "") -> None:
        self._model = model
        self._database = model.__database__  # type: ignore[attr-defined]  # of every model
        #: SQLAlchemy's `Select` of this query.
        self.statement = statement
        #: Its ordering as one text, None when no text says it.
        self._order = order

    def filter(self, *conditions: Any, **filters: Any) -> Self:
        """Keep what fits conditions and filters as in `get_filters_expr`."""
        return self._with(
            self.statement.where(*conditions, *get_filters_expr(self._model, **filters))
        )

    def filter_by(self, **filters: Any) -> Self:
        """Keep what fits the filters."""
        return self.filter(**filters)

    def order_by(self, *terms: Any) -> Self:
        """Sort, by SQLAlchemy's expressions or by one text like "age desc, username"."""
        clauses: list[Any] = []
        texts = [self._order]
        for term in terms:
            if isinstance(term, str):
                keys = ordering_of(self._model, term)
                clauses += order_by_clauses(keys, self._database.backend)
            else:
                clauses.append(term)
            texts.append(_order_text(self._model, term))
        order = None if None in texts else ", ".join(filter(None, texts))
        return type(self)(self._model, self.statement.order_by(*clauses), order)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self.statement, name)
        if not callable(found):
            return found

        def step(*args: Any, **options: Any) -> Any:
            result = found(*args, **options)
            return self._with(result) if isinstance(result, Select) else result

        return step

    def _with(self, statement: Select[Any]) -> Self:
        return type(self)(self._model, statement, self._order)

    async def read_page(self, query: ListQuery) -> Page[M]:
        """Return the page of it that a caller asks for; see `bali.resources.Listing`.

        The caller's ordering counts before that of the query, the caller's filter beside its
        conditions. A query with a limit of its own is one page, and cannot be filtered further:
        that is `ValidationFailed`. Raises `TypeError` for a query that is ordered by expressions,
        which no page token can hold.
        """
        statement = self.statement
        if statement._limit_clause is not None or statement._offset_clause is not None:  # noqa: SLF001 - there is no public way to see it
            if query.condition is not None:
                raise _unfiltered()
            items = await self._all()
            return Page(items=items, total=len(items) if query.with_total else None)
        if self._order is None and not query.order_by:
            raise TypeError(
                f"a query of {self._model.__name__} that is ordered by an expression cannot be "
                "given out in pages; order by columns, or return a Page"
            )
        if not query.order_by:
            query = replace(query, order_by=self._order or "", sortable=None)
        store: Any = self._model.__store__  # type: ignore[attr-defined]  # of every model
        page: Page[M] = await store.page(query, statement.order_by(None))
        return page

    async def read_all(self) -> Sequence[M]:
        """Return every object that fits."""
        return await self._all()

    async def _all(self) -> Sequence[M]:
        async def work(session: AsyncSession) -> Sequence[M]:
            return (await session.scalars(self.statement)).unique().all()

        return await self._database.run(work)  # type: ignore[no-any-return]  # of `work`

    async def _first(self) -> M | None:
        statement = self.statement
        if not statement._order_by_clauses:  # noqa: SLF001 - there is no public way to see it
            statement = statement.order_by(*key_columns(self._model))

        async def work(session: AsyncSession) -> M | None:
            return (await session.scalars(statement.limit(1))).unique().first()

        return await self._database.run(work)  # type: ignore[no-any-return]  # of `work`

    async def _one(self) -> M:
        found = await _Steps._all(self._with(self.statement.limit(2)))
        if not found:
            raise NotFound(resource_type=self._model.__name__)
        if len(found) > 1:
            raise ValueError(f"more than one {self._model.__name__} where one was expected")
        return found[0]

    async def _count(self) -> int:
        inner = self.statement.order_by(None).subquery()
        statement = select(func.count()).select_from(inner)
        return int(await self._database.run(lambda session: session.scalar(statement)))

    async def _exists(self) -> bool:
        statement = self.statement.with_only_columns(*key_columns(self._model)).limit(1)
        found = await self._database.run(lambda session: session.execute(statement))
        return found.first() is not None


def _unfiltered() -> ValidationFailed:
    text = "this list is cut off before it could be filtered; call it without a filter"
    error = FieldError(field="filter", reason="INVALID_FILTER", description=text)
    return ValidationFailed(field_errors=[error])


def _order_text(model: type[Any], term: Any) -> str | None:
    """Return a column, or one that descends, as the text that sorts by it."""
    if isinstance(term, str):
        return term
    is_descending = getattr(term, "modifier", None) is operators.desc_op
    inner = term.element if getattr(term, "modifier", None) in _DIRECTIONS else term
    name = getattr(inner, "key", None)
    if name not in columns_of(model) or getattr(inner, "table", None) is not model.__table__:
        return None
    return f"{name} desc" if is_descending else str(name)


class AsyncQuery(_Steps[M]):
    """A query of `User.aio`; awaited itself it is `all()`."""

    def __await__(self) -> Generator[Any, None, Sequence[M]]:
        return self._all().__await__()

    async def all(self) -> Sequence[M]:
        """Return every object that fits."""
        return await self._all()

    async def first(self) -> M | None:
        """Return the first object, None when there is none; in order of the key if in no other."""
        return await self._first()

    async def one(self) -> M:
        """Return the only object. Raises `NotFound`, and `ValueError` when there are more."""
        return await self._one()

    async def count(self) -> int:
        """Return how many objects fit."""
        return await self._count()

    async def exists(self) -> bool:
        """Tell whether any object fits."""
        return await self._exists()


class SyncQuery(_Steps[M]):
    """A query of `User.io`; iterating over it is iterating over `all()`."""

    def __iter__(self) -> Iterator[M]:
        return iter(self.all())

    def all(self) -> Sequence[M]:
        """Return every object that fits."""
        return run_blocking(self._all())

    def first(self) -> M | None:
        """Return the first object, None when there is none; in order of the key if in no other."""
        return run_blocking(self._first())

    def one(self) -> M:
        """Return the only object. Raises `NotFound`, and `ValueError` when there are more."""
        return run_blocking(self._one())

    def count(self) -> int:
        """Return how many objects fit."""
        return run_blocking(self._count())

    def exists(self) -> bool:
        """Tell whether any object fits."""
        return run_blocking(self._exists())
