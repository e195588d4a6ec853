"""Migrations of every type of column, on every kind of server, with rows that have to survive."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bali.concurrency import run_blocking
from bali.database import Database
from bali.database.migrations import Migrations
from tests.database.catalog import Author, Book, Device, Sample, Size, db

SAMPLE: dict[str, Any] = {
    "flag": True, "small": -7, "whole": 2**31 - 1, "big": 2**62, "real": 0.1,
    "label": "größe ", "note": "a" * 70_000, "raw": b"\x00\xff", "price": decimal.Decimal("1.234"),
    "huge": decimal.Decimal("12345678901234567890.0123456789"), "free": decimal.Decimal("1.5"),
    "moment": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC),
    "day": datetime.date(2026, 1, 2), "clock": datetime.time(3, 4, 5, 678901),
    "span": datetime.timedelta(days=3, microseconds=1), "key": uuid.UUID(int=5),
    "size": Size.SMALL, "native": Size.LARGE, "mood": "good", "data": {"a": [1, None]},
}  # fmt: skip
BACKENDS = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalog.sqlite3'}"
    name = {"postgresql": "postgres_url", "mariadb": "mariadb_url"}[request.param]
    found: str = request.getfixturevalue(name)
    return found


@pytest.fixture
def catalog(url: str, tmp_path: Path) -> Iterator[Migrations]:
    """The migrations of the catalog, on an empty database."""
    db.connect(url)
    run_blocking(_empty(db))
    yield Migrations(db, tmp_path / "migrations")
    run_blocking(_empty(db))
    run_blocking(db.close())


async def _empty(database: Database) -> None:
    await database.drop_all_async()
    async with database.engine.begin() as connection:
        await connection.execute(text("DROP TABLE IF EXISTS alembic_version"))


def test_every_type_goes_up_and_down_and_up_again(catalog: Migrations) -> None:
    catalog.init()
    first = catalog.migrate("every table")
    assert first is not None
    assert catalog.upgrade() == [first.stem]
    assert catalog.differences() == []
    made = Sample.io.create(**SAMPLE)
    assert {name: getattr(Sample.io.get(made.id), name) for name in SAMPLE} == SAMPLE
    author = Author.io.create(name="Ann")
    assert Book.io.create(author_id=author.id, title="A").isbn == "none"
    assert Device.io.create().double == 14
    assert catalog.migrate("nothing") is None
    assert catalog.downgrade("base") == [first.stem]
    assert catalog.upgrade() == [first.stem]
    assert catalog.differences() == []
    assert Sample.io.count() == 0
