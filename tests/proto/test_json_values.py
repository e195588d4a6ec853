from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from pydantic import BaseModel, Field

from bali.proto.json_values import fill_struct, fill_value, take_struct, take_value
from tests.proto.samples import json_values


def _through(value: Any) -> Any:
    message = struct_pb2.Value()
    fill_value(message, value)
    return take_value(struct_pb2.Value.FromString(message.SerializeToString()))


@given(json_values)
def test_json_survives_with_its_types(value: Any) -> None:
    assert repr(_sorted(_through(value))) == repr(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@given(json_values)
def test_message_is_the_one_that_protobufs_own_json_mapping_makes(value: Any) -> None:
    message = struct_pb2.Value()
    fill_value(message, value)
    assert message == json_format.ParseDict(value, struct_pb2.Value())


class _Color(enum.StrEnum):
    RED = "red"


class _Point(BaseModel):
    across: int = Field(alias="x")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**53, 2**53),
        (-(2**53), -(2**53)),
        (2**53 + 1, str(2**53 + 1)),
        (-(2**63), str(-(2**63))),
        (1.0, 1),
        (1e300, 1e300),
        (_Color.RED, "red"),
        ({_Color.RED: 1, 5: 2}, {"red": 1, "5": 2}),
        ((1, 2), [1, 2]),
        ({7}, [7]),
        (frozenset({"a"}), ["a"]),
        (datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), "2024-01-01T00:00:00Z"),
        (datetime.timedelta(seconds=1.5), "PT1.5S"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\xff", "_w=="),
        (_Point(x=3), {"x": 3}),
        ([{"at": _Point(x=3)}], [{"at": {"x": 3}}]),
    ],
)
def test_python_values_take_their_json_form(value: Any, expected: Any) -> None:
    back = _through(value)
    assert back == expected
    assert type(back) is type(expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), [object()], 10**400])
def test_what_json_lacks_is_refused(value: Any) -> None:
    if value == 10**400:
        assert _through(value) == str(value)
        return
    with pytest.raises(ValueError, match="has no form in JSON"):
        _through(value)


def test_struct_holds_mappings_and_models_only() -> None:
    message = struct_pb2.Struct()
    fill_struct(message, _Point(x=1))
    assert take_struct(message) == {"x": 1}
    with pytest.raises(TypeError, match="int is no JSON object"):
        fill_struct(message, 5)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (struct_pb2.Value(), None),
        (struct_pb2.Value(number_value=float("nan")), "nan"),
        (struct_pb2.Value(number_value=float("-inf")), "-inf"),
        (struct_pb2.Value(list_value=struct_pb2.ListValue()), []),
        (struct_pb2.Value(struct_value=struct_pb2.Struct()), {}),
    ],
)
def test_any_message_has_a_value(message: struct_pb2.Value, expected: Any) -> None:
    back = take_value(message)
    assert (str(back) if isinstance(back, float) else back) == expected
