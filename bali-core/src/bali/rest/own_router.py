"""The routes of one resource as a router, to be changed and included by whoever asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.types import Scope

from bali.resources import Collector, Pipeline, Resource, ResourceSpec
from bali.rest.routes import ActionRoute, ResourceRouter, action_routes
from bali.settings import current_settings

__all__ = ["OwnRouter", "own_router"]

_PARAMETER = re.compile(r"{[^}]*}")


class OwnRouter(ResourceRouter):
    """A router whose routes of a resource give way to plain ones of the same method and path."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Add a plain route, in the place of the action that had its method and path."""
        methods = {str(method).upper() for method in options.get("methods") or ("GET",)}
        shape = _shape(path)
        self.routes[:] = [
            route
            for route in self.routes
            if not (
                isinstance(route, ActionRoute)
                and _shape(route.path) == shape
                and route.binding.method in methods
            )
        ]
        super().add_api_route(path, endpoint, **options)
        if "{" not in path:
            # `/hello` would else be taken for the item with the key "hello".
            self.routes.insert(0, self.routes.pop())
        self._mark_routes_changed()


def own_router(resource: type[Resource]) -> OwnRouter:
    """Return a router with paths relative to the resource: "", "/{id}", "/deactivate".

    Include it with a prefix. In a `Bali` app its calls go through the app's pipeline; in a plain
    FastAPI app callers are anonymous. Raises `ConfigurationError` for a resource that cannot be
    served as written.
    """
    spec = _relative(Collector().collect(resource))
    store = resource.find_store()
    alone = Pipeline(units=[store.unit] if store is not None else [])

    def pipeline_of(scope: Scope) -> Pipeline:
        found = getattr(scope.get("app"), "pipeline", None)
        return found if isinstance(found, Pipeline) else alone

    router = OwnRouter()
    depth = current_settings().max_json_depth
    router.routes.extend(action_routes(spec, pipeline_of, None, depth))
    router._mark_routes_changed()  # noqa: SLF001 - as its own add_api_route does
    return router


def _relative(spec: ResourceSpec) -> ResourceSpec:
    actions = tuple(
        replace(
            action,
            bindings=tuple(
                replace(binding, path=binding.path.removeprefix(spec.path))
                for binding in action.bindings
            ),
        )
        for action in spec.actions
    )
    return replace(spec, path="", actions=actions)


def _shape(path: str) -> str:
    return _PARAMETER.sub("{}", path)
