"""What stands between the server and the routes of an app, and the short way past it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRouter
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from bali.rest import DirectRoutes, RequestPropagation, RouteIndex
from bali.server import BodyLimit, DisconnectWatcher

__all__ = ["EXPOSED_HEADERS", "Tracing", "build_stack"]

#: Response headers that pages of other origins may read, their Connect and gRPC-Web clients first.
EXPOSED_HEADERS = (
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "x-request-id",
    "etag",
    "location",
    "retry-after",
    "www-authenticate",
)

#: Where OpenTelemetry keeps what was set for the process, by module.
_PROVIDERS = (
    ("opentelemetry.trace", "_TRACER_PROVIDER"),
    ("opentelemetry.metrics._internal", "_METER_PROVIDER"),
    ("opentelemetry._logs._internal", "_LOGGER_PROVIDER"),
)


def build_stack(
    app: FastAPI,
    build: Callable[[], ASGIApp],
    *,
    max_body_bytes: int,
    cors_origins: Sequence[str],
) -> ASGIApp:
    """Return the ASGI application with the limits outermost; `build` makes FastAPI's own part.

    Only what lets pages of other origins read answers is around them: refusals are answers too.
    Calls of actions go past all that they do not need, but not past middleware of the app's own.
    """
    direct = functools.partial(
        DirectRoutes,
        router=app.router,
        index=RouteIndex(app.router),
        max_body_bytes=max_body_bytes,
    )
    can_be_direct = _is_plain(app.router) and app.max_body_size is None
    own = app.user_middleware
    if can_be_direct and own:
        app.user_middleware = [*own, Middleware(direct)]
    try:
        stack: ASGIApp = RequestPropagation(build())
    finally:
        app.user_middleware = own
    stack = BodyLimit(stack, max_body_bytes=max_body_bytes)
    is_outermost = can_be_direct and not own
    if not cors_origins:
        stack = DisconnectWatcher(stack)
        return direct(stack) if is_outermost else stack
    stack = CORSMiddleware(
        direct(stack) if is_outermost else stack,
        allow_origins=list(cors_origins),
        allow_credentials="*" not in cors_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )
    return DisconnectWatcher(stack)


def _is_plain(router: Any) -> bool:
    """Tell whether a router does nothing but to ask its routes."""
    return type(router) is APIRouter and router.middleware_stack == router.app


class Tracing:
    """Whether FastAPI's telemetry has anything to do; asked at each request.

    FastAPI's own answer costs 4 us. It can only change with one of OpenTelemetry's providers, which
    are no more than three empty names in its modules while nobody has set one.
    """

    def __init__(self, app: FastAPI) -> None:
        telemetry = getattr(app, "_native_telemetry", None)
        self._is_enabled: Callable[[], bool] = getattr(telemetry, "enabled", lambda: True)
        self._was_off = False
        self._providers = [
            (vars(sys.modules[module]), name)
            for module, name in _PROVIDERS
            if hasattr(sys.modules.get(module), name)
        ]

    def is_off(self) -> bool:
        """Tell whether requests are not traced, for certain."""
        if self._was_off:
            for names, name in self._providers:
                if names[name] is not None:
                    break
            else:
                return True
        is_off = not self._is_enabled()
        self._was_off = is_off and len(self._providers) == len(_PROVIDERS)
        return is_off
