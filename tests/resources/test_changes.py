from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, Field, RootModel

from bali.errors import ValidationFailed
from bali.resources.changes import Changes, changes_of

IMMUTABLE: Any = {"x-immutable": True}


class Place(BaseModel):
    city: str
    country: str = Field(alias="land", json_schema_extra=IMMUTABLE)


class Door(BaseModel):
    key: str = Field(alias="lock")
    width: int = 80


class Names(RootModel[list[str]]):
    pass


class Fixed(BaseModel):
    """Immutable values of every form."""

    doors: list[Door] = Field(default=[], json_schema_extra=IMMUTABLE)
    by_name: dict[str, Door] = Field(default={}, json_schema_extra=IMMUTABLE)
    names: Names | None = Field(default=None, json_schema_extra=IMMUTABLE)
    size: int = Field(default=3, json_schema_extra=IMMUTABLE)


class Shop(BaseModel):
    name: str | None = None
    code: str | None = Field(default=None, json_schema_extra=IMMUTABLE)
    key: str | None = Field(default=None, json_schema_extra={**IMMUTABLE, "writeOnly": True})
    place: Place | None = None
    fixed: Fixed | None = None


STORED = {"name": "a", "code": "c", "key": "k", "place": {"city": "Ulm", "country": "de"}}


def refused(item: Any, **sent: Any) -> list[tuple[str, str]]:
    shop = Shop.model_validate(sent)
    changes = changes_of(shop, shop.model_dump(include=shop.model_fields_set))
    assert isinstance(changes, Changes)
    try:
        changes.check(item)
    except ValidationFailed as error:
        return [(one.field, one.reason) for one in error.field_errors]
    return []


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"name": "b"}, []),
        ({"code": "c", "name": "b"}, []),
        ({"code": "d"}, ["code"]),
        ({"code": None}, ["code"]),
        ({"key": "k"}, ["key"]),
        ({"place": {"city": "Bonn", "land": "de"}}, []),
        ({"place": {"city": "Ulm", "land": "fr"}, "code": "x"}, ["code", "place.land"]),
        ({"place": None}, []),
    ],
)
def test_immutable_values_are_compared(sent: dict[str, Any], expected: list[str]) -> None:
    for item in (SimpleNamespace(**STORED), STORED):
        assert refused(item, **sent) == [(name, "IMMUTABLE") for name in expected]


def test_values_without_immutable_fields_are_plain() -> None:
    class Plain(BaseModel):
        name: str

    values = {"name": "x"}
    assert changes_of(Plain(name="x"), values) is values


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"doors": [{"lock": "a"}], "by_name": {"x": {"lock": "b"}}, "names": ["n"]}, []),
        ({"doors": [{"lock": "b"}], "by_name": {"x": {"lock": "b"}}, "names": ["n"]}, ["doors"]),
        ({"doors": [], "by_name": {"x": {"lock": "b"}}, "names": ["n"]}, ["doors"]),
        ({"doors": [{"lock": "a"}], "by_name": {"y": {"lock": "b"}}, "names": ["n"]}, ["by_name"]),
        ({"doors": [{"lock": "a"}], "by_name": {"x": {"lock": "b", "width": 1}}}, [
            "by_name", "names",
        ]),
        ({"doors": [{"lock": "a"}], "by_name": {"x": {"lock": "b"}}, "names": ["n"], "size": 4}, [
            "size",
        ]),
    ],
)  # fmt: skip
def test_records_in_lists_and_maps_are_compared_as_they_are_stored(
    sent: dict[str, Any], expected: list[str]
) -> None:
    stored = {"doors": [{"key": "a", "width": 80}], "by_name": {"x": {"key": "b"}}, "names": ["n"]}
    found = refused({"fixed": stored}, fixed=sent)
    assert found == [(f"fixed.{name}", "IMMUTABLE") for name in expected]
