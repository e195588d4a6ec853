"""The HTTP/1.1 side of a port: uvicorn's settings, its connections and its running requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from bali.server.disconnect import ASGIApp
from bali.server.http_protocol import HttpProtocol
from bali.server.options import ServerOptions

__all__ = ["HttpFront"]


class HttpFront:
    """Makes the protocol of each HTTP connection of one port, and ends them all."""

    def __init__(self, app: ASGIApp, options: ServerOptions, app_state: dict[str, Any]) -> None:
        self._options = options
        self._app_state = app_state
        self._state = ServerState()
        self._is_draining = False
        self._clock: asyncio.TimerHandle | None = None
        self._config = Config(
            app,
            interface="asgi3",
            http=HttpProtocol,
            lifespan="off",
            log_config=None,
            access_log=options.access_log,
            server_header=False,
            proxy_headers=bool(options.trusted_proxies),
            forwarded_allow_ips=list(options.trusted_proxies),
            timeout_keep_alive=options.limits.keep_alive_seconds,  # type: ignore[arg-type] # any number
        )
        self._config.load()

    def start(self) -> None:
        """Keep the `Date` header right from now on."""
        self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]
        self._clock = asyncio.get_running_loop().call_later(1.0, self.start)

    def stop(self) -> None:
        """End what `start` began."""
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def make_protocol(self, ended: Callable[[], None] | None = None) -> HttpProtocol:
        """Return the protocol of a new connection; `ended` is called when it is no more."""
        protocol = HttpProtocol(
            self._config,
            self._state,
            self._app_state,
            limits=self._options.limits,
            ended=ended,
        )
        protocol.is_draining = self._is_draining
        return protocol

    def count(self) -> int:
        """How many connections are open."""
        return len(self._state.connections)

    def is_busy(self) -> bool:
        """Whether a connection is open or a request's work is running."""
        return bool(self._state.connections or self._state.tasks)

    def drain(self) -> None:
        """Have every further response ask its client to leave."""
        self._is_draining = True
        for connection in tuple(self._state.connections):
            if isinstance(connection, HttpProtocol):
                connection.drain()

    def shutdown(self) -> None:
        """Close every connection as soon as it has nothing to answer."""
        self._is_draining = True
        for connection in tuple(self._state.connections):
            connection.shutdown()

    def abort(self) -> None:
        """Cancel every running request and cut every connection."""
        for task in tuple(self._state.tasks):
            task.cancel("the server is stopping")
        for connection in tuple(self._state.connections):
            connection.transport.abort()
