"""Deleted items go for good when their time has passed, and no sooner."""

from __future__ import annotations

import asyncio
import datetime

import pytest
from sqlalchemy import String, update
from sqlalchemy.orm import Mapped, mapped_column

from bali import Database, SoftDelete
from bali.app.housekeeping import housekeeping

_NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def database(request: pytest.FixtureRequest) -> Database:
    name = request.param
    return Database("sqlite://" if name == "sqlite" else request.getfixturevalue(f"{name}_url"))


async def test_what_is_due_is_removed(database: Database) -> None:
    class Leaf(SoftDelete, database.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        __tablename__ = "purged_leaves"
        name: Mapped[str] = mapped_column(String(20))

    await database.drop_all_async()
    await database.create_all_async()
    leaves = [await Leaf.aio.create(name=name) for name in ("due", "deleted", "there")]
    for leaf in leaves[:2]:
        await Leaf.__store__.delete(leaf.id)
    past = update(Leaf).where(Leaf.name == "due").values(purge_time=_NOW)
    await database.run(lambda session: session.execute(past), writes=True)

    assert database.keeps_deleted
    async with housekeeping([database], pause_seconds=0.01):
        async with asyncio.timeout(30):
            while await Leaf.aio.count() == len(leaves):  # noqa: ASYNC110 - a database tells nobody
                await asyncio.sleep(0.01)
    assert [leaf.name for leaf in await Leaf.aio.filter()] == ["deleted", "there"]
    assert await database.purge_deleted() == 0
    await database.drop_all_async()
    await database.close()


async def test_a_database_without_such_models_is_left_alone() -> None:
    database = Database("sqlite:////no/such/folder/x.sqlite3")
    assert not database.keeps_deleted
    async with housekeeping([database], pause_seconds=0.0):
        await asyncio.sleep(0)


async def test_what_goes_wrong_is_logged_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    database = Database("sqlite://")

    class Lost(SoftDelete, database.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        __tablename__ = "purged_lost"

    async with housekeeping([database], pause_seconds=0.01):
        async with asyncio.timeout(30):
            while len(caplog.records) < 2:  # noqa: ASYNC110 - a log tells nobody
                await asyncio.sleep(0.01)
    assert Lost.__tablename__ in str(caplog.records[0].exc_info)
    await database.close()
