from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from bali.database.expressions import folded_match, literal_pattern, text_match
from tests.database.catalog import Author


@pytest.mark.parametrize(
    ("dialect", "sensitive", "folded"),
    [
        (sqlite.dialect(), "catalog_authors.name GLOB ?", "bali_lower(catalog_authors.name) LIKE"),
        (
            postgresql.dialect(paramstyle="named"),
            "catalog_authors.name LIKE :",
            "lower(catalog_authors.name) LIKE lower(:",
        ),
        (mysql.dialect(), "catalog_authors.name LIKE %s ESCAPE '/'", "lower(catalog_authors.name)"),
    ],
)
def test_each_database_has_its_form(dialect: object, sensitive: str, folded: str) -> None:
    for condition, wanted in (
        (text_match(Author.name, "a%"), sensitive),
        (folded_match(Author.name, "a%"), folded),
    ):
        statement = select(Author.id).where(condition).compile(dialect=dialect)  # type: ignore[arg-type]
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
