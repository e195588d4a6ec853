"""Whatever the schema and the mask: an answer has exactly what was named, on both wires."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel, Field, create_model

from bali import Bali, Resource
from bali.rest import encoder_for

_numbers = itertools.count()
#: A shape: a leaf ("int", "str"), or ("model" | "list" | "map", the fields of a record).
Shape = Any

leaves = st.sampled_from(["int", "str", "hidden"])


def records(children: st.SearchStrategy[Shape]) -> st.SearchStrategy[Shape]:
    fields = st.dictionaries(st.sampled_from("abcde"), children, min_size=1, max_size=4)
    return st.tuples(st.sampled_from(["model", "list", "map"]), fields)


shapes = st.dictionaries(
    st.sampled_from("abcde"), st.recursive(leaves, records, max_leaves=6), min_size=1, max_size=5
)


def model_of(fields: Mapping[str, Shape]) -> type[BaseModel]:
    made: dict[str, Any] = {}
    for name, shape in fields.items():
        if shape == "hidden":
            made[name] = (str, Field(json_schema_extra={"writeOnly": True}))
        elif isinstance(shape, str):
            made[name] = ({"int": int, "str": str}[shape], ...)
        else:
            inner: Any = model_of(shape[1])
            kinds: dict[str, Any] = {"model": inner, "list": list[inner], "map": dict[str, inner]}
            made[name] = (kinds[shape[0]], ...)
    return create_model(f"Shape{next(_numbers)}", **made)


def example(fields: Mapping[str, Shape]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, shape in fields.items():
        if isinstance(shape, str):
            found[name] = 7 if shape == "int" else "text"
        else:
            inner = example(shape[1])
            found[name] = {"model": inner, "list": [inner, inner], "map": {"k": inner}}[shape[0]]
    return found


def paths_of(fields: Mapping[str, Shape], place: str = "") -> Iterator[str]:
    for name, shape in fields.items():
        if shape == "hidden":
            continue
        yield f"{place}{name}"
        if not isinstance(shape, str):
            star = "" if shape[0] == "model" else ".*"
            yield from paths_of(shape[1], f"{place}{name}{star}.")


def expected(fields: Mapping[str, Shape], mask: set[str], place: str = "") -> dict[str, Any]:
    """Return what a mask leaves of the example, worked out field by field."""
    found: dict[str, Any] = {}
    for name, shape in fields.items():
        path = f"{place}{name}"
        if shape == "hidden" or not any(p == path or p.startswith(f"{path}.") for p in mask):
            continue
        if isinstance(shape, str):
            found[name] = 7 if shape == "int" else "text"
            continue
        star = "" if shape[0] == "model" else ".*"
        below = f"{path}{star}."
        own = mask | set(paths_of(shape[1], below)) if path in mask else mask
        inner = expected(shape[1], own, below)
        found[name] = {"model": inner, "list": [inner, inner], "map": {"k": inner}}[shape[0]]
    return found


def on_the_wire(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type is None:
            found[field.name] = value
        elif field.message_type.GetOptions().map_entry:
            found[field.name] = {key: on_the_wire(item) for key, item in value.items()}
        elif field.is_repeated:
            found[field.name] = [on_the_wire(item) for item in value]
        else:
            found[field.name] = on_the_wire(value)
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(fields=shapes, data=st.data())
def test_an_answer_has_exactly_what_the_mask_names(
    fields: Mapping[str, Shape], data: st.DataObject
) -> None:
    known = list(paths_of(fields))
    masks = st.sets(st.sampled_from(known), max_size=4) if known else st.just(set())
    mask = data.draw(masks)
    schema = model_of(fields)
    whole = schema.model_validate(example(fields))

    async def get(self: Any, pk: int) -> Any:
        return whole

    async def list_things(self: Any) -> Any:
        return [whole, whole]

    methods = {"schema": schema, "get": get, "list": list_things, "actions": ["get", "list"]}
    app = Bali(title="things", resources=[type("ThingResource", (Resource,), methods)])
    bound = app.services.bound
    assert bound is not None
    wanted = expected(fields, mask or set(known))

    async def call() -> tuple[Any, Any]:
        asked = {"read_mask": sorted(mask)}
        return (
            await app.call("things.get", {"id": 1, **asked}),
            await app.call("things.list", asked),
        )

    item, page = asyncio.run(call())
    by_name = {method.name: method for method in bound.methods}
    for action in app.resources[0].actions:
        answer = item if action.name == "get" else page
        encode = encoder_for(action.response, action.response_model)
        assert encode is not None
        sent = json.loads(encode(answer))
        message = on_the_wire(by_name[str(action.rpc_name)].encode(answer))
        if action.name == "list":
            assert sent == {"items": [wanted, wanted], "next_page_token": "", "total": None}
            assert message == {"items": [wanted, wanted]}
        else:
            assert sent == wanted
            assert message == wanted
