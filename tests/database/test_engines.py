from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from bali.database import Database
from bali.database.engines import driver_url, is_in_memory, shared_memory_url
from bali.errors import ConfigurationError, ResourceExhausted


@pytest.mark.parametrize(
    ("address", "driver"),
    [
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
        ("postgres://u:p@h:1/d?x=1", "postgresql+asyncpg"),
        ("mysql://u@h/d", "mysql+asyncmy"),
        ("mariadb://u@h/d", "mariadb+asyncmy"),
        ("sqlite:///x", "sqlite+aiosqlite"),
        ("sqlite://", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:///x", "sqlite+aiosqlite"),
        ("postgresql+asyncpg://h/d", "postgresql+asyncpg"),
    ],
)
def test_an_address_gets_its_driver(address: str, driver: str) -> None:
    url = driver_url(address)
    assert url.drivername == driver
    rest = address.partition("://")[2]
    assert url.render_as_string(hide_password=False).partition("://")[2] == rest


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "is not the address of a database"),
        ("nonsense", "is not the address of a database"),
        ("oracle9://h/d", "use one of mariadb, mysql, postgres"),
        ("oracle://h/d", "'oracle' is no kind of database that can be used; use one of mariadb"),
        ("postgresql://user@host:port/d", "'host:port/d' is not the address of a database"),
        ("postgresql+pg8000://h/d", "blocks; leave it out, as in postgresql://"),
        ("sqlite+pysqlite:///x", "blocks"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(address: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Database().connect(address)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        driver_url("nonsense:geheim@host/name")
    assert "geheim" not in str(caught.value)


def test_a_missing_driver_is_named() -> None:
    database = Database("postgresql+psycopg_async://h/d")
    with pytest.raises(ConfigurationError, match="pip install"):
        _ = database.engine


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:", "sqlite:///"])
def test_a_database_in_memory_gets_a_name(address: str) -> None:
    url = driver_url(address)
    assert is_in_memory(url)
    shared = shared_memory_url(url)
    assert not is_in_memory(shared)
    assert shared != shared_memory_url(url)
    assert not is_in_memory(driver_url("postgresql://h/"))


async def test_sqlite_is_prepared(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    async with database.unit():
        session = database.session

        async def pragma(name: str) -> object:
            return await session.scalar(text(f"PRAGMA {name}"))

        assert await pragma("journal_mode") == "wal"
        assert await pragma("foreign_keys") == 1
        assert await pragma("busy_timeout") == 5000
        assert await session.scalar(text("SELECT bali_lower('ÄÖ')")) == "äö"
        assert await session.scalar(text("SELECT bali_lower(NULL)")) is None
    await database.close()


@pytest.mark.postgres
async def test_own_settings_of_a_server_leave_the_time_zone_as_it_is(postgres_url: str) -> None:
    own = {"server_settings": {"application_name": "shop"}}
    database = Database(postgres_url, connect_args=own)
    async with database.unit():
        session = database.session
        assert await session.scalar(text("SHOW timezone")) == "UTC"
        assert await session.scalar(text("SHOW application_name")) == "shop"
    await database.close()
    assert own == {"server_settings": {"application_name": "shop"}}


async def test_an_old_sqlite_has_one_connection_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bali.database.engines._MEMDB_VERSION", (99, 0, 0))
    database = Database("sqlite://")
    async with database.unit():
        await database.session.execute(text("CREATE TABLE t (n INTEGER)"))
    async with database.unit():
        assert await database.session.scalar(text("SELECT count(*) FROM t")) == 0
    await database.close()


async def test_a_full_disk_is_a_limit(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")

    async def fill() -> None:
        async with database.unit():
            await database.session.execute(text("CREATE TABLE t (n TEXT)"))
            await database.session.execute(text("PRAGMA max_page_count = 5"))
            await database.session.execute(text("INSERT INTO t VALUES (zeroblob(1000000))"))

    with pytest.raises(ResourceExhausted):
        await fill()
    await database.close()


async def test_many_write_to_one_file(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    async with database.unit():
        await database.session.execute(text("CREATE TABLE counts (n INTEGER)"))
        await database.session.execute(text("INSERT INTO counts VALUES (0)"))

    async def add() -> None:
        async with database.transaction(), database.transaction() as session:
            n = await session.scalar(text("SELECT n FROM counts"))
            await session.execute(text("UPDATE counts SET n = :n"), {"n": n + 1})

    await asyncio.gather(*(add() for _ in range(20)))
    async with database.unit():
        assert await database.session.scalar(text("SELECT n FROM counts")) == 20
    await database.close()


async def test_options_go_before_ours(tmp_path: Path) -> None:
    database = Database()
    database.connect(
        f"sqlite:///{tmp_path / 'x.sqlite3'}", pool_size=3, connect_args={"timeout": 1}
    )
    assert getattr(database.engine.pool, "size", int)() == 3
    await database.ping()
    await database.close()


@pytest.mark.mariadb
async def test_mariadb_sees_what_others_have_stored(mariadb_url: str) -> None:
    database = Database(mariadb_url)
    async with database.unit():
        assert await database.session.scalar(text("SELECT @@tx_isolation")) == "READ-COMMITTED"
        assert await database.session.scalar(text("SELECT @@time_zone")) == "+00:00"
        modes = await database.session.scalar(text("SELECT @@sql_mode"))
        assert "STRICT_ALL_TABLES" in modes
    await database.close()
