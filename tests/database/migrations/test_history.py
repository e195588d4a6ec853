"""Migrations on every kind of server, with rows that have to survive."""

from __future__ import annotations

import datetime
import decimal
import enum
import logging
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Enum, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from bali.concurrency import run_blocking
from bali.database import Database
from bali.database.migrations import Migrations
from bali.errors import ConfigurationError
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


class Color(enum.Enum):
    """Of a shelf."""

    RED = "red"
    BLUE = "it's blue: really"


@pytest.fixture
def catalog(url: str, tmp_path: Path) -> Iterator[Migrations]:
    """The migrations of the catalog, on an empty database."""
    db.connect(url)
    migrations = Migrations(db, tmp_path / "migrations")
    migrations.init()
    yield migrations
    run_blocking(db.close())


def first_version(url: str) -> Any:
    """Return the database of a small service."""
    database: Any = Database(url)

    class Shelf(database.Model):  # type: ignore[misc]  # made at run time
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(20))
        former: Mapped[int | None]

    class Item(database.Model):  # type: ignore[misc]  # made at run time
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id", ondelete="CASCADE"))

    database.Shelf, database.Item = Shelf, Item
    return database


def second_version(url: str) -> Any:
    """Return it with a table more, and with columns that are new, changed and gone."""
    database: Any = Database(url)

    class Shelf(database.Model):  # type: ignore[misc]  # made at run time
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50), unique=True)
        weight: Mapped[int] = mapped_column(server_default="7")
        color: Mapped[Color | None] = mapped_column(Enum(Color, name="shelf color"))
        twin: Mapped[Color | None] = mapped_column(Enum(Color, name="shelf color"))

    class Item(database.Model):  # type: ignore[misc]  # made at run time
        id: Mapped[int] = mapped_column(primary_key=True)
        shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id", ondelete="CASCADE"))
        price: Mapped[decimal.Decimal | None] = mapped_column(index=True)

    class Label(database.Model):  # type: ignore[misc]  # made at run time
        id: Mapped[int] = mapped_column(primary_key=True)
        color: Mapped[Color] = mapped_column(Enum(Color, name="shelf color"))

    database.Shelf, database.Item, database.Label = Shelf, Item, Label
    return database


def test_every_type_goes_up_and_down_and_up_again(catalog: Migrations) -> None:
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


def test_rows_survive_changes_of_their_tables(url: str, tmp_path: Path) -> None:
    former, later = first_version(url), second_version(url)
    old = Migrations(former, tmp_path / "migrations")
    old.init()
    old.migrate("tables")
    old.upgrade()
    shelf = former.Shelf.io.create(name="left", former=3)
    former.Item.io.create(shelf_id=shelf.id)
    new = Migrations(later, tmp_path / "migrations")
    assert new.differences() != []
    second = new.migrate("more")
    assert second is not None
    for _ in range(2):
        assert new.upgrade() == [second.stem]
        assert new.differences() == []
        found = later.Shelf.io.get(shelf.id)
        assert (found.name, found.weight, found.color) == ("left", 7, None)
        found.color = found.twin = Color.BLUE
        found.io.save()
        label = later.Label.io.create(color=Color.BLUE)
        assert later.Label.io.get(label.id).color is Color.BLUE
        assert later.Item.io.count() == 1
        run_blocking(later.close())  # else PostgreSQL's driver stumbles over what it has prepared
        assert new.downgrade("-1") == [second.stem]
        assert former.Shelf.io.get(shelf.id).name == "left"
        assert former.Item.io.count() == 1
        run_blocking(former.close())


def test_differences_are_named_in_words(url: str, tmp_path: Path) -> None:
    former, later = first_version(url), second_version(url)
    old = Migrations(former, tmp_path / "migrations")
    old.init()
    old.migrate("tables")
    assert old.differences() == [f"revision {next(_revisions(tmp_path)).stem} is not applied"]
    old.upgrade()
    found = set(Migrations(later, tmp_path / "migrations").differences())
    assert {
        "table label is missing",
        "column shelf.weight is missing",
        "column shelf.color is missing",
        "column shelf.former is in the database alone",
        "column item.price is missing",
    } <= found
    assert any(line.startswith("column shelf.name: type is ") for line in found)
    assert any(line.startswith("constraint uq_shelf_name of shelf (name)") for line in found)
    assert any(line == "index ix_item_price of item (price) is missing" for line in found)


def test_sql_for_an_empty_database_makes_the_same_tables(catalog: Migrations, url: str) -> None:
    if url.startswith("mysql"):  # which of the two is at that address is known when connected alone
        db.connect(url.replace("mysql:", "mariadb:"))
    catalog.migrate("tables")
    script = catalog.upgrade_sql()
    run_blocking(_execute(db, [part for part in script.split(";\n") if part.strip()]))
    assert catalog.differences() == []
    assert catalog.upgrade() == []


def test_two_upgrades_at_once_run_each_revision_once(url: str, tmp_path: Path) -> None:
    database = first_version(url)
    Migrations(database, tmp_path / "migrations").init()
    Migrations(database, tmp_path / "migrations").migrate("tables")

    def upgrade(_: int) -> int:
        return len(Migrations(Database(url), tmp_path / "migrations").upgrade())

    if url.startswith("sqlite"):  # a pod has no database in a file beside another's
        upgrade(0)
    with ThreadPoolExecutor(2) as pool:
        applied = sum(pool.map(upgrade, range(2)))
    assert applied == (0 if url.startswith("sqlite") else 1)


def test_tables_that_no_migration_has_made_are_taken_over_by_a_stamp(catalog: Migrations) -> None:
    db.create_all()
    made = catalog.migrate("tables")
    assert made is not None
    assert "op.create_table('catalog_samples'" in made.read_text()
    with pytest.raises(ConfigurationError, match="tables that no migration has made: catalog_au"):
        catalog.upgrade()
    catalog.stamp()
    assert catalog.upgrade() == []
    assert catalog.differences() == []


def test_a_revision_that_fails_leaves_nothing_behind(url: str, tmp_path: Path) -> None:
    if url.startswith("mysql"):
        pytest.skip("MariaDB commits each change of a table by itself")
    database = first_version(url)
    migrations = Migrations(database, tmp_path / "migrations")
    migrations.init()
    migrations.migrate("tables")
    migrations.upgrade()
    wrong = migrations.migrate("wrong", empty=True)
    assert wrong is not None
    _write(
        wrong,
        "op.add_column('shelf', sa.Column('x', sa.Integer()))",
        "op.execute('SELECT nothing')",
    )
    with pytest.raises(ConfigurationError) as raised:
        migrations.upgrade()
    line = next(i for i, text in enumerate(wrong.read_text().splitlines(), 1) if "nothing'" in text)
    assert str(raised.value).startswith(f"{wrong}:{line}: ")
    assert "nothing" in str(raised.value)
    _write(wrong, "pass")
    assert migrations.upgrade() == [wrong.stem]
    assert migrations.differences() == []


def test_sqlite_refuses_a_step_that_breaks_references(tmp_path: Path) -> None:
    database = first_version(f"sqlite:///{tmp_path / 'test.sqlite3'}")
    migrations = Migrations(database, tmp_path / "migrations")
    migrations.init()
    migrations.migrate("tables")
    migrations.upgrade()
    shelf = database.Shelf.io.create(name="a")
    database.Item.io.create(shelf_id=shelf.id)
    wrong = migrations.migrate("wrong", empty=True)
    assert wrong is not None
    _write(wrong, "op.execute('DELETE FROM shelf')")
    with pytest.raises(ConfigurationError, match="a row of 'item' would refer to a row of 'shelf'"):
        migrations.upgrade()
    assert database.Shelf.io.count() == 1
    assert not migrations.revisions()[0].is_applied


def _write(path: Path, *lines: str) -> None:
    """Put lines into `upgrade()` in the place of `pass`, or of what was put there before."""
    head, marker, rest = path.read_text().partition('"""Go to this revision."""\n')
    tail = rest[rest.index("\n\n\ndef downgrade") :]
    path.write_text(head + marker + "\n".join(f"    {line}" for line in lines) + tail)


def _revisions(folder: Path) -> Iterator[Path]:
    yield from sorted((folder / "migrations" / "versions").glob("*.py"))


async def _execute(database: Database, statements: list[str]) -> None:
    async with database.engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


def test_more_steps_than_there_are_is_told_in_our_words(catalog: Migrations) -> None:
    with pytest.raises(ConfigurationError, match="no 9 revisions to go that way"):
        catalog.downgrade("-9")
    with pytest.raises(ConfigurationError, match="no 9 revisions to go that way"):
        catalog.upgrade("+9")


def test_alembic_does_not_tell_of_its_own_parts() -> None:
    assert not logging.getLogger("alembic.runtime.migration").isEnabledFor(logging.INFO)
