"""gRPC's health service (grpc.health.v1), which follows readiness."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

__all__ = ["Followed", "HealthService"]

_Status = health_pb2.HealthCheckResponse


class Followed(Protocol):
    """Something that is ready or not, and says when that changes."""

    @property
    def is_ready(self) -> bool:
        """Whether new work is wanted."""

    def subscribe(self, listener: Callable[[bool], Awaitable[None] | None]) -> Callable[[], None]:
        """Have `listener` called on each change; return a function that ends this."""


class HealthService:
    """Tells of the whole server ("") and of each service by name: serving while ready."""

    def __init__(self, readiness: Followed, *, services: Sequence[str] = ()) -> None:
        self._readiness = readiness
        self._names = ("", *services)
        self._servicer: Any = None
        self._unsubscribe: Callable[[], None] | None = None

    def add_to(self, server: grpc.aio.Server) -> None:
        """Mount the service on a server, in the event loop that runs it.

        The server before, if there was one, follows readiness no longer.
        """
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._servicer = health_aio.HealthServicer()
        ready = self._readiness.is_ready
        self._servicer._server_status = {name: _status(ready) for name in self._names}  # noqa: SLF001 - `set` is a coroutine, and there is no server yet
        self._unsubscribe = self._readiness.subscribe(self._follow)
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def _follow(self, ready: bool) -> None:  # noqa: FBT001 - a listener's form
        for name in self._names:
            await self._servicer.set(name, _status(ready))


def _status(ready: bool) -> Any:  # noqa: FBT001 - a state, not an option
    return _Status.SERVING if ready else _Status.NOT_SERVING
