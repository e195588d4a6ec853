"""Looking up what an app's routing table has for a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.routing import iter_route_contexts
from starlette._utils import get_route_path

__all__ = ["allowed_methods"]


def allowed_methods(scope: Mapping[str, Any]) -> set[str]:
    """Return the methods that any route of the app answers at this request's path.

    The router itself names those of one route alone; RFC 9110 section 10.2.1 asks for all.
    """
    router = scope.get("router")
    path = get_route_path(dict(scope))
    found: set[str] = set()
    for context in iter_route_contexts(getattr(router, "routes", ())):
        pattern = getattr(context, "path_regex", None)
        methods = getattr(context, "methods", None)
        match = pattern.match(path) if pattern is not None and methods else None
        if match is None:
            continue
        # An action's route leaves the names of static paths to those (`ActionRoute.matches`).
        reserved = getattr(context.original_route, "reserved_keys", ())
        if match.groupdict().get("id") not in reserved:
            found.update(methods or ())
    return found
