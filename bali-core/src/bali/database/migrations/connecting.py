"""A connection for migrations: one at a time, and on SQLite all or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bali.database.database import Database
from bali.errors import ConfigurationError

__all__ = ["connected", "told_absence"]

#: Held by the connection, so it ends with it. Two that upgrade at once do so one after the other.
_LOCKS = {
    "postgresql": "SELECT pg_advisory_lock(hashtext('bali.migrations'))",
    "mysql": "SELECT GET_LOCK(CONCAT('bali.', DATABASE()), 600)",
    "mariadb": "SELECT GET_LOCK(CONCAT('bali.', DATABASE()), 600)",
}


@asynccontextmanager
async def connected(database: Database) -> AsyncIterator[AsyncConnection]:
    """Open a connection of its own that no other migration has at the same time.

    Raises `ConfigurationError` when the database does not answer.
    """
    engine = database.new_engine()
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _leave_references)
        event.listen(engine.sync_engine, "begin", _begin)
    try:
        connection = await _opened(database, engine)
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


async def _opened(database: Database, engine: AsyncEngine) -> AsyncConnection:
    with told_absence(database):
        connection = await engine.connect()
        lock = _LOCKS.get(engine.dialect.name)
        if lock is not None:
            await connection.exec_driver_sql(lock)
            await connection.commit()
        return connection


@contextmanager
def told_absence(database: Database) -> Iterator[None]:
    """Raise `ConfigurationError`, with the address, for whatever keeps from connecting."""
    try:
        yield
    except ConfigurationError:
        raise
    except Exception as error:
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        address = database.url.render_as_string(hide_password=True)
        raise ConfigurationError(
            f"cannot connect to {address}: {str(root) or repr(root)}; is the address "
            "(DATABASE_URL) right, and does the database answer?"
        ) from error


def _leave_references(connection: Any, _record: Any) -> None:
    """Let tables be made anew that others refer to; `run_environment` checks the references."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.close()


def _begin(connection: Any) -> None:
    """Open the transaction that the driver would open with the first change of a row only."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
