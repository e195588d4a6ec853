"""A filter finds in every database what plain Python finds, and its text is never part of SQL."""

from __future__ import annotations

import datetime
import decimal
import functools
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import String, Uuid, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from bali.database import Database
from bali.database.aip_filter import filter_condition, filterable
from bali.errors import InvalidArgument
from bali.resources import ListQuery
from bali.resources.filter import FilterError, condition_of, filter_fields, matches
from bali.schemas import Describer
from tests.database.catalog import Sample, Size

UTC = datetime.UTC
KEYS = [uuid.UUID(int=number) for number in (1, 2**100)]


def larger(number: int) -> Any:
    return Sample.whole > number


def doubled(number: int) -> int:
    return 2 * number


FIELDS = filter_fields(
    {name: (name, annotation) for name, annotation in filterable(Sample).items()},
    {"larger": larger, "doubled": doubled, "always": lambda: True, "nothing": lambda: None},
    describer=Describer(),
    where="here",
)
PARTS = ["a", "A", "b", "%", "_", "*", "?", "[", "]", "\\", "'", '"', "/", "^", " ", "ab"]
LABELS = ["", *PARTS, "a%b", "a_b", "axb", "a*b", "a?b", "[a]", "a\\b", "A B", "aab", "%%", "ab/"]


def rows() -> list[dict[str, Any]]:
    """Return one row without any value, and some with values that filters mention too."""
    found: list[dict[str, Any]] = [{}]
    for number, label in enumerate(LABELS):
        found.append(
            {
                "flag": number % 2 == 0,
                "small": number,
                "whole": number - 5 if number % 3 else None,
                "big": number * 10**15,
                "real": number / 2,
                "label": label,
                "note": "abcdefg"[: number % 8] if number % 5 else None,
                "price": decimal.Decimal(number) / 8,
                "huge": decimal.Decimal(number) * 10**17 + decimal.Decimal("0.25"),
                "moment": datetime.datetime(2026, 1, 1 + number % 4, 12, tzinfo=UTC),
                "day": datetime.date(2026, 1, 1 + number % 4),
                "clock": datetime.time(number % 4, 30),
                "span": datetime.timedelta(seconds=number % 4) - datetime.timedelta(seconds=1),
                "key": KEYS[number % 2],
                "size": list(Size)[number % 2],
                "native": list(Size)[number % 2],
                "mood": ("good", "bad")[number % 2],
                "raw": b"x" if number % 2 else None,
                "data": {"a": 1} if number % 2 else None,
            }
        )
    return found


def quoted(text: str) -> str:
    return '"' + "".join(f"\\{char}" if char in '\\*"' else char for char in text) + '"'


def pattern(parts: list[str]) -> str:
    return '"' + "*".join(quoted(part)[1:-1] for part in parts) + '"'


def compared(names: list[str], operators: list[str], values: list[str]) -> Any:
    return st.builds(
        "{} {} {}".format,
        st.sampled_from(names),
        st.sampled_from(operators),
        st.sampled_from([*values, "null"]) if operators[0] == "=" else st.sampled_from(values),
    )


EQUAL, ORDER = ["=", "!="], ["<", "<=", ">", ">="]
NUMBERS = ["-3", "0", "2", "5", "7.0", "1e1"]
LEAVES = st.one_of(
    *(
        compared(names, operators, values)
        for operators in (EQUAL, ORDER)
        for names, values in (
            (["small", "whole", "big"], NUMBERS),
            (["real", "price"], [*NUMBERS, "0.5", "1.125"]),
            (["huge"], ["300000000000000000.25", "0.25", "1"]),
            (["note"], ["abc", '"ab"', "b", '""']),
            (["moment"], ["2026-01-02T12:00:00Z", "2026-01-02T13:00:00+01:00", "2026-01-03"]),
            (["day"], ["2026-01-02", '"2026-01-03"']),
            (["clock"], ['"01:30:00"', '"02:00"']),
            (["span"], ["0s", "1s", "-1s", "1.5s", "PT1S"]),
        )
    ),
    compared(["flag"], EQUAL, ["true", "false"]),
    compared(["key"], EQUAL, [str(key) for key in KEYS]),
    compared(["size", "native"], EQUAL, ["small", "large", "LARGE"]),
    compared(["mood"], EQUAL, ["good", "bad"]),
    compared(["label"], [*EQUAL, ":"], [quoted(label) for label in LABELS]),
    st.builds(
        "label {} {}".format,
        st.sampled_from([*EQUAL, ":"]),
        st.lists(st.sampled_from(["", *PARTS]), min_size=2, max_size=4).map(pattern),
    ),
    st.sampled_from([quoted(part) for part in PARTS]),
    st.sampled_from([f"{name}:*" for name in FIELDS.fields]),
    st.sampled_from([f"{name} = null" for name in FIELDS.fields]),
    st.sampled_from(
        ["larger(3)", "always()", "whole = doubled(2)", "whole != nothing()", "note < nothing()"]
    ),
    st.sampled_from(["whole = (1 OR -2)", "note = (a* AND *b)", "size = (small OR large)"]),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("NOT ({})".format, inner),
        st.builds("-({})".format, inner),
        st.builds("({}) AND ({})".format, inner, inner),
        st.builds("({}) OR ({})".format, inner, inner),
        st.builds("({}) ({})".format, inner, inner),
    ),
    max_leaves=6,
)


def larger_item(number: int) -> Any:
    """Return what `larger(3)` finds, in plain Python."""
    return lambda item: item["whole"] is not None and item["whole"] > number


PLAIN = filter_fields(
    {name: (name, annotation) for name, annotation in filterable(Sample).items()},
    {**{name: known.function for name, known in FIELDS.functions.items()}, "larger": larger_item},
    describer=Describer(),
    where="here",
)


@pytest.fixture
async def stored(catalog: Database) -> list[dict[str, Any]]:
    """The rows of the table, as they are read back."""
    async with catalog.unit():
        for values in rows():
            await Sample.aio.create(**values)
    names = list(filterable(Sample))
    return [
        {name: getattr(item, name) for name in names}
        for item in await Sample.aio.filter(order_by="id")
    ]


def query(text: str, **options: Any) -> ListQuery:
    condition = condition_of(text, FIELDS)
    return ListQuery(page_size=1000, filter=text, condition=condition, **options)


async def found_by(text: str) -> list[int]:
    """Return the keys that a filter finds: through the ORM, and through a read plan."""
    store = Sample.__store__
    page = await store.list(query(text, with_total=True))
    assert page.total == len(page.items)
    plan = store.read_plan(store.schema())
    assert plan is not None
    keys = [item.id for item in page.items]
    assert [item.id for item in (await plan.list(store, query(text))).items] == keys
    return keys


@settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(texts=st.lists(FILTERS, min_size=1, max_size=3))
async def test_every_database_finds_what_python_finds(
    stored: list[dict[str, Any]], texts: list[str]
) -> None:
    for text in texts:
        condition = condition_of(text, PLAIN)
        expected = [row["id"] for row in stored if matches(condition, row)]
        assert await found_by(text) == expected, text


async def test_a_missing_value_makes_a_comparison_false_and_its_negation_true(
    stored: list[dict[str, Any]],
) -> None:
    empty = [row["id"] for row in stored if row["whole"] is None]
    rest = [row["id"] for row in stored if row["whole"] is not None]
    assert await found_by("whole > -1000") == rest
    assert await found_by("NOT whole > -1000") == empty
    assert await found_by("whole != 1000") == rest
    assert await found_by("NOT whole != 1000") == empty
    assert await found_by("NOT whole = 1000") == sorted(empty + rest)
    assert await found_by("NOT larger(-1000)") == empty
    assert await found_by("NOT (whole > -1000 AND always())") == empty


async def test_a_token_is_bound_to_the_filter(stored: list[dict[str, Any]]) -> None:
    store = Sample.__store__
    plan = store.read_plan(store.schema())
    assert plan is not None
    assert len(stored) > 3
    for read in (store.list, functools.partial(plan.list, store)):
        text = "whole > 0 OR label:*"
        condition = condition_of(text, FIELDS)
        first = await read(ListQuery(page_size=2, filter=text, condition=condition))
        token = first.next_page_token
        second = await store.list(
            ListQuery(page_size=2, filter=text, condition=condition, page_token=token)
        )
        assert [item.id for item in (*first.items, *second.items)] == (await found_by(text))[:4]
        for other in ("whole > 1", ""):
            asked = query(other, page_token=token)
            with pytest.raises(InvalidArgument) as caught:
                await store.list(asked)
            assert caught.value.reason == "PAGE_TOKEN_MISMATCH"


@pytest.mark.usefixtures("catalog")
async def test_the_most_that_a_filter_may_say_is_run() -> None:
    many = " OR ".join(["-a"] * 100)
    deep = "NOT (" * 32 + "note:a" + ")" * 32
    wild = "label = " + "a*" * 10
    for text in (many, deep, wild, f"label = ({' OR '.join(['x*y'] * 99)})", "a " * 100):
        assert await found_by(text) == []


MARK = "zq7x"
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@given(text=texts, form=st.sampled_from(["label = {}", "label != {}", "label:{}", "{}", "-{}"]))
def test_no_text_of_a_caller_is_part_of_a_statement(text: str, form: str) -> None:
    value = f'"{MARK}{text}*{MARK}"'
    try:
        condition = condition_of(form.format(value), FIELDS)
    except FilterError:
        return
    statement = select(Sample.id).where(*filter_condition(Sample, condition))
    databases: list[Any] = [sqlite, postgresql, mysql]
    for database in databases:
        compiled = statement.compile(dialect=database.dialect())
        assert MARK not in str(compiled)
        assert any(MARK in str(value) for value in compiled.params.values())


def test_an_empty_filter_adds_nothing() -> None:
    assert filter_condition(Sample, condition_of("  ", FIELDS)) == ()


class Words(TypeDecorator[list[str]]):
    """A type of its author's own."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: list[str] | None, dialect: Any) -> Any:
        del dialect
        return None if value is None else " ".join(value)


class Odd(Database().Model):  # type: ignore[misc]  # made at run time
    """Columns whose values no filter can hold."""

    __tablename__ = "aip_odd"

    id: Mapped[int] = mapped_column(primary_key=True)
    words: Mapped[Any] = mapped_column(Words(50))
    key: Mapped[str] = mapped_column(Uuid(as_uuid=False))


def test_what_only_its_author_can_compare_is_asked_for_presence_alone() -> None:
    found = filterable(Odd)
    assert (found["words"], found["key"]) == (Any, Any)
    fields = filter_fields(
        {name: (name, kind) for name, kind in found.items()}, {}, describer=Describer(), where=""
    )
    for text in ("words = a", "key = a", "words:a"):
        with pytest.raises(FilterError, match="cannot be written in a filter"):
            condition_of(text, fields)
    assert matches(condition_of("words:*", fields), {"words": ["a"]})
