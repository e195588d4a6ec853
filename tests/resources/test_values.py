from __future__ import annotations

import collections
import datetime
import decimal
import enum
import types
import uuid
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel

from bali.resources.values import check_values

UTC = datetime.UTC
PLUS_2 = datetime.timezone(datetime.timedelta(hours=2))
NAIVE = datetime.datetime(2024, 5, 1, 12)  # noqa: DTZ001 - the case
AWARE = NAIVE.replace(tzinfo=UTC)


class Box(BaseModel):
    value: Any = None


class Inner(BaseModel):
    aliased: Any = Field(default=None, alias="theAlias")


class Colour(enum.Enum):
    RED = "red\0"


class Number(enum.IntEnum):
    HUGE = 2**70


class Text(str):
    __slots__ = ()


class Roots(RootModel[list[Any]]):
    pass


Pair = collections.namedtuple("Pair", "left right")  # noqa: PYI024 - an untyped one, as users have


def wrong(value: Any, **options: Any) -> list[tuple[str, str]]:
    return [(error.field, error.reason) for error in check_values(Box(value=value), **options)]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "text äöü 🦊",
        Text("x"),
        2**63 - 1,
        -(2**63),
        1.5,
        b"\0\xff",
        decimal.Decimal("1.5"),
        AWARE,
        datetime.date(1, 1, 1),
        datetime.time(12),
        datetime.timedelta(days=3_652_500),
        uuid.UUID(int=0),
        Colour.RED,
        Number.HUGE,
        [1, "a"],
        (1, "a"),
        {1, 2},
        frozenset({1}),
        {"a": [1]},
        {1: 2},
        object,
    ],
)
def test_what_every_protocol_carries_stays_as_it_is(value: Any) -> None:
    box = Box(value=value)
    assert check_values(box) == []
    assert box.value is value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\0b", "NUL_CHARACTER"),
        (Text("\0"), "NUL_CHARACTER"),
        ("\ud800", "INVALID_UNICODE"),
        (2**63, "INT64_RANGE"),
        (-(2**63) - 1, "INT64_RANGE"),
        (float("nan"), "FINITE_NUMBER"),
        (float("inf"), "FINITE_NUMBER"),
        (float("-inf"), "FINITE_NUMBER"),
        (decimal.Decimal("NaN"), "FINITE_NUMBER"),
        (decimal.Decimal("Infinity"), "FINITE_NUMBER"),
        (datetime.datetime(1, 1, 1, tzinfo=PLUS_2), "DATETIME_RANGE"),
        (datetime.time(12, tzinfo=UTC), "TIME_ZONE"),
        (datetime.timedelta(days=3_652_501), "DURATION_RANGE"),
        (datetime.timedelta.min, "DURATION_RANGE"),
    ],
)
def test_what_no_protocol_carries_is_told(value: Any, reason: str) -> None:
    assert wrong(value) == [("value", reason)]


def test_nul_does_no_harm_in_an_answer() -> None:
    assert wrong(["a\0", 2**63], allow_nul=True) == [("value[1]", "INT64_RANGE")]


def test_paths_lead_into_everything() -> None:
    value = {
        "list": [1, [2**63]],
        "tuple": ({"x": float("nan")},),
        "inner": [Inner(theAlias=[0, "\0"])],
        "roots": Roots([0, 2**70]),
        "key\0": 1,
        "mapping": types.MappingProxyType({"a": 2**63}),
    }
    assert wrong(value) == [
        ("value.list[1][0]", "INT64_RANGE"),
        ("value.tuple[0].x", "FINITE_NUMBER"),
        ("value.inner[0].theAlias[1]", "NUL_CHARACTER"),
        ("value.roots[1]", "INT64_RANGE"),
        ("value", "NUL_CHARACTER"),
        ("value.mapping.a", "INT64_RANGE"),
    ]


def test_fields_that_a_model_did_not_declare_are_checked() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    model = Open.model_validate({"extra": [2**63], "when": NAIVE})
    assert [error.field for error in check_values(model)] == ["extra[0]"]
    assert model.model_dump()["when"] == AWARE


def test_a_long_name_is_cut() -> None:
    (error,) = check_values(Box(value={"x" * 500: 2**63}))
    assert len(error.field) == 200


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (NAIVE, AWARE),
        ([1, NAIVE], [1, AWARE]),
        ((NAIVE,), (AWARE,)),
        ({NAIVE}, {AWARE}),
        (frozenset({NAIVE}), frozenset({AWARE})),
        ({"a": {"b": NAIVE}, "c": 1}, {"a": {"b": AWARE}, "c": 1}),
        (Pair(1, NAIVE), (1, AWARE)),
    ],
)
def test_a_datetime_without_zone_is_utc_wherever_it_is(given: Any, expected: Any) -> None:
    box = Box(value=given)
    assert check_values(box) == []
    assert box.value == expected


def test_a_datetime_of_another_zone_becomes_utc() -> None:
    box = Box(value=datetime.datetime(2024, 5, 1, 14, tzinfo=PLUS_2))
    check_values(box)
    assert box.value == AWARE
    assert box.value.tzinfo is UTC


def test_a_subclass_of_datetime_is_one() -> None:
    class Moment(datetime.datetime):
        pass

    box = Box(value=Moment(2024, 5, 1, 12))
    check_values(box)
    assert box.value == AWARE


def test_frozen_models_and_their_fields_set_are_kept() -> None:
    class Frozen(BaseModel):
        model_config = ConfigDict(frozen=True)

        at: datetime.datetime
        until: datetime.datetime | None = None

    box = Box(value=Frozen(at=NAIVE))
    check_values(box)
    assert box.value == Frozen(at=AWARE)
    assert box.value.model_fields_set == {"at"}


def test_containers_that_need_no_change_are_not_copied() -> None:
    inner = {"a": [AWARE]}
    box = Box(value=inner)
    check_values(box)
    assert box.value is inner
