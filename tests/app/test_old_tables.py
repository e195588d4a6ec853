"""A model changes, and the tables of yesterday are still there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from bali.app.old_tables import warn_of_old_tables
from bali.concurrency import run_blocking
from bali.database import Database


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path}/things.sqlite3"
    if request.param != "sqlite":
        url = request.getfixturevalue(f"{request.param}_url")
    made = Database(url)
    base: Any = made.BaseModel

    class Thing(base):  # type: ignore[misc]  # a base made at run time
        __tablename__ = "old_things"
        name: Mapped[str | None]
        age: Mapped[int] = mapped_column("years")

    run_blocking(made.create_all_async())
    yield made
    run_blocking(change(made, "DROP TABLE old_things"))
    run_blocking(made.close())


async def change(database: Database, *statements: str) -> None:
    async with database.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


def test_tables_that_are_as_the_models_are_not_named(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    run_blocking(warn_of_old_tables(database))
    assert caplog.text == ""


def test_columns_that_differ_are_named_with_what_to_do(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    statements = [
        "ALTER TABLE old_things DROP COLUMN years",
        "ALTER TABLE old_things ADD COLUMN needed INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE old_things ADD COLUMN optional INTEGER",
        "ALTER TABLE old_things ALTER COLUMN needed DROP DEFAULT",
    ]
    if database.url.drivername.startswith("sqlite"):  # it adds none that has to be filled
        columns = "id, created_time, updated_time, is_active, name, needed NOT NULL, optional"
        statements = ["DROP TABLE old_things", f"CREATE TABLE old_things ({columns})"]
    run_blocking(change(database, *statements))
    run_blocking(warn_of_old_tables(database))
    assert "old_things.years is missing" in caplog.text
    assert "old_things.needed is in the database alone, and may not be null" in caplog.text
    assert "optional" not in caplog.text
    assert "Drop them (or the file)" in caplog.text


def test_no_table_at_all_is_nothing_to_say(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    empty = Database(f"sqlite:///{tmp_path}/empty.sqlite3")
    base: Any = empty.BaseModel

    class Thing(base):  # type: ignore[misc]  # a base made at run time
        name: Mapped[str]

    async def look() -> None:
        await warn_of_old_tables(empty)
        await empty.close()

    asyncio.run(look())
    assert caplog.text == ""
