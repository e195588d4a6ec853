from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from bali import ConfigurationError, Context, Resource, action
from bali.resources import Call, Collector, Operation, Pipeline


class Thing(BaseModel):
    id: int


def spec_of(resource: type[Resource], name: str) -> Any:
    return Collector().collect(resource).action(name)


class ThingResource(Resource):
    schema = Thing
    actions = ()

    @action(detail=True, methods=["post", "put"], lro=True)
    async def make(self, pk: int) -> Thing:
        """Make it."""
        return Thing(id=pk)


def test_the_action_answers_with_an_operation_of_its_response() -> None:
    spec = spec_of(ThingResource, "make")
    assert issubclass(spec.response_model, Operation)
    assert spec.response_model.__name__ == "MakeThingOperation"
    assert [binding.status for binding in spec.bindings] == [202, 202]
    assert spec.work.response_model is Thing
    assert spec.work.work is None


def test_a_stream_is_refused() -> None:
    class Bad(Resource):
        @action(methods=["post"], lro=True)
        async def follow(self) -> AsyncIterator[Thing]:
            yield Thing(id=1)

    with pytest.raises(ConfigurationError, match=r"follow .*a stream cannot be lro=True"):
        Collector().collect(Bad)


def test_a_standard_action_is_refused() -> None:
    class Bad(Resource):
        schema = Thing
        actions = ("get",)

        @action(detail=True, lro=True)
        async def get(self, pk: int) -> Thing:
            return Thing(id=pk)

    with pytest.raises(ConfigurationError, match="get is a standard action"):
        Collector().collect(Bad)


def test_a_get_is_refused() -> None:
    class Bad(Resource):
        @action(lro=True)
        async def make(self) -> Thing:
            return Thing(id=1)

    with pytest.raises(ConfigurationError, match=r"use methods=\['post'\]"):
        Collector().collect(Bad)


async def test_without_an_app_there_is_nowhere_to_store_it() -> None:
    call = Call(spec=spec_of(ThingResource, "make"), arguments={"id": 1}, context=Context())
    with pytest.raises(Exception, match="internal error"):
        await Pipeline().run(call)


@pytest.mark.parametrize("percent", [-1, 100.5, float("nan")])
def test_progress_is_a_percentage(percent: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 100 percent"):
        Context().report_progress(percent)


def test_progress_of_a_direct_call_is_nobodys() -> None:
    context = Context()
    context.report_progress(100, "done")
    assert (context.attempt, context.operation_name) == (1, "")
