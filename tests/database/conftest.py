"""The catalog's database, on every kind of server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bali.database import Database
from tests.database.catalog import db

BACKENDS = [
    "sqlite",
    "memory",
    pytest.param("postgresql", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database that a test runs on."""
    name: str = request.param
    return name


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database of this kind."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'catalog.sqlite3'}"
    if backend == "memory":
        return "sqlite://"
    name = {"postgresql": "postgres_url", "mariadb": "mariadb_url"}[backend]
    found: str = request.getfixturevalue(name)
    return found


@pytest.fixture
async def catalog(url: str) -> AsyncIterator[Database]:
    """The catalog's database with empty tables."""
    db.connect(url)
    await db.create_all()
    yield db
    async with db.engine.begin() as connection:
        for table in reversed(db.metadata.sorted_tables):
            await connection.execute(table.delete())
    await db.close()
