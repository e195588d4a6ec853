from __future__ import annotations

import asyncio
import datetime
import decimal
import math
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bali.database import Database, Duration, ExactNumeric, UTCDateTime
from bali.errors import ValidationFailed
from tests.database.catalog import Sample, Size

UTC = datetime.UTC
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))

VALUES: list[tuple[str, Any]] = [
    ("flag", True),
    ("flag", False),
    ("small", -(2**15)),
    ("whole", 2**31 - 1),
    ("big", -(2**63)),
    ("big", 2**63 - 1),
    ("real", 0.1),
    ("real", 1.7976931348623157e308),
    ("real", 5e-324),
    ("label", "Ünïcödé 🐘 'quoted' \\ % _"),
    ("label", "trailing  "),
    ("note", "x" * 200_000),
    ("raw", b"\x00\xff" * 50_000),
    ("price", decimal.Decimal("9999999.999")),
    ("price", decimal.Decimal("-0.001")),
    ("huge", decimal.Decimal("-12345678901234567890.0123456789")),
    ("free", decimal.Decimal("12345678901234567890.123456789012345")),
    ("moment", datetime.datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)),
    ("moment", datetime.datetime(1, 1, 1, tzinfo=UTC)),
    ("moment", datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ("day", datetime.date(2024, 2, 29)),
    ("clock", datetime.time(23, 59, 59, 999_999)),
    ("span", datetime.timedelta(days=-400, seconds=5, microseconds=7)),
    ("span", datetime.timedelta(days=3_650_000, microseconds=999_999)),
    ("key", uuid.UUID("12345678-9abc-def0-8234-56789abcdef0")),
    ("size", Size.LARGE),
    ("native", Size.SMALL),
    ("mood", "bad"),
    ("data", {"a": [1, 2.5, None, "ü🐘"], "b": {"c": True}}),
]


async def stored(**values: Any) -> Any:
    """Store values and read them from the database again."""
    made = await Sample.aio.create(**values)
    return await Sample.aio.first_or_error(id=made.id)


@pytest.mark.parametrize(("name", "value"), VALUES)
async def test_every_type_comes_back_as_it_was(catalog: Database, name: str, value: Any) -> None:
    again = getattr(await stored(**{name: value}), name)
    assert again == value
    assert isinstance(again, type(value))


@pytest.mark.parametrize(("name", "value"), VALUES)
async def test_every_type_can_be_filtered_by(catalog: Database, name: str, value: Any) -> None:
    await Sample.aio.create()
    made = await Sample.aio.create(**{name: value})
    if name == "data":
        found = await Sample.aio.filter(data__isnull=False)
    else:
        found = await Sample.aio.filter(**{name: value})
    assert [item.id for item in found] == [made.id]


async def test_null_is_null_in_every_column(catalog: Database) -> None:
    names = {name for name, _ in VALUES}
    again = await stored(**dict.fromkeys(names))
    assert [getattr(again, name) for name in names] == [None] * len(names)
    assert await Sample.aio.count(data__isnull=True) == 1


async def test_a_naive_moment_is_utc_from_the_start(catalog: Database) -> None:
    naive = datetime.datetime(2026, 5, 6, 7, 8, 9)  # noqa: DTZ001 - that is the case
    made = Sample(moment=naive)
    assert made.moment == naive.replace(tzinfo=UTC)
    await made.aio.save()
    assert (await Sample.aio.first_or_error(id=made.id)).moment == naive.replace(tzinfo=UTC)
    assert await Sample.aio.count(moment=naive) == 1


async def test_a_moment_of_another_zone_is_the_same_moment(catalog: Database) -> None:
    there = datetime.datetime(2026, 1, 1, 2, tzinfo=EAST)
    again = (await stored(moment=there)).moment
    assert again == there
    assert again.utcoffset() == datetime.timedelta(0)
    assert await Sample.aio.count(moment__gte=there, moment__lte=there) == 1


async def test_an_item_holds_the_value_that_is_stored(catalog: Database) -> None:
    made = await Sample.aio.create(price="1.5", free="2.500", huge=3)
    again = await Sample.aio.first_or_error(id=made.id)
    assert (made.price, made.free, made.huge) == (again.price, again.free, again.huge)
    assert (str(made.price), str(made.free)) == ("1.500", "2.5")
    assert str(again.price) == "1.500"
    assert str(again.free) == "2.5"


async def test_decimals_sort_and_compare_as_numbers(catalog: Database) -> None:
    numbers = ["-10", "-9.5", "-0.001", "0", "0.001", "2", "9.5", "10", "100"]
    for name in ("price", "huge", "free"):
        await Sample.aio.query().count()
        for number in reversed(numbers):
            await Sample.aio.create(**{name: decimal.Decimal(number)})
        found = await Sample.aio.filter(**{f"{name}__isnull": False}, order_by=name)
        assert [getattr(item, name) for item in found] == [decimal.Decimal(n) for n in numbers]
        between = await Sample.aio.count(**{f"{name}__between": ["-9.5", "9.5"]})
        assert between == 6
        # Finer than the column: compared, not rounded.
        fine = decimal.Decimal("9.50000000000000000000000000000001")
        assert await Sample.aio.count(**{f"{name}__gt": fine}) == 2
        assert await Sample.aio.count(**{name: fine}) == 0
        assert await Sample.aio.count(**{f"{name}__lt": decimal.Decimal(10) ** 40}) == 9
        assert await Sample.aio.count(**{f"{name}__gt": -(decimal.Decimal(10) ** 40)}) == 9


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("price", decimal.Decimal(10_000_000)),
        ("price", decimal.Decimal("NaN")),
        ("price", "no number"),
        ("huge", decimal.Decimal(10) ** 25),
        ("free", decimal.Decimal("Infinity")),
        ("big", 2**63),
        ("size", "unknown"),
    ],
)
async def test_what_a_column_cannot_hold_is_refused(
    catalog: Database, name: str, value: Any
) -> None:
    with pytest.raises(ValidationFailed):
        await Sample.aio.create(**{name: value})
    assert await Sample.aio.count() == 0


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize(
    ("name", "value"), [("small", 2**15), ("whole", 2**31), ("label", "x" * 51)]
)
async def test_servers_keep_the_limits_that_sqlite_does_not_know(
    catalog: Database, name: str, value: Any
) -> None:
    with pytest.raises(ValidationFailed):
        await Sample.aio.create(**{name: value})


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    real=st.floats(allow_nan=False, allow_infinity=False),
    price=st.decimals(-9_999_999, 9_999_999, places=3),
    huge=st.decimals(-(10**19), 10**19, places=10),
    moment=st.datetimes(timezones=st.just(EAST), min_value=datetime.datetime(2, 1, 1)),  # noqa: DTZ001 - hypothesis wants it
    span=st.timedeltas(datetime.timedelta(days=-3_000_000), datetime.timedelta(days=3_000_000)),
    clock=st.times(),
)
def test_any_value_comes_back(url: str, **values: Any) -> None:
    async def check() -> None:
        database = Sample.__database__
        database.connect(url)
        await database.create_all()
        try:
            again = await stored(**values)
            for name, value in values.items():
                assert getattr(again, name) == value, name
            assert math.copysign(1, again.real) == math.copysign(1, values["real"]) or (
                values["real"] == 0
            )
        finally:
            await database.drop_all()
            await database.close()

    asyncio.run(check())


def test_a_free_decimal_keeps_no_zeros() -> None:
    kind = ExactNumeric()
    assert str(kind.coerce(decimal.Decimal("1.500"))) == "1.5"
    assert str(kind.coerce("1E+3")) == "1000"
    assert str(kind.coerce(0.1)) == "0.1"


def test_python_types_are_told() -> None:
    assert Duration().python_type is datetime.timedelta
    assert UTCDateTime().python_type is datetime.datetime
    assert ExactNumeric(5, 2).python_type is decimal.Decimal


async def test_json_holds_what_records_hold(catalog: Database) -> None:
    del catalog
    item = {
        "day": datetime.date(2024, 2, 29), "money": decimal.Decimal("1.50"), "size": Size.LARGE,
        "key": uuid.UUID(int=7), "moment": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    }  # fmt: skip
    again = (await stored(data=item)).data
    assert again == {
        "day": "2024-02-29", "money": "1.50", "size": Size.LARGE.value, "key": str(item["key"]),
        "moment": "2026-01-02T00:00:00Z",
    }  # fmt: skip
