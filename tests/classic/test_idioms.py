# ruff: noqa: ANN001, ANN201 - untyped methods, as users of the first bali write them
# mypy: disable-error-code="no-untyped-def,no-untyped-call,override"
"""What users of the first bali write in resources, served over every protocol."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import httpx2
import pytest
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String

from bali import (
    Bali,
    Database,
    ListRequest,
    ModelResource,
    Resource,
    action,
    get_filters_expr,
    model_to_schema,
)
from bali.errors import BaliError, Code
from bali.settings import Settings, Stage
from bali.testing import (
    ConnectServiceClient,
    LiveServer,
    LocalServiceClient,
    RestServiceClient,
    RpcServiceClient,
    ServiceClient,
    live_server,
)

db = Database()


class User(db.BaseModel):  # type: ignore[misc,name-defined]  # a base made at run time
    __tablename__ = "idiom_users"
    id = Column(Integer, primary_key=True)
    username = Column(String(50), unique=True)
    age = Column(Integer)


UserSchema = model_to_schema(User, partial=True)


class UserResource(ModelResource):
    model = User
    schema = UserSchema
    filters = ({"username": str}, {"age__gte": int})

    @action()
    def list(self, schema_in: ListRequest = None):  # type: ignore[assignment]  # as it was written
        filters = get_filters_expr(self.model, **schema_in.filters)
        return self.model.io.query().filter(*filters)

    @action()
    def get(self, pk=None):
        return self.model.io.first(id=pk)

    @action()
    def create(self, schema_in):
        return self.model.io.create(**schema_in.model_dump(exclude_unset=True))

    @action()
    def update(self, pk=None, schema_in=None):
        item = self.model.io.first(id=pk)
        if item is None:
            return None
        for name, value in schema_in.model_dump(exclude_unset=True).items():
            setattr(item, name, value)
        return item.save()

    @action()
    def delete(self, pk=None):
        self.model.io.first_or_error(id=pk).delete()
        return {"id": pk, "result": True}

    @action()
    def adults(self, schema_in):
        return self.model.io.query(age__gte=18).order_by("-age")

    @action(methods=["post"], detail=True)
    def rename(self, pk, schema_in):
        user = self.model.io.first_or_error(id=pk)
        user.username = schema_in.username
        return user.save()


class Greeter(BaseModel):
    id: int
    content: str


GREETERS = [{"id": number, "content": f"hi {number}"} for number in range(4)]


class GreeterResource(Resource):
    schema = Greeter

    @action()
    def get(self, pk=None):
        return next((item for item in GREETERS if item["id"] == pk), None)

    @action()
    def list(self, schema_in: ListRequest):
        return GREETERS[: schema_in.limit]

    @action()
    def create(self, schema_in):
        return {"id": schema_in.id, "content": schema_in.content}

    @action(detail=False)
    def recents(self):
        return GREETERS[2:]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder: Path = tmp_path_factory.mktemp("idioms")
    db.connect(f"sqlite:///{folder / 'idioms.sqlite3'}")
    app = Bali(title="idioms", settings=Settings(stage=Stage.TEST))
    app.register([UserResource, GreeterResource])
    with live_server(app) as server:
        for number, name in enumerate(["ann", "bob", "cid"]):
            User.io.create(username=name, age=10 + 10 * number)
        yield server


@pytest.fixture(
    params=[LocalServiceClient, RestServiceClient, RpcServiceClient, ConnectServiceClient]
)
def client(request: pytest.FixtureRequest, live: LiveServer) -> Iterator[ServiceClient]:
    with closing(request.param(live)) as opened:
        yield opened


def names(answer: Any) -> Any:
    return [item.username for item in answer.items]


def test_a_list_may_return_a_query_which_is_read_in_pages(client: ServiceClient) -> None:
    first: Any = client.call("users.list", {"limit": 2})
    rest: Any = client.call("users.list", {"page_token": first.next_page_token})
    assert (names(first), names(rest)) == (["ann", "bob"], ["cid"])
    assert names(client.call("users.list", {"username": "bob"})) == ["bob"]
    assert names(client.call("users.list", {"age__gte": 20, "offset": 1})) == ["cid"]
    assert names(client.call("users.list", {"ordering": "-age", "limit": 1})) == ["cid"]


def test_an_action_may_return_a_query(client: ServiceClient) -> None:
    assert names(client.call("users.adults")) == ["cid", "bob"]


def test_none_says_that_there_is_no_such_item(client: ServiceClient) -> None:
    found: Any = client.call("users.get", {"id": 1})
    assert found.username == "ann"
    calls: Any = [
        ("users.get", {"id": 99}),
        ("users.update", {"id": 99, "user": {"age": 1}}),
        ("users.delete", {"id": 99}),
        ("greeters.get", {"id": 99}),
    ]
    for operation, arguments in calls:
        with pytest.raises(BaliError) as refused:
            client.call(operation, arguments)
        assert refused.value.code is Code.NOT_FOUND, operation


def test_untyped_standard_actions_write(client: ServiceClient) -> None:
    name = type(client).__name__.lower()
    made: Any = client.call("users.create", {"user": {"username": name, "age": 1}})
    changed: Any = client.call("users.update", {"id": made.id, "user": {"age": 2}})
    renamed: Any = client.call("users.rename", {"id": made.id, "username": f"{name}2"})
    assert (changed.username, changed.age, renamed.username) == (name, 2, f"{name}2")
    client.call("users.delete", {"id": made.id})
    assert not User.io.exists(id=made.id)


def test_resources_without_a_model_take_keys_and_answers_from_the_schema(
    client: ServiceClient,
) -> None:
    one: Any = client.call("greeters.get", {"id": 1})
    some: Any = client.call("greeters.list", {"limit": 2})
    made: Any = client.call("greeters.create", {"greeter": {"id": 9, "content": "new"}})
    recent: Any = client.call("greeters.recents")
    assert (one.content, len(some.items), made.id) == ("hi 1", 2, 9)
    assert [item.id for item in recent.items] == [2, 3]


def test_bodies_may_be_gzipped(live: LiveServer) -> None:
    body = gzip.compress(json.dumps({"id": 5, "content": "zipped"}).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    answer = httpx2.post(f"{live.url}/greeters", content=body, headers=headers)
    assert (answer.status_code, answer.json()["content"]) == (201, "zipped")


def test_the_rpc_names_are_those_of_the_first_bali(live: LiveServer) -> None:
    bound = live.app.services.bound
    assert bound is not None
    methods = {method.name for method in bound.methods}
    assert {"ListUsers", "GetUser", "CreateUser", "UpdateUser", "DeleteUser"} <= methods
    with grpc.insecure_channel(live.address) as channel:
        method = next(item for item in bound.methods if item.name == "GetGreeter")
        call: Any = channel.unary_unary(
            method.path, lambda message: message.SerializeToString(), method.output_type.FromString
        )
        assert call(method.input_type(id=3), timeout=30).content == "hi 3"
