"""Running an app on a real port inside a test."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bali.app import Bali
from bali.app.commands import limits_of
from bali.concurrency import background_loop
from bali.server import Server, ServerOptions

__all__ = ["LiveServer", "live_server"]

_START_TIMEOUT_SECONDS = 30.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    """An app that answers on `host:port`, HTTP and gRPC alike."""

    app: Bali
    host: str
    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The address for HTTP clients, without a slash at the end."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """The address for gRPC clients."""
        return f"{self.host}:{self.port}"


@contextmanager
def live_server(app: Bali, **options: Any) -> Iterator[LiveServer]:
    """Serve `app` on a free port of the loopback address while the block runs.

    It runs on the background loop of the process, so the block may use blocking clients. `options`
    are those of `ServerOptions`. Raises what the start raised.
    """
    defaults: dict[str, Any] = {
        "port": 0,
        "rpc_port": 0,
        "drain_delay_seconds": 0.0,
        "limits": limits_of(app.configuration),
    }
    chosen = ServerOptions(**{**defaults, **options})
    loop = background_loop()
    running: dict[str, Any] = {}

    async def start() -> Server:
        server = app.server(chosen)
        serving = asyncio.create_task(server.serve(signals=()))
        started = asyncio.create_task(server.started.wait())
        running["serving"] = serving
        await asyncio.wait((serving, started), return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if serving.done():
            serving.result()
        return server

    async def stop(server: Server) -> None:
        server.request_stop(skip_delay=True)
        await running["serving"]

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(_START_TIMEOUT_SECONDS)
    try:
        port = server.rpc_port if chosen.mode == "rpc" else server.port
        if port is None:
            raise RuntimeError("the server started without a port")
        yield LiveServer(app=app, host=chosen.host, port=port, scheme=chosen.scheme)
    finally:
        asyncio.run_coroutine_threadsafe(stop(server), loop).result()
