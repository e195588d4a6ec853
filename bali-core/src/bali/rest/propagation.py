"""Plain routes hand on their trace, request id and deadline as resources do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from bali.errors import InvalidArgument
from bali.propagation import current
from bali.resources import Context
from bali.rest.headers import certificate_of, metadata_of, new_context, request_id_of

__all__ = ["RequestCircumstances", "RequestPropagation"]

Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Any, Any], Awaitable[None]]


class RequestPropagation:
    """ASGI middleware: clients that a route calls know which request they work for.

    It costs next to nothing until a client asks. An action of a resource has its own context.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        token = current.set(RequestCircumstances(scope))
        try:
            await self.app(scope, receive, send)
        finally:
            current.reset(token)


class RequestCircumstances:
    """What is known about a request; read when it is first asked for."""

    __slots__ = ("_context", "_scope")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """All of it, as the context of a call."""
        if self._context is None:
            try:
                self._context = new_context(self._scope)
            except InvalidArgument:
                # A plain route promises nothing about the header, so a wrong one counts as none.
                self._context = Context(
                    protocol="rest",
                    metadata=metadata_of(self._scope["headers"]),
                    request_id=request_id_of(self._scope),
                    peer_certificate=certificate_of(self._scope),
                )
        return self._context

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """Its headers."""
        return self.context.metadata

    @property
    def request_id(self) -> str:
        """Its identifier."""
        return self.context.request_id

    @property
    def traceparent(self) -> str:
        """Its place in a trace."""
        return self.context.traceparent

    @property
    def time_remaining_seconds(self) -> float | None:
        """How long its caller still waits; None without a deadline."""
        return self.context.time_remaining_seconds
