"""Statements that go to the driver as they are."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import Integer, String, bindparam, event, insert, select, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Mapped, mapped_column

from bali import Database, Unavailable, model_to_schema
from bali.database.direct import NotDirectError
from bali.resources import ListQuery

POSTGRES = pytest.param("postgresql", marks=pytest.mark.postgres)

db = Database()


class Direct(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """A row."""

    __tablename__ = "direct_rows"

    name: Mapped[str] = mapped_column(String(40), unique=True)
    moment: Mapped[datetime.datetime | None]


table: Any = Direct.__table__
by_name = select(table.c.name, table.c.moment).where(
    table.c.name == bindparam("name", type_=String(40))
)


@pytest.fixture
async def rows(url: str) -> AsyncIterator[None]:
    db.connect(url, pool_size=2, max_overflow=0)
    await db.create_all()
    yield
    await db.drop_all()
    await db.close()


def values(name: str) -> dict[str, Any]:
    """Return a row to add."""
    now = datetime.datetime.now(datetime.UTC)
    return {"name": name, "created_time": now, "updated_time": now, "is_active": True}


add_row = (
    insert(table).values({name: bindparam(name) for name in values("")}).returning(table.c.name)
)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("backend", ["sqlite", "memory", POSTGRES])
async def test_rows_have_the_values_that_the_types_say() -> None:
    moment = datetime.datetime(
        2026, 1, 2, 3, 4, 5, 6, datetime.timezone(datetime.timedelta(hours=2))
    )
    await Direct.aio.create(name="a", moment=moment)
    await Direct.aio.create(name="b")
    assert [list(row) for row in await db.direct.fetch(by_name, {"name": "a"})] == [["a", moment]]
    [[_, found]] = await db.direct.fetch(by_name, {"name": "a"})
    assert found.tzinfo is datetime.UTC
    assert [list(row) for row in await db.direct.fetch(by_name, {"name": "b"})] == [["b", None]]
    assert not list(await db.direct.fetch(by_name, {"name": "c"}))


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("backend", [pytest.param("mariadb", marks=pytest.mark.mariadb)])
async def test_a_driver_without_a_short_way_is_reached_through_sqlalchemy() -> None:
    with pytest.raises(NotDirectError) as caught:
        await db.direct.fetch(by_name, {"name": "a"})
    assert caught.value.is_harmless


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("backend", ["sqlite", "memory", POSTGRES])
async def test_a_change_is_stored_when_it_returns() -> None:
    assert [list(row) for row in await db.direct.fetch(add_row, values("new"))] == [["new"]]
    other = Database(str(db.url.render_as_string(hide_password=False)))
    async with other.unit() as unit:
        found = await unit.session.scalar(text("SELECT count(*) FROM direct_rows"))
    assert found == 1
    await other.close()


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("backend", ["sqlite", "memory", POSTGRES])
async def test_what_the_database_refuses_has_changed_nothing() -> None:
    await db.direct.fetch(add_row, values("once"))
    for _ in range(4):  # more than there are connections: each is given back
        with pytest.raises(NotDirectError) as caught:
            await db.direct.fetch(add_row, values("once"))
        assert caught.value.is_harmless
    assert len(await db.direct.fetch(by_name, {"name": "once"})) == 1


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("backend", ["sqlite", "memory", POSTGRES])
async def test_a_value_that_cannot_be_sent_has_changed_nothing() -> None:
    for _ in range(4):
        with pytest.raises(NotDirectError) as caught:
            await db.direct.fetch(add_row, {**values("x"), "name": object()})
        assert caught.value.is_harmless
    assert not list(await db.direct.fetch(by_name, {"name": "x"}))


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("backend", [POSTGRES])
async def test_a_change_whose_outcome_nobody_knows_is_not_made_twice() -> None:
    slow = (
        insert(table)
        .from_select(
            list(values("")),
            select(*(bindparam(name, value, type_=table.c[name].type).label(name)
                     for name, value in values("slow").items())).where(
                text("pg_sleep(30) IS NOT NULL")
            ),
        )
        .returning(table.c.name)
    )  # fmt: skip
    task = asyncio.create_task(db.direct.fetch(slow, {}))
    await _sleepers(1)
    async with db.engine.connect() as other:
        await other.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND query LIKE '%pg_sleep(30)%'"
            )
        )
    with pytest.raises(NotDirectError) as caught:
        await task
    assert not caught.value.is_harmless


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("name", ["before_cursor_execute", "after_execute"])
async def test_who_listens_to_the_engine_hears_every_statement(name: str) -> None:
    heard: list[Any] = []

    def note(*arguments: Any) -> None:
        heard.append(arguments)

    engine = db.engine.sync_engine
    event.listen(engine, name, note)
    try:
        with pytest.raises(NotDirectError) as caught:
            await db.direct.fetch(by_name, {"name": "a"})
        assert caught.value.is_harmless
        store = Direct.__store__
        plan = store.read_plan(model_to_schema(Direct))
        await plan.list(store, ListQuery(page_size=5))
    finally:
        event.remove(engine, name, note)
    assert len(heard) == 1


@pytest.mark.usefixtures("rows")
async def test_who_looks_at_the_pool_sees_connections_come_and_go() -> None:
    seen: list[str] = []
    pool = db.engine.sync_engine.pool

    def note(*_: Any) -> None:
        seen.append("out")

    event.listen(pool, "checkout", note)
    with pytest.raises(NotDirectError):
        await db.direct.fetch(by_name, {"name": "a"})
    assert not seen
    event.remove(pool, "checkout", note)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("backend", ["sqlite", "memory", POSTGRES])
async def test_statements_wait_for_a_connection() -> None:
    many = [db.direct.fetch(by_name, {"name": str(n)}) for n in range(20)]
    assert await asyncio.gather(*many) == [[]] * 20


@pytest.mark.parametrize("backend", ["sqlite", POSTGRES])
async def test_connections_beyond_the_pool_are_closed_when_they_come_back(
    rows: None, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await db.close()
    db.connect(url, pool_size=2, max_overflow=6)
    many = [db.direct.fetch(by_name, {"name": str(n)}) for n in range(8)]
    assert await asyncio.gather(*many) == [[]] * 8
    pool: Any = db.engine.sync_engine.pool
    await asyncio.gather(*pool._closing)
    assert (pool.checkedin(), pool.checkedout(), pool.overflow()) == (2, 0, 0)
    assert not caplog.records


@pytest.mark.parametrize("backend", ["sqlite", POSTGRES])
async def test_to_close_a_database_waits_for_the_connections_beyond_the_pool(
    rows: None, url: str
) -> None:
    await db.close()
    db.connect(url, pool_size=1, max_overflow=6)
    before = asyncio.all_tasks()
    many = [db.direct.fetch(by_name, {"name": str(n)}) for n in range(7)]
    assert await asyncio.gather(*many) == [[]] * 7
    pool: Any = db.engine.sync_engine.pool
    assert pool._closing
    await db.close()
    assert not pool._closing
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("backend", ["sqlite", "memory", POSTGRES])
async def test_statements_wait_for_a_connection_not_for_ever(rows: None, url: str) -> None:
    await db.close()
    db.connect(url, pool_size=2, max_overflow=0, pool_timeout=0.1)
    await db.create_all()
    async with db.engine.connect(), db.engine.connect():
        with pytest.raises(PoolTimeoutError):
            await db.direct.fetch(by_name, {"name": "a"})
        store = Direct.__store__
        plan = store.read_plan(model_to_schema(Direct))
        with pytest.raises(Unavailable) as caught:
            await plan.get(store, 1)
        assert caught.value.reason == "POOL_EXHAUSTED"
    assert not list(await db.direct.fetch(by_name, {"name": "a"}))


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("backend", [POSTGRES])
async def test_a_connection_that_was_cut_is_replaced() -> None:
    await db.direct.fetch(by_name, {"name": "a"})
    engine = db.new_engine()
    async with engine.connect() as other:
        await other.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND query LIKE '%direct_rows%'"
            )
        )
    await engine.dispose()
    store = Direct.__store__
    plan = store.read_plan(model_to_schema(Direct))
    for _ in range(3):
        assert not (await plan.list(store, ListQuery(page_size=5))).items
    assert not list(await db.direct.fetch(by_name, {"name": "a"}))


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("backend", [POSTGRES])
async def test_one_who_leaves_gives_no_busy_connection_back() -> None:
    slow = select(bindparam("x", type_=Integer)).where(text("pg_sleep(30) IS NOT NULL"))
    for _ in range(3):
        task = asyncio.create_task(db.direct.fetch(slow, {"x": 1}))
        await _sleepers(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _sleepers(0)
    assert db.engine.sync_engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of a queue


async def _sleepers(wanted: int) -> None:
    """Return when this many statements sleep."""
    found = -1
    while found != wanted:
        await asyncio.sleep(0.01)
        async with db.engine.connect() as connection:
            found = await connection.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND state = 'active' "
                    "AND query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()"
                )
            )


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("backend", [POSTGRES])
async def test_a_table_that_changed_meanwhile_is_read_anew() -> None:
    await db.direct.fetch(by_name, {"name": "a"})
    async with db.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE direct_rows ALTER COLUMN name TYPE text"))
    await db.direct.fetch(add_row, values("a"))
    assert [row[0] for row in await db.direct.fetch(by_name, {"name": "a"})] == ["a"]


async def test_sqlite_is_asked_in_one_errand(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.connect(f"sqlite:///{tmp_path}/one.sqlite3")
    await db.create_all()
    await db.direct.fetch(by_name, {"name": "a"})
    errands: list[Any] = []
    execute: Any = aiosqlite.Connection._execute

    async def counted(self: Any, function: Any, *args: Any, **options: Any) -> Any:
        errands.append(function)
        return await execute(self, function, *args, **options)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    await db.direct.fetch(by_name, {"name": "a"})
    assert len(errands) == 1
    await db.direct.fetch(add_row, values("a"))
    assert len(errands) == 2
    await db.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "one.sqlite3")) as plain:
        assert plain.execute("SELECT count(*) FROM direct_rows").fetchone() == (1,)
