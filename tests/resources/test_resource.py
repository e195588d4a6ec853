# ruff: noqa: ANN001, ANN202 - untyped methods, as users of the first bali write them
from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from bali.errors import ConfigurationError, Unimplemented
from bali.resources import Context, ListRequest, ModelResource, Page, Principal, Resource, action
from tests.resources.samples import Item, MemoryStore, call, model_over, resource_over


class Nested(BaseModel):
    sku: str
    amount: int = 1


class Order(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)

    id: int = Field(json_schema_extra={"readOnly": True})
    title: str = Field(alias="theTitle")
    level: int = 3
    note: str | None = None
    lines: list[Nested] = []


def test_names_follow_from_the_class() -> None:
    class OrderItemResource(Resource):
        pass

    class CityModelResource(ModelResource):
        pass

    class Status(Resource):
        pass

    names = [
        (cls.singular_name(), cls.plural_name(), cls.endpoint())
        for cls in (OrderItemResource, CityModelResource, Status, Resource)
    ]
    assert names == [
        ("order_item", "order_items", "/order-items"),
        ("city", "cities", "/cities"),
        ("status", "statuses", "/statuses"),
        ("resource", "resources", "/resources"),
    ]


def test_names_may_be_given() -> None:
    class PersonResource(Resource):
        name = "HumanBeing"
        plural = "People"
        http_endpoint = "/v2/people/"

    assert PersonResource.singular_name() == "human_being"
    assert PersonResource.plural_name() == "people"
    assert PersonResource.endpoint() == "/v2/people"


def test_an_object_knows_its_call() -> None:
    context = Context(principal=Principal(id="ann"))
    resource = Resource("request", context)
    assert resource.request == "request"
    assert resource.context is context
    assert resource.auth is context.principal
    assert Resource().auth is None


def test_the_store_comes_from_model_or_schema() -> None:
    store = MemoryStore()

    class Schema(Item):
        __model__ = model_over(store)

    class BySchema(Resource):
        schema = Schema

    class ByModel(Resource):
        model = model_over(store)

    found: list[Any] = [BySchema.find_store(), ByModel.find_store(), BySchema().store]
    assert all(item is store for item in found)


def test_without_a_model_there_is_no_store() -> None:
    class Plain(Resource):
        schema = Item

    assert Plain.find_store() is None
    with pytest.raises(Unimplemented, match="Plain has no model"):
        _ = Plain().store


def test_two_actions_of_one_name_are_refused_where_they_stand() -> None:
    with pytest.raises(ConfigurationError) as caught:

        class Twice(Resource):
            @action()
            def move(self) -> None: ...

            @action()  # type: ignore[no-redef]  # the case
            def move(self) -> None: ...  # noqa: F811 - the case

    message = str(caught.value)
    assert "two actions are named 'move'" in message
    assert message.count("test_resource.py:") == 2


def test_other_attributes_may_be_replaced() -> None:
    class Fine(Resource):
        title = "a"
        title = "b"  # noqa: PIE794 - the case

        def plain(self) -> None: ...

        @action()  # type: ignore[no-redef]  # the case
        def plain(self) -> None: ...  # noqa: F811 - the case

    assert Fine.title == "b"


async def test_former_names_are_the_standard_actions() -> None:
    store = MemoryStore()
    resource: Any = resource_over(store)()
    created = await resource.create_item(Item(id=1, name="a"))
    assert created == {"id": 1, "name": "a"}
    assert await resource.get_item(1) == created
    assert (await resource.get_items(ListRequest())).items == [created]
    assert (await resource.list_items(ListRequest())).items == [created]
    changed = Item(id=1, name="b")
    assert (await resource.update_item(1, changed))["name"] == "b"
    await resource.delete_item(1)
    assert store.rows == {}


@pytest.mark.parametrize("name", ["get_orders", "_get_items", "nothing"])
def test_other_names_are_no_attributes(name: str) -> None:
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
        getattr(resource_over(MemoryStore())(), name)


def test_an_overridden_action_is_still_known_by_name() -> None:
    class ItemResource(Resource):
        def list(self, schema_in):  # type: ignore[no-untyped-def]  # the case
            return []

        delete = None  # type: ignore[assignment]  # takes the action away

    assert ItemResource.action_name("list") == "list"
    assert ItemResource.action_name("get_items") == "list"
    assert ItemResource.action_name("delete") is None


async def test_create_stores_what_was_sent_and_what_the_schema_supplies() -> None:
    store = MemoryStore(Order)
    resource = resource_over(store)
    await call(resource, "create", item={"theTitle": "t", "id": 99, "lines": [{"sku": "x"}]})
    assert store.written == [
        {"title": "t", "level": 3, "lines": [{"sku": "x", "amount": 1}]},
    ]


async def test_update_stores_only_what_was_sent() -> None:
    store = MemoryStore(Order)
    store.rows[1] = {"id": 1, "title": "t", "level": 5, "note": "n", "lines": []}
    resource = resource_over(store)
    await call(resource, "update", id=1, item={"note": None, "lines": [{"sku": "x"}]})
    assert store.written == [{"note": None, "lines": [{"sku": "x", "amount": 1}]}]
    assert store.rows[1]["level"] == 5


async def test_an_override_may_call_super() -> None:
    store = MemoryStore()

    class ItemResource(ModelResource):
        model = model_over(store)

        async def create(self, schema_in: Any) -> Any:
            schema_in.size = 7
            return await super().create(schema_in)

        async def list(self, schema_in: ListRequest) -> Page[Any]:
            schema_in.page_size = 1
            return await super().list(schema_in)

        async def delete(self, pk: Any) -> None:
            if pk != 1:
                await super().delete(pk)

    assert (await call(ItemResource, "create", item={"name": "a"})).size == 7
    await call(ItemResource, "create", item={"name": "b"})
    assert len((await call(ItemResource, "list")).items) == 1
    await call(ItemResource, "delete", id=1)
    await call(ItemResource, "delete", id=2)
    assert list(store.rows) == [1]
