"""The words of a filter become values of the field's type, or are refused with their column."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import pytest

from bali.resources.filter import Comparison, FilterError
from tests.resources.filter.reading import Size, condition

UTC = datetime.UTC
KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flag = true", True),
        ("flag = false", False),
        ("whole = 12", 12),
        ("whole = -12", -12),
        ("whole = 2.0", 2),
        ("whole = 1e3", 1000),
        ("whole = 9223372036854775807", 2**63 - 1),
        ("real = 2.5", 2.5),
        ("real = -2.997e9", -2.997e9),
        ("real = 1E-3", 0.001),
        ("price = 1.10", decimal.Decimal("1.10")),
        (
            "price = 12345678901234567890.123456789",
            decimal.Decimal("12345678901234567890.123456789"),
        ),
        ("label = 12", "12"),
        ("label = true", "true"),
        ('label = "a b"', "a b"),
        ("moment = 2026-01-31T08:00:00Z", datetime.datetime(2026, 1, 31, 8, tzinfo=UTC)),
        (
            'moment = "2026-01-31t08:00:00.25+01:00"',
            datetime.datetime(2026, 1, 31, 7, 0, 0, 250_000, UTC),
        ),
        ("moment = 2026-01-31T08:00", datetime.datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("moment = 2026-01-31", datetime.datetime(2026, 1, 31, tzinfo=UTC)),
        ("day = 2024-02-29", datetime.date(2024, 2, 29)),
        ('clock = "23:59:59.999999"', datetime.time(23, 59, 59, 999_999)),
        ("span = 20s", datetime.timedelta(seconds=20)),
        ("span = -1.5s", datetime.timedelta(seconds=-1.5)),
        ("span = 0.000001s", datetime.timedelta(microseconds=1)),
        ("span = P1DT2H", datetime.timedelta(days=1, hours=2)),
        ("span = -P1D", datetime.timedelta(days=-1)),
        (f"key = {KEY}", uuid.UUID(KEY)),
        (f'key = "{KEY.upper()}"', uuid.UUID(KEY)),
        ("size = small", Size.SMALL),
        ('size = "large"', Size.LARGE),
        ("size = LARGE", Size.LARGE),
        ("mood = good", "good"),
    ],
)
def test_values(text: str, expected: Any) -> None:
    found = condition(text)
    assert isinstance(found, Comparison)
    assert (found.value, type(found.value)) == (expected, type(expected))


@pytest.mark.parametrize(
    "text",
    [
        "flag = 1",
        "flag = True",
        'flag = "true"',
        "whole = x",
        'whole = "1"',
        "whole = 1.5",
        "whole = 1e",
        "whole = 0x10",
        "whole = 1_000",
        "whole = \u0661",
        "whole = 9223372036854775809",
        "whole = 1e400",
        "whole = 1e9999999999",
        "real = nan",
        "real = inf",
        "real = 1e999",
        "price = NaN",
        "price = 1e401",
        "moment = yesterday",
        "moment = 1700000000",
        "moment = 2026-02-30",
        "moment = 2026-01-31T25:00:00Z",
        "moment = 0001-01-01T00:00:00+01:00",
        "moment = 9999-12-31T23:59:59-01:00",
        "day = 2026-01-31T00:00:00Z",
        "day = 2023-02-29",
        'clock = "25:00:00"',
        'clock = "08:00:00Z"',
        "span = 20",
        "span = 1e3s",
        "span = 0.0000001s",
        "span = 315576000001s",
        "span = P1X",
        "span = P999999999D",
        "key = 12",
        "key = 0f8fad5b-d9cb-469f-a165-7086772895zz",
        "size = medium",
        "size = Small",
        "mood = ugly",
    ],
)
def test_what_is_no_value_of_the_type(text: str) -> None:
    with pytest.raises(FilterError) as caught:
        condition(text)
    assert caught.value.column == text.index("=") + 3
