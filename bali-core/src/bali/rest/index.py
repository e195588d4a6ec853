"""Finding the route of a request at a price that does not grow with the number of routes.

FastAPI asks one route after the other, in the order of their declaration. The index has the same
order, by the literal segments that paths begin with: only routes that could match a path are tried.
It tells nothing but the first route that fits path and method fully, which is the one that FastAPI
takes; whatever else there is to say (no route, another method, a slash too many) FastAPI says. So
it does where a route of a kind that is not known here might come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import routing as fastapi_routing
from fastapi.routing import APIRoute, APIRouter, APIWebSocketRoute
from starlette._utils import get_route_path
from starlette.convertors import StringConvertor
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import Scope

from bali.rest.matching import RouteFinder
from bali.rest.routes import ActionRoute, ResourceRouter, route_changes

__all__ = ["Indexed", "RouteIndex"]

#: How FastAPI wraps the routers that were included. It has no public name.
_Included: Any = getattr(fastapi_routing, "_IncludedRouter", None)

_PLAIN_ROUTERS = (APIRouter.matches, ResourceRouter.matches)
_PLAIN_ROUTES = (APIRoute.matches, ActionRoute.matches, Route.matches, Mount.matches)
_WEBSOCKET_ROUTES = (APIWebSocketRoute.matches, WebSocketRoute.matches)


class Indexed:
    """One route as the index knows it."""

    __slots__ = (
        "action", "context", "is_opaque", "literals", "methods", "order", "pattern", "reserved",
        "route",
    )  # fmt: skip

    def __init__(self, route: Any, context: Any) -> None:
        """`context` is what FastAPI knows of a route that was included, the route itself if not."""
        self.route = route
        self.context = context
        self.order = 0
        self.pattern: Any = getattr(context, "path_regex", None)
        self.is_opaque = (
            type(route).matches not in _PLAIN_ROUTES
            or "matches" in vars(route)
            or self.pattern is None
        )
        self.methods: frozenset[str] | None = None
        self.literals: tuple[str, ...] = ()
        #: Set when a request may go to the action at once, since nothing of FastAPI's is asked for.
        self.action: Any = None
        self.reserved: Any = getattr(route, "reserved_keys", ())
        if self.is_opaque:
            return
        self.literals = _literals(context.path_format)
        methods = getattr(context, "methods", None)
        self.methods = frozenset(methods) if methods else None
        if type(route) is ActionRoute and _is_direct(route, context):
            self.action = route.action

    def allows(self, method: str) -> bool:
        """Tell whether this route could be the one for a method."""
        return self.methods is None or method in self.methods


class _Node:
    """A segment of paths: the routes that could match what begins so, in their order."""

    __slots__ = ("by_method", "children", "routes")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.routes: list[Indexed] = []
        self.by_method: dict[str, tuple[Indexed, ...]] = {}


class RouteIndex:
    """The routes of one router, read again when they have changed."""

    def __init__(self, router: Any) -> None:
        self._router = router
        self._routes: list[BaseRoute] = []
        self._changes = -1
        self._foreign: list[tuple[APIRouter, int]] = []
        self._root = _Node()
        self._depth = 1
        #: Actions that were asked for whose path has no parameters, by method and path.
        self._fixed: dict[tuple[str, str], Indexed] = {}

    def find(self, scope: Scope) -> tuple[Indexed, Mapping[str, str]] | None:
        """Return the route of an HTTP request and its path parameters, or None: ask FastAPI.

        Parameters are as they are written in the path, not converted.
        """
        if self._routes != self._router.routes or self._changes != route_changes() or self._foreign:
            self._refresh()
        path: str = scope["path"]
        if scope.get("root_path"):
            path = get_route_path(scope)
        raw: bytes = scope.get("raw_path") or b""
        # An encoded slash is part of a segment; and `$` in a pattern lets a line break follow.
        if b"%2F" in raw or b"%2f" in raw or "\n" in path:
            return None
        fixed = self._fixed  # before the root: what is noted below belongs to the older of both
        method = scope["method"]
        known = fixed.get((method, path))
        if known is not None:
            return known, {}
        found = self._search(method, path)
        if found is not None and not found[1] and found[0].action is not None:
            fixed[method, path] = found[0]
        return found

    def _search(self, method: str, path: str) -> tuple[Indexed, Mapping[str, str]] | None:
        node = self._root
        for segment in path.split("/", self._depth)[1:]:
            child = node.children.get(segment)
            if child is None:
                break
            node = child
        for indexed in node.by_method.get(method, ()):
            if indexed.is_opaque:
                return None
            match = indexed.pattern.match(path)
            if match is None:
                continue
            params = match.groupdict()
            if params and indexed.reserved and params.get("id") in indexed.reserved:
                continue
            return indexed, params
        return None

    # -- reading the routes --------------------------------------------------------------------

    def _refresh(self) -> None:
        is_current = (
            self._routes == self._router.routes
            and self._changes == route_changes()
            and all(router._routes_version == known for router, known in self._foreign)  # noqa: SLF001 - see below
        )
        if not is_current:
            self._read()

    def _read(self) -> None:
        # What tells that all is read comes last, for threads that look meanwhile.
        routes, changes = list(self._router.routes), route_changes()
        foreign: list[tuple[APIRouter, int]] = []
        found = [item for route in routes for item in _entries(route, foreign)]
        root = _Node()
        for order, indexed in enumerate(found):
            indexed.order = order
            node = root
            for literal in indexed.literals:
                node = node.children.setdefault(literal, _Node())
            node.routes.append(indexed)
        methods = {method for indexed in found for method in indexed.methods or ()}
        _spread(root, [], methods)
        self._depth = 1 + max((len(indexed.literals) for indexed in found), default=0)
        self._root, self._foreign = root, foreign
        self._fixed = {}
        self._routes, self._changes = routes, changes


def _entries(route: Any, foreign: list[tuple[APIRouter, int]]) -> Iterator[Indexed]:
    """Yield a route, or those that it includes; note routers whose changes are to be looked for."""
    if _Included is None or not isinstance(route, _Included):
        if type(route).matches not in _WEBSOCKET_ROUTES:
            yield Indexed(route, route)
        return
    router = route.original_router
    if not _is_plain(route, router):
        yield Indexed(route, route)
        return
    if not isinstance(router, ResourceRouter):
        foreign.append((router, router._routes_version))  # noqa: SLF001 - FastAPI's own mark of a change
    for candidate in route.effective_candidates():
        if isinstance(candidate, _Included):
            yield from _entries(candidate, foreign)
            continue
        original = candidate.original_route
        is_api = isinstance(original, APIRoute)
        actual = original if is_api else candidate.starlette_route
        if type(actual).matches not in _WEBSOCKET_ROUTES:
            yield Indexed(actual, candidate if is_api else actual)


def _is_plain(included: Any, router: Any) -> bool:
    """Tell whether an inclusion asks the routes of its router in turn, as FastAPI's do."""
    match = vars(included).get("_match")
    return (
        type(included) is _Included
        and (match is None or isinstance(match, RouteFinder))
        and type(router).matches in _PLAIN_ROUTERS
        and not {"matches", "handle"} & vars(router).keys()
    )


def _spread(node: _Node, above: list[Indexed], methods: set[str]) -> None:
    """Give each node the routes of those above it as well."""
    routes = sorted([*above, *node.routes], key=lambda indexed: indexed.order)
    node.by_method = {
        method: tuple(indexed for indexed in routes if indexed.allows(method)) for method in methods
    }
    for child in node.children.values():
        _spread(child, routes, methods)


def _literals(path_format: str) -> tuple[str, ...]:
    """Return the segments of a path that stand before the first parameter."""
    segments = path_format.split("/")[1:]
    count = next((n for n, segment in enumerate(segments) if "{" in segment), len(segments))
    return tuple(segments[:count])


def _is_direct(route: ActionRoute, context: Any) -> bool:
    is_text = all(type(item) is StringConvertor for item in context.param_convertors.values())
    is_bare = not context.dependant.dependencies and context.max_body_size is None
    return is_text and is_bare and not route.spec.is_streaming and "handle" not in vars(route)
