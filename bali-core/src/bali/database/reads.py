"""Read plans: the generic get and list without an ORM session.

What a get or a list of plain columns will need is known when the service starts, so the statement
is built once, its rows become objects of the schema without a detour over model objects, and on
PostgreSQL it is the only thing sent. The result is the one that the ORM gives: column types convert
values in the same way, and a test compares both over every column type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Integer, LargeBinary, Select, bindparam, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bali.database.aip_filter import filter_condition
from bali.database.columns import columns_of
from bali.database.direct import DirectEngine, NotDirectError
from bali.database.failures import error_for
from bali.database.filters import get_filters_expr
from bali.database.ordering import Term, order_by_clauses, ordering_of, rows_after
from bali.database.schema import ModelSchema
from bali.database.soft_delete import is_alive
from bali.database.tokens import Place, decode_token, digest_of, token_after
from bali.database.types import UTCDateTime, gives_exact_values
from bali.resources import ListQuery, Page
from bali.schemas.behaviour import input_only_attributes
from bali.schemas.rows import Rows

__all__ = ["ReadPlan", "is_plain"]

_MAX_STATEMENTS = 64
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def is_plain(model: type[Any], schema: type[BaseModel] | None) -> bool:
    """Tell whether a schema is the columns of a model and nothing else.

    Models that are loaded in a way of their own (inheritance, events that see loaded objects) and
    schemas with code of their own take the ORM's path.
    """
    mapper: Any = model.__mapper__
    if schema is None or schema.__bases__ != (ModelSchema,) or mapper.polymorphic_on is not None:
        return False
    listens = bool(mapper.class_manager.dispatch.load)
    is_own = getattr(schema, "__model__", None) is model and mapper.inherits is None
    return bool(is_own and not listens and schema.model_fields.keys() <= columns_of(model).keys())


class ReadPlan:
    """Get and list of one model as objects of one schema; built once, for every loop and thread."""

    def __init__(
        self, store: Any, schema: type[BaseModel], made: type[BaseModel] | None = None
    ) -> None:
        """`made` is the class of the objects, when it has fields that no plan reads."""
        self._store = store
        self._model = store.model
        self._database = store.database
        hidden = input_only_attributes(schema)
        self._names = tuple(name for name in schema.model_fields if name not in hidden)
        #: What it reads, in the order of its rows.
        self.columns = tuple(columns_of(self._model)[name] for name in self._names)
        #: The places of what PostgreSQL can send as packed moments.
        self._moments = tuple(
            place for place, column in enumerate(self.columns) if _is_moment(column.type)
        )
        self._are_exact = all(gives_exact_values(column.type) for column in self.columns)
        #: Makes an object of a row.
        self.make = _maker(made or schema, self._names)
        key = self._model.__mapper__.primary_key[0]
        self._key_name: str = store.key_name
        by_key = select(*self.columns).where(key == bindparam("key", type_=key.type))
        #: By whether deleted items are left out.
        self._gets = {False: by_key}
        if store.is_soft:
            self._gets[True] = by_key.where(is_alive(self._model))
        #: The statements that are used again, as they are.
        self._kept: set[Select[Any]] = set(self._gets.values())
        self._lists: dict[tuple[str, str, bool, bool], _Ordered | None] = {}
        self._engines: dict[int, tuple[AsyncEngine, AsyncEngine]] = {}

    async def get(self, store: Any, key: Any) -> BaseModel:
        """Return the item with this key, of those in `store`; raise `NotFound` without one."""
        row = None
        if self._store.may_exist(key):
            statement = self._gets[store.hides_deleted]
            rows = await self._rows(statement, {"key": key}, store.limits)
            row = rows[0] if rows else None
        if row is None:
            raise self._store.missing(key)
        return self.make(row)

    async def list(
        self, store: Any, query: ListQuery, *, packs: bool = False
    ) -> Page[BaseModel] | None:
        """Return one page of those in `store`; None for a query that the store has to answer.

        With `packs`, moments are packed where the database sends them so.
        """
        if query.with_total:
            return None
        ordered = self._ordered(query.order_by, hides_deleted=store.hides_deleted, packs=packs)
        if ordered is None:
            return None
        conditions = list(store.limits)
        if query.page_token:
            after = self._place(query, ordered.terms).values
            if after is None:
                return None
            conditions.append(rows_after(ordered.terms, after, self._database.backend))
        if query.filters:
            conditions += get_filters_expr(self._model, **query.filters)
        if query.condition is not None:
            conditions += filter_condition(self._model, query.condition, query.relations)
        limits = {"limit": query.page_size + 1, "offset": query.skip}
        rows = await self._rows(ordered.statement, limits, conditions)
        parent = store.parent
        if not rows and parent is not None and not await self._rows(parent.statement):
            raise parent.missing()
        token = ""
        items = Rows(
            rows[: query.page_size],
            self._names,
            self.make,
            are_exact=self._are_exact and not ordered.packed,
            packed=ordered.packed,
        )
        if len(rows) > query.page_size:
            last = rows[query.page_size - 1]
            values = [last[place] for place in ordered.places]
            arguments = query.arguments
            digest = digest_of(ordered.terms, arguments) if arguments else ordered.digest
            secret = self._database.page_token_secret
            token = token_after(ordered.terms, values, self._key_name, digest, secret)
        return Page(items=items, next_page_token=token)

    def _place(self, query: ListQuery, terms: tuple[Term, ...]) -> Place:
        secret = self._database.page_token_secret
        return decode_token(query.page_token, terms, self._key_name, query.arguments, secret)

    def _ordered(self, order_by: str, *, hides_deleted: bool, packs: bool) -> _Ordered | None:
        """Return what a list in an order needs, None for an order by what is not read here."""
        backend = self._database.backend
        packs = packs and bool(self._moments) and backend == "postgresql"
        wanted = (backend, order_by, hides_deleted, packs)
        known = self._lists.get(wanted)
        if known is None and wanted not in self._lists:
            known = self._new_ordered(*wanted)
            if len(self._lists) < _MAX_STATEMENTS:
                self._lists[wanted] = known
                if known is not None:
                    self._kept.add(known.statement)
        return known

    def _new_ordered(
        self,
        backend: str,
        order_by: str,
        hides_deleted: bool,  # noqa: FBT001 - of `_ordered`
        packs: bool,  # noqa: FBT001 - the same
    ) -> _Ordered | None:
        terms = ordering_of(self._model, order_by, frozenset(self._names))
        if not all(term.name in self._names for term in terms):
            return None
        places = tuple(self._names.index(term.name) for term in terms)
        packed: tuple[int, ...] = ()
        if packs and self._database.engine.dialect.driver == "asyncpg":
            # An order by moments needs them: the last row's go into the page token.
            packed = self._moments if set(self._moments).isdisjoint(places) else ()
        columns = [
            _packed(column) if place in packed else column
            for place, column in enumerate(self.columns)
        ]
        statement = (
            select(*columns)
            .order_by(*order_by_clauses(terms, backend))
            .limit(bindparam("limit", type_=Integer))
            .offset(bindparam("offset", type_=Integer))
        )
        if hides_deleted:
            statement = statement.where(is_alive(self._model))
        return _Ordered(terms, places, packed, statement, digest_of(terms, {}))

    async def _rows(
        self, statement: Any, values: Mapping[str, Any] = _NOTHING, conditions: Sequence[Any] = ()
    ) -> Sequence[Any]:
        """Return the rows of a statement; one that was made at start goes the short way."""
        try:
            if conditions:
                statement = statement.where(*conditions)
            elif statement in self._kept:
                direct: DirectEngine = self._database.direct
                try:
                    return await direct.fetch(statement, values)
                except NotDirectError:
                    pass
            return await self._executed(statement, values)
        except Exception as error:
            found = error_for(error, self._database.metadata)
            if found is None:
                raise
            raise found from error

    async def _executed(self, statement: Any, values: Mapping[str, Any]) -> Sequence[Any]:
        try:
            return await self._execute(statement, values)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        # The connection had gone stale in the pool, and with it all others of its age.
        return await self._execute(statement, values)

    async def _execute(self, statement: Any, values: Mapping[str, Any]) -> Sequence[Any]:
        connection: AsyncConnection
        async with self._engine().connect() as connection:
            return (await connection.execute(statement, values)).fetchall()

    def _engine(self) -> AsyncEngine:
        """Return the engine that reads without a transaction, where that saves round trips."""
        engine: AsyncEngine = self._database.engine
        known = self._engines.get(id(engine))
        if known is None or known[0] is not engine:
            reading = engine
            if engine.dialect.name == "postgresql":
                reading = engine.execution_options(isolation_level="AUTOCOMMIT")
            self._engines.clear()
            known = self._engines[id(engine)] = (engine, reading)
        return known[1]


@dataclass(frozen=True, slots=True)
class _Ordered:
    """An ordering: its terms, their places in a row, its statement, its digest for tokens.

    `packed` are the places of what its statement reads as packed moments.
    """

    terms: tuple[Term, ...]
    places: tuple[int, ...]
    packed: tuple[int, ...]
    statement: Select[Any]
    digest: str


def _is_moment(kind: Any) -> bool:
    """Tell whether a column's type is a moment on every database."""
    return type(kind) is UTCDateTime and not kind._variant_mapping  # noqa: SLF001 - `with_variant` has no other trace


def _packed(column: Any) -> Any:
    """Return what reads a moment as PostgreSQL's own form of it."""
    return func.timestamptz_send(column, type_=LargeBinary).label(column.name)


def _maker(schema: type[BaseModel], names: tuple[str, ...]) -> Callable[[Any], BaseModel]:
    """Return what makes objects of a schema from rows, whose values need no validation."""
    set_attribute = object.__setattr__
    fields = set(names)

    def make(row: Any) -> BaseModel:
        item = schema.__new__(schema)
        set_attribute(item, "__dict__", dict(zip(names, row, strict=True)))
        set_attribute(item, "__pydantic_fields_set__", fields.copy())
        set_attribute(item, "__pydantic_extra__", None)
        set_attribute(item, "__pydantic_private__", None)
        return item

    return make
