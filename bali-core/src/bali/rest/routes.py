"""The routes of a resource: FastAPI routes whose handler is the pipeline."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Coroutine, Iterable, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi import routing as fastapi_routing
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from bali.resources import ActionSpec, HttpBinding, Pipeline, ResourceSpec
from bali.rest.endpoint import RAISED, ActionEndpoint, PipelineOf, left_early
from bali.rest.headers import PeerOf, peer_of
from bali.rest.matching import RouteFinder, with_slashes
from bali.schemas import Scalar, ScalarKind
from bali.schemas.decoding import DEFAULT_MAX_DEPTH

__all__ = [
    "ActionRoute", "ResourceRouter", "action_routes", "resource_router", "route_changes",
    "routed_actions",
]  # fmt: skip

PipelineSource = Pipeline | Callable[[], Pipeline]

#: What FastAPI knows of a route that was included with a prefix, dependencies or tags. It has no
#: public name; without it every request takes the way through FastAPI's own handler.
_included = getattr(fastapi_routing, "_get_scope_effective_route_context", lambda _: None)
_including = getattr(fastapi_routing, "_get_scope_included_router", lambda _: None)
_being_included = getattr(fastapi_routing, "_effective_route_context_var", None)
_changes = itertools.count(1)


class ActionRoute(APIRoute):
    """A FastAPI route for one HTTP binding of an action.

    Without dependencies a request goes straight to the pipeline; with some, from the router, the
    app or `include_router`, FastAPI solves them first and its errors are what they always are.
    """

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, action: ActionEndpoint, **options: Any
    ) -> None:
        self.action = action
        self.reserved_keys: Container[str] = frozenset()
        super().__init__(path, endpoint, **options)

    @property
    def spec(self) -> ActionSpec:
        """The action that this route calls."""
        return self.action.spec

    @property
    def binding(self) -> HttpBinding:
        """How the action's arguments are laid out in the request."""
        return self.action.binding

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, which solves dependencies and calls the endpoint."""
        context = _being_included.get() if _being_included is not None else None
        is_included = context is not None and context.original_route is self
        dependant = context.dependant if context is not None and is_included else self.dependant
        ignored = _query_names(dependant) - {f.wire_name for f in self.spec.request.fields}
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            request.scope["bali.ignored_query"] = ignored
            return await handler(request)

        return handle

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request; an encoded slash belongs to the segment that it stands in."""
        match, child = super().matches(with_slashes(scope) if scope["type"] == "http" else scope)
        if match is not Match.NONE and child["path_params"].get("id") in self.reserved_keys:
            return Match.NONE, {}
        return match, child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that matched."""
        if (raised := scope.pop(RAISED, None)) is not None:
            raise raised
        context = _included(scope)
        route: Any = context if context is not None and context.original_route is self else self
        if scope["method"] not in route.methods:
            raise HTTPException(status_code=405, headers={"Allow": ", ".join(route.methods)})
        if route.dependant.dependencies or route.max_body_size is not None:
            await super().handle(scope, receive, send)
            return
        response = await self.action.answer(scope, receive)
        await response(scope, receive, send)


class ResourceRouter(APIRouter):
    """The router of one resource."""

    #: How often the routes of any of them have changed: one number to look at instead of all.
    changes = 0

    def _mark_routes_changed(self) -> None:
        ResourceRouter.changes = next(_changes)
        super()._mark_routes_changed()

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request, as a part of the router that includes this one."""
        included = _including(scope)
        if included is not None and included.original_router is self:
            RouteFinder.install(included, _is_action_route)
        return super().matches(scope)


def route_changes() -> int:
    """Return a number that is another one when the routes of any resource's router have changed."""
    return ResourceRouter.changes


def _is_action_route(route: Any) -> bool:
    return isinstance(route, ActionRoute)


def resource_router(
    spec: ResourceSpec,
    pipeline: PipelineSource,
    peer: PeerOf | None = None,
    *,
    max_json_depth: int = DEFAULT_MAX_DEPTH,
) -> APIRouter:
    """Return a router with a route for every HTTP binding of a resource.

    It is an ordinary FastAPI router: include it with a prefix, tags or dependencies, add routes to
    it, override one by declaring the same path before. `pipeline` is asked for at each request
    when it is a function. `peer` finds the client's address in an ASGI scope. `max_json_depth`
    bounds the nesting of request bodies.
    """

    def pipeline_of(_: Scope) -> Pipeline:
        return pipeline if isinstance(pipeline, Pipeline) else pipeline()

    router = ResourceRouter()
    router.routes.extend(action_routes(spec, pipeline_of, peer, max_json_depth))
    router._mark_routes_changed()  # noqa: SLF001 - as its own add_api_route does
    return router


def action_routes(
    spec: ResourceSpec, pipeline: PipelineOf, peer: PeerOf | None, max_json_depth: int
) -> list[ActionRoute]:
    """Return a route for every HTTP binding of a resource, in the order in which to look."""
    bindings = [(action, binding) for action in spec.actions for binding in action.bindings]
    # A static path must be seen before the one with a key at the same place.
    bindings.sort(key=lambda pair: "{id}" in pair[1].path)
    routes = [
        _route(
            ActionEndpoint(
                action, binding, pipeline, peer=peer or peer_of, max_json_depth=max_json_depth
            )
        )
        for action, binding in bindings
    ]
    _reserve_static_paths(spec, routes)
    return routes


def routed_actions(routes: Iterable[Any]) -> list[ActionSpec]:
    """Return the actions that these routes, and those of the routers among them, lead to."""
    found = (context.original_route for context in iter_route_contexts(list(routes)))
    return [route.spec for route in found if isinstance(route, ActionRoute)]


def _route(action: ActionEndpoint) -> ActionRoute:
    spec, binding = action.spec, action.binding

    async def endpoint(request: Request, response: Response) -> Response:
        ignored: frozenset[str] = request.scope.get("bali.ignored_query", frozenset())

        async def read() -> bytes:
            return await left_early(request.body)

        answer = await action.answer(request.scope, request.receive, read, ignored_query=ignored)
        # What dependencies set on FastAPI's response: headers, cookies.
        answer.raw_headers.extend(response.headers.raw)
        return answer

    return ActionRoute(
        binding.path,
        endpoint,
        action=action,
        methods=[binding.method],
        status_code=binding.status,
        name=spec.operation,
        operation_id=operation_id(spec, binding),
        tags=list(spec.tags),
        summary=spec.summary or None,
        description=spec.description or None,
        response_model=None,
    )


def _query_names(dependant: Any) -> frozenset[str]:
    """Return the query keys that the dependencies of a route read."""
    return frozenset(
        field.alias
        for field in get_flat_params(dependant)
        if getattr(field.field_info, "in_", None) is ParamTypes.query
    )


def operation_id(spec: ActionSpec, binding: HttpBinding) -> str:
    """Return the OpenAPI operation id: `users_list`, with the method for further bindings."""
    name = spec.operation.replace(".", "_").replace("-", "_")
    return name if binding is spec.bindings[0] else f"{name}_{binding.method.lower()}"


def _reserve_static_paths(spec: ResourceSpec, routes: Sequence[ActionRoute]) -> None:
    """Keep `PUT /users/count` from being an operation on the user "count".

    And `PUT /users/7:undelete` from being one on the user "7:undelete". A key that is a string
    could have such a value, so there the method decides.
    """
    prefix = spec.path + "/"
    static = frozenset(
        route.path.removeprefix(prefix)
        for route in routes
        if route.path.startswith(prefix) and "{id}" not in route.path
    )
    verbs = tuple(route.path.partition("{id}")[2] for route in routes if "{id}:" in route.path)
    for route in routes:
        key = next((f for f in route.spec.request.fields if f.wire_name == "id"), None)
        is_text = key is not None and key.node == Scalar(ScalarKind.STRING)
        if route.path == f"{prefix}{{id}}" and not is_text:
            route.reserved_keys = _Reserved(static, verbs)


class _Reserved:
    """The parts of a path that are the names of actions, so that they are no keys."""

    def __init__(self, names: frozenset[str], verbs: tuple[str, ...]) -> None:
        self._names = names
        self._verbs = verbs

    def __contains__(self, key: object) -> bool:
        return key in self._names or (isinstance(key, str) and key.endswith(self._verbs))
