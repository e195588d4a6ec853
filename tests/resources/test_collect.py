# ruff: noqa: ANN001, ANN201, ANN202 - untyped methods, as users of the first bali write them
"""What a class offers, and what of it is refused (`collect`, `operation`, `messages`)."""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, RootModel

from bali.errors import ConfigurationError
from bali.resources import (
    ActionSpec,
    AllowAny,
    Collector,
    HttpBinding,
    IsAuthenticated,
    Kind,
    ListRequest,
    ModelResource,
    Page,
    Resource,
    Wrap,
    action,
)
from bali.schemas import ListNode, Record, Scalar, ScalarKind
from tests.resources.samples import (
    Item,
    MemoryStore,
    call,
    mistake,
    model_over,
    resource_over,
    spec_of,
)

STORE = MemoryStore()
PLACE = r"\(.*test_collect\.py:\d+\)"


class Reason(BaseModel):
    """Why."""

    text: str


class WithId(BaseModel):
    id: int
    text: str


class Circle(BaseModel):
    kind: Literal["circle"]


class Square(BaseModel):
    kind: Literal["square"]


class Shaped(BaseModel):
    shape: Annotated[Circle | Square, Field(discriminator="kind")]


class Nested(BaseModel):
    reason: Reason


class Listed(BaseModel):
    rows: list[list[int]]


class Mapped(BaseModel):
    values: dict[str, int]


class Roots(RootModel[list[int]]):
    pass


class Colour(enum.Enum):
    RED = "red"


class OwnList(BaseModel):
    text: str = ""


ItemModel: Any = model_over(STORE)


class ItemSchema(Item):
    __model__ = ItemModel


def names(record: Record | None) -> list[str]:
    assert record is not None
    return [field.wire_name for field in record.fields]


def binding(spec: ActionSpec) -> tuple[Any, ...]:
    (only,) = spec.bindings
    return only.method, only.path, only.body, only.status


# -- the standard actions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rpc_name", "bound", "request_names", "response_names", "wrap"),
    [
        (
            "list",
            "ListItems",
            ("GET", "/items", None, 200),
            [
                *("page_size", "page_token", "skip", "order_by", "with_total", "filter", "name"),
                "read_mask",
            ],
            ["items", "next_page_token", "total"],
            Wrap.PAGE,
        ),
        ("get", "GetItem", ("GET", "/items/{id}", None, 200), ["id", "read_mask"], Item, Wrap.NONE),
        ("create", "CreateItem", ("POST", "/items", "item", 201), ["item"], Item, Wrap.NONE),
        (
            "update",
            "UpdateItem",
            ("PATCH", "/items/{id}", "item", 200),
            ["id", "item", "update_mask"],
            Item,
            Wrap.NONE,
        ),
        ("delete", "DeleteItem", ("DELETE", "/items/{id}", None, 204), ["id"], None, Wrap.EMPTY),
    ],
)
def test_standard_actions(  # noqa: PLR0917 - one row of a table
    name: str,
    rpc_name: str,
    bound: tuple[Any, ...],
    request_names: list[str],
    response_names: Any,
    wrap: Wrap,
) -> None:
    spec = spec_of(resource_over(STORE, filters=["name"]), name)
    assert (spec.kind, spec.rpc_name, spec.operation) == (Kind(name), rpc_name, f"items.{name}")
    assert binding(spec) == bound
    assert spec.request.name == f"{rpc_name}Request"
    assert names(spec.request) == request_names
    assert spec.wrap is wrap
    if response_names is Item:
        assert spec.response_model is Item
    elif response_names is not None:
        assert names(spec.response) == response_names
    else:
        assert (spec.response, spec.response_model) == (None, None)
    assert spec.is_detail is (name in ("get", "update", "delete"))


def test_a_resource_with_nothing_but_a_schema_of_a_model_has_them_all() -> None:
    class ItemResource(Resource):
        schema = ItemSchema

    collected = Collector().collect(ItemResource)
    assert [spec.name for spec in collected.actions] == [
        "list",
        "get",
        "create",
        "update",
        "delete",
    ]
    assert collected.action("list") is collected.actions[0]
    assert collected.action("nothing") is None
    assert collected.record is not None
    assert collected.record.type is ItemSchema


def test_a_resource_is_described() -> None:
    class OrderItemResource(Resource):
        """Lines of an order."""

        @action(tags=["x"])
        def count(self) -> int:
            """Count lines.

            All of them.
            """
            return 0

    collected = Collector().collect(OrderItemResource)
    assert (collected.singular, collected.plural) == ("order_item", "order_items")
    assert (collected.path, collected.description) == ("/order-items", "Lines of an order.")
    assert re.search(PLACE, collected.place)
    assert collected.record is None
    (spec,) = collected.actions
    assert spec.summary == "Count lines."
    assert spec.description == "Count lines.\n\nAll of them."
    assert spec.tags == ("x",)
    assert re.search(f"OrderItemResource.count {PLACE}", spec.place)
    assert binding(spec) == ("GET", "/order-items/count", None, 200)


def test_the_standard_actions_may_be_limited() -> None:
    collected = Collector().collect(resource_over(STORE, actions=("get", "list")))
    assert [spec.name for spec in collected.actions] == ["list", "get"]


def test_a_standard_action_may_be_taken_away() -> None:
    collected = Collector().collect(resource_over(STORE, delete=None, update=None))
    assert [spec.name for spec in collected.actions] == ["list", "get", "create"]


def test_without_a_model_only_what_is_written_is_offered() -> None:
    class ItemResource(Resource):
        schema = Item

        def get(self, pk: int):  # type: ignore[no-untyped-def]  # the case
            return {"id": pk, "name": "x"}

    assert [spec.name for spec in Collector().collect(ItemResource).actions] == ["get"]


# -- classic code ------------------------------------------------------------------------------


class ClassicResource(Resource):
    """As users of the first bali write it."""

    schema = ItemSchema
    name = "user"

    @action()
    def custome_users(self, schema_in):  # type: ignore[no-untyped-def]
        return [{"id": 1, "name": schema_in.ordering or "-"}]

    @action(methods=["post"])
    def promote(self, schema_in):  # type: ignore[no-untyped-def]
        return [{"id": 1, "name": schema_in.name}]

    @action(detail=True, methods=["post"])
    def rename(self, pk, schema_in):  # type: ignore[no-untyped-def]
        return {"id": pk, "name": schema_in.name}

    def get(self, pk=None):  # type: ignore[no-untyped-def]
        return {"id": pk, "name": "own"}

    def list(self, schema_in: ListRequest):  # type: ignore[no-untyped-def]
        return [{"id": schema_in.limit, "name": "own"}]

    def create(self, schema_in):  # type: ignore[no-untyped-def]
        return {"id": 9, "name": schema_in.name}

    def update(self, schema_in, pk=None):  # type: ignore[no-untyped-def, override]
        return {"id": pk, **schema_in.model_dump(exclude_unset=True)}

    def delete(self, pk=None):  # type: ignore[no-untyped-def]
        return None


async def test_classic_actions_run_as_written() -> None:
    assert (await call(ClassicResource, "custome_users", ordering="x")).items == [
        ItemSchema(id=1, name="x")
    ]
    assert (await call(ClassicResource, "promote", name="n")).items[0].name == "n"
    assert (await call(ClassicResource, "rename", id="7", name="n")).id == 7
    assert (await call(ClassicResource, "get", id="7")).id == 7
    assert (await call(ClassicResource, "list", limit=3)).items[0].id == 3
    assert (await call(ClassicResource, "create", user={"name": "n"})).name == "n"
    assert (await call(ClassicResource, "update", id=7, user={"name": "n"})).id == 7
    assert await call(ClassicResource, "delete", id=7) is None


def test_classic_actions_have_typed_contracts() -> None:
    spec = spec_of(ClassicResource, "custome_users")
    assert (spec.rpc_name, binding(spec)) == (
        "CustomeUsers",
        ("GET", "/users/custome-users", None, 200),
    )
    assert names(spec.request)[:2] == ["page_size", "page_token"]
    assert spec.wrap is Wrap.ITEMS
    rename = spec_of(ClassicResource, "rename")
    assert names(rename.request) == ["id", "name", "size"]
    assert binding(rename) == ("POST", "/users/{id}/rename", "*", 200)
    assert rename.response_model is ItemSchema
    assert binding(spec_of(ClassicResource, "delete")) == ("DELETE", "/users/{id}", None, 204)


def test_an_open_body_does_not_repeat_the_key() -> None:
    class ThingResource(Resource):
        schema = WithId

        @action(detail=True, methods=["post"])
        def mark(self, pk: str, schema_in): ...  # type: ignore[no-untyped-def]

    assert names(spec_of(ThingResource, "mark").request) == ["id", "text"]


# -- custom actions ----------------------------------------------------------------------------


class CustomResource(Resource):
    schema = Item
    name = "parcel"
    permission_classes = (IsAuthenticated,)

    @action(detail=True, methods=["post", "put"])
    def move(self, pk: int, schema_in: Reason, speed: int = 3) -> Item: ...  # type: ignore[empty-body]

    @action(path="the-census", permission_classes=[AllowAny])
    def census(self, colour: Colour, at: datetime.date | None = None) -> int: ...  # type: ignore[empty-body]

    @action(rpc_name="Ring", methods=["delete"])
    def alarm(self) -> None: ...

    @action(rpc_only=True)
    def inner(self) -> dict[str, Any]: ...  # type: ignore[empty-body]

    @action(http_only=True)
    def outer(self) -> Item | None: ...

    @action()
    def ticks(self) -> AsyncIterator[int]: ...  # type: ignore[empty-body]

    @action()
    async def watch(self):  # type: ignore[no-untyped-def]
        yield

    @action()
    def pages(self) -> Page: ...  # type: ignore[type-arg, empty-body]

    @action()
    def any_pages(self) -> Page[Any]: ...  # type: ignore[empty-body]

    @action()
    def reasons(self) -> Page[Reason]: ...  # type: ignore[empty-body]

    @action()
    def maybe_many(self) -> list[int] | None: ...

    @action(methods=["post"])
    def whole(self, schema_in: Item) -> object: ...

    @action(detail=True)
    def optional_key(self, pk: int | None = None) -> int: ...  # type: ignore[empty-body]


def test_http_forms_of_custom_actions() -> None:
    assert spec_of(CustomResource, "move").bindings == (
        HttpBinding(method="POST", path="/parcels/{id}/move", body="*"),
        HttpBinding(method="PUT", path="/parcels/{id}/move", body="*"),
    )
    assert binding(spec_of(CustomResource, "census")) == ("GET", "/parcels/the-census", None, 200)
    assert binding(spec_of(CustomResource, "alarm")) == ("DELETE", "/parcels/alarm", None, 200)
    assert spec_of(CustomResource, "inner").bindings == ()


@pytest.mark.parametrize(
    ("name", "rpc_name"),
    [
        ("move", "MoveParcel"),
        ("census", "CensusParcels"),
        ("alarm", "Ring"),
        ("inner", "InnerParcels"),
        ("outer", None),
        ("ticks", "TicksParcels"),
    ],
)
def test_grpc_names_of_custom_actions(name: str, rpc_name: str | None) -> None:
    assert spec_of(CustomResource, name).rpc_name == rpc_name


def test_requests_of_custom_actions() -> None:
    move = spec_of(CustomResource, "move")
    assert names(move.request) == ["id", "speed", "text"]
    assert (move.keyword_of_id, move.keyword_of_body) == ("pk", "schema_in")
    assert dict(move.keywords) == {"speed": "speed"}
    census = spec_of(CustomResource, "census")
    assert [field.is_required for field in census.request.fields] == [True, False]
    assert spec_of(CustomResource, "alarm").parameters is None
    assert names(spec_of(CustomResource, "whole").request) == ["name", "size"]
    (key,) = spec_of(CustomResource, "optional_key").request.fields
    assert (key.node, key.is_nullable) == (Scalar(ScalarKind.INT), False)


@pytest.mark.parametrize(
    ("name", "wrap", "response_names"),
    [
        ("move", Wrap.NONE, ["id", "name", "size"]),
        ("census", Wrap.RESULT, ["result"]),
        ("alarm", Wrap.EMPTY, None),
        ("inner", Wrap.RESULT, ["result"]),
        ("outer", Wrap.RESULT, ["result"]),
        ("ticks", Wrap.RESULT, ["result"]),
        ("watch", Wrap.NONE, ["id", "name", "size"]),
        ("pages", Wrap.PAGE, ["items", "next_page_token", "total"]),
        ("any_pages", Wrap.PAGE, ["items", "next_page_token", "total"]),
        ("reasons", Wrap.PAGE, ["items", "next_page_token", "total"]),
        ("maybe_many", Wrap.RESULT, ["result"]),
        ("whole", Wrap.RESULT, ["result"]),
    ],
)
def test_responses_of_custom_actions(name: str, wrap: Wrap, response_names: Any) -> None:
    spec = spec_of(CustomResource, name)
    assert spec.wrap is wrap
    assert (spec.response and names(spec.response)) == response_names


class Other:
    """A database model with a store of its own."""

    __store__ = MemoryStore(Reason)


def test_a_database_model_as_result_means_its_schema() -> None:
    class ItemResource(Resource):
        schema = ItemSchema

        @action()
        def one(self) -> ItemModel: ...

        @action()
        def many(self) -> list[ItemModel]: ...  # type: ignore[empty-body]

        @action()
        def page(self) -> Page[ItemModel]: ...  # type: ignore[empty-body]

        @action()
        def maybe(self) -> ItemModel | None: ...

        @action()
        async def stream(self) -> AsyncIterator[ItemModel]:
            yield

        @action()
        def other(self) -> Other: ...  # type: ignore[empty-body]

    one, many, page, maybe, stream, other = (
        spec_of(ItemResource, name).response_model
        for name in ("one", "many", "page", "maybe", "stream", "other")
    )
    assert one is stream is ItemSchema
    assert other is Reason
    assert many is not None
    assert many.model_fields["items"].annotation == list[ItemSchema]
    assert page is not None
    assert page.model_fields["items"].annotation == list[ItemSchema]
    assert maybe is not None
    assert maybe.model_fields["result"].annotation == ItemSchema | None


def test_items_of_pages() -> None:
    for name, item in (("pages", Item), ("any_pages", Item), ("reasons", Reason)):
        response = spec_of(CustomResource, name).response
        assert response is not None
        node = response.fields[0].node
        assert isinstance(node, ListNode)
        assert isinstance(node.item, Record)
        assert node.item.type is item


def test_a_stream_is_one() -> None:
    assert spec_of(CustomResource, "ticks").is_streaming
    assert not spec_of(CustomResource, "ticks").is_async
    assert spec_of(CustomResource, "watch").is_streaming
    assert not spec_of(CustomResource, "move").is_streaming


def test_permissions_of_an_action_replace_those_of_the_resource() -> None:
    assert [type(p) for p in spec_of(CustomResource, "move").permissions] == [IsAuthenticated]
    assert [type(p) for p in spec_of(CustomResource, "census").permissions] == [AllowAny]


# -- inheritance -------------------------------------------------------------------------------


class Archiving:
    """A mixin that is no resource."""

    @action(detail=True, methods=["post"], permission_classes=[IsAuthenticated])
    def archive(self, pk: int) -> None: ...


class BaseThing(Archiving, Resource):
    schema = Item
    name = "thing"

    @action()
    def first(self) -> int: ...  # type: ignore[empty-body]

    @action()
    def second(self) -> int: ...  # type: ignore[empty-body]

    @action(detail=True, permission_classes=[IsAuthenticated])
    def delete(self, pk: int) -> None: ...  # type: ignore[override]


class DerivedThing(BaseThing):
    @action()
    def third(self) -> int: ...  # type: ignore[empty-body]

    def archive(self, pk: int) -> None: ...

    second = None  # type: ignore[assignment]  # takes the action away

    def delete(self, pk: int) -> None: ...  # type: ignore[override]


def test_actions_are_inherited_in_order_of_declaration() -> None:
    names_of = [spec.name for spec in Collector().collect(DerivedThing).actions]
    assert names_of == ["delete", "archive", "first", "third"]


def test_an_override_keeps_what_the_action_was_told() -> None:
    for name in ("archive", "delete"):
        spec = spec_of(DerivedThing, name)
        assert [type(item) for item in spec.permissions] == [IsAuthenticated]
        assert f"DerivedThing.{name} " in spec.place
    assert binding(spec_of(DerivedThing, "archive"))[0] == "POST"


def test_siblings_do_not_share_actions() -> None:
    class Sibling(BaseThing):
        pass

    assert Collector().collect(Sibling).action("third") is None


def test_a_key_without_a_type_is_that_of_the_schema() -> None:
    class ThingResource(Resource):
        schema = Item

        @action(detail=True)
        def look(self, pk): ...  # type: ignore[no-untyped-def]

    spec = Collector().collect(ThingResource).action("look")
    assert spec is not None
    assert spec.request.fields[0].node == Scalar(ScalarKind.INT)


def test_a_key_without_a_type_is_refused_where_the_schema_has_none() -> None:
    assert "parameter 'pk' has no type; annotate it" in refuse(Wrong.key_of_no_type, schema=Reason)


# -- what is refused ---------------------------------------------------------------------------


def refuse(function: Any, **attributes: Any) -> str:
    """Collect a resource with this one action, and return why it is refused."""
    attributes.setdefault("schema", Item)
    name = function.__name__
    return mistake(type("ThingResource", (Resource,), {name: function, **attributes}))


class Wrong:
    """One method for each mistake."""

    @action(detail=True)
    def detail_without_key(self) -> int: ...  # type: ignore[empty-body]

    @action()
    def key_without_detail(self, pk: int) -> int: ...  # type: ignore[empty-body]

    @action(detail=True)
    def key_of_no_type(self, pk) -> int: ...  # type: ignore[no-untyped-def, empty-body]

    @action(detail=True)
    def key_of_many(self, pk: list[int]) -> int: ...  # type: ignore[empty-body]

    @action(detail=True)
    def key_of_choice(self, pk: int | str) -> int: ...  # type: ignore[empty-body]

    @action(rpc_name="No Name")
    def named_badly(self) -> int: ...  # type: ignore[empty-body]

    @action(methods=["post"])
    def body_of_dict(self, schema_in: dict[str, int]) -> int: ...  # type: ignore[empty-body]

    @action(methods=["post"])
    def body_of_root(self, schema_in: Roots) -> int: ...  # type: ignore[empty-body]

    @action(methods=["post"])
    def body_of_choice(self, schema_in: Reason | None) -> int: ...  # type: ignore[empty-body]

    @action(detail=True, methods=["post"])
    def body_with_key(self, pk: int, schema_in: WithId) -> int: ...  # type: ignore[empty-body]

    @action()
    def query_of_model(self, schema_in: Nested) -> int: ...  # type: ignore[empty-body]

    @action()
    def query_of_lists(self, schema_in: Listed) -> int: ...  # type: ignore[empty-body]

    @action()
    def query_of_map(self, schema_in: Mapped) -> int: ...  # type: ignore[empty-body]

    @action()
    def query_of_union(self, schema_in: Shaped) -> int: ...  # type: ignore[empty-body]

    @action()
    def result_of_strange_type(self) -> Collector: ...  # type: ignore[empty-body]

    @action()
    async def stream_of_nothing(self) -> AsyncIterator[None]:
        yield None

    @action()
    def parameter_of_strange_type(self, c: Collector) -> int: ...  # type: ignore[empty-body]

    @action(permission_classes=[int])  # type: ignore[list-item]
    def bad_permission(self) -> int: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("detail_without_key", r"takes its key; add the parameter `pk: int`"),
        ("key_without_detail", r"`pk` is the key of one item; declare .* detail=True"),
        ("key_of_many", r"'pk' is list\[int\], which no path can hold"),
        ("key_of_choice", r"pk: type .*int.*str.* has no form on both protocols"),
        ("named_badly", r"rpc_name 'No Name' is not an identifier"),
        ("body_of_dict", r"schema_in is dict\[str, int\]; a body is a pydantic model"),
        ("body_of_root", r"schema_in is .*Roots.*; a body is a pydantic model with named fields"),
        ("body_of_choice", r"schema_in is .*Reason.*; a body is a pydantic model"),
        ("body_with_key", r"field 'id' of WithId has the name of another parameter"),
        ("query_of_model", r"field 'reason' cannot be written in a query string"),
        ("query_of_lists", r"field 'rows' cannot be written in a query string"),
        ("query_of_map", r"field 'values' cannot be written in a query string"),
        ("query_of_union", r"field 'shape' cannot be written in a query string"),
        ("result_of_strange_type", r"result: type 'Collector' has no form on both protocols"),
        ("stream_of_nothing", r"a stream of None tells its reader nothing"),
        ("parameter_of_strange_type", r"c: type 'Collector' has no form"),
        ("bad_permission", r"is not a permission"),
    ],
)
def test_a_method_that_cannot_be_served_is_refused(name: str, message: str) -> None:
    text = refuse(getattr(Wrong, name))
    assert re.search(message, text), text
    assert re.match(rf"[\w.]*Wrong\.{name} {PLACE}: ", text), text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("body", "schema_in has no type and ThingResource no schema to take it from"),
        ("result", "the result has no type and ThingResource no schema to take it from"),
        ("many", "the result has no type and ThingResource no schema to take it from"),
    ],
)
def test_what_needs_a_schema_says_so(name: str, message: str) -> None:
    class Untyped:
        @action(methods=["post"])
        def body(self, schema_in) -> int: ...  # type: ignore[no-untyped-def, empty-body]

        @action()
        def result(self): ...  # type: ignore[no-untyped-def]

        @action()
        def many(self) -> Page[Any]: ...  # type: ignore[empty-body]

    assert message in refuse(getattr(Untyped, name), schema=None)


class Overrides:
    def list_as_stream(self, schema_in: ListRequest) -> AsyncIterator[Item]: ...  # type: ignore[empty-body]

    def get_with_more(self, pk: int, verbose: int = 0) -> Item: ...  # type: ignore[empty-body]

    def list_of_dict(self, schema_in: ListRequest) -> dict[str, Any]: ...  # type: ignore[empty-body]

    def list_of_model(self, schema_in: ListRequest) -> Reason: ...  # type: ignore[empty-body]

    def list_of_str(self, schema_in: ListRequest) -> str: ...  # type: ignore[empty-body]

    def list_of_none(self, schema_in: ListRequest) -> None: ...

    def list_by_dict(self, schema_in: dict[str, Any]) -> list[Item]: ...  # type: ignore[empty-body]

    def get_without_key(self) -> Item: ...  # type: ignore[empty-body]

    def create_by_list(self, schema_in: list[Item]) -> Item: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("list_as_stream", "list returns one answer and cannot be a stream"),
        ("get_with_more", "get takes no parameter 'verbose'; a standard action takes"),
        ("list_of_dict", r"list returns many items, found dict\[str, .*Any\]; annotate it"),
        ("list_of_model", "list returns many items, found .*Reason.*; annotate it"),
        ("list_of_str", "list returns many items, found .*str.*; annotate it"),
        ("list_of_none", "list returns many items, found"),
        ("list_by_dict", "schema_in is dict.*; a body is a pydantic model"),
        ("get_without_key", "takes its key; add the parameter"),
        ("create_by_list", "schema_in is list.*; a body is a pydantic model"),
    ],
)
def test_an_override_that_cannot_be_served_is_refused(name: str, message: str) -> None:
    standard = name.partition("_")[0]
    attributes = {standard: getattr(Overrides, name), "schema": Item}
    text = mistake(type("ThingResource", (Resource,), attributes))
    assert re.search(message, text), text
    assert re.search(PLACE, text)


@pytest.mark.parametrize("returns", [list[Item], Sequence[Item], Page[Item], Any, Page, list])
def test_what_a_list_may_return(returns: Any) -> None:
    def list_items(self: Any) -> Any: ...

    list_items.__annotations__["return"] = returns
    spec = spec_of(type("ItemResource", (Resource,), {"list": list_items, "schema": Item}), "list")
    assert spec.wrap is Wrap.PAGE


def test_a_list_may_take_a_request_of_its_own() -> None:
    def list_items(self: Any, schema_in: OwnList) -> list[Item]: ...  # type: ignore[empty-body]

    spec = spec_of(type("ItemResource", (Resource,), {"list": list_items, "schema": Item}), "list")
    assert names(spec.request) == ["text", "read_mask"]
    assert spec.parameters is not None
    assert issubclass(spec.parameters, OwnList)


def test_a_delete_may_return_something() -> None:
    def delete(self: Any, pk: int) -> Item: ...  # type: ignore[empty-body]

    spec = spec_of(type("ItemResource", (Resource,), {"delete": delete}), "delete")
    assert (spec.response_model, binding(spec)[3]) == (Item, 200)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"model": int}, r"model <class 'int'> is no database model"),
        ({"http_endpoint": "a b"}, r"http_endpoint '/a b' is not a URL path"),
        ({"http_endpoint": "a/{id}"}, r"is not a URL path"),
        ({"http_endpoint": "/"}, r"is not a URL path"),
        ({"name": "1st"}, r"'1st' is not an identifier; set `name` and `plural`"),
        ({"plural": "été"}, r"'été' is not an identifier"),
        ({"actions": ["list", "move"]}, r"actions names 'move'; it limits the standard actions"),
        ({"filters": ["name", "zork"]}, r"filters: 'zork' is no filter"),
        ({"permission_class": []}, r"nothing reads 'permission_class'; write 'permission_classes'"),
        ({"filter": ["name"]}, r"nothing reads 'filter'; write 'filters'"),
        ({"permission_classes": ["x"]}, r"ItemResource.*: 'x' is not a permission"),
        ({"schema": int}, r"schema <class 'int'> is no pydantic model; .*model_to_schema"),
        ({"page_size": "many"}, r"page_size 'many' is not between 1 and 1000"),
        ({"page_size": 0}, r"page_size 0 is not between 1 and 1000"),
        ({"page_size": 1001}, r"page_size 1001 is not between 1 and 1000"),
    ],
)
def test_a_resource_that_cannot_be_served_is_refused(
    attributes: dict[str, Any], message: str
) -> None:
    assert re.search(message, mistake(resource_over(STORE, **attributes)))


@pytest.mark.parametrize("name", ["page_token", "limit", "offset", "ordering", "skip"])
def test_a_filter_with_a_name_of_every_list_is_refused(name: str) -> None:
    store = MemoryStore()
    store.filters = {name: str}
    assert f"filter '{name}' has the name of a field that every list has" in mistake(
        resource_over(store, filters=[name])
    )


def test_a_resource_that_offers_nothing_is_refused() -> None:
    class Empty(Resource):
        schema = Item

    class NoModel(ModelResource):
        pass

    class Missing(Resource):
        schema = Item
        actions = ("get",)

    class Filtering(Resource):
        schema = Item
        filters = ("name",)

        def list(self) -> list[Item]: ...  # type: ignore[empty-body, override]

    class Demanding(Resource):
        schema = Item

        def __init__(self) -> None: ...

        @action()
        def one(self) -> int: ...  # type: ignore[empty-body]

    assert re.search(rf"Demanding {PLACE}: .*`\(request, context\)`", mistake(Demanding))
    assert re.search(f"Empty {PLACE} offers nothing", mistake(Empty))
    assert re.search(f"NoModel {PLACE} has no model; set `model", mistake(NoModel))
    assert "actions names 'get', which nothing provides" in mistake(Missing)
    assert re.search(f"Filtering {PLACE}: filters need a model", mistake(Filtering))


@pytest.mark.parametrize("what", [Item, Item(id=1, name="a"), "UserResource", None, Resource()])
def test_what_is_no_resource_class_is_refused(what: Any) -> None:
    assert "is not a Resource class" in mistake(what)


# -- clashes -----------------------------------------------------------------------------------


def clash(first: type[Resource], second: type[Resource]) -> str:
    collector = Collector()
    collector.collect(first)
    with pytest.raises(ConfigurationError) as caught:
        collector.collect(second)
    assert len(collector.resources) == 1
    return str(caught.value)


class OneResource(Resource):
    @action(rpc_name="Ping")
    def ping(self) -> int: ...  # type: ignore[empty-body]


class AnotherOneResource(Resource):
    name = "one"
    plural = "others"

    @action()
    def pong(self) -> int: ...  # type: ignore[empty-body]


class SamePath(Resource):
    http_endpoint = "ones"

    @action()
    def pong(self) -> int: ...  # type: ignore[empty-body]


class SameMethod(Resource):
    @action(rpc_name="Ping")
    def pong(self) -> int: ...  # type: ignore[empty-body]


class SameRoute(Resource):
    http_endpoint = "ones/ping"
    schema = Item

    def list(self) -> list[Item]: ...  # type: ignore[empty-body, override]


@pytest.mark.parametrize(
    ("second", "what"),
    [
        (AnotherOneResource, "resource name 'one'"),
        (SamePath, "HTTP path '/ones'"),
        (SameMethod, "gRPC method 'Ping'"),
        (SameRoute, "HTTP route 'GET /ones/ping'"),
    ],
)
def test_a_name_that_is_taken_is_refused_naming_both_places(
    second: type[Resource], what: str
) -> None:
    message = clash(OneResource, second)
    assert f"two declarations have the {what}" in message
    assert message.count("test_collect.py:") == 2
    assert "OneResource" in message
    assert second.__name__ in message


def test_two_actions_of_one_resource_may_clash_too() -> None:
    class ParcelResource(Resource):
        @action(detail=True)
        def move(self, pk: int) -> int: ...  # type: ignore[empty-body]

        @action(detail=True)
        def move_parcel(self, pk: int) -> int: ...  # type: ignore[empty-body]

    message = mistake(ParcelResource)
    assert "gRPC method 'MoveParcel'" in message
    assert message.count("test_collect.py:") == 2


def test_an_action_of_one_protocol_clashes_on_that_one_only() -> None:
    class ParcelResource(Resource):
        @action(rpc_name="Move", http_only=True)
        def move(self) -> int: ...  # type: ignore[empty-body]

        @action(rpc_name="Move", rpc_only=True)
        def shift(self) -> int: ...  # type: ignore[empty-body]

    assert len(Collector().collect(ParcelResource).actions) == 2


def test_the_same_class_twice_is_refused_as_that() -> None:
    assert re.search(f"OneResource {PLACE} is registered twice", clash(OneResource, OneResource))


def test_collectors_share_nothing() -> None:
    assert Collector().collect(OneResource) is not Collector().collect(OneResource)
