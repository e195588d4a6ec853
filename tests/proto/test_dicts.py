"""MessageToDict and ParseDict: what goes in comes out, with its type."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseError
from google.protobuf.message_factory import GetMessageClass

from bali.proto import MessageToDict, ParseDict
from tests.proto.protoc import compile_text

TEXT = """
syntax = "proto3";
package sample;
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Colour { RED = 0; BLUE = 1; }
message Inner { int64 big = 1; }
message Sample {
  int64 big = 1;
  double rate = 2;
  string some_text = 3;
  bytes raw = 4;
  Colour colour = 5;
  Inner inner = 6;
  repeated uint64 many = 7;
  map<string, int64> counts = 8;
  google.protobuf.Struct extra = 9;
  google.protobuf.Timestamp at = 10;
  google.protobuf.Int64Value maybe = 11;
  repeated Inner inners = 12;
  google.protobuf.Value value = 13;
}
"""


class Tint(enum.Enum):
    BLUE = "b"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("sample")
    return GetMessageClass(compile_text(TEXT, folder).FindMessageTypeByName("sample.Sample"))


def test_numbers_keep_their_types(sample: Any) -> None:
    values = {
        "big": 2**60,
        "rate": 3.0,
        "inner": {"big": 1},
        "many": [2**63],
        "counts": {"a": 5},
        "extra": {"whole": 3, "half": 0.5, "list": [1, {"deep": 2}]},
        "maybe": 7,
        "inners": [{"big": 2}],
        "value": 4,
    }
    found = MessageToDict(ParseDict(values, sample()))
    assert found == values
    assert isinstance(found["rate"], float)
    assert all(
        type(found["extra"][name]) is kind for name, kind in [("whole", int), ("half", float)]
    )


def test_names_and_absent_fields(sample: Any) -> None:
    message = sample(some_text="x")
    assert MessageToDict(message) == {"someText": "x"}
    whole = MessageToDict(
        message, including_default_value_fields=True, preserving_proto_field_name=True
    )
    empty = {"big": 0, "rate": 0.0, "raw": "", "colour": "RED", "many": [], "counts": {}}
    assert whole == {**empty, "some_text": "x", "inners": []}


def test_enums_may_be_numbers(sample: Any) -> None:
    assert MessageToDict(sample(colour=1)) == {"colour": "BLUE"}
    assert MessageToDict(sample(colour=1), use_integers_for_enums=True) == {"colour": 1}


def test_values_of_python_are_understood(sample: Any) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=7))
    key = uuid.UUID(int=1)
    values = {
        "at": datetime.datetime(2024, 1, 1, 7, tzinfo=zone),
        "rate": decimal.Decimal("1.5"),
        "raw": b"\x00\xff",
        "colour": Tint.BLUE,
        "some_text": key,
        "extra": {"day": datetime.date(2024, 1, 1), "time": datetime.time(12), "pair": (1, 2)},
    }
    message = ParseDict(values, sample())
    assert (message.rate, message.raw, message.colour) == (1.5, b"\x00\xff", 1)
    assert message.at.ToJsonString() == "2024-01-01T00:00:00Z"
    assert message.some_text == str(key)
    assert MessageToDict(message)["extra"] == {
        "day": "2024-01-01", "time": "12:00:00", "pair": [1, 2]
    }  # fmt: skip


def test_unknown_fields_are_refused_or_ignored(sample: Any) -> None:
    with pytest.raises(ParseError, match="nothing"):
        ParseDict({"nothing": 1}, sample())
    assert ParseDict({"nothing": 1}, sample(), ignore_unknown_fields=True) == sample()
