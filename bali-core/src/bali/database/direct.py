"""Statements that go to the driver as they are.

For a small statement SQLAlchemy takes more time than its driver and the database together: it
finds out each time what the statement needs. One that is always the same needs that once. It goes
through SQLAlchemy all the same while somebody listens there: who traces, counts or logs what an
engine executes sees every statement.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC
from typing import Any, TypeAlias

from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncEngine

from bali.database.pools import SteadyPool, has_listeners
from bali.database.types import in_utc

__all__ = ["DirectEngine", "NotDirectError", "Row"]

Row: TypeAlias = Sequence[Any]
_Convert: TypeAlias = Callable[[Any], Any]

#: The events by which somebody sees what an engine executes.
_OBSERVED = ("before_execute", "after_execute", "before_cursor_execute", "after_cursor_execute")
_MAX_STATEMENTS = 1024


class NotDirectError(Exception):
    """A statement has to go through SQLAlchemy, which also says what is wrong with it.

    `is_harmless`: the database has done nothing of it, for certain.
    """

    def __init__(self, *, is_harmless: bool = True) -> None:
        super().__init__()
        self.is_harmless = is_harmless


class DirectEngine:
    """Sends statements over the connections of an engine; for one event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine: Any = engine.sync_engine
        driver = _DRIVERS.get(engine.dialect.driver)
        self._driver: Any = driver() if driver is not None else None
        self._statements: dict[Executable, _Statement | None] = {}

    async def fetch(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row]:
        """Return the rows of a statement that is a transaction of its own.

        `statement` is made once and used again; its parameters that `values` lacks have a value.
        Raises `NotDirectError`, and SQLAlchemy's `TimeoutError` when no connection becomes free.
        """
        engine, driver = self._engine, self._driver
        pool = engine.pool
        if driver is None or not isinstance(pool, SteadyPool) or _is_observed(engine, pool):
            raise NotDirectError
        known = self._statements.get(statement)
        if known is None and statement in self._statements:
            raise NotDirectError
        entry = await pool.borrow()
        connection = entry.dbapi_connection.driver_connection  # type: ignore[union-attr]  # it is open
        try:
            if known is None:
                known = await self._compiled(statement, driver, connection)
            rows = await driver.fetch(connection, known, known.arguments(values))
        except BaseException as error:
            is_sound = isinstance(error, Exception) and not driver.is_broken(connection)
            if is_sound:
                pool.give_back(entry)
            else:
                await pool.give_up(entry, error)
            if isinstance(error, NotDirectError) or not isinstance(error, Exception):
                raise
            raise NotDirectError(is_harmless=driver.is_refusal(error)) from error
        pool.give_back(entry)
        return known.rows(rows)

    async def _compiled(self, statement: Executable, driver: Any, connection: Any) -> _Statement:
        if len(self._statements) >= _MAX_STATEMENTS:
            raise NotDirectError
        compiled: Any = statement.compile(dialect=self._engine.dialect)  # type: ignore[attr-defined]  # of statements
        if compiled.literal_execute_params or compiled.post_compile_params:
            self._statements[statement] = None
            raise NotDirectError
        kinds = await driver.kinds(connection, compiled.string)
        known = self._statements[statement] = _Statement(statement, compiled, kinds)
        return known


class _Statement:
    """A statement in the driver's own form, and how its values go in and out."""

    __slots__ = ("_results", "_takes", "is_change", "sql")

    def __init__(self, statement: Any, compiled: Any, kinds: Sequence[Any]) -> None:
        dialect = compiled.dialect
        self.sql: str = compiled.string
        self.is_change = not statement.is_select
        self._takes: tuple[tuple[str, Any, _Convert | None], ...] = tuple(
            (
                bind.key,
                bind.effective_value,
                bind.type.dialect_impl(dialect).bind_processor(dialect),
            )
            for bind in (compiled.binds[name] for name in compiled.positiontup or ())
        )
        columns = tuple(
            statement.selected_columns if statement.is_select else statement.exported_columns
        )
        results = [
            column.type.dialect_impl(dialect).result_processor(dialect, kind)
            for column, kind in zip(columns, kinds or (None,) * len(columns), strict=True)
        ]
        self._results = tuple(
            (place, convert) for place, convert in enumerate(results) if convert is not None
        )

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the parameters in the driver's order; raise `NotDirectError` for a bad one."""
        try:
            return [
                values.get(name, value) if convert is None else convert(values.get(name, value))
                for name, value, convert in self._takes
            ]
        except Exception as error:
            raise NotDirectError from error

    def rows(self, found: Sequence[Row]) -> Sequence[Row]:
        """Return rows with the values that the columns' types say."""
        rows: Any = found
        for place, convert in self._results:
            if convert is in_utc:
                # As is usual of what asyncpg reads: nothing to convert, unless one differs.
                for row in found:
                    value = row[place]
                    if value is not None and value.tzinfo is not UTC:
                        break
                else:
                    continue
            if rows is found:
                rows = [list(row) for row in found]
            for changed in rows:
                changed[place] = convert(changed[place])
        return rows  # type: ignore[no-any-return]  # lists of values


class _Asyncpg:
    """PostgreSQL: one round trip, a transaction of its own."""

    def __init__(self) -> None:
        import asyncpg  # noqa: PLC0415 - who uses it has it

        #: What is raised before anything was sent; a value that its type cannot hold has a state.
        self._found_here = asyncpg.InterfaceError

    async def kinds(self, connection: Any, sql: str) -> Sequence[Any]:
        """Return the type of each column of a statement, as the driver calls it."""
        prepared = await connection.prepare(sql)
        return [attribute.type.oid for attribute in prepared.get_attributes()]

    def fetch(
        self, connection: Any, statement: _Statement, arguments: Sequence[Any]
    ) -> Awaitable[Sequence[Row]]:
        """Return the rows."""
        return connection.fetch(statement.sql, *arguments)  # type: ignore[no-any-return]  # of asyncpg

    def is_broken(self, connection: Any) -> bool:
        """Tell whether a connection can no longer be used."""
        return bool(connection.is_closed())

    def is_refusal(self, error: Exception) -> bool:
        """Tell whether an error is the database's answer, or was found before it was asked."""
        if isinstance(error, self._found_here):
            return True
        state = getattr(error, "sqlstate", None)
        return bool(state) and not str(state).startswith(("08", "57P"))


class _Aiosqlite:
    """SQLite: one errand to the thread of the connection."""

    async def kinds(self, connection: Any, sql: str) -> Sequence[Any]:
        """Return nothing: a column has no type here."""
        del connection, sql
        return ()

    def fetch(
        self, connection: Any, statement: _Statement, arguments: Sequence[Any]
    ) -> Awaitable[Sequence[Row]]:
        """Return the rows."""
        if not statement.is_change:
            return connection.execute_fetchall(statement.sql, arguments)  # type: ignore[no-any-return]  # of aiosqlite
        return connection._execute(_changed, connection._conn, statement.sql, arguments)  # type: ignore[no-any-return]  # noqa: SLF001 - the only way to do both in one errand

    def is_broken(self, connection: Any) -> bool:
        """Tell whether a connection can no longer be used."""
        return connection._connection is None  # noqa: SLF001 - there is no public way to it

    def is_refusal(self, error: Exception) -> bool:
        """Tell whether an error is the database's answer, or was found before it was asked."""
        del error
        return True


def _changed(connection: Any, sql: str, arguments: Sequence[Any]) -> Sequence[Row]:
    with connection:  # commits, or rolls back
        rows: Sequence[Row] = connection.execute(sql, arguments).fetchall()
        return rows


_DRIVERS: Mapping[str, Callable[[], Any]] = {"asyncpg": _Asyncpg, "aiosqlite": _Aiosqlite}


def _is_observed(engine: Any, pool: SteadyPool) -> bool:
    if pool.is_observed or engine.logger.isEnabledFor(logging.INFO):
        return True
    if not engine._has_events:  # noqa: SLF001 - same
        return False
    events = engine.dispatch
    return has_listeners(*[getattr(events, name) for name in _OBSERVED])
