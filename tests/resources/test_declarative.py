"""`API("Greeter").get({...})`: fixed answers on every protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from bali import API, Bali, ConfigurationError


@pytest.fixture(autouse=True)
def nothing_declared() -> Iterator[None]:
    API.declared.clear()
    yield
    API.declared.clear()


async def test_an_app_offers_what_was_declared() -> None:
    API("Greeter").get({"hello": "world", "count": 1}).list([{"hello": "a", "count": 2}])
    app = Bali(title="greet")
    one: Any = await app.call("greeters.get", {"id": 7})
    many: Any = await app.call("greeters.list")
    assert (one.hello, one.count) == ("world", 1)
    assert [item.hello for item in many.items] == ["a"]
    bindings = {(b.method, b.path) for a in app.resources[0].actions for b in a.bindings}
    assert bindings == {("GET", "/greeters/{id}"), ("GET", "/greeters")}
    bound = app.services.bound
    assert bound is not None
    assert [method.name for method in bound.methods] == ["ListGreeters", "GetGreeter"]


async def test_a_schema_may_be_given() -> None:
    class Greeting(BaseModel):
        hello: str
        polite: bool = True

    API("Greeter").schema(Greeting).get({"hello": "world"})
    one: Any = await Bali(title="greet").call("greeters.get", {"id": 1})
    assert one == Greeting(hello="world")


def test_without_an_answer_it_is_refused() -> None:
    API("Greeter")
    with pytest.raises(ConfigurationError, match=r"API\('Greeter'\) answers nothing; add .get"):
        Bali(title="greet")


@pytest.mark.parametrize("answer", [[], {}, "world", None])
def test_an_answer_of_another_kind_is_refused(answer: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"API\('Greeter'\).get\(.*give it a dict"):
        API("Greeter").get(answer)
    with pytest.raises(ConfigurationError, match="give it a list of dicts"):
        API("Greeter").list(answer)
