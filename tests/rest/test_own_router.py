"""`UserResource.as_router()`: an ordinary router whose routes give way to those of its owner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column
from starlette.testclient import TestClient

from bali import Bali, Database, IsAuthenticated, ModelResource, StaticTokens, action

store = Database()


class Pen(store.BaseModel):  # type: ignore[misc,name-defined]  # a base made at run time
    colour: Mapped[str] = mapped_column(String(20))


class PenResource(ModelResource):
    model = Pen

    @action()
    def colours(self) -> list[str]:
        return ["red", "blue"]


class GuardedPenResource(PenResource):
    name = "pen"
    permission_classes = (IsAuthenticated,)


@pytest.fixture(autouse=True)
def pens(tmp_path: Path) -> None:
    store.connect(f"sqlite:///{tmp_path / 'pens.sqlite3'}")
    store.create_all()
    Pen.io.create(colour="red")


@pytest.fixture
def router() -> Any:
    return PenResource.as_router()


def client_of(app: FastAPI) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def client(router: APIRouter) -> Iterator[TestClient]:
    app = Bali(title="pens", routers=[{"router": router, "prefix": "/my-pens"}])
    with client_of(app) as opened:
        yield opened


def test_it_is_a_router_with_relative_paths(router: Any) -> None:
    assert isinstance(router, APIRouter)
    routes: list[Any] = list(router.routes)
    paths = {(route.binding.method, route.path) for route in routes}
    items = {("GET", "/{id}"), ("PATCH", "/{id}"), ("DELETE", "/{id}")}
    assert paths == {("GET", ""), ("POST", ""), ("GET", "/colours"), *items}


def test_its_operations_answer_below_the_prefix(client: TestClient) -> None:
    created = client.post("/my-pens", json={"colour": "blue"})
    assert (created.status_code, created.headers["location"]) == (201, "/my-pens/2")
    listed = client.get("/my-pens", params={"limit": 1, "offset": 1}).json()
    assert [pen["colour"] for pen in listed["items"]] == ["blue"]
    assert client.get("/my-pens/colours").json() == {"items": ["red", "blue"]}
    assert client.patch("/my-pens/1", json={"colour": "green"}).json()["colour"] == "green"
    assert client.delete("/my-pens/1").status_code == 204
    assert client.get("/my-pens/1").json()["reason"] == "NOT_FOUND"


def test_a_route_of_the_same_method_and_path_takes_its_place(router: Any) -> None:
    @router.get("/{pk}")  # type: ignore[untyped-decorator]  # of a router that is `Any`
    def get_pen(pk: int) -> dict[str, int]:
        return {"mine": pk}

    client = client_of(Bali(title="pens", routers=[{"router": router, "prefix": "/pens"}]))
    assert client.get("/pens/7").json() == {"mine": 7}
    assert client.get("/pens/colours").json() == {"items": ["red", "blue"]}
    assert client.patch("/pens/1", json={"colour": "green"}).json()["colour"] == "green"
    paths = client.get("/openapi.json").json()["paths"]
    assert paths["/pens/{pk}"]["get"]["operationId"].startswith("get_pen")
    assert "get" not in paths["/pens/{id}"]


def test_a_route_beside_the_items_is_found(router: Any) -> None:
    @router.get("/hello")  # type: ignore[untyped-decorator]  # the same
    def hello() -> str:
        return "hi"

    @router.get("/{pk}/lid")  # type: ignore[untyped-decorator]  # the same
    def lid(pk: int) -> str:
        return f"lid of {pk}"

    client = client_of(Bali(title="pens", routers=[{"router": router, "prefix": "/pens"}]))
    assert client.get("/pens/hello").json() == "hi"
    assert client.get("/pens/1/lid").json() == "lid of 1"
    assert client.get("/pens/1").json()["colour"] == "red"


def test_the_app_asks_who_is_calling() -> None:
    router = GuardedPenResource.as_router()
    app = Bali(
        title="pens",
        routers=[{"router": router, "prefix": "/pens"}],
        authenticator=StaticTokens({"secret": "ann"}),
    )
    client = client_of(app)
    assert client.get("/pens").status_code == 401
    known = client.get("/pens", headers={"authorization": "Bearer secret"})
    assert known.status_code == 200


def test_the_database_of_its_model_belongs_to_the_app(router: Any) -> None:
    app = Bali(title="pens", routers=[{"router": router, "prefix": "/pens"}])
    assert app.databases == (store,)


def test_it_answers_in_a_plain_fastapi_app(router: Any) -> None:
    app = FastAPI()
    app.include_router(router, prefix="/pens")
    client = client_of(app)
    assert client.get("/pens/1").json()["colour"] == "red"
    assert client.get("/pens/9").status_code == 404
    assert client.post("/pens", json={}).json()["errors"][0]["field"] == "colour"


def test_register_can_leave_out_a_side() -> None:
    over_http = Bali(title="pens")
    over_http.register([PenResource], with_rpc=False)
    over_rpc = Bali(title="pens", routers=[{"router": PenResource.as_router(), "prefix": "/p"}])
    PenResource.as_servicer(over_rpc)
    assert client_of(over_http).get("/pens/1").status_code == 200
    assert over_http.services.rpc is None
    assert client_of(over_rpc).get("/pens/1").status_code == 404
    assert client_of(over_rpc).get("/p/1").status_code == 200
    methods = {method.name for method in over_rpc.services.bound.methods}  # type: ignore[union-attr]  # it has some
    assert methods == {
        "ListPens", "GetPen", "CreatePen", "UpdatePen", "DeletePen", "ColoursPens"
    }  # fmt: skip
    assert "/pens" not in over_rpc.openapi()["paths"]


def test_filters_may_be_written_as_mappings() -> None:
    class FilteredResource(ModelResource):
        name = "pen"
        model = Pen
        filters = ({"colour": str}, "id__gte")

    client = client_of(Bali(title="pens", resources=[FilteredResource]))
    assert len(client.get("/pens", params={"colour": "red"}).json()["items"]) == 1
    assert client.get("/pens", params={"colour": "red", "id__gte": 2}).json()["items"] == []
