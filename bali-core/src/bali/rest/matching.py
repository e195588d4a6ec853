"""Finding the route of a request once, and at a price that does not grow with other resources.

FastAPI looks for the route of an included router twice, in `matches` and again in `handle`, and
asks each route in turn at about 3 us. A service with 20 resources would spend most of a call
there. A resource's router knows that its routes are all of one kind, so it compares the common
part of their paths first, then their patterns, and remembers what it has found in the scope. With
a route of another kind in the router, or a FastAPI whose inside is different, FastAPI's own way is
taken; the result is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import unquote

from starlette._utils import get_route_path
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from bali.rest.arguments import PATH_SLASH

__all__ = ["RouteFinder", "with_slashes"]

Found: TypeAlias = tuple[Match, Scope, BaseRoute | None, Any]

_KEY = "bali.route"
_NOTHING: Found = (Match.NONE, {}, None, None)


class RouteFinder:
    """Stands in for the `_match` of one inclusion of a resource's router."""

    def __init__(self, included: Any, is_known: Callable[[Any], bool]) -> None:
        """`is_known` tells whether a route is of the kind that is matched here."""
        self._included = included
        self._general: Callable[[Scope], Found] = included._match  # noqa: SLF001 - see above
        self._is_known = is_known
        self._candidates: Any = None
        self._contexts: list[Any] | None = None
        self._common = ""

    @classmethod
    def install(cls, included: Any, is_known: Callable[[Any], bool]) -> None:
        """Make an inclusion find its routes this way, if it can be."""
        names = vars(included)
        if not isinstance(names.get("_match"), cls) and hasattr(included, "_match"):
            included._match = cls(included, is_known)  # noqa: SLF001 - see above

    def __call__(self, scope: Scope) -> Found:
        """Return the match, the scope of the route, the route and what FastAPI knows of it."""
        if scope["type"] != "http":
            return self._general(scope)
        path, method = scope["path"], scope["method"]
        known = scope.get(_KEY)
        if known is not None and known[0] is self and known[1] == path and known[2] == method:
            found: Found = known[3]
            return found
        found = self._find(scope)
        scope[_KEY] = (self, path, method, found)
        return found

    def _find(self, scope: Scope) -> Found:
        candidates = self._included.effective_candidates()
        if candidates is not self._candidates:
            self._read(candidates)
        if self._contexts is None:
            return self._general(scope)
        path = get_route_path(with_slashes(scope))
        if not path.startswith(self._common):
            return _NOTHING
        method, partial = scope["method"], _NOTHING
        for context in self._contexts:
            match = context.path_regex.match(path)
            if match is None:
                continue
            route, params = context.original_route, match.groupdict()
            if params and params.get("id") in route.reserved_keys:
                continue
            child = {
                "endpoint": context.endpoint,
                "path_params": _converted(context, params, scope.get("path_params")),
                "route": route,
            }
            if method in context.methods:
                return Match.FULL, child, route, context
            if partial is _NOTHING:
                partial = Match.PARTIAL, child, route, context
        return partial

    def _read(self, candidates: list[Any]) -> None:
        self._candidates = candidates
        originals = [getattr(item, "original_route", None) for item in candidates]
        self._contexts = list(candidates) if all(map(self._is_known, originals)) else None
        if self._contexts is not None:
            literals = [context.path_format.partition("{")[0] for context in self._contexts]
            self._common = _common_start(literals)


def _common_start(texts: Sequence[str]) -> str:
    common = texts[0] if texts else ""
    while not all(text.startswith(common) for text in texts):
        common = common[:-1]
    return common


def with_slashes(scope: Scope) -> Scope:
    """Return a scope in whose path an encoded slash is one of its segment's characters.

    A server decodes the whole path, after which `a%2Fb` and `a/b` are the same.
    """
    raw: bytes = scope.get("raw_path") or b""
    if b"%2F" not in raw and b"%2f" not in raw:
        return scope
    text = raw.decode("ascii", "replace").replace("%2f", "%2F")
    path = "/".join(
        PATH_SLASH.join(unquote(part) for part in segment.split("%2F"))
        for segment in text.split("/")
    )
    # A middleware may have changed the path; then it is the one that counts.
    return {**scope, "path": path} if path.replace(PATH_SLASH, "/") == scope["path"] else scope


def _converted(
    context: Any, params: Mapping[str, str], outer: Mapping[str, Any] | None
) -> dict[str, Any]:
    convertors = context.param_convertors
    own = {name: convertors[name].convert(value) for name, value in params.items()}
    return {**outer, **own} if outer else own
