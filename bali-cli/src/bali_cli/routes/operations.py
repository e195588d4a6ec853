"""What a service answers: actions of resources, plain routes, and methods of servicers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.routing import iter_route_contexts

from bali.app import Bali
from bali.operations import SERVICE
from bali.resources import ActionSpec, Permission
from bali.rest import ActionRoute

__all__ = ["Binding", "Method", "Operation", "operations_of"]

#: Modules whose routes every app has: documents, pages, probes.
_OURS = ("bali.rest.", "fastapi.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One HTTP method and path; "WS" for a web socket, "MOUNT" for an application of its own."""

    method: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One gRPC method. `streaming` is "server", "client", "both", or None for a single answer."""

    full_name: str
    streaming: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that callers may ask for.

    `kind` is "action", "route" or "servicer". `permissions` is None where bali does not know them:
    plain routes and servicers have rules of their own. `is_long_running`: it answers with an
    operation that goes on.
    """

    kind: str
    name: str
    bindings: tuple[Binding, ...] = ()
    method: Method | None = None
    permissions: tuple[str, ...] | None = None
    is_long_running: bool = False

    @property
    def is_public(self) -> bool:
        """Whether it is an action that nobody has put a permission on."""
        return self.permissions == ()

    def has(self, text: str) -> bool:
        """Tell whether a text stands in the name, a path or the gRPC method, in any case."""
        places = [self.name, *(f"{item.method} {item.path}" for item in self.bindings)]
        if self.method is not None:
            places.append(self.method.full_name)
        return any(text.lower() in place.lower() for place in places)


def operations_of(app: Bali) -> list[Operation]:
    """Return what an app answers: actions by resource, then plain routes, then servicers.

    Left out is what every app has: the probes, the API document and its pages, gRPC's health and
    reflection. Raises `ConfigurationError` for an app that could not be served.
    """
    contexts = list(iter_route_contexts(app.routes))
    return [*_actions(app, contexts), *_plain_routes(app, contexts), *_servicers(app)]


def _actions(app: Bali, contexts: Iterable[Any]) -> Iterator[Operation]:
    bindings: dict[ActionSpec, list[Binding]] = {}
    for resource in app.resources:
        for action in resource.actions:
            bindings[action] = []
    for context in contexts:
        route = context.original_route
        if isinstance(route, ActionRoute):
            found = bindings.setdefault(route.spec, [])
            found += [Binding(method=name, path=context.path) for name in sorted(context.methods)]
    methods = _methods_of_resources(app)
    for action, paths in bindings.items():
        yield Operation(
            kind="action",
            name=action.operation,
            bindings=tuple(dict.fromkeys(paths)),
            method=methods.get(action),
            is_long_running=action.work is not None,
            permissions=tuple(_shown(permission) for permission in action.permissions),
        )


def _methods_of_resources(app: Bali) -> Mapping[ActionSpec, Method]:
    return {
        action: Method(
            full_name=method.path.lstrip("/"),
            streaming="server" if method.is_server_streaming else None,
        )
        for action, method in app.services.methods.items()
    }


def _plain_routes(app: Bali, contexts: Iterable[Any]) -> Iterator[Operation]:
    for context in contexts:
        route = context.original_route
        if isinstance(route, ActionRoute) or _is_of_every_app(app, route):
            continue
        path = str(getattr(context, "path", None) or getattr(route, "path", ""))
        methods = getattr(context, "methods", None) or getattr(route, "methods", None)
        yield Operation(
            kind="route",
            name=str(getattr(route, "name", None) or path),
            bindings=tuple(Binding(method=name, path=path) for name in _verbs(route, methods)),
        )


def _verbs(route: Any, methods: Iterable[str] | None) -> Sequence[str]:
    if methods:
        found = sorted(methods)
        # Starlette answers HEAD wherever it answers GET: no operation of its own.
        return [name for name in found if name != "HEAD"] if "GET" in found else found
    return ["WS" if "WebSocket" in type(route).__name__ else "MOUNT"]


def _is_of_every_app(app: Bali, route: Any) -> bool:
    if getattr(route, "name", None) == "connect" and not hasattr(route, "endpoint"):
        return str(route.path) in (f"/{app.package}.{app.service}", f"/{SERVICE}")
    module = getattr(getattr(route, "endpoint", None), "__module__", None) or ""
    return f"{module}.".startswith(_OURS)


def _servicers(app: Bali) -> Iterator[Operation]:
    recorder = _Recorder()
    for add_to_server, servicer in app.services.servicers:
        add_to_server(servicer, recorder)
    for service, handlers in recorder.services.items():
        for name, handler in handlers.items():
            yield Operation(
                kind="servicer",
                name=f"{service}.{name}",
                method=Method(full_name=f"{service}/{name}", streaming=_streaming(handler)),
            )


def _streaming(handler: Any) -> str | None:
    kinds = {(False, True): "server", (True, False): "client", (True, True): "both"}
    return kinds.get((bool(handler.request_streaming), bool(handler.response_streaming)))


class _Recorder:
    """Stands in for a server to learn which methods servicers add."""

    def __init__(self) -> None:
        self.services: dict[str, Mapping[str, Any]] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """Do nothing: what protoc writes says the same once more, method by method."""

    def add_registered_method_handlers(self, service_name: str, handlers: Any) -> None:
        """Take note of a service's methods."""
        self.services[service_name] = handlers


def _shown(permission: Permission) -> str:
    """Return a permission as it was written: `IsAuthenticated & ~IsSuspended`."""
    text = repr(permission)
    if text.startswith("<"):
        return type(permission).__name__
    is_composed = type(permission).__module__ == Permission.__module__ and text.startswith("(")
    return text[1:-1] if is_composed else text
