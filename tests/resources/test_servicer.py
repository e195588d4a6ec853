# ruff: noqa: ANN001, ANN201 - untyped methods, as users of the first bali write them
from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bali.errors import ConfigurationError
from bali.resources import Context, Resource, action, use_servicer_runtime
from bali.resources.servicer import ServicerResource
from tests.resources.samples import Item


class UserResource(Resource):
    schema = Item

    @action()
    def custome_users(self, schema_in):  # type: ignore[no-untyped-def]  # as users of the first bali write it
        return []

    def get(self, pk=None):  # type: ignore[no-untyped-def]  # same
        return {"id": pk, "name": "x"}

    def plain(self) -> None:
        """Is no action."""


class Response:
    """Stands for a generated message type."""


class Runtime:
    def __init__(self, answer: Any = "answer") -> None:
        self.answer = answer
        self.calls: list[tuple[Any, ...]] = []

    def call(
        self, resource: type[Any], action: str, request: Any, context: Any, response: Any
    ) -> Any:
        self.calls.append((resource, action, request, context, response))
        return self.answer


def test_three_arguments_make_a_resource_of_a_servicer() -> None:
    made: list[Any] = [
        UserResource("request", "context", Response),
        UserResource("request", context="context", response_message=Response),
        UserResource(request="request", context="context", response_message=Response),
    ]
    assert [type(item) for item in made] == [ServicerResource] * 3
    runtime = Runtime()

    async def serve() -> None:
        use_servicer_runtime(runtime)
        for item in made:
            assert item.get_users() == "answer"

    asyncio.run(serve())
    assert runtime.calls == [(UserResource, "list", "request", "context", Response)] * 3


def test_fewer_arguments_make_a_resource() -> None:
    context = Context()
    assert isinstance(UserResource(), UserResource)
    assert UserResource(None, context).context is context
    assert UserResource("request").request == "request"


@pytest.mark.parametrize(
    ("method", "action_name"),
    [
        ("get_users", "list"),
        ("list_users", "list"),
        ("list", "list"),
        ("get_user", "get"),
        ("get", "get"),
        ("create_user", "create"),
        ("update_user", "update"),
        ("delete_user", "delete"),
        ("custome_users", "custome_users"),
    ],
)
def test_actions_are_called_by_either_name(method: str, action_name: str) -> None:
    runtime = Runtime()

    async def serve() -> None:
        use_servicer_runtime(runtime)
        resource: Any = ServicerResource(UserResource, "r", "c", Response)
        getattr(resource, method)()

    asyncio.run(serve())
    assert runtime.calls[0][1] == action_name


@pytest.mark.parametrize("method", ["plain", "context", "find_store", "get_orders", "_secret"])
def test_what_is_no_action_cannot_be_called(method: str) -> None:
    resource: Any = ServicerResource(UserResource, "r", "c", Response)
    with pytest.raises(AttributeError, match=f"UserResource has no action '{method}'"):
        getattr(resource, method)


def test_without_a_runtime_the_author_learns_what_to_do() -> None:
    resource: Any = ServicerResource(UserResource, "r", "c", Response)
    with pytest.raises(ConfigurationError, match="ProcessInterceptor"):
        resource.get_users()


async def test_each_task_has_its_own_runtime() -> None:
    async def serve(name: str) -> str:
        use_servicer_runtime(Runtime(name))
        await asyncio.sleep(0)
        resource: Any = ServicerResource(UserResource, "r", "c", Response)
        return str(resource.get_users())

    assert await asyncio.gather(*map(serve, "abc")) == ["a", "b", "c"]
