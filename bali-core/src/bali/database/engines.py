"""From an address to SQLAlchemy's engine, and what each connection is told first."""

from __future__ import annotations

import asyncio
import functools
import json
import secrets
import sqlite3
from typing import Any

import aiosqlite
from pydantic_core import to_jsonable_python
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from bali.database.expressions import LOWER_FUNCTION
from bali.database.pools import SteadyPool
from bali.errors import ConfigurationError

__all__ = ["driver_url", "is_in_memory", "make_engine", "shared_memory_url"]

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mariadb+asyncmy",
}
_EXTRAS = {"asyncpg": "postgres", "asyncmy": "mysql"}
_POOL = {"pool_size": 20, "max_overflow": 10, "pool_timeout": 5.0, "pool_recycle": 1800}
#: Values of callers, among them what no answer may tell, stay out of errors and logs.
_DISCREET = {"hide_parameters": True}
#: Records in JSON columns may hold dates, decimals and enums: they are written as over REST.
_JSON = {"json_serializer": functools.partial(json.dumps, default=to_jsonable_python)}
_CONNECT_SECONDS = 10
_BUSY_MILLISECONDS = 5000
_MEMDB_VERSION = (3, 36, 0)  # the first SQLite with databases in memory that connections share


def driver_url(address: str) -> URL:
    """Return an address with its asynchronous driver.

    Raises `ConfigurationError` for what is no address, and for a driver that blocks.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        shown = address.rpartition("@")[2]
        raise ConfigurationError(
            f"{shown!r} is not the address of a database; write it like "
            "postgresql://user:password@host/name or sqlite:///file.sqlite3"
        ) from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    known = ", ".join(sorted(_DRIVERS))
    try:
        dialect = url.get_dialect()
        is_async = dialect.is_async
    except (ImportError, NoSuchModuleError):
        raise ConfigurationError(
            f"{url.drivername!r} is no kind of database that can be used; use one of {known}"
        ) from None
    if url.get_backend_name() not in _DRIVERS:
        raise ConfigurationError(
            f"{url.get_backend_name()!r} is no kind of database that can be used; use one of "
            f"{known}"
        )
    if not is_async:
        raise ConfigurationError(
            f"the driver of {url.drivername!r} blocks; leave it out, as in "
            f"{url.get_backend_name()}://..., to get the asynchronous one"
        )
    return url


def is_in_memory(url: URL) -> bool:
    """Tell whether an address means a SQLite database in memory."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def shared_memory_url(url: URL) -> URL:
    """Return the address of a new database in memory that every thread and loop shares."""
    if sqlite3.sqlite_version_info < _MEMDB_VERSION:
        return url
    name = f"file:/bali-{secrets.token_hex(8)}"
    return url.set(database=name, query={**url.query, "vfs": "memdb", "uri": "true"})


def make_engine(url: URL, options: dict[str, Any]) -> AsyncEngine:
    """Return an engine; `options` are SQLAlchemy's and go before ours."""
    backend, driver = url.get_backend_name(), url.get_driver_name()
    defaults: dict[str, Any] = {"poolclass": SteadyPool, **_POOL, **_DISCREET, **_JSON}
    arguments: dict[str, Any] = {}
    if is_in_memory(url):  # SQLite is too old to share one
        defaults = {"poolclass": StaticPool, **_DISCREET, **_JSON}
    if driver == "aiosqlite":
        arguments = {"async_creator_fn": _connect_sqlite}
    elif driver == "asyncpg":
        arguments = {"server_settings": {"timezone": "UTC"}, "timeout": _CONNECT_SECONDS}
    elif driver == "asyncmy":
        arguments = {
            "init_command": "SET time_zone = '+00:00', "
            "sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
            "connect_timeout": _CONNECT_SECONDS,
        }
        # As PostgreSQL has it: a row that another call has just stored is seen.
        defaults["isolation_level"] = "READ COMMITTED"
    own = options.get("connect_args") or {}
    if "server_settings" in own and "server_settings" in arguments:
        settings = {**arguments["server_settings"], **own["server_settings"]}
        own = {**own, "server_settings": settings}
    merged = {**defaults, **options, "connect_args": {**arguments, **own}}
    try:
        engine = create_async_engine(url, **merged)
    except ImportError as error:
        extra = _EXTRAS.get(driver)
        package = f"bali-core[{extra}]" if extra else str(error.name)
        raise ConfigurationError(
            f"{backend} needs the package {error.name}: pip install '{package}'"
        ) from error
    if backend == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "savepoint", _begin_before_savepoint)
    return engine


async def _connect_sqlite(*args: Any, **options: Any) -> aiosqlite.Connection:
    """Connect, and leave no thread behind that would speak to a closed loop if that fails."""
    connection = aiosqlite.connect(*args, **options)
    thread = connection._thread  # noqa: SLF001 - there is no public way to it
    thread.daemon = True
    try:
        return await connection
    except BaseException:
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, thread.join))
        raise


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {_BUSY_MILLISECONDS}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    connection.create_function(LOWER_FUNCTION, 1, _lower, deterministic=True)


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


def _begin_before_savepoint(connection: Any, _name: str) -> None:
    """Open the transaction that the driver would open with the first change only.

    Without it, releasing the savepoint would commit.
    """
    driver = connection.connection.driver_connection
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
