# ruff: noqa: ANN201 - untyped methods, as users of the first bali write them
from __future__ import annotations

import datetime
from typing import Any

import pytest
from pydantic import BaseModel, Field

from bali.resources import Page, Resource, action
from bali.resources.results import result_of
from tests.resources.samples import Item, spec_of


class Secret(Item):
    password: str = "hunter2"


class Aliased(BaseModel):
    user_name: str = Field(alias="userName")


class Parent(BaseModel):
    children: list[Aliased]
    at: datetime.datetime | None = None


class Row:
    """An object with attributes, as an ORM returns it."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class ThingResource(Resource):
    schema = Item

    @action()
    def one(self) -> Item: ...  # type: ignore[empty-body]

    @action()
    def maybe(self) -> Item | None: ...

    @action()
    def many(self) -> list[Item]: ...  # type: ignore[empty-body]

    @action()
    def number(self) -> int: ...  # type: ignore[empty-body]

    @action()
    def mapping(self) -> dict[str, int]: ...  # type: ignore[empty-body]

    @action()
    def page(self) -> Page[Item]: ...  # type: ignore[empty-body]

    @action()
    def nothing(self) -> None: ...

    @action()
    def aliased(self) -> Aliased: ...  # type: ignore[empty-body]

    @action()
    def nested(self) -> Parent: ...  # type: ignore[empty-body]

    @action()
    def untyped(self): ...  # type: ignore[no-untyped-def]  # the case

    @action()
    def anything(self) -> object: ...


def result(name: str, value: Any) -> Any:
    return result_of(spec_of(ThingResource, name), value)


ITEM = Item(id=1, name="a")
INCOMPLETE = Secret(id=1, name="a")
del INCOMPLETE.__dict__["name"]


@pytest.mark.parametrize(
    "value", [ITEM, {"id": 1, "name": "a"}, Row(id=1, name="a", size=None, password="x")]
)
def test_one_item_from_whatever_has_its_fields(value: Any) -> None:
    assert result("one", value) == ITEM


def test_an_object_of_the_model_is_returned_itself() -> None:
    assert result("one", ITEM) is ITEM


def test_what_a_subclass_has_beyond_the_model_is_left_out() -> None:
    given = Secret(id=1, name="a")
    made = result("one", given)
    assert type(made) is Item
    assert made == ITEM
    assert "hunter2" not in made.model_dump_json()


def test_an_alias_does_not_hide_the_attribute_of_a_row() -> None:
    expected = Aliased(userName="ann")
    assert result("aliased", Row(user_name="ann")) == expected
    assert result("aliased", {"userName": "ann"}) == expected
    assert result("aliased", {"user_name": "ann"}) == expected
    assert result("nested", Row(children=[Row(user_name="ann")], at=None)).children == [expected]


@pytest.mark.parametrize("value", [[ITEM], (ITEM,), iter([ITEM]), {"k": ITEM}.values()])
def test_many_items_from_any_iterable(value: Any) -> None:
    assert result("many", value).items == [ITEM]
    assert result("untyped", [Row(id=1, name="a", size=None)]).items == [ITEM]


def test_single_values_are_wrapped() -> None:
    assert result("number", 3).result == 3
    assert result("maybe", None).result is None
    assert result("maybe", ITEM).result == ITEM
    assert result("mapping", {"a": 1}).result == {"a": 1}
    assert result("anything", [1, {"a": None}]).result == [1, {"a": None}]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Page(items=(ITEM,), next_page_token="t", total=9), ("t", 9)),
        ({"items": [ITEM], "next_page_token": "t", "total": 9}, ("t", 9)),
        ({"items": [ITEM]}, ("", None)),
        ([ITEM], ("", None)),
    ],
)
def test_pages(value: Any, expected: tuple[str, int | None]) -> None:
    page = result("page", value)
    assert page.items == [ITEM]
    assert (page.next_page_token, page.total) == expected


def test_an_empty_response_takes_no_value() -> None:
    assert result("nothing", 7) is None


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("one", None, "NoneType"),
        ("one", {"id": "x"}, "dict"),
        ("many", None, "NoneType"),
        ("many", 7, "int"),
        ("page", None, "NoneType"),
        ("page", {"data": []}, "dict"),
        ("number", "three", "str"),
        ("number", None, "NoneType"),
        ("mapping", {"a": "x"}, "dict"),
        ("one", INCOMPLETE, "Secret"),
    ],
)
def test_a_value_of_another_type_is_a_bug_that_names_the_action(
    name: str, value: Any, kind: str
) -> None:
    with pytest.raises(TypeError, match=rf"ThingResource\.{name} .* returned {kind}, which is not"):
        result(name, value)


def test_a_value_that_no_protocol_carries_is_a_bug() -> None:
    with pytest.raises(ValueError, match=r"size.*INT64_RANGE"):
        result("one", Item(id=1, name="a", size=2**63))
    assert result("one", Item(id=1, name="a\0")).name == "a\0"


def test_naive_datetimes_of_a_result_become_utc() -> None:
    naive = datetime.datetime(2024, 5, 1)  # noqa: DTZ001 - the case
    assert result("nested", Row(children=[], at=naive)).at == naive.replace(tzinfo=datetime.UTC)
