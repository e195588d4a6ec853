"""Parts of nested records, merged with what is stored; the property compares with plain dicts."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model

from bali import Bali
from bali.errors import ValidationFailed
from bali.resources import Call, Context, Pipeline
from bali.resources.partial_records import (
    is_part,
    merged,
    part_paths,
    parts_in,
    put_parts,
    read_parts,
)
from bali.resources.requests import input_model
from bali.resources.update_masks import paths_of_update
from bali.schemas import describe
from tests.resources.samples import MemoryStore, call, resource_over, spec_of, wrong_fields


class Point(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    lat: int
    lon: int = Field(default=0, alias="long")


class Names(RootModel[list[str]]):
    pass


class Place(BaseModel):
    city: str
    point: Point | None = None
    names: Names | None = None


class Shop(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: int = Field(default=0, json_schema_extra={"readOnly": True})
    name: str = ""
    place: Place | None = None


def part_of(mask: list[str], **sent: Any) -> BaseModel:
    """Return what an update is sent, with parts of it."""
    record = describe(Shop)
    errors: list[Any] = []
    paths = paths_of_update(mask, record, errors, output_only=frozenset())
    parts = read_parts(record, paths, sent, errors)
    assert errors == []
    shop = input_model(Shop, "ShopInput", is_partial=True)()
    put_parts(shop, parts)
    return shop


def test_a_part_has_what_its_paths_name() -> None:
    sent = part_of(
        ["place.point.long", "place.city"], place={"city": "Ulm", "point": {"lat": 1, "long": 2}}
    )
    assert part_paths(sent) == ["place.city", "place.point.lon"]
    place = parts_in(sent)["place"]
    assert is_part(place)
    assert isinstance(place, Place)
    assert place.model_dump(exclude_unset=True) == {"city": "Ulm", "point": {"lon": 2}}
    assert not is_part(Place(city="Ulm"))
    assert not is_part("Ulm")


@pytest.mark.parametrize(
    "stored",
    [
        {"city": "Bonn", "point": {"lat": 3, "lon": 4}},
        {"city": "Bonn", "point": {"lat": 3, "long": 4}},
        Place(city="Bonn", point=Point(lat=3, long=4)),
        SimpleNamespace(city="Bonn", point=SimpleNamespace(lat=3, lon=4), names=None),
    ],
)
def test_it_is_merged_with_a_record_in_any_form(stored: Any) -> None:
    sent = part_of(["place.point.long"], place={"point": {"long": 9}})
    before = copy.deepcopy(stored)
    for item in ({"place": stored}, SimpleNamespace(place=stored)):
        values, whole = merged(sent, item)
        assert values["place"]["city"] == "Bonn"
        assert values["place"]["point"] == {"lat": 3, "lon": 9}
        assert whole.place == Place(city="Bonn", point=Point(lat=3, long=9))  # type: ignore[attr-defined]  # of Shop
    assert stored == before


def test_a_record_that_lacks_what_has_a_default_stays_so() -> None:
    sent = part_of(["place.city"], place={"city": "Ulm"})
    values, _ = merged(sent, {"place": {"city": "Bonn", "newer": 1}})
    assert values == {"place": {"city": "Ulm", "newer": 1}}


def test_a_record_that_is_made_has_its_defaults() -> None:
    sent = part_of(["place.city", "place.point.lat"], place={"city": "Ulm", "point": {"lat": 1}})
    values, _ = merged(sent, {"place": None})
    assert values == {"place": {"city": "Ulm", "point": {"lat": 1, "lon": 0}, "names": None}}


def test_what_the_schema_does_not_allow_is_named_by_its_place() -> None:
    sent = part_of(["place.point.long"], place={"point": {"long": 9}})
    with pytest.raises(ValidationFailed) as caught:
        merged(sent, {}, place="requests[3].")
    assert [error.field for error in caught.value.field_errors] == [
        "requests[3].place.city",
        "requests[3].place.point.lat",
    ]


def shops(**attributes: Any) -> tuple[MemoryStore, Any]:
    store = MemoryStore(Shop)
    store.rows[1] = {"id": 1, "name": "tea", "place": {"city": "Ulm", "point": {"lat": 1}}}
    return store, resource_over(store, name="shop", **attributes)


async def test_an_object_may_be_sent() -> None:
    store, resource = shops()
    place = Place(city="Bonn", point=Point(lat=5))
    for shop in ({"place": place}, Shop(place=place)):
        await call(resource, "update", id=1, shop=shop, update_mask="place.city")
        assert store.rows[1]["place"] == {"city": "Bonn", "point": {"lat": 1}}


@pytest.mark.parametrize("place", ["x", 1, [], True])
async def test_a_record_is_an_object(place: Any) -> None:
    _, resource = shops()
    assert await wrong_fields(
        resource, "update", id=1, shop={"place": place}, update_mask="place.city"
    ) == [("place", "OBJECT_TYPE")]


async def test_a_record_that_is_a_list_has_no_paths() -> None:
    _, resource = shops()
    assert (
        await wrong_fields(
            resource, "update", id=1, shop={}, update_mask=["place.names.root", "place.names.x"]
        )
        == [("update_mask", "WHOLE_ONLY")] * 2
    )


async def test_an_own_update_that_cannot_be_given_the_whole_takes_no_parts() -> None:
    async def update(self: Any, pk: int, schema_in: Any) -> Any:
        return await self.store.update(pk, schema_in.model_dump(exclude_unset=True))

    store, resource = shops(update=update)
    before = copy.deepcopy(store.rows)
    assert await wrong_fields(
        resource, "update", id=1, shop={"place": {"city": "Bonn"}}, update_mask="place.city"
    ) == [("update_mask", "WHOLE_ONLY")]
    assert store.rows == before
    await call(resource, "update", id=1, shop={"name": "milk"}, update_mask="name")
    assert store.rows[1]["name"] == "milk"


# -- any schema, any mask ----------------------------------------------------------------------

_numbers = itertools.count()
#: A shape: a leaf, or the fields of a record that may be null.
Shape = Any
#: What each kind of leaf is, and what it is when it was cleared.
LEAVES: Mapping[str, tuple[Any, Any]] = {
    "needed": (int, ...),
    "text": (str, "default"),
    "maybe": (int | None, None),
    "list": (list[int], []),
    "map": (dict[str, int], {}),
}
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "needed": st.integers(0, 9),
    "text": st.sampled_from("xyz"),
    "maybe": st.none() | st.integers(0, 9),
    "list": st.lists(st.integers(0, 9), max_size=2),
    "map": st.dictionaries(st.sampled_from("kl"), st.integers(0, 9), max_size=2),
}
names = st.sampled_from("abcd")
shapes = st.dictionaries(
    names,
    st.recursive(
        st.sampled_from(list(LEAVES)),
        lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3),
        max_leaves=6,
    ),
    min_size=1,
    max_size=4,
)


class Refused(Exception):
    """What the plain model does not allow."""


def model_of(fields: Mapping[str, Shape]) -> type[BaseModel]:
    made: dict[str, Any] = {
        name: LEAVES[shape] if isinstance(shape, str) else (model_of(shape) | None, None)
        for name, shape in fields.items()
    }
    return create_model(f"Nested{next(_numbers)}", **made)


def paths_in_shape(fields: Mapping[str, Shape], place: str = "") -> Iterator[str]:
    for name, shape in fields.items():
        yield f"{place}{name}"
        if not isinstance(shape, str):
            yield from paths_in_shape(shape, f"{place}{name}.")


def whole(fields: Mapping[str, Shape]) -> st.SearchStrategy[dict[str, Any]]:
    """Return valid records, with every field."""
    return st.fixed_dictionaries({
        name: VALUES[shape] if isinstance(shape, str) else st.none() | whole(shape)
        for name, shape in fields.items()
    })  # fmt: skip


def some(fields: Mapping[str, Shape]) -> st.SearchStrategy[dict[str, Any]]:
    """Return records as callers send them: anything may be absent."""
    return st.fixed_dictionaries({}, optional={
        name: VALUES[shape] if isinstance(shape, str) else some(shape)
        for name, shape in fields.items()
    })  # fmt: skip


def replaced(shape: Shape, sent: Any) -> Any:
    """Return what a field is that was sent, or cleared with None."""
    if isinstance(shape, str):
        if sent is None and LEAVES[shape][1] is ...:
            raise Refused
        return LEAVES[shape][1] if sent is None else sent
    if sent is None:
        return None
    return {name: replaced(inner, sent.get(name)) for name, inner in shape.items()}


def expected(
    fields: Mapping[str, Shape], stored: Any, sent: Any, mask: set[str], place: str = ""
) -> dict[str, Any]:
    found = dict(defaults(fields) if stored is None else stored)
    for name, shape in fields.items():
        path = f"{place}{name}"
        value = (sent or {}).get(name)
        if path in mask:
            found[name] = replaced(shape, value)
        elif any(other.startswith(f"{path}.") for other in mask):
            found[name] = expected(shape, found.get(name), value, mask, f"{path}.")
    return found


def defaults(fields: Mapping[str, Shape]) -> dict[str, Any]:
    """Return what a record has that nobody has sent."""
    known = {
        name: LEAVES[shape][1] if isinstance(shape, str) else None for name, shape in fields.items()
    }
    return {name: default for name, default in known.items() if default is not ...}


def complete(fields: Mapping[str, Shape], found: Mapping[str, Any]) -> None:
    for name, shape in fields.items():
        if shape == "needed" and name not in found:
            raise Refused
        if not isinstance(shape, str) and found.get(name) is not None:
            complete(shape, found[name])


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(fields=shapes, data=st.data())
def test_a_merge_is_that_of_plain_dicts(fields: Mapping[str, Shape], data: st.DataObject) -> None:
    mask = data.draw(st.sets(st.sampled_from(list(paths_in_shape(fields))), min_size=1, max_size=4))
    stored, sent = data.draw(whole(fields)), data.draw(some(fields))
    store = MemoryStore(model_of(fields))
    resource = resource_over(store, name="thing", actions=["update"])
    arguments = {"id": 1, "thing": sent, "update_mask": sorted(mask)}
    app = Bali(title="things", resources=[resource])
    assert app.services.bound is not None
    [method] = app.services.bound.methods
    message = method.input_type.FromString(method.encode_request(arguments).SerializeToString())
    try:
        wanted = expected(fields, stored, sent, mask)
        complete(fields, wanted)
    except Refused:
        wanted = None
    for asked in (arguments, method.decode(message)):
        store.rows[1] = copy.deepcopy(stored)
        try:
            asyncio.run(
                Pipeline().run(
                    Call(spec=spec_of(resource, "update"), arguments=asked, context=Context())
                )
            )
        except ValidationFailed:
            assert wanted is None
            assert store.rows[1] == stored
        else:
            assert store.rows[1] == wanted
