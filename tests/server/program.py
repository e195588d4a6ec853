"""A service as users write it, for tests that start real processes.

`python program.py '{"port": 0, ...}'` serves with these options. The environment says what goes
wrong: `FAIL` names a step, `LOG` a file to which the steps are written. With `PATIENT` what waits
for others waits long enough for a machine that is slow: a worker for those with fewer connections
to take one, a server that stops for its clients to hear of it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from bali.server import Limits, Readiness, Server, ServerOptions, balance, lifecycle, run
from bali.server.grpc_acceptor import accepting_server
from bali.server.relay import Relay

VERSION = "1"

if os.environ.get("PATIENT"):
    balance._LOOKS = sys.maxsize
    lifecycle._SETTLE_SECONDS *= 30  # a server that does not wait does not wait here, either


def note(text: str) -> None:
    if path := os.environ.get("LOG"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    note(f"startup {os.getpid()}")
    if os.environ.get("FAIL") == "startup":
        raise RuntimeError("the database is not there")
    yield
    note("shutdown")


def build(options: ServerOptions) -> Server:  # noqa: C901 - one function a route
    readiness = Readiness()

    async def hello(request: Request) -> Response:
        return JSONResponse({"pid": os.getpid(), "version": VERSION})

    async def frozen(request: Request) -> Response:
        return JSONResponse(gc.get_freeze_count())

    async def ready(request: Request) -> Response:
        return PlainTextResponse("", status_code=200 if readiness.is_ready else 503)

    async def slow(request: Request) -> Response:
        note("slow")
        await asyncio.sleep(float(request.query_params["seconds"]))
        return PlainTextResponse("done")

    async def stream(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for i in range(10):
                yield b"%d\n" % i
                await asyncio.sleep(0.1)

        return StreamingResponse(parts())

    async def crash(request: Request) -> Response:
        os.kill(os.getpid(), signal.SIGKILL)
        return Response()

    async def block(request: Request) -> Response:
        note("blocking")
        while True:
            pass

    routes = [
        Route("/", hello),
        Route("/frozen", frozen),
        Route("/readyz", ready),
        Route("/slow", slow),
        Route("/stream", stream),
        Route("/crash", crash),
        Route("/block", block),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)

    async def echo(request: bytes, context: Any) -> bytes:
        if request:
            note("echo")
        await asyncio.sleep(float(request or b"0"))
        return str(os.getpid()).encode()

    async def ticks(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for i in range(10):
            yield str(i).encode()
            await asyncio.sleep(0.1)

    def factory(channel_options: list[tuple[str, Any]]) -> grpc.aio.Server:
        server = accepting_server(options=channel_options)
        handlers: dict[str, Any] = {
            "Echo": grpc.unary_unary_rpc_method_handler(echo),
            "Ticks": grpc.unary_stream_rpc_method_handler(ticks),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t", handlers),))
        return server

    server = Server(app, factory, options, readiness=readiness)

    async def drained() -> None:
        note("drained")

    async def ended() -> None:
        note("ended")
        if os.environ.get("FAIL") == "hook":
            raise RuntimeError("a pool did not close")

    server.on_drain(drained)
    server.on_shutdown(ended)
    return server


def main() -> int:
    if os.environ.get("FAIL") == "goaway":
        setattr(Relay, "send_goaway", lambda _relay: None)  # noqa: B010 - the negative control
    given = json.loads(sys.argv[1])
    limits = Limits(**given.pop("limits", {}))
    options = ServerOptions(limits=limits, **given)
    return run(lambda: build(options), options)


if __name__ == "__main__":
    sys.exit(main())
