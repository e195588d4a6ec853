from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect

from bali.database.expressions import folded_match, literal_pattern, text_match
from tests.database.catalog import Author

SQLITE: Dialect = sqlite.dialect()
POSTGRES: Dialect = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's
MYSQL: Dialect = mysql.dialect()


@pytest.mark.parametrize(
    ("dialect", "sensitive", "folded"),
    [
        (SQLITE, "catalog_authors.name GLOB ?", "bali_lower(catalog_authors.name) LIKE"),
        (
            POSTGRES,
            "catalog_authors.name LIKE $1",
            "lower(catalog_authors.name) LIKE lower($1",
        ),
        (MYSQL, "catalog_authors.name LIKE %s ESCAPE '/'", "lower(catalog_authors.name)"),
    ],
)
def test_each_database_has_its_form(dialect: Dialect, sensitive: str, folded: str) -> None:
    for condition, wanted in (
        (text_match(Author.name, "a%"), sensitive),
        (folded_match(Author.name, "a%"), folded),
    ):
        statement = select(Author.id).where(condition).compile(dialect=dialect)
        assert wanted in str(statement)
        assert "a%" not in str(statement)


@pytest.mark.parametrize("text", ["a", "%", "_", "\\", "100% \\_ x", ""])
def test_a_literal_pattern_escapes_what_has_a_meaning(text: str) -> None:
    pattern = literal_pattern(text)
    assert pattern.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\") == text


def test_statements_are_compiled_once_for_all_values() -> None:
    one, two = (
        select(Author).where(text_match(Author.name, pattern))._generate_cache_key()
        for pattern in ("a%", "b%")
    )
    assert one is not None
    assert two is not None
    assert one.key == two.key
