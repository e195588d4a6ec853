"""A filter asked about one item: true or false, never unknown."""

from __future__ import annotations

import datetime

import pytest

from bali.resources.filter import matches
from tests.resources.filter.reading import Item, Size, condition

ITEM = Item(
    whole=3,
    label="Hello, World",
    size=Size.LARGE,
    moment=datetime.datetime(2026, 1, 31),  # noqa: DTZ001 - one without a zone is in UTC
)
EMPTY = Item()


@pytest.mark.parametrize(
    ("text", "fits_item", "fits_empty"),
    [
        ("", True, True),
        ("whole = 3", True, False),
        ("whole != 3", False, False),
        ("NOT whole = 3", False, True),
        ("NOT whole != 3", True, True),
        ("whole > 2 whole < 4", True, False),
        ("-whole > 2", False, True),
        ("whole = null", False, True),
        ("whole:*", True, False),
        ("NOT whole:*", False, True),
        ("label:WORLD", True, False),
        ("label:lo*wor", True, False),
        ("label = Hello*", True, False),
        ("label = hello*", False, False),
        ("label = *World", True, False),
        ("label = H*o*W*d", True, False),
        ("label = H*d*d", False, False),
        ('label = "Hello, World*Hello, World"', False, False),
        ("label = *", True, False),
        ("label != *", False, False),
        ("label != H*", False, False),
        ("label != x*", True, False),
        ("hello", True, False),
        ("hello world", True, False),
        ("-hello", False, True),
        ("size = large", True, False),
        ("moment = 2026-01-31T00:00:00Z", True, False),
        ("moment < 2026-01-31T01:00:00+01:00", False, False),
        ("older_than(2)", True, False),
        ("NOT older_than(2)", False, True),
        ("whole = most(1, 3, 2)", True, False),
        ("whole = nothing()", False, False),
        ("NOT whole = nothing()", True, True),
        ("whole = (1 OR 3)", True, False),
        ("whole = (1 AND 3)", False, False),
        ("whole > 1 AND size = small OR size = large", True, False),
    ],
)
def test_matches(text: str, fits_item: bool, fits_empty: bool) -> None:
    asked = condition(text)
    assert (matches(asked, ITEM), matches(asked, EMPTY)) == (fits_item, fits_empty)
    assert (matches(asked, dict(ITEM)), matches(asked, {})) == (fits_item, fits_empty)
