from __future__ import annotations

import datetime
import decimal
import enum
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bali.operations.values import dumps, loads

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    found = loads(dumps(value))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        {"$bytes": "x"},
        {"$items": []},
        {"$date": 1, "b": 2},
        {"a": {"$unknown": b"x"}},
        {"lone": "\ud800"},
    ],
)
def test_mappings_that_look_like_ours_come_back(value: Any) -> None:
    assert loads(dumps(value)) == value


def test_objects_are_their_fields() -> None:
    class Colour(enum.Enum):
        RED = "red"

    class Thing(BaseModel):
        colour: Colour
        price: decimal.Decimal = decimal.Decimal(1)

    assert loads(dumps({"thing": Thing(colour=Colour.RED)})) == {"thing": {"colour": "red"}}


def test_plain_values_are_plain_json() -> None:
    assert json.loads(dumps({"id": 1, "tags": ("a", "b")})) == {"id": 1, "tags": ["a", "b"]}


def test_what_no_call_can_have_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be a object"):
        dumps({"x": object()})
