from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from google.protobuf.descriptor import Descriptor
from pydantic import BaseModel, Field

from bali.errors import ConfigurationError
from bali.proto import EncodeError, Method, bind_request, bind_response
from tests.proto.protoc import compile_text
from tests.proto.samples import Circle, Level, Line, Shape, Size, Square, record_of, service

IMPORTS = "".join(
    f'import "google/{name}.proto";'
    for name in (
        *("protobuf/duration", "protobuf/field_mask", "protobuf/struct", "protobuf/timestamp"),
        *("protobuf/wrappers", "type/date", "type/decimal", "type/timeofday", "type/money"),
    )
)


def _compile(folder: Path, fields: str, more: str = "") -> Descriptor:
    text = f'syntax = "proto3"; package app; {IMPORTS} {more} message Message {{ {fields} }}'
    return compile_text(text, folder).FindMessageTypeByName("app.Message")


MOMENT = datetime.datetime(2024, 2, 29, 12, 30, 0, 5, tzinfo=datetime.UTC)
KEY = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("annotation", "kind", "value", "back"),
    [
        *(
            (int, kind, 7, 7)
            for kind in (
                *("int32", "int64", "uint32", "uint64", "sint32", "sint64"),
                *("fixed32", "fixed64", "sfixed32", "sfixed64"),
                *("google.protobuf.Int64Value", "google.protobuf.UInt32Value"),
            )
        ),
        (float, "float", 0.5, 0.5),
        (float, "google.protobuf.DoubleValue", 0.0, 0.0),
        (str | None, "google.protobuf.StringValue", "", ""),
        (bool, "google.protobuf.BoolValue", False, False),
        (bytes, "google.protobuf.BytesValue", b"\0", b"\0"),
        (decimal.Decimal, "string", decimal.Decimal("1.10"), "1.10"),
        (datetime.datetime, "string", MOMENT, "2024-02-29T12:30:00.000005+00:00"),
        (datetime.datetime, "string", MOMENT.replace(tzinfo=None), MOMENT.isoformat()),
        (datetime.datetime, "string", "2024-01-01", "2024-01-01"),
        (datetime.date, "string", MOMENT.date(), "2024-02-29"),
        (datetime.time, "string", MOMENT.time(), "12:30:00.000005"),
        (uuid.UUID, "google.protobuf.StringValue", KEY, KEY),
        (Size, "string", Size.VERY_LARGE, "very large"),
        (Size, "string", "small", "small"),
        (Level, "int32", Level.HIGH, -1),
        (Literal["a", "b"], "string", "b", "b"),
        (Size, "google.protobuf.Value", Size.SMALL, "small"),
        (int, "google.protobuf.Value", 5, 5),
        (Any, "google.protobuf.Value", [None], [None]),
        (Line, "google.protobuf.Value", Line(sku="a"), {"sku": "a", "amount": 1}),
        (dict[str, int], "google.protobuf.Struct", {"a": 1}, {"a": 1}),
        (list[int], "google.protobuf.ListValue", [1, 2], [1, 2]),
        (list[Line], "google.protobuf.Value", [Line(sku="a")], [{"sku": "a", "amount": 1}]),
        (Shape, "google.protobuf.Struct", Circle(radius=0.5), {"kind": "circle", "radius": 0.5}),
        (list[int | None], "repeated google.protobuf.Value", [1, None], [1, None]),
        (dict[str, Line], "map<string, google.protobuf.Struct>", {"a": Line(sku="b")},
         {"a": {"sku": "b", "amount": 1}}),
    ],
)  # fmt: skip
def test_lossless_form_is_bound(
    annotation: Any, kind: str, value: Any, back: Any, tmp_path: Path
) -> None:
    descriptor = _compile(tmp_path, f"{kind} value = 1;")
    codec = bind_response(record_of("Holder", value=annotation), descriptor)
    message = codec.message_type.FromString(codec.to_message({"value": value}).SerializeToString())
    assert codec.to_values(message) == {"value": back}


@pytest.mark.parametrize(
    ("annotation", "kind", "shown", "wanted"),
    [
        (int, "string", "string", "int64"),
        (int, "double", "double", "int64"),
        (int, "bool", "bool", "int64"),
        (str, "int64", "int64", "string"),
        (str, "bytes", "bytes", "string"),
        (bool, "int32", "int32", "bool"),
        (bytes, "string", "string", "bytes"),
        (float, "int64", "int64", "double"),
        (decimal.Decimal, "double", "double", "google.type.Decimal or string"),
        (decimal.Decimal, "google.type.Money", "google.type.Money", "google.type.Decimal"),
        (datetime.datetime, "int64", "int64", "google.protobuf.Timestamp or string"),
        (datetime.datetime, "google.type.Date", "google.type.Date", "Timestamp"),
        (datetime.date, "google.protobuf.Timestamp", "google.protobuf.Timestamp", "Date"),
        (datetime.timedelta, "string", "string", "google.protobuf.Duration"),
        (int, "google.protobuf.StringValue", "google.protobuf.StringValue", "int64"),
        (int, "repeated int64", "repeated int64", "int64"),
        (int, "map<string, int64>", "a map", "int64"),
        (list[int], "int64", "int64", "repeated"),
        (list[int], "map<string, int64>", "a map", "repeated"),
        (list[int], "repeated string", "repeated string", "int64"),
        (list[int | None], "repeated int64", "repeated int64", "a message|int64"),
        (dict[str, int], "repeated int64", "repeated int64", "map"),
        (dict[str, int], "map<int64, int64>", "a map", "map<string"),
        (dict[str, str], "map<string, int64>", "int64", "string"),
        (dict[str, list[int]], "map<string, int64>", "int64", "repeated"),
        (Line, "string", "string", "a message with its fields"),
        (Shape, "string", "string", "oneof"),
        (Size, "bytes", "bytes", "an enum"),
        (Size, "int32", "int32", "an enum"),
        (Level, "string", "string", "an enum"),
        (Literal["a"], "bool", "bool", "an enum"),
    ],
)
def test_lossy_form_is_refused(
    annotation: Any, kind: str, shown: str, wanted: str, tmp_path: Path
) -> None:
    record = record_of("Holder", value=annotation)
    descriptor = _compile(tmp_path, f"{kind} value = 1;")
    for bind in (bind_request, bind_response):
        with pytest.raises(ConfigurationError, match=wanted) as caught:
            bind(record, descriptor)
        assert "sample.proto: message app.Message" in str(caught.value)
        assert "field 'value' is" in str(caught.value)
        assert shown in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int32", 2**31),
        ("uint32", -1),
        ("uint64", -1),
        ("sint32", -(2**31) - 1),
        ("fixed32", 2**32),
    ],
)
def test_int_out_of_the_range_of_its_field_is_refused(
    kind: str, value: int, tmp_path: Path
) -> None:
    codec = bind_response(record_of("Holder", value=int), _compile(tmp_path, f"{kind} value = 1;"))
    with pytest.raises(EncodeError, match=r"^value: .*range"):
        codec.to_message({"value": value})


@pytest.mark.parametrize(
    ("annotation", "declaration"),
    [
        (Size, "enum Size { SIZE_UNSPECIFIED = 0; SIZE_VERY_LARGE = 7; SIZE_SMALL = 3; }"),
        (Size, "enum Size { UNKNOWN = 0; SMALL = 1; VERY_LARGE = 2; OTHER = 9; }"),
        (Size, "enum Size { Small = 0; Very_Large = 1; }"),
        (Level, "enum Size { NOTHING = 0; A = 10; B = -1; }"),
        (
            Literal["small", "very large"],
            "enum Size { SIZE_X = 0; SIZE_SMALL = 1; VERY_LARGE = 2;}",
        ),
    ],
)
def test_enum_is_bound_by_name_or_number(annotation: Any, declaration: str, tmp_path: Path) -> None:
    record = record_of("Holder", value=annotation)
    codec = bind_response(record, _compile(tmp_path, "optional Size value = 1;", declaration))
    values = [-1, 10] if annotation is Level else ["small", "very large"]
    for value in values:
        assert codec.to_values(codec.to_message({"value": value})) == {"value": value}


def test_enum_that_lacks_a_member_is_refused_with_both(tmp_path: Path) -> None:
    descriptor = _compile(tmp_path, "Size value = 1;", "enum Size { NONE = 0; SMALL = 1; }")
    with pytest.raises(ConfigurationError) as caught:
        bind_response(record_of("Holder", value=Size), descriptor)
    assert "is enum app.Size with NONE, SMALL; wanted SIZE_SMALL, SIZE_VERY_LARGE for Size" in str(
        caught.value
    )


def test_plain_enum_refuses_a_stranger(tmp_path: Path) -> None:
    codec = bind_response(record_of("Holder", value=Size), _compile(tmp_path, "string value = 1;"))
    with pytest.raises(EncodeError, match="'huge' is none of 'small', 'very large'"):
        codec.to_message({"value": "huge"})


class _Flag(enum.Enum):
    ON = True
    OFF = False


def test_enum_of_bools_needs_an_enum(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="an enum with its members"):
        bind_response(record_of("Holder", value=_Flag), _compile(tmp_path, "int32 value = 1;"))


@pytest.mark.parametrize(
    ("annotation", "kind", "is_required", "expected"),
    [
        (int, "int64", True, {"value": 0}),
        (int, "int64", False, {}),
        (int, "optional int64", True, {}),
        (Size, "Size", True, {}),
        (Size, "string", True, {}),
        (Literal["", "x"], "string", True, {"value": ""}),
        (list[int], "repeated int64", True, {"value": []}),
        (list[int], "repeated int64", False, {}),
        (list[int], "google.protobuf.ListValue", True, {}),
    ],
)
def test_zero_without_presence_is_present_when_required(
    annotation: Any, kind: str, is_required: bool, expected: dict[str, Any], tmp_path: Path
) -> None:
    record = record_of("Holder", value=annotation)
    object.__setattr__(record.fields[0], "is_required", is_required)
    descriptor = _compile(
        tmp_path, f"{kind} value = 1;", "enum Size { A = 0; SMALL = 1; VERY_LARGE = 2; }"
    )
    codec = bind_request(record, descriptor)
    assert codec.to_values(codec.message_type()) == expected


def test_null_without_presence_reads_as_zero(tmp_path: Path) -> None:
    descriptor = _compile(
        tmp_path,
        "int64 number = 1; Size size = 2; repeated int64 many = 3;",
        "enum Size { A = 0; SMALL = 1; VERY_LARGE = 2; }",
    )
    record = record_of("Holder", number=int | None, size=Size | None, many=list[int] | None)
    codec = bind_response(record, descriptor)
    empty = codec.to_message({"number": None, "size": None, "many": None})
    assert codec.to_values(empty) == {"number": 0, "size": None, "many": []}


def test_hand_written_union_is_bound_by_tags(tmp_path: Path) -> None:
    shapes = "message Circle { double radius = 1; } message Square { double side = 1; }"
    union = "message Shape { oneof any { Square square = 4; Circle circle = 9; } }"
    descriptor = _compile(tmp_path, "repeated Shape value = 1;", shapes + union)
    codec = bind_response(record_of("Holder", value=list[Shape]), descriptor)
    message = codec.to_message({"value": [Circle(radius=1.0), Square(side=2.0)]})
    assert codec.to_values(message) == {
        "value": [{"kind": "circle", "radius": 1.0}, {"kind": "square", "side": 2.0}]
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("oneof any { Circle circle = 1; }", "wanted one oneof with a message field 'square'"),
        ("Circle circle = 1; Square square = 2;", "wanted one oneof"),
        ("oneof a { Circle circle = 1; } oneof b { Square square = 2; }", "wanted one oneof"),
        ("oneof any { Circle circle = 1; string square = 2; }", "message field 'square'"),
        (
            "oneof any { Circle circle = 1; Square square = 2; Circle oval = 3; }",
            "field 'oval' is no variant of the union, which has circle, square",
        ),
    ],
)
def test_union_that_does_not_fit_is_refused(fields: str, expected: str, tmp_path: Path) -> None:
    shapes = "message Circle { double radius = 1; } message Square { double side = 1; }"
    descriptor = _compile(tmp_path, "Shape value = 1;", f"{shapes} message Shape {{ {fields} }}")
    with pytest.raises(ConfigurationError, match=rf"message app\.Shape: .*{expected}"):
        bind_response(record_of("Holder", value=Shape), descriptor)


def test_tags_that_are_no_identifiers() -> None:
    class First(BaseModel):
        type_: Literal["in-progress"] = Field("in-progress", alias="type")

    class Second(BaseModel):
        type_: Literal["2nd"] = Field("2nd", alias="type")

    class Third(BaseModel):
        type_: Literal["in_progress"] = Field("in_progress", alias="type")

    union = Annotated[First | Second | Third, Field(discriminator="type_")]

    record = record_of("Ask", value=union)
    bound = service(Method(name="Ask", request=record, response=None))
    message = bound.pool.FindMessageTypeByName("sample.AskValueChoice")
    assert list(message.fields_by_name) == ["in_progress", "tag_2nd", "in_progress_2"]
    method = bound.methods[0]
    for tag, value in (("in-progress", First()), ("2nd", Second()), ("in_progress", Third())):
        sent: Any = method.encode_request({"value": value})
        assert method.decode(sent) == {"value": {"type": tag}}
        again: Any = method.encode_request({"value": {"type": tag}})
        assert again.value.WhichOneof("type_") == sent.value.WhichOneof("type_")


def test_nested_message_is_checked_and_named(tmp_path: Path) -> None:
    descriptor = _compile(
        tmp_path, "repeated Line value = 1;", "message Line { string sku = 1; double amount = 2; }"
    )
    with pytest.raises(ConfigurationError, match=r"message app\.Line, field 'amount' is double"):
        bind_response(record_of("Holder", value=list[Line]), descriptor)
