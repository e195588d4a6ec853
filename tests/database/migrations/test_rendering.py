"""What a revision has besides plain columns: the types of native enums, and dropped tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Enum
from sqlalchemy.orm import Mapped, mapped_column

from bali.concurrency import run_blocking
from bali.database import Database
from bali.database.migrations import Migrations

LABELS = ("it's", "a: b", ":name", "50 %", 'a "b"')


def with_moods(url: str, *tables: str) -> Any:
    """Return a database with tables that share a native enum of difficult labels."""
    database: Any = Database(url)

    def mood() -> Any:
        return mapped_column(Enum(*LABELS, name="mood"))

    database.models = {}  # the registry itself does not keep them
    for table in tables:
        annotations = {"id": Mapped[int], "mood": Mapped[str]}
        columns = {"id": mapped_column(primary_key=True), "mood": mood()}
        database.models[table] = type(database.Model)(
            table, (database.Model,), {"__annotations__": annotations, "__module__": "x", **columns}
        )
    return database


def test_an_enum_lives_as_long_as_a_column_has_it(url: str, tmp_path: Path) -> None:
    steps: tuple[list[str], ...] = (["one"], ["one", "two"], ["two"], [])
    made: list[Migrations] = []
    for tables in steps:
        database = with_moods(url, *tables)
        migrations = Migrations(database, tmp_path / "migrations")
        if not made:
            migrations.init()
        assert migrations.migrate("step") is not None
        assert len(migrations.upgrade()) == 1
        assert migrations.differences() == []
        for table in tables:
            for label in LABELS:
                stored = database.models[table].io.create(mood=label)
                assert database.models[table].io.get(stored.id).mood == label
        run_blocking(database.close())
        made.append(migrations)
    last = made[-1]
    assert len(last.downgrade("base")) == len(steps)
    assert len(last.upgrade()) == len(steps)
    assert last.differences() == []
