from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.routing import APIRoute
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.routing import Match, Route
from starlette.types import Scope

from bali.resources import Pipeline
from bali.rest import RouteIndex, resource_router
from bali.rest.matching import RouteFinder
from tests.rest.service import make_specs

SPECS = {spec.path: spec for spec in make_specs()}
ROUTERS = [resource_router(spec, Pipeline()) for spec in SPECS.values()]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"]

#: What paths of routes and of requests are made of; the names are those of the resources.
LITERALS = ["a", "b", "parcels", "census", "leaves", "rake", "1"]
PARAMETERS = ["{id}", "{key}", "{n:int}", "{rest:path}", "x{id}", "{id}:go", "{id}:undelete"]
WRITTEN = [*LITERALS, "", "x1", "7", "7:go", "count", "a/b", "a\nb", "census\n", "1.5", "é"]


async def endpoint() -> None:
    """Answer nothing; no request gets here."""


async def live(_: WebSocket) -> None:
    """Say nothing."""


class Sometimes(Route):
    """A route that fits what its pattern does not tell."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match paths with an "x" in them."""
        is_fit = scope["type"] == "http" and "x" in scope["path"]
        return (Match.FULL, {"endpoint": self.endpoint}) if is_fit else (Match.NONE, {})


Change = Callable[[Any], None]


def _plain(path: str, method: str) -> Change:
    return lambda router: router.add_api_route(path, endpoint, methods=[method])


def _starlette(path: str, method: str | None) -> Change:
    methods = None if method is None else [method]
    return lambda router: router.add_route(path, lambda _: PlainTextResponse(), methods=methods)


def _mount(path: str) -> Change:
    return lambda router: router.mount(path, FastAPI())


def _socket(path: str) -> Change:
    return lambda router: router.add_api_websocket_route(path, live)


def _resource(number: int, prefix: str, *, guarded: bool) -> Change:
    dependencies = [Depends(endpoint)] if guarded else []

    def add(router: Any) -> None:
        router.include_router(ROUTERS[number], prefix=prefix, dependencies=dependencies)

    return add


def _opaque(path: str) -> Change:
    return lambda router: router.routes.insert(0, Sometimes(path, lambda _: PlainTextResponse()))


def _removed(number: int) -> Change:
    def remove(router: Any) -> None:
        if router.routes:
            router.routes.pop(number % len(router.routes))
            router._mark_routes_changed()  # as whoever changes an included router has to

    return remove


def _nested(prefix: str, changes: list[Change]) -> Change:
    def add(router: Any) -> None:
        inner = APIRouter()
        for change in changes:
            change(inner)
        if not any(getattr(route, "path", "/") == "" for route in inner.routes):
            router.include_router(inner, prefix=prefix)

    return add


def segments_of(choices: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(choices), min_size=1, max_size=3)


def _has_distinct_names(segments: list[str]) -> bool:
    names = re.findall(r"{(\w+)", "/".join(segments))
    return len(names) == len(set(names))


PATHS = (
    segments_of([*LITERALS, *PARAMETERS])
    .filter(_has_distinct_names)
    .map(lambda segments: "/" + "/".join(segments))
)
PREFIXES = st.sampled_from(["", "/v1", "/a", "/{tenant}", "/{tenant:int}", "/parcels"])
BASIC = st.one_of(
    st.builds(_plain, PATHS, st.sampled_from(METHODS)),
    st.builds(_starlette, PATHS, st.sampled_from([None, *METHODS])),
    st.builds(_mount, st.sampled_from(["/a", "/v1/parcels/census", "/b", "/leaves"])),
    st.builds(_socket, PATHS),
    st.builds(_resource, st.integers(0, len(ROUTERS) - 1), PREFIXES, guarded=st.booleans()),
    st.builds(_resource, st.integers(0, len(ROUTERS) - 1), PREFIXES, guarded=st.booleans()),
)
TABLES = st.lists(
    st.one_of(
        *[BASIC] * 6,
        st.builds(_nested, st.sampled_from(["/v1", "/a", "/{area}"]), st.lists(BASIC, max_size=3)),
        st.builds(_opaque, st.just("/x")),
        st.builds(_removed, st.integers(0, 9)),
        st.builds(_mount, st.just("")),
    ),
    min_size=1,
    max_size=6,
)
KNOWN = ["/parcels", "/parcels/7", "/parcels/census", "/parcels/7/move", "/leaves/a", "/a/b"]
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(METHODS),
        st.builds(
            lambda prefix, segments: [*prefix, *segments],
            st.sampled_from([[], ["v1"], ["a"], ["5"], ["a", "v1"]]),
            st.one_of(
                st.sampled_from([path.split("/")[1:] for path in KNOWN]), segments_of(WRITTEN)
            ),
        ),
    ),
    min_size=1,
    max_size=8,
)


def scope_of(method: str, path: str, root_path: str = "") -> Scope:
    raw = "/".join(quote(segment, safe="") for segment in path.split("/"))
    return {
        "type": "http",
        "method": method,
        "path": root_path + path,
        "raw_path": (root_path + raw).encode(),
        "root_path": root_path,
    }


def request(method: str, segments: list[str], root_path: str = "") -> Scope:
    scope = scope_of(method, "/" + "/".join(segments), root_path)
    written = "/".join(quote(segment, safe="") for segment in segments)
    return {**scope, "raw_path": f"{root_path}/{written}".encode()}


def fastapis(router: APIRouter, scope: Scope) -> tuple[Any, Any, Any] | None:
    """Return the route that FastAPI takes, what it knows of it, and the path's parameters."""
    for top in router.routes:
        match, child = top.matches(scope)
        if match is not Match.FULL:
            continue
        route: Any = top
        context: Any = top
        while hasattr(route, "original_router"):
            match, child, route, found = route._match(scope)
            context = found if found is not None and found.starlette_route is None else route
        return route, context, child.get("path_params")
    return None


def says_the_same(app: FastAPI, index: RouteIndex, scope: Scope) -> bool:
    """Compare; tell whether the index had an answer."""
    theirs = fastapis(app.router, dict(scope))
    ours = index.find(dict(scope))
    if ours is None:
        return False
    assert theirs is not None, scope
    indexed, params = ours
    assert indexed.route is theirs[0], scope
    assert indexed.context is theirs[1], scope
    if indexed.action is not None:
        assert dict(params) == theirs[2], scope
    return True


@pytest.fixture(autouse=True, scope="module")
def fastapis_own_way() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RouteFinder, "install", lambda *_: None)
        yield


@settings(max_examples=300)
@given(TABLES, TABLES, REQUESTS, st.sampled_from(["", "/root"]))
def test_the_route_is_fastapis_whatever_the_table(
    first: list[Change],
    second: list[Change],
    requests: list[tuple[str, list[str]]],
    root_path: str,
) -> None:
    app = FastAPI()
    index = RouteIndex(app.router)
    for table in (first, second):
        for change in table:
            change(app.router)
        for method, segments in requests:
            says_the_same(app, index, request(method, segments, root_path))


def test_the_actions_of_resources_are_found() -> None:
    app = FastAPI()
    index = RouteIndex(app.router)
    for router in ROUTERS:
        app.include_router(router, prefix="/v1")
    for method, path in [
        ("GET", "/v1/parcels"), ("POST", "/v1/parcels"), ("GET", "/v1/parcels/7"),
        ("GET", "/v1/parcels/census"), ("DELETE", "/v1/parcels/7"), ("POST", "/v1/parcels/7/move"),
        ("GET", "/v1/leaves/é"),
    ]:  # fmt: skip
        assert says_the_same(app, index, scope_of(method, path)), path
        found = index.find(scope_of(method, path))
        assert found is not None
        assert found[0].action is not None


def test_what_fastapi_has_to_say_is_left_to_it() -> None:
    app = FastAPI()
    app.include_router(ROUTERS[0])
    index = RouteIndex(app.router)
    for method, path in [
        ("GET", "/nowhere"), ("BREW", "/parcels"), ("PUT", "/parcels"), ("GET", "/parcels/"),
        ("GET", "/parcels\n"), ("GET", "parcels"), ("OPTIONS", "*"),
    ]:  # fmt: skip
        assert index.find(scope_of(method, path)) is None, path
    encoded = {**scope_of("GET", "/parcels/a/b"), "raw_path": b"/parcels/a%2fb"}
    assert index.find(encoded) is None


def test_a_route_of_an_unknown_kind_that_comes_first_is_asked_by_fastapi() -> None:
    app = FastAPI()
    index = RouteIndex(app.router)
    app.include_router(ROUTERS[0])
    app.router.routes.append(Sometimes("/x", lambda _: PlainTextResponse()))
    assert index.find(scope_of("GET", "/parcels")) is not None
    app.router.routes.insert(0, app.router.routes.pop())
    assert index.find(scope_of("GET", "/parcels")) is None


def test_a_router_that_matches_in_its_own_way_is_asked_by_fastapi() -> None:
    class Own(APIRouter):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            return super().matches({**scope, "path": scope["path"].lower()})

    app, own = FastAPI(), Own()
    own.add_api_route("/parcels", endpoint)
    app.include_router(own)
    app.include_router(ROUTERS[0])
    assert RouteIndex(app.router).find(scope_of("GET", "/parcels")) is None


def test_routes_that_come_later_are_seen() -> None:
    app, user = FastAPI(), APIRouter()
    app.include_router(user)
    router = resource_router(SPECS["/parcels"], Pipeline())
    app.include_router(router)
    index = RouteIndex(app.router)
    assert says_the_same(app, index, scope_of("GET", "/parcels/census"))
    router.add_api_route("/parcels-report", endpoint)
    assert says_the_same(app, index, scope_of("GET", "/parcels-report"))
    user.add_api_route("/parcels/census", endpoint)
    found = index.find(scope_of("GET", "/parcels/census"))
    assert found is not None
    assert found[0].action is None
    own = APIRoute("/parcels/census", endpoint)
    app.router.routes.insert(0, own)
    found = index.find(scope_of("GET", "/parcels/census"))
    assert found is not None
    assert found[0].route is own


def test_few_patterns_are_tried_among_a_hundred_resources() -> None:
    app = FastAPI()
    for number in range(100):
        app.include_router(ROUTERS[0], prefix=f"/v1/area-{number}")
    index = RouteIndex(app.router)
    tried: list[str] = []

    class Counting:
        def __init__(self, pattern: Any) -> None:
            self.pattern = pattern

        def match(self, path: str) -> Any:
            tried.append(self.pattern.pattern)
            return self.pattern.match(path)

    assert index.find(scope_of("GET", "/v1/area-99/parcels/7")) is not None
    for node in _nodes(index._root):
        for routes in node.by_method.values():
            for indexed in routes:
                if not isinstance(indexed.pattern, Counting):
                    indexed.pattern = Counting(indexed.pattern)
    assert index.find(scope_of("GET", "/v1/area-99/parcels/7")) is not None
    own = len(SPECS["/parcels"].actions)
    assert 0 < len(tried) <= own, (
        f"{len(tried)} patterns were tried for one path, more than the {own} actions of its "
        "resource: the index no longer keeps the routes of other resources away"
    )
    assert index.find(scope_of("GET", "/v1/area-98/parcels/census")) is not None
    tried.clear()
    assert index.find(scope_of("GET", "/v1/area-98/parcels/census")) is not None
    assert tried == []  # a path without parameters, which was asked for before


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in node.children.values():
        yield from _nodes(child)
