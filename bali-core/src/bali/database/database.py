"""Database: where the models of a service live, connected when it is first needed."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import hashlib
import sqlite3
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

from sqlalchemy import URL, Engine, MetaData, text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from bali.concurrency import (
    background_loop,
    current_loop,
    in_event_loop,
    is_background,
    run_blocking,
)
from bali.database.direct import DirectEngine
from bali.database.engines import driver_url, is_in_memory, make_engine, shared_memory_url
from bali.database.failures import mapped_errors
from bali.database.models import ModelMethods, make_models
from bali.database.pools import SteadyPool
from bali.database.soft_delete import SoftDelete, purge
from bali.database.unit import Scope, Transaction, Unit
from bali.settings import current_settings

__all__ = ["Database"]

T = TypeVar("T")

_CREATE_ATTEMPTS = 5
_EXIT_SECONDS = 2.0


class Database:
    """The models of a service and the way to their rows.

    `db = Database()` connects to nothing. The address is the one given to `connect`, else
    `DATABASE_URL`, else a SQLite file named after the service. `postgresql://`, `mysql://`,
    `mariadb://` and `sqlite://` mean the asynchronous drivers; `sqlite://` alone is a database in
    memory that lasts as long as this object. Safe for any number of tasks and threads; each event
    loop has an engine of its own, closed with the loop at the latest.
    """

    #: The base of models without columns of their own; `Base` is another name for it.
    Model: type[ModelMethods]
    #: The base of models with id, created_time, updated_time and is_active.
    BaseModel: type[ModelMethods]

    def __init__(self, url: str | None = None, **engine_options: Any) -> None:
        self._options = engine_options
        #: The name of the SQLite file that is used when nobody says which database.
        self.default_name = "service"
        self._configured_url: str | None = None
        self._configured_secret: str | None = None
        self._address: str | None = None
        self._url: URL | None = None
        self._backend: str | None = None
        self._secret: bytes | None = None
        self._engines: dict[asyncio.AbstractEventLoop, _Connected] = {}
        weakref.finalize(self, _close_later, self._engines).atexit = False
        #: The transaction that the running task takes part in; units and transactions set it.
        self.current_scope: contextvars.ContextVar[Scope | None] = contextvars.ContextVar(
            "bali_unit_of_work", default=None
        )
        self.Model, self.BaseModel = make_models(self)
        if url is not None:
            self.connect(url, **engine_options)

    # -- connecting ----------------------------------------------------------------------------

    @property
    def Base(self) -> type[ModelMethods]:  # noqa: N802 - the name that users of the first bali know
        """The same as `Model`."""
        return self.Model

    @property
    def metadata(self) -> MetaData:
        """SQLAlchemy's `MetaData` of the models."""
        return self.Model.metadata

    @property
    def is_used(self) -> bool:
        """Whether it has models or an address."""
        return bool(self.metadata.tables) or self._address is not None

    @property
    def is_connected(self) -> bool:
        """Whether it was given an address."""
        return self._address is not None

    @property
    def url(self) -> URL:
        """The address, with the driver that is used."""
        if self._url is None:
            address = self._address or self._configured_url or current_settings().database_url
            url = driver_url(address or f"sqlite:///{self.default_name}.sqlite3")
            if is_in_memory(url):
                url = shared_memory_url(url)
                self._keep_memory(url)
            self._url = url
        return self._url

    @property
    def backend(self) -> str:
        """The kind of database: "sqlite", "postgresql", "mysql" or "mariadb"."""
        if self._backend is None:
            self._backend = self.url.get_backend_name()
        return self._backend

    @property
    def page_token_secret(self) -> bytes:
        """What page tokens are signed with: `SECRET_KEY`, else made from the address.

        Every process with the same settings has the same one.
        """
        if self._secret is None:
            key = self._configured_secret or current_settings().secret_key
            material = key or f"bali:{self.url.render_as_string(hide_password=False)}"
            self._secret = hashlib.sha256(material.encode()).digest()
        return self._secret

    def connect(self, url: str, **engine_options: Any) -> None:
        """Say where the rows are; connects when they are first needed.

        `engine_options` are those of SQLAlchemy's `create_async_engine`. Raises
        `ConfigurationError` for an address that cannot be used.
        """
        driver_url(url)
        self._address = url
        self._options = engine_options
        self._forget()

    def configure(self, *, default_name: str, url: str | None, secret: str | None) -> None:
        """Take what the app knows; an address given to `connect` goes before it."""
        former = (self.default_name, self._configured_url, self._configured_secret)
        if former != (default_name, url, secret):
            self.default_name = default_name
            self._configured_url = url
            self._configured_secret = secret
            self._secret = None
            if self._address is None:
                self._forget()

    @property
    def engine(self) -> AsyncEngine:
        """The engine of the event loop that owns the calling task or thread."""
        return self._connected.engine

    @property
    def direct(self) -> DirectEngine:
        """The short way to its driver, for statements that are always the same."""
        return self._connected.direct

    @property
    def _connected(self) -> _Connected:
        loop = current_loop()
        connected = self._engines.get(loop)
        if connected is None:
            for former in [former for former in self._engines if former.is_closed()]:
                del self._engines[former]
            connected = self._engines[loop] = _Connected(make_engine(self.url, self._options))
            if is_background(loop):
                _close_at_exit(self)
        if connected.keeper is None:
            connected.watch_loop()
        return connected

    def has_engine(self, engine: Engine) -> bool:
        """Tell whether an engine of SQLAlchemy is one of these, of whatever event loop."""
        return any(
            engine.pool is known.engine.sync_engine.pool for known in tuple(self._engines.values())
        )

    def new_engine(self) -> AsyncEngine:
        """Return an engine with the same address and options, to be disposed of by the caller."""
        return make_engine(self.url, self._options)

    async def ping(self) -> None:
        """Return when the database answers; raise `Unavailable` when it does not."""
        with mapped_errors():
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close the connections of the running loop; the next use opens new ones."""
        connected = self._engines.pop(asyncio.get_running_loop(), None)
        if connected is not None:
            await connected.close()

    def create_all(self) -> Any:
        """Create the tables that are missing. In asynchronous code: `await db.create_all()`."""
        return _now_or_awaited(self.create_all_async)

    def drop_all(self) -> Any:
        """Drop the tables, with all they hold. In asynchronous code: `await db.drop_all()`."""
        return _now_or_awaited(self.drop_all_async)

    async def create_all_async(self) -> None:
        """Create the tables that are missing; another process may do the same at the same time."""
        with mapped_errors():
            for attempt in range(_CREATE_ATTEMPTS):
                try:
                    async with self.engine.begin() as connection:
                        await connection.run_sync(self.metadata.create_all)
                except (IntegrityError, OperationalError, ProgrammingError):
                    if attempt == _CREATE_ATTEMPTS - 1:
                        raise
                else:
                    return

    async def drop_all_async(self) -> None:
        """Drop the tables of the models, with all they hold."""
        with mapped_errors():
            async with self.engine.begin() as connection:
                await connection.run_sync(self.metadata.drop_all)

    # -- units of work -------------------------------------------------------------------------

    def unit(self, *, joins: bool = True) -> Unit:
        """Open a unit of work: `async with db.unit() as unit`.

        Inside another it is that one: what fails in it is undone with all the rest. With
        `joins=False` it is one of its own.
        """
        return Unit(self, joins=joins)

    @property
    def current_unit(self) -> Unit | None:
        """The unit of the running task, None outside one and after it is over."""
        scope = self.scope
        return None if scope is None or scope.unit.is_over else scope.unit

    @property
    def scope(self) -> Scope | None:
        """The transaction that the running task takes part in."""
        return self.current_scope.get()

    @property
    def session(self) -> AsyncSession:
        """SQLAlchemy's session of the current unit, for asynchronous code.

        Raises `RuntimeError` outside a unit, and when the unit is over.
        """
        scope = self.scope
        if scope is None:
            raise RuntimeError(
                "db.session is the session of a unit of work, and none is open; write `async with "
                "db.unit():` around it (an action of a resource has one)"
            )
        return scope.unit.session

    @property
    def sync_session(self) -> Session:
        """SQLAlchemy's session of the current unit, for a `def` action or `with db.transaction()`.

        Raises `RuntimeError` outside a unit, and when the unit is over.
        """
        return self.session.sync_session

    async def commit(self) -> None:
        """Make the work of the current unit permanent now, and give its connection back.

        For long streams: what follows begins a new transaction.
        """
        scope = self.scope
        if scope is not None:
            await scope.unit.commit()

    def transaction(self) -> Transaction:
        """Do all or nothing: `async with db.transaction():`, or `with` in code that blocks.

        Inside a unit of work it is a savepoint: what fails in it is undone and nothing else.
        Meanwhile other tasks of the same unit wait.
        """
        return Transaction(self)

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]], *, writes: bool = False) -> T:
        """Call `work` with the session of the current unit, or of one for this call alone.

        With `writes` all that a failed `work` has done is undone, and the unit can go on. `work`
        is called again when its connection turns out to be stale and nothing was done before.
        """
        scope = self.scope
        if scope is not None:
            return await scope.run(work, writes=writes)
        async with Unit(self) as own:
            return await own.run(work, writes=writes)

    async def run_sync(self, function: Callable[[Session], T]) -> T:
        """Call a function with the synchronous session of the current unit, or of one for it.

        For code that is written for SQLAlchemy's synchronous interface; lazy relations work in it.
        """
        return await self.run(lambda session: session.run_sync(function), writes=True)

    @property
    def keeps_deleted(self) -> bool:
        """Whether a model of it keeps deleted items for a while."""
        return any(self._soft_models())

    async def purge_deleted(self) -> int:
        """Remove for good the deleted items whose `purge_time` has passed; return how many."""
        return sum([await purge(self, model) for model in self._soft_models()])

    def _soft_models(self) -> Iterator[type[Any]]:
        base: Any = self.Model
        for mapper in list(base.registry.mappers):
            if issubclass(mapper.class_, SoftDelete) and mapper.inherits is None:
                yield mapper.class_

    # -- the engines ---------------------------------------------------------------------------

    def _forget(self) -> None:
        self._url = None
        self._backend = None
        self._secret = None
        _close_later(self._engines)

    def _keep_memory(self, url: URL) -> None:
        """Keep a database in memory alive: SQLite drops it with its last connection."""
        if url.query.get("vfs") != "memdb":
            return
        connection = sqlite3.connect(f"{url.database}?vfs=memdb", uri=True, check_same_thread=False)
        weakref.finalize(self, connection.close)


class _Connected:
    """An engine that is closed with its loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.direct = DirectEngine(engine)
        #: Closes the engine with the loop, once that is watched.
        self.keeper: AsyncGenerator[None, None] | None = None

    def watch_loop(self) -> None:
        """See to it that the engine is closed before the running loop is.

        A loop closes the asynchronous generators that it has started (`shutdown_asyncgens`).
        """
        if in_event_loop():
            self.keeper = _disposing(self.engine)
            try:
                self.keeper.__anext__().send(None)
            except StopIteration:
                return

    async def close(self) -> None:
        """Close the connections."""
        if self.keeper is not None:
            await self.keeper.aclose()
        await _dispose(self.engine)


async def _disposing(engine: AsyncEngine) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await _dispose(engine)


async def _dispose(engine: AsyncEngine) -> None:
    pool = engine.pool
    await engine.dispose()
    if isinstance(pool, SteadyPool):
        await pool.wait_closed()


def _close_later(engines: dict[asyncio.AbstractEventLoop, _Connected]) -> None:
    """Have engines closed by the loops that they belong to, as far as these still run."""
    while engines:
        loop, connected = engines.popitem()
        if loop.is_running():
            asyncio.run_coroutine_threadsafe(connected.close(), loop)


def _now_or_awaited(function: Callable[[], Any]) -> Any:
    return function() if in_event_loop() else run_blocking(function())


def _close_at_exit(database: Database) -> None:
    """Close what the background loop has open when the program ends."""
    reference = weakref.ref(database)

    def close() -> None:
        found, loop = reference(), background_loop()
        if found is not None and loop.is_running():
            work = asyncio.run_coroutine_threadsafe(found.close(), loop)
            try:
                work.result(_EXIT_SECONDS)
            except TimeoutError:
                return

    atexit.register(close)
