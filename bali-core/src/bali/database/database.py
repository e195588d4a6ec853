"""Database: where the models of a service live, connected when it is first needed."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import os
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import StaticPool

from bali.concurrency import current_loop, in_event_loop, run_blocking
from bali.database.failures import mapped
from bali.database.models import make_models
from bali.database.unit import Unit
from bali.errors import ConfigurationError
from bali.settings import current_settings

__all__ = ["Database"]

T = TypeVar("T")

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mysql+asyncmy",
}
_EXTRAS = {"asyncpg": "postgres", "asyncmy": "mysql", "aiosqlite": "sqlite"}
_POOL = {"pool_size": 20, "max_overflow": 10, "pool_timeout": 5.0, "pool_recycle": 1800}
_BUSY_MILLISECONDS = 5000


class Database:
    """The models of a service and the way to their rows.

    `db = Database()` connects to nothing. The address is the one given to `connect`, else
    `DATABASE_URL`, else a SQLite file named after the service. `postgresql://`, `mysql://`,
    `mariadb://` and `sqlite://` mean the asynchronous drivers. Safe for any number of tasks and
    threads; each event loop has an engine of its own.
    """

    def __init__(self, url: str | None = None, **engine_options: Any) -> None:
        self._url = url
        self._options = engine_options
        self._default_name = "service"
        self._configured_url: str | None = None
        self._configured_secret: str | None = None
        self._engines: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncEngine] = (
            weakref.WeakKeyDictionary()
        )
        self._unit: contextvars.ContextVar[Unit | None] = contextvars.ContextVar(
            "bali_unit", default=None
        )
        #: The base of models without columns of their own, and the one with id and time stamps.
        self.Model: Any
        self.BaseModel: Any
        self.Model, self.BaseModel = make_models(self)

    # -- connecting ----------------------------------------------------------------------------

    @property
    def Base(self) -> Any:  # noqa: N802 - the name that users of the first bali know
        """The same as `Model`."""
        return self.Model

    @property
    def metadata(self) -> Any:
        """SQLAlchemy's `MetaData` of the models."""
        return self.Model.metadata

    @property
    def is_used(self) -> bool:
        """Whether it has models or an address."""
        return bool(self.metadata.tables) or self._url is not None

    @property
    def url(self) -> URL:
        """The address, with the driver that is used."""
        return _driver_url(
            self._url
            or self._configured_url
            or os.environ.get("DATABASE_URL")
            or f"sqlite:///{self._default_name}.sqlite3"
        )

    @property
    def secret(self) -> bytes:
        """What page tokens are signed with: `SECRET_KEY`, else made from the address.

        Every process with the same settings has the same one.
        """
        key = self._configured_secret or current_settings().secret_key
        material = key or f"bali:{self.url.render_as_string(hide_password=False)}"
        return hashlib.sha256(material.encode()).digest()

    def connect(self, url: str, **engine_options: Any) -> None:
        """Say where the rows are; connects when they are first needed.

        `engine_options` are those of SQLAlchemy's `create_async_engine`. Raises
        `ConfigurationError` for an address that cannot be used.
        """
        _driver_url(url)
        self._url = url
        self._options = engine_options
        self._engines.clear()

    def configure(self, *, default_name: str, url: str | None, secret: str | None) -> None:
        """Take what the app knows; an address given to `connect` goes before it."""
        self._default_name = default_name
        self._configured_url = url
        self._configured_secret = secret

    @property
    def engine(self) -> AsyncEngine:
        """The engine of the event loop that owns the calling task or thread."""
        loop = current_loop()
        engine = self._engines.get(loop)
        if engine is None:
            engine = self._engines[loop] = _make_engine(self.url, self._options)
        return engine

    async def ping(self) -> None:
        """Return when the database answers; raise `Unavailable` when it does not."""
        with mapped():
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close the connections of the running loop; the next use opens new ones."""
        engine = self._engines.pop(asyncio.get_running_loop(), None)
        if engine is not None:
            await engine.dispose()

    async def create_all_async(self) -> None:
        """Create the tables that are missing."""
        with mapped():
            async with self.engine.begin() as connection:
                await connection.run_sync(self.metadata.create_all)

    async def drop_all_async(self) -> None:
        """Drop the tables of the models, with all they hold."""
        with mapped():
            async with self.engine.begin() as connection:
                await connection.run_sync(self.metadata.drop_all)

    def create_all(self) -> None:
        """Create the tables that are missing, from code without an event loop."""
        run_blocking(self.create_all_async())

    def drop_all(self) -> None:
        """Drop the tables of the models, from code without an event loop."""
        run_blocking(self.drop_all_async())

    # -- units of work -------------------------------------------------------------------------

    def unit(self) -> Unit:
        """Open a unit of work: `async with db.unit() as unit`. Inside another it is that one."""
        return Unit(self)

    @property
    def current_unit(self) -> Unit | None:
        """The unit of the running task, None outside one."""
        return self._unit.get()

    def enter(self, unit: Unit | None) -> None:
        """Make `unit` the current one of this task; for `Unit` itself."""
        self._unit.set(unit)

    @property
    def session(self) -> AsyncSession:
        """SQLAlchemy's session of the current unit.

        Raises `RuntimeError` outside a unit.
        """
        unit = self.current_unit
        if unit is None:
            raise RuntimeError(
                "db.session is the session of a unit of work, and none is open; write `async with "
                "db.unit():` around it (an action of a resource has one)"
            )
        return unit.session

    def new_session(self) -> AsyncSession:
        """Return a session of its own; whoever asks closes it."""
        return AsyncSession(self.engine, expire_on_commit=False)

    async def commit(self) -> None:
        """Make the work of the current unit permanent now, and give its connection back.

        For long streams: what follows begins a new transaction.
        """
        unit = self.current_unit
        if unit is not None:
            await unit.commit()

    def transaction(self) -> _Transaction:
        """Do all or nothing: `async with db.transaction():`, or `with` in code that blocks.

        Inside a unit of work it is a savepoint: what fails in it is undone and nothing else.
        """
        return _Transaction(self)

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Call `work` with the session of the current unit, or of one for this call alone."""
        unit = self.current_unit
        if unit is not None:
            async with unit.lock:
                with mapped():
                    return await work(unit.session)
        async with self.unit() as own:
            with mapped():
                return await work(own.session)


class _Transaction:
    """`db.transaction()` in both worlds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sync: Iterator[Any] | None = None
        self._async = self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[AsyncSession]:
        unit = self._database.current_unit
        if unit is not None:
            async with unit.savepoint() as session:
                yield session
        else:
            async with self._database.unit() as own:
                yield own.session

    async def __aenter__(self) -> AsyncSession:
        return await self._async.__aenter__()

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._async.__aexit__(*error)

    def __enter__(self) -> None:
        if in_event_loop():
            raise RuntimeError("use `async with db.transaction()` in asynchronous code")
        self._sync = self._blocking()  # type: ignore[assignment]  # a context manager
        self._sync.__enter__()  # type: ignore[union-attr]  # the same

    def __exit__(self, *error: Any) -> bool | None:
        return self._sync.__exit__(*error)  # type: ignore[union-attr, no-any-return]  # the same

    @contextmanager
    def _blocking(self) -> Iterator[None]:
        """Hold a transaction open on the loop while this thread works in it."""
        outer = self._database.current_unit
        unit = outer or Unit(self._database)
        self._database.enter(unit)
        try:
            if outer is not None:
                nested = run_blocking(_begin_nested(unit))
                try:
                    yield
                except BaseException:
                    run_blocking(_end(nested.rollback()))
                    raise
                run_blocking(_end(nested.commit()))
            else:
                try:
                    yield
                except BaseException as error:
                    self._database.enter(None)
                    run_blocking(_close(unit, error))
                    raise
                self._database.enter(None)
                run_blocking(_close(unit, None))
        finally:
            self._database.enter(outer)


async def _begin_nested(unit: Unit) -> Any:
    return await unit.session.begin_nested()


async def _end(work: Awaitable[None]) -> None:
    with mapped():
        await work


async def _close(unit: Unit, error: BaseException | None) -> None:
    try:
        await unit.__aexit__(type(error) if error else None, error, None)
    except BaseException as raised:
        if error is None or raised is not error:
            raise


def _driver_url(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        shown = address.partition("@")[2] or address
        raise ConfigurationError(
            f"{shown!r} is not the address of a database; write it like "
            "postgresql://user:password@host/name or sqlite:///file.sqlite3"
        ) from None
    driver = _DRIVERS.get(url.drivername, url.drivername)
    url = url.set(drivername=driver)
    try:
        is_async = url.get_dialect().is_async
    except (ImportError, NoSuchModuleError):
        known = ", ".join(sorted(_DRIVERS))
        raise ConfigurationError(
            f"{url.drivername!r} is no kind of database that can be used; use one of {known}"
        ) from None
    if not is_async:
        raise ConfigurationError(
            f"the driver of {url.drivername!r} blocks; leave it out, as in "
            f"{url.get_backend_name()}://..., to get the asynchronous one"
        )
    return url


def _make_engine(url: URL, options: dict[str, Any]) -> AsyncEngine:
    backend = url.get_backend_name()
    defaults: dict[str, Any] = dict(_POOL)
    if backend == "sqlite":
        is_memory = url.database in (None, "", ":memory:")
        defaults = {"poolclass": StaticPool} if is_memory else {"pool_timeout": 5.0}
    elif backend == "postgresql" and url.get_driver_name() == "asyncpg":
        defaults["connect_args"] = {"server_settings": {"timezone": "UTC"}}
    elif backend in ("mysql", "mariadb"):
        defaults["connect_args"] = {"init_command": "SET time_zone = '+00:00'"}
    try:
        engine = create_async_engine(url, **{**defaults, **options})
    except ImportError as error:
        extra = _EXTRAS.get(url.get_driver_name(), url.get_driver_name())
        raise ConfigurationError(
            f"{backend} needs the package {error.name}: pip install 'bali-core[{extra}]'"
        ) from error
    if backend == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "savepoint", _begin_before_savepoint)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "case_sensitive_like = ON",
        f"busy_timeout = {_BUSY_MILLISECONDS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_before_savepoint(connection: Any, _name: str) -> None:
    """Open the transaction that the driver would open with the first change only.

    Without it, releasing the savepoint would commit.
    """
    driver = connection.connection.driver_connection
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
