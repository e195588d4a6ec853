"""What the servers under test serve: a small ASGI application and a generic gRPC service."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from bali.resources import PeerCertificate
from bali.server import Limits, PeerRegistry, Readiness, Server, ServerOptions
from bali.server.grpc_acceptor import accepting_server


class Served:
    """An application and a gRPC service, with a record of what happened in them."""

    def __init__(self) -> None:
        self.peers = PeerRegistry()
        self.readiness = Readiness()
        self.events: list[str] = []
        self.release = asyncio.Event()
        self.entered = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/", self.hello),
                Route("/client", self.client),
                Route("/echo", self.echo, methods=["POST"]),
                Route("/digest", self.digest, methods=["POST"]),
                Route("/bytes/{count:int}", self.many_bytes),
                Route("/wait", self.wait, methods=["GET", "POST"]),
                Route("/stream", self.stream),
            ],
            lifespan=self.lifespan,
        )

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self.events.append("startup")
        yield
        self.events.append("shutdown")

    async def hello(self, request: Request) -> Response:
        return PlainTextResponse("hello")

    async def client(self, request: Request) -> Response:
        client = request.client
        return JSONResponse([client.host, client.port] if client else None)

    async def echo(self, request: Request) -> Response:
        return Response(await request.body())

    async def digest(self, request: Request) -> Response:
        digest = hashlib.sha256()
        async for part in request.stream():
            digest.update(part)
        return PlainTextResponse(digest.hexdigest())

    async def many_bytes(self, request: Request) -> Response:
        return Response(b"x" * int(request.path_params["count"]))

    async def wait(self, request: Request) -> Response:
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        self.events.append("finished")
        return PlainTextResponse("done")

    async def stream(self, request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            try:
                yield b"first\n"
                self.entered.set()
                await self.release.wait()
                yield b"last\n"
                self.events.append("finished")
            except asyncio.CancelledError:
                self.events.append("cancelled")
                raise

        return StreamingResponse(parts())

    def grpc_factory(self, options: list[tuple[str, Any]]) -> grpc.aio.Server:
        server = accepting_server(options=options)
        server.add_generic_rpc_handlers((Generic(self),))
        return server

    def server(self, limits: Limits | None = None, app: Any = None, **options: Any) -> Server:
        options = {"port": 0, "rpc_port": 0, "drain_delay_seconds": 0.0, **options}
        return Server(
            app or self.app,
            self.grpc_factory,
            ServerOptions(limits=limits or Limits(), **options),
            readiness=self.readiness,
            peers=self.peers,
        )


class Generic(grpc.GenericRpcHandler):
    """Bytes in, bytes out, without messages: `/t/Echo`, `/t/Peer`, `/t/Wait`, `/t/Bytes`, ..."""

    def __init__(self, served: Served) -> None:
        self.served = served

    def service(  # noqa: C901, PLR0911 - one function a method
        self, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        served = self.served

        async def echo(request: bytes, context: Any) -> bytes:
            return request

        async def peer(request: bytes, context: Any) -> bytes:
            return served.peers.resolve(context.peer()).encode()

        async def subject(request: bytes, context: Any) -> bytes:
            known = served.peers.peer(context.peer()).certificate or PeerCertificate()
            return f"{known.subject}|{','.join(known.names)}".encode()

        async def wait(request: bytes, context: Any) -> bytes:
            served.entered.set()
            try:
                await served.release.wait()
            except asyncio.CancelledError:
                served.events.append("cancelled")
                raise
            served.events.append("finished")
            return b"done"

        async def many(request: bytes, context: Any) -> AsyncIterator[bytes]:
            size, count = map(int, request.split())
            for _ in range(count):
                yield b"x" * size

        async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
            yield b"first"
            served.entered.set()
            await served.release.wait()
            yield b"last"
            served.events.append("finished")

        async def total(requests: AsyncIterator[bytes], context: Any) -> bytes:
            size = 0
            async for request in requests:
                size += len(request)
            return str(size).encode()

        async def stuck(requests: AsyncIterator[bytes], context: Any) -> bytes:
            served.entered.set()
            await served.release.wait()
            return await total(requests, context)

        async def both(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            async for request in requests:
                yield request

        match details.method:
            case "/t/Echo":
                return grpc.unary_unary_rpc_method_handler(echo)
            case "/t/Peer":
                return grpc.unary_unary_rpc_method_handler(peer)
            case "/t/Subject":
                return grpc.unary_unary_rpc_method_handler(subject)
            case "/t/Wait":
                return grpc.unary_unary_rpc_method_handler(wait)
            case "/t/Many":
                return grpc.unary_stream_rpc_method_handler(many)
            case "/t/Stream":
                return grpc.unary_stream_rpc_method_handler(stream)
            case "/t/Total":
                return grpc.stream_unary_rpc_method_handler(total)
            case "/t/Stuck":
                return grpc.stream_unary_rpc_method_handler(stuck)
            case "/t/Both":
                return grpc.stream_stream_rpc_method_handler(both)
        return None


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition, not only one that sets an event
            await asyncio.sleep(0.005)


def open_channel(target: str, credentials: Any = None, options: Any = ()) -> Any:
    """Open a gRPC channel, untyped: its calls take and give bytes, as without serializers."""
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    return grpc.aio.secure_channel(target, credentials, options=options)


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    """Serve in this loop while the block runs; stop, and see that it stopped cleanly."""
    task = asyncio.create_task(server.serve(signals=()))
    starting = asyncio.create_task(server.started.wait())
    try:
        await asyncio.wait({task, starting}, return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()
        if task.done():
            await task
        yield server
    finally:
        starting.cancel()
        server.request_stop(skip_delay=True)
        await asyncio.wait({task}, timeout=30)
    assert task.result() == 0


async def read_http(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read one HTTP/1.1 response that has a length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head[0].split()[1]), headers, body
