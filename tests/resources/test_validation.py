from __future__ import annotations

import datetime
import decimal
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import (
    AliasGenerator,
    BaseModel,
    ConfigDict,
    Field,
    computed_field,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from bali.errors import InvalidArgument, NotFound
from bali.resources import Call, Context, ListRequest, Pipeline, Resource, action
from bali.resources.validation import Validator
from tests.resources.samples import (
    Item,
    MemoryStore,
    call,
    model_over,
    refused,
    resource_over,
    spec_of,
    wrong_fields,
)


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    radius: float


class Square(BaseModel):
    kind: Literal["square"] = "square"
    side: float


class Line(BaseModel):
    sku: str = Field(alias="theSku")
    amount: int = 1


class Everything(BaseModel):
    shape: Annotated[Circle | Square, Field(discriminator="kind")] | None = None
    shapes: list[Annotated[Circle | Square, Field(discriminator="kind")]] = []
    lines: list[Line] = []
    prices: dict[str, decimal.Decimal] = {}
    at: datetime.datetime | None = None
    anything: object = None
    number: float | None = None


class Span(BaseModel):
    """The fields of an item, with a rule over two of them."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    id: int = Field(alias="ID", json_schema_extra={"readOnly": True})
    start: int = Field(alias="from")
    end: int = 10
    note: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start > self.end:
            raise ValueError("must start before its end")
        return self


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=AliasGenerator(alias=to_camel))

    first_name: str
    second: str = ""


class ProbeResource(Resource):
    """Returns what it was given."""

    seen: Any = None

    @action(methods=["post"])
    def everything(self, schema_in: Everything) -> Everything:
        return schema_in

    @action(methods=["post"])
    def mixed(self, line: Line, count: int, copy: str = "no", note: str | None = None) -> str:
        return f"{line.sku} {count} {copy} {note}"

    @action(methods=["post"])
    def camel(self, schema_in: Camel) -> str:
        return f"{schema_in.first_name} {schema_in.second}"

    @action()
    def search(self, count: int = 1, tags: list[str] = []) -> int:  # noqa: B006 - never changed
        return count + len(tags)

    @action()
    def listing(self, schema_in: ListRequest) -> str:
        return str(schema_in.query().page_size)

    @action(methods=["post"])
    def lenient(self, schema_in: Lenient) -> int:
        return schema_in.a

    @action(methods=["post"])
    def open(self, schema_in: Open) -> dict[str, int]:
        return schema_in.model_extra or {}

    @action(methods=["post"])
    def raising(self, schema_in: Raising) -> int:
        return schema_in.a

    @action(methods=["post"])
    def item(self, schema_in: Item) -> str:
        return f"{schema_in.id} {schema_in.name}"


class Narrow(ListRequest):
    name: Literal["a", "b"] | None = None
    deep: bool = False


class Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")
    a: int


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Raising(BaseModel):
    a: int

    @field_validator("a")
    @classmethod
    def _known(cls, value: int) -> int:
        if value == 1:
            raise NotFound("there is no one")
        if value == 2:
            raise KeyError("a bug")
        return value


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore(Span)
    made.rows[1] = {"ID": 1, "from": 1, "end": 5, "note": "n"}
    return made


def spans(store: MemoryStore) -> type[Resource]:
    return resource_over(store, name="span")


async def everything(**values: Any) -> Any:
    return await call(ProbeResource, "everything", **values)


# -- which fields there are --------------------------------------------------------------------


async def test_every_wrong_field_is_named_at_once() -> None:
    assert await wrong_fields(ProbeResource, "mixed", count="x", theSku=7, zork=1) == [
        ("count", "INT_PARSING"),
        ("zork", "UNKNOWN_FIELD"),
        ("theSku", "STRING_TYPE"),
    ]
    assert await wrong_fields(ProbeResource, "mixed") == [
        ("count", "REQUIRED"),
        ("theSku", "REQUIRED"),
    ]


async def test_scalars_and_body_come_from_one_request() -> None:
    made = await call(ProbeResource, "mixed", theSku="x", count="3", copy="yes")
    assert made.result == "x 3 yes None"


async def test_unknown_fields_are_refused_with_and_without_parameters(store: MemoryStore) -> None:
    assert await wrong_fields(ProbeResource, "search", zork=1) == [("zork", "UNKNOWN_FIELD")]
    assert await wrong_fields(spans(store), "create", span={"from": 1}, zork=1) == [
        ("zork", "UNKNOWN_FIELD")
    ]
    assert await wrong_fields(spans(store), "create", span={"from": 1, "zork": 1}) == [
        ("zork", "UNKNOWN_FIELD")
    ]
    assert await wrong_fields(spans(store), "get", id=1, zork=1) == [("zork", "UNKNOWN_FIELD")]


async def test_a_model_may_say_otherwise_about_unknown_fields() -> None:
    assert (await call(ProbeResource, "lenient", a=1, b=2)).result == 1
    assert (await call(ProbeResource, "open", a=1, b=2)).result == {"b": 2}


async def test_only_names_of_the_wire_are_names(store: MemoryStore) -> None:
    assert await wrong_fields(spans(store), "create", span={"start": 1}) == [
        ("start", "UNKNOWN_FIELD"),
        ("from", "REQUIRED"),
    ]
    assert (await call(ProbeResource, "camel", firstName="a", second="b")).result == "a b"
    assert ("first_name", "UNKNOWN_FIELD") in await wrong_fields(
        ProbeResource, "camel", first_name="a"
    )


async def test_more_than_a_hundred_errors_are_cut() -> None:
    many = {f"zork{number}": 1 for number in range(150)}
    assert len(await wrong_fields(ProbeResource, "search", **many)) == 100


async def test_names_and_texts_of_a_caller_are_repeated_in_part_only() -> None:
    error = await refused(
        ProbeResource, "everything", **{"x" * 9999: 1, "shape": {"kind": "y" * 9999}}
    )
    assert [len(item.field) for item in error.field_errors] == [200, len("shape")]
    assert all(len(item.description) <= 500 for item in error.field_errors)


@pytest.mark.parametrize("body", [None, 7, "x", [1]])
async def test_a_body_must_be_an_object(store: MemoryStore, body: Any) -> None:
    assert await wrong_fields(spans(store), "create", span=body) == [("span", "OBJECT_TYPE")]


async def test_a_missing_body_is_an_empty_one(store: MemoryStore) -> None:
    assert await wrong_fields(spans(store), "create") == [("from", "REQUIRED")]


async def test_a_body_may_be_an_object_of_the_model(store: MemoryStore) -> None:
    body = Span(ID=7, start=3)  # type: ignore[call-arg]  # by name, as the model allows
    made = await call(spans(store), "create", span=body)
    assert (made.start, made.end) == (3, 10)
    assert store.written == [{"start": 3, "end": 10}]


async def test_values_sent_are_not_in_the_error() -> None:
    error = await refused(ProbeResource, "search", count="hunter2")
    assert "hunter2" not in repr(error.field_errors)
    assert error.http_status == 422


# -- paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        ({"shape": {"kind": "circle", "radius": "x"}}, "shape.radius", "FLOAT_PARSING"),
        ({"shape": {"kind": "square"}}, "shape.side", "REQUIRED"),
        ({"shape": {"kind": "line"}}, "shape", "UNION_TAG_INVALID"),
        ({"shape": {}}, "shape", "UNION_TAG_NOT_FOUND"),
        ({"shapes": [{"kind": "circle"}]}, "shapes[0].radius", "REQUIRED"),
        ({"lines": [{"theSku": "x", "amount": "y"}]}, "lines[0].amount", "INT_PARSING"),
        ({"lines": [{}]}, "lines[0].theSku", "REQUIRED"),
        ({"lines": 7}, "lines", "LIST_TYPE"),
        ({"prices": {"a.b": "x"}}, "prices.a.b", "DECIMAL_PARSING"),
        ({"prices": {"[key]": "x"}}, "prices.[key]", "DECIMAL_PARSING"),
        ({"prices": {"a": "NaN"}}, "prices.a", "FINITE_NUMBER"),
        ({"lines": [{"theSku": "a\0"}]}, "lines[0].theSku", "NUL_CHARACTER"),
        ({"lines": [{"theSku": "a", "amount": 2**63}]}, "lines[0].amount", "INT64_RANGE"),
        ({"anything": [{"deep": ["\0"]}]}, "anything[0].deep[0]", "NUL_CHARACTER"),
        ({"anything": {"k": float("inf")}}, "anything.k", "FINITE_NUMBER"),
        ({"anything": "\ud800"}, "anything", "INVALID_UNICODE"),
        ({"number": float("nan")}, "number", "FINITE_NUMBER"),
        ({"at": "0001-01-01T00:00:00+09:00"}, "at", "DATETIME_RANGE"),
    ],
)
async def test_a_field_is_named_as_the_caller_wrote_it(
    values: Mapping[str, Any], field: str, reason: str
) -> None:
    assert await wrong_fields(ProbeResource, "everything", **values) == [(field, reason)]


async def test_fields_of_a_body_are_named_relative_to_it(store: MemoryStore) -> None:
    assert await wrong_fields(spans(store), "update", id="x", span={"from": "y"}) == [
        ("id", "INT_PARSING"),
        ("from", "INT_PARSING"),
    ]


async def test_a_rule_over_the_whole_body_has_no_field(store: MemoryStore) -> None:
    error = await refused(spans(store), "create", span={"from": 11})
    (item,) = error.field_errors
    assert (item.field, item.reason) == ("", "VALUE_ERROR")
    assert item.description == "Value error, must start before its end"


async def test_datetimes_without_a_zone_come_in_as_utc() -> None:
    made = await everything(at="2024-05-01T12:00:00", anything={"x": 1})
    assert made.at == datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
    made = await everything(at="2024-05-01T12:00:00+02:00")
    assert made.at.isoformat() == "2024-05-01T10:00:00+00:00"


@pytest.mark.parametrize("depth", [600, 5_000])
async def test_what_is_nested_too_deeply_is_refused(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    error = await refused(ProbeResource, "everything", anything=value)
    assert isinstance(error, InvalidArgument)
    assert error.reason == "TOO_DEEP"
    while isinstance(value, list):  # taken apart step by step: freeing it whole would recurse
        value = value.pop()


# -- errors of validators ----------------------------------------------------------------------


async def test_an_error_raised_on_purpose_in_a_validator_is_the_answer() -> None:
    assert (await refused(ProbeResource, "raising", a=1)).reason == "NOT_FOUND"


async def test_a_bug_in_a_validator_is_internal() -> None:
    assert (await refused(ProbeResource, "raising", a=2)).reason == "INTERNAL"


# -- output only, masks ------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [{}, {"ID": 99}, {"ID": "nonsense"}])
async def test_output_only_fields_are_ignored(store: MemoryStore, sent: dict[str, Any]) -> None:
    await call(spans(store), "create", span={"from": 1, **sent})
    await call(spans(store), "update", id=1, span={"note": "new", **sent})
    assert store.written == [{"start": 1, "end": 10}, {"note": "new"}]


async def test_output_only_fields_cannot_be_set_by_their_attribute(store: MemoryStore) -> None:
    assert await wrong_fields(spans(store), "update", id=1, span={"id": 7}) == [
        ("id", "UNKNOWN_FIELD")
    ]


class Labelled(BaseModel):
    id: int = Field(json_schema_extra={"readOnly": True})
    name: str

    @computed_field(alias="theLabel")
    def label(self) -> str:
        return f"{self.id} {self.name}"


async def test_computed_fields_are_output_only() -> None:
    resource = resource_over(MemoryStore(Labelled), name="span")
    item = await call(resource, "create", span={"name": "a", "theLabel": "sent back"})
    assert item.label == "1 a"
    await call(resource, "update", id=1, span={"name": "b", "theLabel": "sent back"})
    assert await wrong_fields(
        resource, "update", id=1, span={"name": "c"}, update_mask=["theLabel"]
    ) == [("update_mask", "OUTPUT_ONLY")]


async def test_a_custom_body_needs_no_output_only_field() -> None:
    assert (await call(ProbeResource, "item", name="a")).result == "None a"


@pytest.mark.parametrize(
    ("mask", "span", "written"),
    [
        (None, {"note": "x"}, {"note": "x"}),
        (None, {"note": None}, {"note": None}),
        (None, {}, {}),
        ([], {"note": "x"}, {"note": "x"}),
        ("", {"note": "x"}, {"note": "x"}),
        ("note", {"note": "x", "from": 3}, {"note": "x"}),
        ("note", {}, {"note": None}),
        (["note", "from"], {"from": 3}, {"note": None, "start": 3}),
        ("note,from,note", {"from": 3}, {"note": None, "start": 3}),
        ("*", {"from": 3}, {"start": 3, "end": 10, "note": None}),
        (["*"], {"from": 3, "note": "x"}, {"start": 3, "end": 10, "note": "x"}),
        ("note.*", {"note": "x"}, {"note": "x"}),
        ("end", {}, {"end": 10}),
        ("end", {"end": None}, {"end": 10}),
        ("end,from", {"end": None, "from": 3}, {"end": 10, "start": 3}),
    ],
)
async def test_the_mask_says_what_changes(
    store: MemoryStore, mask: Any, span: dict[str, Any], written: dict[str, Any]
) -> None:
    await call(spans(store), "update", id=1, span=span, update_mask=mask)
    assert store.written == [written]


@pytest.mark.parametrize(
    ("mask", "span", "errors"),
    [
        ("zork", {}, [("update_mask", "UNKNOWN_FIELD")]),
        ("start", {}, [("update_mask", "UNKNOWN_FIELD")]),
        ("ID", {}, [("update_mask", "OUTPUT_ONLY")]),
        ("*,note", {}, [("update_mask", "UNKNOWN_FIELD")]),
        ("note", {"zork": 1}, [("zork", "UNKNOWN_FIELD")]),
        ("end,from", {"from": 99}, [("", "VALUE_ERROR")]),
        ("note.x", {}, [("update_mask", "UNKNOWN_FIELD")]),
        ("from", {}, [("from", "REQUIRED")]),
        ("*", {}, [("from", "REQUIRED")]),
        ("*", {"from": 99}, [("", "VALUE_ERROR")]),
        (7, {}, [("update_mask", "LIST_TYPE")]),
    ],
)
async def test_what_is_wrong_with_a_mask_is_told(
    store: MemoryStore, mask: Any, span: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    assert await wrong_fields(spans(store), "update", id=1, span=span, update_mask=mask) == errors
    assert store.written == []


async def test_a_rule_does_not_judge_a_partial_update(store: MemoryStore) -> None:
    await call(spans(store), "update", id=1, span={"from": 99})
    assert await wrong_fields(spans(store), "update", id=1, span={"from": 9, "end": 3}) == [
        ("", "VALUE_ERROR")
    ]


# -- lists -------------------------------------------------------------------------------------


def listing(store: MemoryStore, **attributes: Any) -> type[Resource]:
    return resource_over(store, filters=["name", "size__gte", "name__in"], **attributes)


async def test_declared_filters_reach_the_store() -> None:
    store = MemoryStore()
    await call(listing(store), "list", name="a", size__gte="3", name__in=["x"], with_total="true")
    (query,) = store.queries
    assert query.filters == {"name": "a", "size__gte": 3, "name__in": ["x"]}
    assert list(query.filters) == ["name", "size__gte", "name__in"]
    assert query.with_total


async def test_filters_are_bounded_and_typed() -> None:
    bad = {"name": "x" * 1001, "size__gte": "y", "name__in": ["z"] * 1001, "size": 3}
    assert await wrong_fields(listing(MemoryStore()), "list", **bad) == [
        ("size", "UNKNOWN_FIELD"),
        ("name", "STRING_TOO_LONG"),
        ("size__gte", "INT_PARSING"),
        ("name__in", "TOO_LONG"),
    ]


async def test_former_names_of_list_arguments() -> None:
    store = MemoryStore()
    await call(listing(store), "list", limit="3", offset=2, ordering="name")
    (query,) = store.queries
    assert (query.page_size, query.skip, query.order_by) == (3, 2, "name")
    assert (await call(ProbeResource, "listing", limit=9)).result == "9"


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"limit": -1}, "limit"),
        ({"page_size": -1}, "page_size"),
        ({"page_size": -1, "limit": 3}, "page_size"),
        ({"offset": "x"}, "offset"),
        ({"ordering": "a\0"}, "ordering"),
    ],
)
async def test_a_former_name_is_named_in_its_error(sent: dict[str, Any], field: str) -> None:
    for resource, name in ((listing(MemoryStore()), "list"), (ProbeResource, "listing")):
        assert [item[0] for item in await wrong_fields(resource, name, **sent)] == [field]


async def test_the_default_page_size_is_the_resources() -> None:
    store = MemoryStore()
    await call(listing(store, page_size=7), "list")
    await call(listing(store, page_size=7), "list", page_size=0)
    await call(listing(store), "list")
    assert [query.page_size for query in store.queries] == [7, 7, 50]


async def test_filters_may_have_names_that_pydantic_uses() -> None:
    store = MemoryStore()
    store.filters = {"json": str, "copy": int, "query": str}
    await call(resource_over(store, filters=["json", "copy", "query"]), "list", json="a", copy=3)
    assert store.queries[0].filters == {"json": "a", "copy": 3}


async def test_a_list_request_of_ones_own_may_type_a_filter() -> None:
    store = MemoryStore()

    class ItemResource(Resource):
        model = model_over(store)
        filters = ("name", "size__gte")

        async def list(self, schema_in: Narrow) -> Any:  # type: ignore[override]  # the case
            assert schema_in.deep
            return await super().list(schema_in)

    await call(ItemResource, "list", name="a", deep=True)
    assert store.queries[0].filters == {"name": "a"}
    assert await wrong_fields(ItemResource, "list", name="c") == [("name", "LITERAL_ERROR")]


# -- what a validator is -----------------------------------------------------------------------


async def test_arguments_are_not_changed() -> None:
    arguments = {"limit": 3, "name__in": ["a"]}
    spec = spec_of(listing(MemoryStore()), "list")
    await Pipeline().run(Call(spec=spec, arguments=arguments, context=Context()))
    assert arguments == {"limit": 3, "name__in": ["a"]}


def test_an_action_takes_keywords_of_its_own_names() -> None:
    validator = Validator(spec_of(ProbeResource, "mixed"))
    _, keywords = validator.read({"theSku": "x", "count": 3, "copy": "c"})
    assert list(keywords) == ["count", "copy", "note", "line"]
    assert keywords["copy"] == "c"
