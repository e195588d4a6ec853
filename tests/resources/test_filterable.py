"""A list is filtered by what its caller sees, and by nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field, computed_field

from bali.errors import ValidationFailed
from bali.resources import Call, Collector, Context, ListRequest, Page, Pipeline, Resource, action
from tests.resources.samples import MemoryStore, call, mistake, refused, resource_over


class Person(BaseModel):
    """Somebody, with a name that callers know by another."""

    full_name: str = Field(alias="name")
    age: int | None = None
    password: str = Field(default="", exclude=True)

    @computed_field
    def is_grown(self) -> bool:
        """Whether they may vote."""
        return (self.age or 0) > 17


class Short(BaseModel):
    """Less of it."""

    size: int | None = None


PEOPLE = [Person(name="Ann", age=18, password="x"), Person(name="Bob"), Person(name="Cid", age=7)]


def older(years: int) -> Any:
    return lambda person: (person.age or 0) > years


class PersonResource(Resource):
    """People who are in no store."""

    schema = Person
    plural = "people"
    filter_functions = {"older": older}  # noqa: RUF012 - as users write it

    @action()
    async def ages(self, schema_in: ListRequest) -> list[int]:
        """Return ages of those who are asked for."""
        return [person.age or 0 for person in PEOPLE if schema_in.matches(person)]

    async def list(self, schema_in: ListRequest) -> Page[Person]:
        return Page(items=[person for person in PEOPLE if schema_in.matches(person)])


async def names(resource: type[Resource], condition: str) -> list[str]:
    page = await call(resource, "list", filter=condition)
    return [person.full_name for person in page.items]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("", ["Ann", "Bob", "Cid"]),
        ("name = B*", ["Bob"]),
        ("age > 7", ["Ann"]),
        ("NOT age > 7", ["Bob", "Cid"]),
        ("is_grown = true", ["Ann"]),
        ("-older(10) age:*", ["Cid"]),
        ("ID", ["Cid"]),
    ],
)
async def test_a_list_of_its_own_asks_about_each_item(condition: str, expected: list[str]) -> None:
    assert await names(PersonResource, condition) == expected


@pytest.mark.parametrize("name", ["password", "full_name", "__class__", "model_fields"])
async def test_what_is_not_on_the_wire_is_no_field(name: str) -> None:
    error = await refused(PersonResource, "list", filter=f"{name} = x")
    assert [item.reason for item in error.field_errors] == ["INVALID_FILTER"]
    assert f"there is no field '{name}'" in error.field_errors[0].description


async def test_an_action_that_takes_a_list_request_is_filtered_too() -> None:
    answer = await call(PersonResource, "ages", filter="age < 10")
    assert answer.items == [7]
    error = await refused(PersonResource, "ages", filter="password = x")
    assert [item.field for item in error.field_errors] == ["filter"]


async def test_a_store_is_asked_for_what_it_holds() -> None:
    store = MemoryStore()
    store.rows = {1: {"id": 1, "name": "a", "size": 3}, 2: {"id": 2, "name": "b", "size": None}}
    resource = resource_over(store)
    page = await call(resource, "list", filter="size >= 3 OR name = c", with_total=True)
    assert ([item.id for item in page.items], page.total) == ([1], 1)
    assert store.queries[-1].arguments == {"filter": "size >= 3 OR name = c"}
    await call(resource, "list", filter="  ")
    assert (store.queries[-1].condition, store.queries[-1].arguments) == (None, {})


async def test_fewer_fields_may_be_allowed() -> None:
    resource = resource_over(MemoryStore(), filter_fields=["name"])
    await call(resource, "list", filter="name = a")
    error = await refused(resource, "list", filter="size = 3")
    assert "there are name" in error.field_errors[0].description


async def test_a_list_of_less_is_filtered_and_sorted_by_less() -> None:
    async def lists(self: Any, schema_in: ListRequest) -> Page[Short]:
        page: Page[Short] = await self.store.list(schema_in.query())
        return page

    resource = resource_over(MemoryStore(), list=lists)
    await call(resource, "list", filter="size = 3")
    error = await refused(resource, "list", filter="name = a")
    assert "there is no field 'name'" in error.field_errors[0].description
    model = Collector().collect(resource).action("list")
    assert model is not None
    assert model.parameters is not None
    assert issubclass(model.parameters, ListRequest)
    assert model.parameters.sortable_names == frozenset({"size"})


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"filter_fields": "name"}, "filter_fields is 'name'; write a list"),
        ({"filter_fields": ["nmae"]}, "filter_fields: there is no field 'nmae'"),
        ({"filter_fields": ["nmae"]}, "did you mean 'name'?"),
        ({"filter_functions": {"f": 3}}, "filter_functions['f']: 3 is no function"),
    ],
)
def test_mistakes_are_refused_at_start(attributes: dict[str, Any], message: str) -> None:
    assert message in mistake(resource_over(MemoryStore(), **attributes))


def test_a_request_of_no_list_takes_no_filter() -> None:
    assert ListRequest().matches({"a": 1})
    request = ListRequest(filter="a = 1")
    with pytest.raises(ValidationFailed) as caught:
        request.query()
    assert [item.field for item in caught.value.field_errors] == ["filter"]


async def test_every_wrong_argument_is_named_at_once() -> None:
    error = await refused(PersonResource, "list", filter="{age} = {0}", page_size=-1)
    found = {item.field: item.description for item in error.field_errors}
    assert set(found) == {"filter", "page_size"}
    assert found["filter"].startswith("column 1: there is no field '{age}'")


async def test_a_function_that_fails_is_our_fault() -> None:
    def fails() -> Any:
        raise RuntimeError("hunter2")

    class FailingResource(PersonResource):
        name = "person"
        filter_functions = {"fails": fails}  # noqa: RUF012 - as users write it

    spec = Collector().collect(FailingResource).action("list")
    assert spec is not None
    error = await refused(FailingResource, "list", filter="fails()")
    assert (error.reason, "hunter2" in error.detail) == ("INTERNAL", False)
    asked = Call(spec=spec, arguments={"filter": ""}, context=Context())
    assert await Pipeline().run(asked) is not None
