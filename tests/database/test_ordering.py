from __future__ import annotations

from typing import Any

import pytest

from bali.database import Database
from bali.database.ordering import ordering_of
from bali.errors import ValidationFailed
from tests.database.catalog import Author, Pair, Sample


def shown(order_by: str, model: Any = Author) -> list[tuple[str, bool]]:
    return [(term.name, term.is_descending) for term in ordering_of(model, order_by)]


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        ("", [("id", False)]),
        ("name", [("name", False), ("id", False)]),
        ("-name", [("name", True), ("id", False)]),
        ("age desc, name", [("age", True), ("name", False), ("id", False)]),
        ("age DESC,name ASC", [("age", True), ("name", False), ("id", False)]),
        (" age , ", [("age", False), ("id", False)]),
        ("id desc", [("id", True)]),
    ],
)
def test_an_ordering_is_total(order_by: str, expected: list[tuple[str, bool]]) -> None:
    assert shown(order_by) == expected


def test_a_key_of_two_columns_is_used_whole() -> None:
    assert shown("right desc", Pair) == [("right", True), ("left", False)]


@pytest.mark.parametrize(
    "order_by",
    [
        "nobody",
        "books",
        "name desc desc",
        "-name desc",
        "name; drop table x",
        "name, name",
        "name, -name",
        "1",
        "metadata",
        "older",
        "x" * 500,
        "catalog_authors.name",
        "name nulls first",
    ],
)
def test_what_is_no_column_is_refused(order_by: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        ordering_of(Author, order_by)
    (error,) = caught.value.field_errors
    assert (error.field, error.reason) == ("order_by", "ORDER_BY")
    assert len(error.description) < 400


@pytest.mark.parametrize("name", ["data", "raw"])
def test_what_cannot_be_sorted_is_refused(name: str) -> None:
    with pytest.raises(ValidationFailed):
        ordering_of(Sample, name)


def test_too_many_fields_are_refused() -> None:
    names = "flag,small,whole,big,real,label,note,price,huge,free,moment"
    with pytest.raises(ValidationFailed, match="wrong"):
        ordering_of(Sample, names)


async def test_no_value_is_larger_than_every_value(catalog: Database) -> None:
    for number in (2, None, 1, None):
        await Sample.aio.create(whole=number)
    rising = [item.whole for item in await Sample.aio.filter(order_by="whole")]
    falling = [item.whole for item in await Sample.aio.filter(order_by="-whole")]
    assert rising == [1, 2, None, None]
    assert falling == [None, None, 2, 1]
