from __future__ import annotations

import itertools
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.testclient import TestClient

from bali.resources import Pipeline
from bali.rest import resource_router
from bali.rest.matching import RouteFinder, with_slashes
from tests.rest.service import Parcel, ParcelStore, make_specs

PATHS = [
    "/",
    "/parcels",
    "/parcels/",
    "/parcels/1",
    "/parcels/1/",
    "/parcels/census",
    "/parcels/import-labels",
    "/parcels/1/move",
    "/parcels/1/move/x",
    "/parcelsx",
    "/par",
    "/leaves/a",
    "/leaves/a%2Fb",
    "/leaves/rake",
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def app_of(*, prefix: str = "") -> FastAPI:
    Parcel.__store__ = ParcelStore()
    app = FastAPI()
    for spec in make_specs():
        app.include_router(resource_router(spec, Pipeline()), prefix=prefix)
    return app


def answers(app: FastAPI, prefix: str = "") -> list[tuple[str, str, int, str]]:
    client = TestClient(app, follow_redirects=False)
    found = []
    for path, method in itertools.product(PATHS, METHODS):
        response = client.request(method, prefix + path)
        allow = ",".join(sorted(response.headers.get("allow", "").split(", ")))
        found.append((path, method, response.status_code, allow))
    return found


@pytest.mark.parametrize("prefix", ["", "/v1", "/{tenant}/v1"])
def test_the_route_is_the_one_that_fastapi_would_find(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    concrete = prefix.replace("{tenant}", "acme")
    ours = answers(app_of(prefix=prefix), concrete)
    with monkeypatch.context() as patched:
        patched.setattr(RouteFinder, "install", lambda *_: None)
        theirs = answers(app_of(prefix=prefix), concrete)
    assert ours == theirs
    assert {status for _, _, status, _ in ours} >= {200, 307, 404, 405, 422}


def test_the_route_of_a_request_is_sought_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sought: list[str] = []
    original = RouteFinder._find

    def counted(self: RouteFinder, scope: Any) -> Any:
        sought.append(scope["path"])
        return original(self, scope)

    monkeypatch.setattr(RouteFinder, "_find", counted)
    app = app_of()
    assert TestClient(app).get("/parcels").status_code == 200
    assert sought == ["/parcels"]


def test_routes_of_the_user_in_the_same_router_work() -> None:
    Parcel.__store__ = ParcelStore()
    app = FastAPI()
    router = resource_router(make_specs()[0], Pipeline())
    app.include_router(router)
    client = TestClient(app)
    assert client.get("/parcels").status_code == 200

    @router.get("/parcels-report")
    async def report() -> str:
        return "mine"

    @router.websocket("/parcels/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("live")
        await socket.close()

    assert client.get("/parcels-report").json() == "mine"
    assert client.get("/parcels").status_code == 200
    with client.websocket_connect("/parcels/live") as socket:
        assert socket.receive_text() == "live"


def test_a_router_within_a_router_works() -> None:
    Parcel.__store__ = ParcelStore()
    app, outer = FastAPI(), APIRouter(prefix="/outer")
    outer.include_router(resource_router(make_specs()[0], Pipeline()), prefix="/inner")
    app.include_router(outer)
    client = TestClient(app)
    assert client.get("/outer/inner/parcels").status_code == 200
    assert client.get("/outer/inner/parcels/1").status_code == 404
    assert client.get("/parcels").status_code == 404


def test_a_mounted_app_works() -> None:
    app = FastAPI()
    app.mount("/sub", app_of())
    client = TestClient(app)
    assert client.get("/sub/parcels").status_code == 200
    response = client.post("/sub/parcels", json={"label": "a"})
    assert response.headers["location"] == "/sub/parcels/1"


def test_without_fastapis_inside_its_own_way_is_taken() -> None:
    class Unknown:
        """An inclusion of a FastAPI that is built differently."""

    unknown = Unknown()
    RouteFinder.install(unknown, lambda _: True)
    assert vars(unknown) == {}


def test_a_path_that_was_changed_on_the_way_counts() -> None:
    scope = {"type": "http", "path": "/b/c", "raw_path": b"/a/b%2Fc"}
    assert with_slashes(scope) is scope
    scope = {"type": "http", "path": "/a/b/c", "raw_path": b"/a/b%2fc"}
    assert with_slashes(scope)["path"] == "/a/b\udfffc"
