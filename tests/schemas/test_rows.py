"""Rows become the bytes of the objects that they stand for."""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import json
import uuid
from typing import Annotated, Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    computed_field,
    create_model,
)

from bali.schemas import describe
from bali.schemas.payload import encoder_for
from bali.schemas.rows import Rows, page_encoder


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Item(BaseModel):
    """An item with every kind of value."""

    text: str
    number: int | None = Field(default=None, alias="theNumber")
    moment: datetime.datetime | None = None
    day: datetime.date | None = None
    money: decimal.Decimal | None = None
    size: Size | None = None
    key: uuid.UUID | None = None
    raw: bytes | None = None
    data: Any = None

    model_config = ConfigDict(populate_by_name=True)


NAMES = tuple(Item.model_fields)
moments = st.datetimes(timezones=st.just(datetime.UTC))
rows = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8")),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | moments,
        st.none() | st.dates(),
        st.none() | st.decimals(allow_nan=False, allow_infinity=False),
        st.none() | st.sampled_from(Size),
        st.none() | st.uuids(),
        st.none() | st.binary(),
        st.none() | st.integers(0, 9) | st.lists(st.booleans()),
    ),
    max_size=5,
)


def page_of(item: Any) -> type[BaseModel]:
    """Return the model of a page."""
    return create_model(
        "Page", items=(list[item], ...), next_page_token=(str, ""), total=(int | None, None)
    )


def make(item: type[BaseModel]) -> Any:
    """Return what makes an item of a row."""
    return lambda row: item(**dict(zip(item.model_fields, row, strict=True)))


@given(rows)
def test_json_is_that_of_the_objects(found: list[Any]) -> None:
    page = page_of(Item)
    record = describe(page)
    encode, encode_page = encoder_for(record, page), page_encoder(record, page)
    assert encode is not None
    assert encode_page is not None
    items = Rows(found, NAMES, make(Item))
    objects = page.model_construct(items=list(items), next_page_token='a"b', total=None)
    lazy = page.model_construct(items=items, next_page_token='a"b', total=None)
    assert encode_page(lazy) == encode(objects)
    assert encode_page(objects) == encode(objects)


class Colour(enum.StrEnum):
    RED = "red"
    ODD = 'a"\n\u2028'


class Grade(enum.IntEnum):
    BEST = 1
    WORST = 6


class Plain(BaseModel):
    """An item with every kind of value that is written without pydantic."""

    number: int = Field(alias="theNumber")
    text: Annotated[str, AfterValidator(str.strip), BeforeValidator(str), Field(max_length=9)]
    yes: bool = True
    moment: datetime.datetime
    day: datetime.date
    money: decimal.Decimal
    key: uuid.UUID
    size: Size
    colour: Colour | None = None
    grade: Grade


#: Zones of whole minutes, as since 1972 all are.
minutes = st.integers(-1439, 1439).map(
    lambda count: datetime.timezone(datetime.timedelta(minutes=count))
)
plain_rows = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.text(st.characters(codec="utf-8")),
        st.booleans(),
        moments | st.datetimes(timezones=minutes),
        st.dates(),
        st.decimals(allow_nan=False, allow_infinity=False),
        st.uuids(),
        st.sampled_from(Size),
        st.none() | st.sampled_from(Colour),
        st.sampled_from(Grade),
    ),
    max_size=5,
)


@given(plain_rows)
def test_plain_values_are_written_as_pydantic_does(found: list[Any]) -> None:
    page = page_of(Plain)
    record = describe(page)
    encode, encode_page = encoder_for(record, page), page_encoder(record, page)
    assert encode is not None
    assert encode_page is not None
    names = tuple(Plain.model_fields)

    def made(row: Any) -> Plain:
        return Plain.model_construct(**dict(zip(names, row, strict=True)))

    items = Rows(found, names, made, are_exact=True)
    objects = page.model_construct(items=[made(row) for row in found], total=2)
    with patch.object(Rows, "dicts", None):  # nobody makes dicts of them
        text = encode_page(page.model_construct(items=items, total=2))
    assert text == encode(objects)


class Slug(str):
    """Text of somebody's own."""

    __slots__ = ()


class Renamed(enum.Enum):
    """An enum that shows other values than it has."""

    SMALL = "s"

    @property
    def value(self) -> str:
        return f"{self._value_}mall"


def test_values_of_other_classes_are_written_as_those_of_objects() -> None:
    class Short(BaseModel):
        number: int
        text: str
        clock: datetime.time

    page = page_of(Short)
    record = describe(page)
    encode, encode_page = encoder_for(record, page), page_encoder(record, page)
    assert encode is not None
    assert encode_page is not None
    zone = datetime.timezone(datetime.timedelta(seconds=1172))
    row = (True, Slug("a"), datetime.time(5, tzinfo=zone))
    names = tuple(Short.model_fields)

    def made(row: Any) -> Short:
        return Short.model_construct(**dict(zip(names, row, strict=True)))

    objects = page.model_construct(items=[made(row)], total=None)
    assert encode_page(page.model_construct(items=Rows([row], names, made), total=None)) == encode(
        objects
    )


def test_an_enum_that_shows_other_values_is_asked() -> None:
    class Short(BaseModel):
        size: Renamed

    page = page_of(Short)
    encode = page_encoder(describe(page), page)
    assert encode is not None
    rows = Rows([(Renamed.SMALL,)], ("size",), make(Short), are_exact=True)
    assert json.loads(encode(page.model_construct(items=rows)))["items"] == [{"size": "small"}]


def test_a_row_of_another_length_is_an_error() -> None:
    class Short(BaseModel):
        number: int
        text: str

    page = page_of(Short)
    encode = page_encoder(describe(page), page)
    assert encode is not None
    for row in ((1,), (1, "a", 2)):
        for are_exact, error in ((True, TypeError), (False, ValueError)):
            items = Rows([row], ("number", "text"), make(Short), are_exact=are_exact)
            with pytest.raises(error):
                encode(page.model_construct(items=items, total=None))


def test_a_model_that_says_how_values_are_written_is_heard() -> None:
    class Short(BaseModel):
        share: float

        model_config = ConfigDict(ser_json_inf_nan="strings")

    page = page_of(Short)
    encode = page_encoder(describe(page), page)
    assert encode is not None
    items = Rows([(float("inf"),)], ("share",), make(Short))
    assert json.loads(encode(page.model_construct(items=items)))["items"] == [{"share": "Infinity"}]


def test_bytes_are_base64() -> None:
    page = page_of(Item)
    encode = page_encoder(describe(page), page)
    assert encode is not None
    row = ("", None, None, None, None, None, None, b"\x00\xff", None)
    made = page.model_construct(items=Rows([row], NAMES, make(Item)), next_page_token="", total=3)
    found = json.loads(encode(made))
    assert found["items"][0]["raw"] == base64.b64encode(b"\x00\xff").decode()
    assert found["items"][0]["theNumber"] is None
    assert (found["next_page_token"], found["total"]) == ("", 3)


def test_an_unusual_model_is_written_by_its_objects() -> None:
    class Doubled(BaseModel):
        number: Annotated[int, PlainSerializer(lambda value: value * 2)]

        @computed_field  # type: ignore[prop-decorator]  # of pydantic
        @property
        def half(self) -> float:
            return self.number / 2

    page = page_of(Doubled)
    encode = page_encoder(describe(page), page)
    assert encode is not None
    made = page.model_construct(
        items=Rows([(4,)], ("number",), make(Doubled)), next_page_token="", total=None
    )
    assert json.loads(encode(made))["items"] == [{"number": 8, "half": 2.0}]


def test_whoever_looks_sees_objects() -> None:
    items: Any = Rows([("a",), ("b",)], ("text",), lambda row: Item(text=row[0]))
    assert len(items) == 2
    assert items[1] == Item(text="b")
    assert items[:1] == [Item(text="a")]
    assert [item.text for item in items] == ["a", "b"]
    assert Item(text="b") in items
