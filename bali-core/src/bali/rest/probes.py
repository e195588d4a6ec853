"""Liveness and readiness for whoever runs the service (Kubernetes probes)."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from bali.errors import Unavailable
from bali.rest.answers import JSON_TYPE, WireResponse
from bali.rest.headers import request_id_of
from bali.rest.problems import problem

__all__ = ["install_probes"]


def install_probes(app: FastAPI, is_ready: Callable[[], bool]) -> None:
    """Add `GET /healthz`, which answers while the process does, and `GET /readyz`.

    The latter is 503 while `is_ready()` is false: before the start is complete, and from the moment
    the service is told to stop. Neither is part of the API document.
    """

    async def healthz(_: Request) -> Response:
        return _ok()

    async def readyz(request: Request) -> Response:
        if is_ready():
            return _ok()
        error = Unavailable("The service takes no new calls", reason="NOT_READY")
        return problem(error, request_id_of(request.scope))

    app.add_route("/healthz", healthz, methods=["GET"], include_in_schema=False)
    app.add_route("/readyz", readyz, methods=["GET"], include_in_schema=False)


def _ok() -> Response:
    headers = [(b"content-type", JSON_TYPE), (b"cache-control", b"no-store")]
    return WireResponse(200, b'{"status":"ok"}', headers)
