"""Write plans: the generic create and update as one statement that returns the row.

Where nothing else belongs to the same transaction, and nobody listens to what the ORM does, the
statement is a transaction of its own: one round trip instead of a lock, the change, the reading of
what the database has set, and a commit. The result is the one that the ORM gives: defaults,
`onupdate` and column types count in the same way, and a test compares both. Whatever a statement
cannot do, or the database refuses, is done by the ORM, which also says what is wrong.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from sqlalchemy import JSON, Executable, bindparam, case, insert, or_, update
from sqlalchemy.types import TypeDecorator

from bali.database.columns import columns_of
from bali.database.direct import DirectEngine, NotDirectError
from bali.database.failures import error_for
from bali.database.pools import has_listeners
from bali.database.reads import ReadPlan
from bali.database.session import UnitSession
from bali.database.soft_delete import SoftDelete, is_alive
from bali.database.types import coercion_of
from bali.errors import Unavailable

__all__ = ["WritePlan", "write_plan"]

_MAX_STATEMENTS = 64
#: The databases that return the row of an INSERT and of an UPDATE.
_RETURNING = ("postgresql", "sqlite")
#: What drivers raise for a value that Python cannot hold, such as a moment after the year 9999.
_UNREADABLE = (ValueError, TypeError, ArithmeticError)
_OF_ROWS = ("before_insert", "after_insert", "before_update", "after_update")
_OF_SESSIONS = ("before_flush", "after_flush", "after_flush_postexec", "after_commit")
_KEY = "bali_key"


def write_plan(store: Any, read: ReadPlan) -> WritePlan | None:
    """Return the way to write items without the ORM, None where the ORM has a part in it."""
    model = store.model
    mapper: Any = model.__mapper__
    columns = columns_of(model)
    is_whole = len(columns) == len(mapper.columns) and len(mapper.tables) == 1
    is_heard = any(getattr(mapper.dispatch, name) for name in _OF_ROWS)
    if not is_whole or is_heard or mapper.version_id_col is not None or mapper.validators:
        return None
    if _makes_objects_its_own_way(model) or any(map(_is_heard, _attributes(model))):
        return None
    found = [find(column) for column in columns.values() for find in (_default_of, _onupdate_of)]
    return None if _Unknown in found else WritePlan(store, read)


class WritePlan:
    """Create and update of one model as objects of one schema; built once."""

    def __init__(self, store: Any, read: ReadPlan) -> None:
        self._model = store.model
        self._store = store
        self._database = store.database
        self._read = read
        self._columns = columns_of(self._model)
        self._defaults = _functions(self._columns, _default_of)
        self._onupdates = _functions(self._columns, _onupdate_of)
        #: What is absent of these is NULL; of the others, what the database itself says.
        self._empty = frozenset(
            name
            for name, column in self._columns.items()
            if column.nullable and column.default is None and column.server_default is None
        )
        self._inserts: dict[frozenset[str], Executable] = {}
        self._updates: dict[frozenset[str], Executable] = {}

    async def create(self, values: Mapping[str, Any]) -> BaseModel | None:
        """Store a new item and return it; None when the ORM has to."""
        if not self._is_open():
            return None
        row = {**dict.fromkeys(self._empty), **values}
        for name, made in self._defaults.items():
            if name not in values:
                row[name] = made()
        statement = _kept(self._inserts, row, self._insert)
        return None if statement is None else await self._row(statement, row)

    async def update(self, key: Any, values: Mapping[str, Any]) -> BaseModel | None:
        """Change attributes of an item and return it; None when the ORM has to.

        It has to, for instance, when there is no such item.
        """
        if not (self._is_open() and values and self._store.may_exist(key)):
            return None
        statement = _kept(self._updates, values, self._update)
        if statement is None:
            return None
        row = {**values, _KEY: key}
        for name, made in self._onupdates.items():
            if name not in values:
                row[name] = made()
        return await self._row(statement, row)

    def _is_open(self) -> bool:
        """Tell whether a statement may be a transaction of its own, and nobody minds."""
        database = self._database
        if database.scope is not None or database.backend not in _RETURNING:
            return False
        return not has_listeners(*_listeners())

    async def _row(self, statement: Executable, row: Mapping[str, Any]) -> BaseModel | None:
        direct: DirectEngine = self._database.direct
        try:
            rows = await direct.fetch(statement, row)
        except NotDirectError as error:
            if error.is_harmless:
                return None
            if isinstance(error.__cause__, _UNREADABLE):
                raise error.__cause__ from None
            raise Unavailable("The database did not confirm that the work is stored") from error
        except Exception as error:
            found = error_for(error, self._database.metadata)
            if found is None:
                raise
            raise found from error
        return self._read.make(rows[0]) if rows else None

    def _insert(self, names: frozenset[str]) -> Executable | None:
        if not names <= self._columns.keys():
            return None
        values = {self._columns[name]: self._given(name) for name in names}
        return insert(self._model.__table__).values(values).returning(*self._read.columns)

    def _update(self, names: frozenset[str]) -> Executable | None:
        columns = self._columns
        if not names <= columns.keys() or self._store.key_name in names:
            return None
        if not all(map(_is_comparable, (columns[name] for name in names))):
            return None
        values = {columns[name]: self._given(name) for name in names}
        changed = or_(*(columns[name].is_distinct_from(self._given(name)) for name in names))
        for name in self._onupdates.keys() - names:  # only what changes is touched, as by the ORM
            values[columns[name]] = case((changed, self._given(name)), else_=columns[name])
        key = self._store.key_column
        chosen = [key == bindparam(_KEY, type_=key.type)]
        if issubclass(self._model, SoftDelete):
            chosen.append(is_alive(self._model))
        statement = update(self._model.__table__).where(*chosen).values(values)
        return statement.returning(*self._read.columns)

    def _given(self, name: str) -> Any:
        return bindparam(name, type_=self._columns[name].type)


class _Unknown:
    """A default that only the ORM can find out."""


def _kept(
    known: dict[frozenset[str], Executable],
    values: Iterable[str],
    make: Callable[[frozenset[str]], Executable | None],
) -> Executable | None:
    """Return the statement for some columns, as long as there are not too many kinds of it."""
    names = frozenset(values)
    statement = known.get(names)
    if statement is None and len(known) < _MAX_STATEMENTS:
        statement = make(names)
        if statement is not None:
            known[names] = statement
    return statement


def _functions(
    columns: Mapping[str, Any], find: Callable[[Any], Any]
) -> Mapping[str, Callable[[], Any]]:
    found = {name: find(column) for name, column in columns.items()}
    return {name: function for name, function in found.items() if function is not None}


def _default_of(column: Any) -> Any:
    return _function_of(column.default)


def _onupdate_of(column: Any) -> Any:
    if column.server_onupdate is not None:
        return _Unknown
    return _function_of(column.onupdate)


def _function_of(default: Any) -> Any:
    """Return what makes a column's default, None without one, `_Unknown` if it needs the ORM."""
    if default is None:
        return None
    if default.is_scalar:
        return lambda: default.arg
    if default.is_callable and _needs_nothing(default.arg):
        return functools.partial(default.arg, None)
    return _Unknown


def _needs_nothing(function: Any) -> bool:
    """Tell whether a default looks at nothing of its statement; SQLAlchemy wraps those."""
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is None:
        return False
    try:
        parameters = inspect.signature(wrapped).parameters.values()
    except (TypeError, ValueError):
        return False
    return all(
        parameter.default is not parameter.empty
        or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        for parameter in parameters
    )


def _makes_objects_its_own_way(model: type[Any]) -> bool:
    """Tell whether a model has code that runs when an object is made or an attribute is set."""
    manager = model.__mapper__.class_manager
    is_own = manager.original_init is not model.__database__.Model.__init__
    return (
        is_own
        or len(list(manager.dispatch.init)) > 1  # the first is SQLAlchemy's own
        or "__setattr__" in {name for cls in model.__mro__[:-1] for name in vars(cls)}
    )


@functools.cache
def _listeners() -> tuple[Any, ...]:
    """Return, by event, whoever listens to all sessions, now and later."""
    nobody: Any = None
    events: Any = UnitSession(unit=nobody).dispatch
    return tuple(getattr(events, name) for name in _OF_SESSIONS)


def _attributes(model: type[Any]) -> list[Any]:
    return [getattr(model, name) for name in columns_of(model)]


def _is_heard(attribute: Any) -> bool:
    """Tell whether somebody besides us listens to what an attribute is set to."""
    ours = 1 if coercion_of(attribute.property.columns[0]) is not None else 0
    return len(list(attribute.dispatch.set)) > ours


def _is_comparable(column: Any) -> bool:
    """Tell whether the database can say that two values of a column differ."""
    kind = column.type
    while isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    if isinstance(kind, JSON):
        return False
    try:
        return kind.python_type not in (list, dict)
    except NotImplementedError:
        return False
