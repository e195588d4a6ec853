from __future__ import annotations

import datetime
import decimal
import enum
import math
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bali.proto import BoundMethod, EncodeError, Method
from bali.schemas import Describer, Record
from bali.schemas.rows import Rows
from tests.proto.samples import Everything, Line, Size, Square, echo, everything, reply, service

ECHO = echo(Everything)
REPLY = reply(Everything)
FULL = settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])


@given(everything)
@FULL
def test_every_value_survives_as_request(value: Everything) -> None:
    sent = ECHO.encode_request(value).SerializeToString()
    assert Everything.model_validate(ECHO.decode(ECHO.input_type.FromString(sent))) == value


@given(everything)
@FULL
def test_every_value_survives_as_response(value: Everything) -> None:
    for method in (ECHO, REPLY):
        sent = method.encode(value).SerializeToString()
        received = method.decode_response(method.output_type.FromString(sent))
        assert received.keys() == Everything.model_fields.keys()
        assert Everything.model_validate(received) == value


@given(everything)
@FULL
def test_every_value_survives_from_a_mapping(value: Everything) -> None:
    sent = ECHO.encode_request(value.model_dump())
    assert Everything.model_validate(ECHO.decode(sent)) == value


def _varint(number: int) -> bytes:
    number &= 2**64 - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, payload: bytes | float) -> bytes:
    if isinstance(payload, bytes):
        return _varint(number << 3 | 2) + _varint(len(payload)) + payload
    return _varint(number << 3) + _varint(int(payload))


#: Messages of no particular type: fields with numbers, ints, texts and messages again.
_wire = st.recursive(
    st.binary(max_size=6) | st.text(max_size=6).map(str.encode),
    lambda inner: st.lists(
        st.tuples(
            st.integers(1, len(Everything.model_fields)), inner | st.integers(-(2**63), 2**63)
        ),
        max_size=8,
    ).map(lambda fields: b"".join(_field(*field) for field in fields)),
    max_leaves=20,
)


@given(_wire)
@settings(FULL, max_examples=400)
def test_decode_never_raises_and_pydantic_names_the_field(data: bytes) -> None:
    try:
        message = ECHO.input_type.FromString(data)
    except DecodeError:
        assume(False)
    values = ECHO.decode(message)
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate(values)
    assert all(error["loc"] for error in caught.value.errors())


_hostile_fields: list[tuple[str, dict[str, Any]]] = [
    ("moment", {"seconds": 253_402_300_800}),
    ("moment", {"seconds": -62_135_596_801}),
    ("moment", {"seconds": 2**63 - 1}),
    ("moment", {"nanos": -1}),
    ("moment", {"nanos": 1_000_000_000}),
    ("day", {}),
    ("day", {"year": 2023, "month": 2, "day": 29}),
    ("day", {"year": 2024, "month": 2}),
    ("day", {"year": 10_000, "month": 1, "day": 1}),
    ("day", {"year": -1, "month": -1, "day": -1}),
    ("clock", {"hours": 24}),
    ("clock", {"seconds": 60}),
    ("clock", {"minutes": -1}),
    ("clock", {"nanos": 1_000_000_000}),
    ("span", {"seconds": 1, "nanos": -1}),
    ("span", {"seconds": -1, "nanos": 1}),
    ("span", {"seconds": 315_576_000_001}),
    ("span", {"nanos": 1_000_000_000}),
    ("money", {}),
    ("money", {"value": "NaN"}),
    ("money", {"value": "twelve"}),
    ("money", {"value": "1" * 30 + "e"}),
    ("shape", {}),
]


@pytest.mark.parametrize(("field", "content"), _hostile_fields)
def test_message_without_python_value_is_an_error_of_its_field(
    field: str, content: dict[str, Any]
) -> None:
    values = ECHO.decode(ECHO.input_type(**{field: content}))
    assert field in _wrong_fields(values)


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("key", ""),
        ("key", "not-a-uuid"),
        ("size", 0),
        ("size", 7),
        ("size", -1),
        ("level", 0),
        ("level", 10),
        ("order", 99),
    ],
)
def test_plain_field_without_python_value_is_an_error_of_its_field(field: str, raw: Any) -> None:
    values = ECHO.decode(ECHO.input_type(**{field: raw}))
    assert field in values
    assert field in _wrong_fields(values)


def _wrong_fields(values: dict[str, Any]) -> set[object]:
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate(values)
    return {error["loc"][0] for error in caught.value.errors() if error["type"] != "missing"}


def test_nanoseconds_of_other_languages_are_cut() -> None:
    values = ECHO.decode(
        ECHO.input_type(
            moment={"seconds": -1, "nanos": 999_999_999},
            clock={"nanos": 1_999},
            span={"seconds": -1, "nanos": -1_999},
        )
    )
    assert values == {
        "moment": datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=datetime.UTC),
        "clock": datetime.time(0, 0, 0, 1),
        "span": datetime.timedelta(seconds=-1, microseconds=-1),
    }


def test_absent_is_told_from_zero() -> None:
    assert ECHO.decode(ECHO.input_type()) == {}
    zeros = {"truth": False, "whole": 0, "real": 0.0, "text": "", "raw": b""}
    assert ECHO.decode(ECHO.input_type(**zeros)) == zeros


def test_unset_default_is_not_sent() -> None:
    class Input(BaseModel):
        name: str = "nobody"
        amount: int = 3
        tags: list[str] = []

    method = echo(Input)
    value = Input(amount=3)
    value.tags.append("kept")
    assert method.decode(method.encode_request(value)) == {"amount": 3, "tags": ["kept"]}
    assert method.decode(method.encode(value)) == {"name": "nobody", "amount": 3, "tags": ["kept"]}


def test_required_list_is_present_when_empty() -> None:
    class Input(BaseModel):
        tags: list[str]
        counts: dict[str, int]
        others: list[str] = ["default"]

    method = echo(Input)
    assert method.decode(method.input_type()) == {"tags": [], "counts": {}}


def test_naive_datetime_is_utc() -> None:
    sent = ECHO.encode_request({"moment": datetime.datetime(2024, 1, 1, tzinfo=None)})  # noqa: DTZ001 - the case
    assert ECHO.decode(sent) == {"moment": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)}


def test_alias_is_the_name_on_the_wire() -> None:
    class Input(BaseModel):
        model_config = ConfigDict(populate_by_name=True)
        kind: str = Field(alias="type_")

    method = echo(Input)
    assert method.decode(method.encode_request({"type_": "x"})) == {"type_": "x"}
    assert method.decode_response(method.encode(Input.model_validate({"type_": "y"}))) == {
        "type_": "y"
    }


def test_enum_may_be_given_as_member_or_value() -> None:
    for member in (Size.SMALL, "small"):
        assert ECHO.decode(ECHO.encode_request({"size": member})) == {"size": "small"}


def test_any_null_is_sent() -> None:
    assert ECHO.decode(ECHO.encode_request({"anything": None})) == {"anything": None}
    assert ECHO.decode(ECHO.encode_request({"things": [None, 1]})) == {"things": [None, 1]}


def test_text_forms_are_accepted_from_mappings() -> None:
    sent = ECHO.encode_request(
        {
            "moment": "2024-01-01T00:00:00.5Z",
            "day": "2024-02-29",
            "clock": "12:30:00.000001",
            "span": "-P1DT0.000005S",
            "money": "1.10",
            "raw": "AAE=",
            "key": "12345678123456781234567812345678",
        }
    )
    assert ECHO.decode(sent) == {
        "moment": datetime.datetime(2024, 1, 1, microsecond=500_000, tzinfo=datetime.UTC),
        "day": datetime.date(2024, 2, 29),
        "clock": datetime.time(12, 30, 0, 1),
        "span": -datetime.timedelta(days=1, microseconds=5),
        "money": decimal.Decimal("1.10"),
        "raw": b"\0\1",
        "key": "12345678-1234-5678-1234-567812345678",
    }


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("whole", 2**63, "whole"),
        ("whole", "1", "whole"),
        ("text", 5, "text"),
        ("text", "\ud800", "text"),
        ("raw", "***", "raw"),
        ("money", decimal.Decimal("NaN"), "money"),
        ("money", decimal.Decimal("sNaN"), "money"),
        ("money", decimal.Decimal("Infinity"), "money"),
        ("money", "twelve", "money"),
        (
            "moment",
            datetime.datetime.min.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=14))),
            "moment",
        ),
        (
            "moment",
            datetime.datetime.max.replace(tzinfo=datetime.timezone(-datetime.timedelta(hours=14))),
            "moment",
        ),
        ("clock", datetime.time(1, tzinfo=datetime.UTC), "clock"),
        ("span", datetime.timedelta.max, "span"),
        ("span", datetime.timedelta.min, "span"),
        ("key", "short", "key"),
        ("size", "huge", "size"),
        ("size", ["small"], "size"),
        ("shape", {"kind": "hexagon"}, "shape"),
        ("shape", {"radius": 1.0}, "shape"),
        ("shape", {"kind": "circle", "radius": "x"}, "shape.radius"),
        ("anything", math.nan, "anything"),
        ("anything", [{"a": math.inf}], "anything"),
        ("anything", object(), "anything"),
        ("numbers", [1, 2**64], "numbers"),
        ("numbers", 5, "numbers"),
        ("sizes", ["small", "huge"], "sizes[1]"),
        ("lines", [{"sku": "a"}, {"sku": 5}], "lines[1].sku"),
        ("lines", "ab", "lines"),
        ("lines", [{"sku": "a", "nope": 1}], "lines[0].nope"),
        ("counts", {"a": 1, "b": "x"}, "counts['b']"),
        ("by_name", {"b": {"amount": "x"}}, "by_name['b'].amount"),
        ("matrix", [[1], [2**70]], "matrix[1]"),
        ("nope", 1, "nope"),
    ],
)
def test_value_that_does_not_fit_is_refused_with_its_path(
    field: str, value: Any, path: str
) -> None:
    with pytest.raises(EncodeError) as caught:
        ECHO.encode_request({field: value})
    assert caught.value.field.partition(".value")[0] == path


def test_error_of_an_object_names_the_wire_name() -> None:
    class Inner(BaseModel):
        amount: int = Field(alias="howMany")

    class Outer(BaseModel):
        inner: list[Inner]

    broken = Outer.model_construct(inner=[Inner.model_construct(amount=2**63)])
    with pytest.raises(EncodeError, match=r"^inner\[0\]\.howMany: Value out of range"):
        reply(Outer).encode(broken)


def test_object_of_another_kind_is_refused_with_the_attribute_it_lacks() -> None:
    with pytest.raises(EncodeError, match=r"sku.*AttributeError in Line"):
        reply(Line).encode("not a line")


def test_deepest_message_that_protobuf_parses_is_read() -> None:
    class Node(BaseModel):
        child: Node | None = None

    record = Describer().model(Node)
    method = service(Method(name="Echo", request=record, response=record)).methods[0]
    data = b""
    for _ in range(99):
        data = _field(1, data)
    values: Any = method.decode(method.input_type.FromString(data))
    depth = 0
    while values:
        values, depth = values["child"], depth + 1
    assert depth == 99


def test_empty_response_is_empty() -> None:
    method = service(
        Method(name="Drop", request=Record(name="DropRequest"), response=None)
    ).methods[0]
    message = method.encode(None)
    assert message.DESCRIPTOR.full_name == "google.protobuf.Empty"
    assert method.decode_response(message) == {}


def test_union_takes_the_tag_from_the_oneof() -> None:
    sent = ECHO.encode_request({"shape": {"kind": "square", "side": 2.0}})
    sent.shape.square.ClearField("kind")  # type: ignore[attr-defined]  # made at run time
    assert ECHO.decode(sent) == {"shape": {"kind": "square", "side": 2.0}}
    assert ECHO.decode(ECHO.encode_request({"shape": Square(side=2.0)})) == ECHO.decode(sent)


def test_member_called_unspecified_is_zero() -> None:
    class State(enum.Enum):
        OPEN = "open"
        UNSPECIFIED = "none"

    class Ticket(BaseModel):
        state: State

    for method in (echo(Ticket), reply(Ticket)):
        message: Any = method.encode(Ticket(state=State.UNSPECIFIED))
        assert message.state == 0
        assert method.decode_response(message) == {"state": "none"}


def test_methods_share_message_classes() -> None:
    record = Describer().model(Line)
    request = Record(name="ListRequest")
    bound: list[BoundMethod] = list(
        service(
            Method(name="One", request=record, response=record),
            Method(name="Two", request=request, response=record),
        ).methods
    )
    assert bound[0].input_type is bound[0].output_type is bound[1].output_type


class EveryPage(BaseModel):
    items: list[Everything]


EVERY_PAGE = reply(EveryPage)


@given(st.lists(everything, max_size=3))
@FULL
def test_rows_fill_the_message_that_objects_fill(items: list[Everything]) -> None:
    encode = EVERY_PAGE.encode
    names = tuple(Everything.model_fields)
    rows = [tuple(getattr(item, name) for name in names) for item in items]
    lazy: Any = Rows(rows, names, _of_row)
    assert encode(EveryPage.model_construct(items=lazy)) == encode(
        EveryPage.model_construct(items=items)
    )


@given(st.lists(st.none() | st.datetimes(timezones=st.just(datetime.UTC)), max_size=4))
def test_packed_moments_fill_the_message_that_objects_fill(
    moments: list[datetime.datetime | None],
) -> None:
    class Event(BaseModel):
        moment: datetime.datetime | None
        text: str | None

    class Page(BaseModel):
        items: list[Event]

    begin = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)

    def packed(moment: datetime.datetime) -> bytes:
        micros = (moment - begin) // datetime.timedelta(microseconds=1)
        return micros.to_bytes(8, "big", signed=True)

    def made(row: Any) -> BaseModel:
        return Event(moment=row[0], text=None if row[1] is None else row[1].isoformat())

    encode = reply(Page).encode
    rows = [(moment and packed(moment),) * 2 for moment in moments]
    # A field that is no Timestamp can only be given what the moment is.
    lazy: Any = Rows(rows, ("moment", "other"), made, packed=(0, 1))
    objects = [Event(moment=moment, text=None) for moment in moments]
    assert encode(Page.model_construct(items=lazy)) == encode(Page(items=objects))
    assert [item.text for item in lazy] == [moment and moment.isoformat() for moment in moments]


def _of_row(row: Any) -> BaseModel:
    return Everything.model_construct(**dict(zip(Everything.model_fields, row, strict=True)))


def test_row_that_does_not_fit_is_told_by_its_place() -> None:
    class Page(BaseModel):
        items: list[Line]

    def make(row: Any) -> BaseModel:
        return Line.model_construct(sku=row[1], amount=row[0])

    rows: Any = Rows([(1, "a"), (2**63, "b")], ("amount", "sku"), make)
    with pytest.raises(EncodeError, match=r"^items\[1\]\.amount: Value out of range"):
        reply(Page).encode(Page.model_construct(items=rows))


def test_rows_may_lack_fields_and_have_names_that_are_no_fields() -> None:
    class Word(BaseModel):
        pass_: int = Field(default=0, alias="pass")
        text: str | None = None

    class Page(BaseModel):
        items: list[Word]

    rows: Any = Rows(
        [(5, "x", 7), (6, "y", None)], ("pass_", "unknown", "missing"), lambda _: Word()
    )
    message: Any = reply(Page).encode(Page.model_construct(items=rows))
    assert [getattr(item, "pass") for item in message.items] == [5, 6]
    assert not any(item.HasField("text") for item in message.items)
