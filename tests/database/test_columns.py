from __future__ import annotations

import decimal

import pytest
from pydantic import TypeAdapter
from sqlalchemy import DECIMAL, Column, MetaData, String, Table
from sqlalchemy.types import TypeDecorator

from bali.database.columns import annotation_of, columns_of, integer_range, is_sortable, python_type
from tests.database.catalog import Author, Book, Sample


def test_columns_have_the_names_of_attributes() -> None:
    assert "isbn" in columns_of(Book)
    assert columns_of(Book)["isbn"].name == "isbn_code"
    assert "author" not in columns_of(Book)
    assert columns_of(Author) is columns_of(Author)


@pytest.mark.parametrize(("name", "bits"), [("small", 16), ("whole", 32), ("big", 64)])
def test_integers_have_their_range(name: str, bits: int) -> None:
    assert integer_range(columns_of(Sample)[name]) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def test_what_can_be_sorted() -> None:
    unsortable = [name for name, column in columns_of(Sample).items() if not is_sortable(column)]
    assert unsortable == ["raw", "data"]


class Reversed(TypeDecorator[str]):
    """A type that does not say what its values are."""

    impl = String
    cache_ok = True


def test_types_of_others_are_looked_into() -> None:
    table = Table("other", MetaData(), Column("text", Reversed(5)), Column("sum", DECIMAL(4, 1)))
    assert python_type(table.columns["text"]) is str
    annotation = annotation_of(table.columns["sum"], where="X")
    assert str(TypeAdapter(annotation).validate_python("1")) == "1.0"
    free: Column[decimal.Decimal] = Column("free", DECIMAL())
    assert annotation_of(free, where="X") is decimal.Decimal


def test_plain_types_stay_as_they_are() -> None:
    columns = columns_of(Sample)
    found = {name: annotation_of(columns[name], where="X") for name in ("flag", "real", "day")}
    assert {name: kind.__name__ for name, kind in found.items()} == {
        "flag": "bool",
        "real": "float",
        "day": "date",
    }
