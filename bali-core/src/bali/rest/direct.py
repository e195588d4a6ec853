"""The short way of a call over REST: from the server to the action, past what it does not need.

What stands between (FastAPI's and Starlette's error handling, exit stacks, routing; the limits of
bodies, the watch over disconnects) costs more than most actions and does nothing for a call that
has no dependencies and succeeds. So such a call goes to its action directly. Whatever there may be
to do for the others is done as ever: those that need more than an action take the long way from
the start, and an error that an app handles itself is raised where its handlers look for it.
"""

from __future__ import annotations

from typing import Any

from fastapi import routing as fastapi_routing
from starlette.types import ASGIApp, Receive, Scope, Send

from bali.rest.answers import WireResponse
from bali.rest.disconnect import DISCONNECT, SignalGuard
from bali.rest.endpoint import RAISED
from bali.rest.index import Indexed, RouteIndex

__all__ = ["DirectRoutes"]

#: Tells FastAPI's telemetry which route a request has; without it, traced requests go the long way.
_route_selected: Any = getattr(fastapi_routing, "_route_selected", None)
#: Headers of requests whose bodies need more than to be read.
_UNUSUAL = frozenset({b"content-encoding", b"transfer-encoding", b"expect"})
#: The extension by which bali's server sends a response in one step.
_WHOLE_RESPONSE = "bali.whole_response"
_SET = ("endpoint", "path_params", "route", "router")


class DirectRoutes:
    """ASGI middleware that answers calls of actions itself and hands everything else on.

    Put it outermost, or directly around what an app's own middleware surrounds. Bodies of more than
    `max_body_bytes` are left to what comes after, and so are all for which the server does not
    vouch with a `DisconnectSignal`.
    """

    def __init__(
        self, app: ASGIApp, *, router: Any, index: RouteIndex, max_body_bytes: int
    ) -> None:
        self.app = app
        self._router = router
        self._index = index
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered."""
        indexed = self._enter(scope) if scope["type"] == "http" else None
        if indexed is None:
            await self.app(scope, receive, send)
            return
        extensions = scope["extensions"]
        guard = SignalGuard(extensions[DISCONNECT])
        try:
            with guard:
                response = await indexed.action.answer(scope, receive)
        except Exception as error:  # noqa: BLE001 - raised again where the app's handlers are
            for key in _SET:
                scope.pop(key, None)
            scope[RAISED] = error
            await self.app(scope, receive, send)
            return
        if guard.is_gone:
            return
        send_whole = extensions.get(_WHOLE_RESPONSE)
        is_sent = (
            type(response) is WireResponse
            and send_whole is not None
            and send_whole(send, response.status_code, response.raw_headers, response.body)
        )
        if not is_sent:
            await response(scope, receive, send)

    def _enter(self, scope: Scope) -> Indexed | None:
        """Return the action's route, set in the scope, if a request may go there directly."""
        extensions = scope.get("extensions")
        if not extensions or DISCONNECT not in extensions or "router" in scope:
            return None
        headers = dict(scope["headers"])
        if not _UNUSUAL.isdisjoint(headers):
            return None
        length = headers.get(b"content-length")
        if length is not None and not (length.isdigit() and int(length) <= self._max_body_bytes):
            return None
        found = self._index.find(scope)
        if found is None or found[0].action is None:
            return None
        indexed, params = found
        if scope.get("fastapi.telemetry") is not None:
            if _route_selected is None:
                return None
            _route_selected(scope=scope, path=indexed.context.path_format)
        scope["router"] = self._router
        scope["route"] = indexed.route
        scope["endpoint"] = indexed.context.endpoint
        scope["path_params"] = params
        return indexed
