from __future__ import annotations

import datetime
import decimal
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select

from bali.database import Database, get_filters_expr
from bali.database.filters import OPERATORS, filter_types
from bali.errors import ConfigurationError
from tests.database.catalog import Author, Sample, Size

UTC = datetime.UTC

LABELS = [
    "Ann",
    "ann",
    "ANN",
    "Anna",
    "b_b",
    "bxb",
    "100%",
    "1000",
    "Ünal",
    "ünal",
    "a*[?]",
    "\\",
    "",
]


async def labels(**filters: Any) -> set[Any]:
    return {item.label for item in await Sample.aio.filter(**filters)}


@pytest.fixture
async def named(catalog: Database) -> Database:
    async with catalog.unit():
        for label in LABELS:
            await Sample.aio.create(label=label)
        await Sample.aio.create()
    return catalog


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"label": "ann"}, {"ann"}),
        ({"label__exact": "ann"}, {"ann"}),
        ({"label": None}, {None}),
        ({"label__ne": "ann"}, set(LABELS) - {"ann"}),
        ({"label__ne": None}, set(LABELS)),
        ({"label__in": ["ann", "Ann", "nobody"]}, {"ann", "Ann"}),
        ({"label__in": []}, set()),
        ({"label__notin": ["ann", "Ann"]}, set(LABELS) - {"ann", "Ann"}),
        ({"label__notin": []}, set(LABELS)),
        ({"label__like": "%nn"}, {"Ann", "ann"}),
        ({"label__like": "b_b"}, {"b_b", "bxb"}),
        ({"label__like": r"b\_b"}, {"b_b"}),
        ({"label__like": "a*[?]"}, {"a*[?]"}),
        ({"label__like": "\\"}, {"\\"}),
        ({"label__like": r"\\"}, {"\\"}),
        ({"label__like": ""}, {""}),
        ({"label__ilike": "%NN"}, {"Ann", "ann", "ANN"}),
        ({"label__ilike": "ÜNAL"}, {"Ünal", "ünal"}),
        ({"label__startswith": "An"}, {"Ann", "Anna"}),
        ({"label__startswith": "b_"}, {"b_b"}),
        ({"label__istartswith": "an"}, {"Ann", "ann", "ANN", "Anna"}),
        ({"label__istartswith": "B_"}, {"b_b"}),
        ({"label__endswith": "nn"}, {"Ann", "ann"}),
        ({"label__endswith": "%"}, {"100%"}),
        ({"label__iendswith": "nN"}, {"Ann", "ann", "ANN"}),
        ({"label__contains": "nn"}, {"Ann", "ann", "Anna"}),
        ({"label__contains": "0%"}, {"100%"}),
        ({"label__contains": "*["}, {"a*[?]"}),
        ({"label__contains": "\\"}, {"\\"}),
        ({"label__contains": "/"}, set()),
        ({"label__isnull": True}, {None}),
        ({"label__isnull": False}, set(LABELS)),
        ({"label__startswith": "A", "label__endswith": "n"}, {"Ann"}),
    ],
)
async def test_text_operators(named: Database, filters: dict[str, Any], expected: set[Any]) -> None:
    assert await labels(**filters) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"whole": 2}, [2]),
        ({"whole__ne": 2}, [1, 3]),
        ({"whole__gt": 2}, [3]),
        ({"whole__gte": 2}, [2, 3]),
        ({"whole__lt": 2}, [1]),
        ({"whole__lte": 2}, [1, 2]),
        ({"whole__in": [1, 3]}, [1, 3]),
        ({"whole__notin": [1, 3]}, [2]),
        ({"whole__between": [2, 3]}, [2, 3]),
        ({"whole__gt": None}, []),
    ],
)
async def test_number_operators(
    catalog: Database, filters: dict[str, Any], expected: list[int]
) -> None:
    for number in (1, 2, 3, None):
        await Sample.aio.create(whole=number)
    found = await Sample.aio.filter(**filters, order_by="whole")
    assert [item.whole for item in found] == expected


async def test_parts_of_dates_are_those_of_utc(catalog: Database) -> None:
    east = datetime.timezone(datetime.timedelta(hours=3))
    new_year = datetime.datetime(2026, 1, 1, 1, tzinfo=east)  # 2025-12-31 22:00 in UTC
    await Sample.aio.create(moment=new_year, day=datetime.date(2024, 2, 29))
    await Sample.aio.create(
        moment=datetime.datetime(2026, 6, 15, tzinfo=UTC), day=datetime.date(9999, 12, 31)
    )
    await Sample.aio.create()
    assert await Sample.aio.count(moment__year=2025) == 1
    assert await Sample.aio.count(moment__year=2026) == 1
    assert await Sample.aio.count(moment__month=12, moment__day=31) == 1
    assert await Sample.aio.count(moment__day=15) == 1
    assert await Sample.aio.count(day__year=2024, day__month=2, day__day=29) == 1
    assert await Sample.aio.count(day__year=9999) == 1
    assert await Sample.aio.count(day__year=0) == 0
    assert await Sample.aio.count(day__year=10_000) == 0


async def test_an_enum_is_found_by_its_member(catalog: Database) -> None:
    await Sample.aio.create(size=Size.SMALL, native=Size.LARGE, mood="good", flag=True)
    assert await Sample.aio.count(size=Size.SMALL, native__in=[Size.LARGE], mood="good") == 1
    assert await Sample.aio.count(size__ne=Size.SMALL) == 0
    assert await Sample.aio.count(flag=True) == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
    part=st.text(alphabet="ab%_*?[]\\/'^-", max_size=3),
)
def test_text_is_searched_literally(tmp_path: Any, text: str, part: str) -> None:
    database = Sample.__database__
    database.connect("sqlite://")
    try:
        database.create_all()
        label = f"{text}{part}a"
        Sample.io.create(label=label)
        assert Sample.io.exists(label__contains=part)
        assert Sample.io.exists(label__startswith=text)
        assert Sample.io.exists(label__endswith=f"{part}a")
        assert Sample.io.exists(label__iendswith=f"{part}A")
        assert Sample.io.exists(label=label)
        assert not Sample.io.exists(label__contains=f"{label}b")
    finally:
        database.drop_all()


def test_values_never_become_sql() -> None:
    for operator in OPERATORS:
        value: Any = "'; drop table x; --"
        if operator in ("in", "notin", "between"):
            value = [value, value]
        if operator in ("year", "month", "day"):
            continue
        conditions = get_filters_expr(Author, **{f"name__{operator}": value})
        assert "drop table" not in str(select(Author).where(*conditions))


def test_annotations_follow_the_columns() -> None:
    names = ["name", "age__gte", "age__between", "name__in", "name__isnull", "born__year", "born"]
    types = filter_types(Author, names, where="X")
    assert list(types) == names
    assert types["name"] is str
    assert types["name__in"] == list[str]
    assert types["name__isnull"] is bool
    assert types["born__year"] is int
    age = TypeAdapter(types["age__gte"])
    assert age.validate_python(32767) == 32767
    with pytest.raises(ValidationError):
        age.validate_python(32768)
    between = TypeAdapter(types["age__between"])
    assert between.validate_python([1, 2]) == [1, 2]
    for wrong in ([1], [1, 2, 3], [1, 99_999]):
        with pytest.raises(ValidationError):
            between.validate_python(wrong)
    born = TypeAdapter(types["born"]).validate_python("2026-01-01T00:00:00")
    assert born == datetime.datetime(2026, 1, 1, tzinfo=UTC)


def test_a_decimal_filter_has_the_column_s_limits() -> None:
    price = TypeAdapter(filter_types(Sample, ["price__gte"], where="X")["price__gte"])
    assert price.validate_python("1.5") == decimal.Decimal("1.500")
    with pytest.raises(ValidationError):
        price.validate_python("1.5555")


def test_choices_are_kept() -> None:
    types = filter_types(Sample, ["mood", "size__in"], where="X")
    assert set(get_args(types["mood"])) == {"good", "bad"}
    assert types["size__in"] == list[Size]


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (["nobody"], ["X: Author has no column 'nobody'", "name"]),
        (["nobody__gte"], ["no column 'nobody'"]),
        (["name__near"], ["no operator 'near'", "istartswith"]),
        (["name__year"], ["'year' is for dates and times only"]),
        (["age__contains"], ["'contains' is for text only"]),
        (["is_active__gt"], ["'gt' is for numbers, text, dates and times only"]),
        ("name", ["must be a list"]),
        (["books"], ["no column 'books'"]),
        (["id__id__gte"], ["no column 'id__id'"]),
    ],
)
def test_senseless_filters_are_refused_at_start(declared: Any, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        filter_types(Author, declared, where="X")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "name", ["data", "data__gte", "mood__gt", "size__lt", "key__between", "raw__gte"]
)
def test_types_without_an_order_or_a_value_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        filter_types(Sample, [name], where="X")
    assert filter_types(Sample, ["data__isnull"], where="X") == {"data__isnull": bool}


def test_an_unknown_name_is_refused_by_the_manager() -> None:
    with pytest.raises(ConfigurationError, match="no column 'nobody'"):
        get_filters_expr(Author, nobody=1)


@pytest.mark.parametrize("declared", ["name", 7, [7]])
def test_declared_filters_are_a_list_of_names(declared: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^here: .* must be a list of names"):
        filter_types(Author, declared, where="here")
