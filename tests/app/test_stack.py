from __future__ import annotations

import asyncio
import gzip
import socket
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel
from sqlalchemy.orm import Mapped
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bali import AllowAny, Bali, Database, ModelResource, Resource, action
from bali.app import stack as stacks
from bali.concurrency import background_loop
from bali.errors import BaliError, PermissionDenied
from bali.propagation import current
from bali.rest import DirectRoutes
from bali.server import ServerOptions
from bali.server.front import HttpFront
from bali.settings import Settings
from bali.testing import LiveServer, live_server

LIMIT = 2000
STANDARD_LIBRARY = sysconfig.get_path("stdlib")
#: Some more than the functions that run today, so that only a layer or a detour breaks it.
CALLS_OF_A_CONSTANT = 88


class Told(BaseModel):
    """What an action was told."""

    text: str = ""


class EchoResource(Resource):
    """Actions without a database."""

    plural = "echoes"
    permission_classes = (AllowAny,)

    started: asyncio.Event
    ended: asyncio.Event

    @action(detail=False)
    async def ping(self) -> Told:
        """Say the same each time."""
        return Told(text="pong")

    @action(detail=False, methods=["post"])
    async def say(self, schema_in: Told) -> Told:
        """Say it again, with a header of its own."""
        self.context.response_metadata["x-said"] = str(len(schema_in.text))
        return schema_in

    @action(detail=False)
    async def refuse(self, why: str = "denied") -> Told:
        """Fail."""
        if why == "denied":
            raise PermissionDenied("not you")
        raise LookupError(why)

    @action(detail=False)
    async def wait(self) -> Told:
        """Wait for longer than anybody does."""
        cls = type(self)
        cls.started.set()
        try:
            await asyncio.sleep(60)
        finally:
            cls.ended.set()
        return Told()


def app_of(url: str, **options: Any) -> Bali:
    db = Database(url)

    class Thing(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        __tablename__ = "stack_things"

        name: Mapped[str]

    class ThingResource(ModelResource):
        model = Thing
        permission_classes = (AllowAny,)

    settings = Settings(max_body_bytes=LIMIT)
    app = Bali(title="stack", resources=[EchoResource, ThingResource], settings=settings, **options)

    @app.get("/plain")
    async def plain() -> str:
        return "plain"

    return app


def answer(live: LiveServer, request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Send bytes and return the status line, the headers and the body of the answer."""
    with socket.create_connection((live.host, live.port), 10) as connection:
        connection.sendall(request)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    headers.pop("date", None)
    return status, headers, body


def request(method: str, path: str, body: bytes = b"", *lines: str) -> bytes:
    head = [f"{method} {path} HTTP/1.1", "host: test", "connection: close", "x-request-id: 7"]
    head += lines
    if body and not any(line.startswith("transfer-encoding") for line in lines):
        head.append(f"content-length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


JSON = "content-type: application/json"
REQUESTS = {
    "get": request("GET", "/echoes/ping"),
    "head": request("HEAD", "/echoes/ping"),
    "list": request("GET", "/things?page_size=2"),
    "item": request("GET", "/things/1"),
    "known item": request("GET", "/things/1", b"", "if-none-match: *"),
    "no item": request("GET", "/things/1000"),
    "no key": request("GET", "/things/abc"),
    "unknown query": request("GET", "/things?colour=red"),
    "body": request("POST", "/echoes/say", b'{"text": "hello"}', JSON),
    "no json": request("POST", "/echoes/say", b'{"text"', JSON),
    "no content type": request("POST", "/echoes/say", b'{"text": "hello"}'),
    "gzip": request(
        "POST", "/echoes/say", gzip.compress(b'{"text": "a"}'), JSON, "content-encoding: gzip"
    ),
    "brotli": request("POST", "/echoes/say", b"x", JSON, "content-encoding: br"),
    "chunked": request(
        "POST", "/echoes/say", b'd\r\n{"text": "a"}\r\n0\r\n\r\n', JSON,
        "transfer-encoding: chunked",
    ),
    "too large": request("POST", "/echoes/say", b" " * (LIMIT + 1), JSON),
    "body of a get": request("GET", "/echoes/ping", b"abc"),
    "denied": request("GET", "/echoes/refuse"),
    "unexpected": request("GET", "/echoes/refuse?why=bug"),
    "timeout": request("GET", "/echoes/ping", b"", "x-request-timeout: 2s"),
    "no time": request("GET", "/echoes/ping", b"", "x-request-timeout: 0"),
    "other method": request("PUT", "/echoes/ping"),
    "slash": request("GET", "/echoes/ping/"),
    "nowhere": request("GET", "/nowhere"),
    "plain": request("GET", "/plain"),
    "options": request("OPTIONS", "/echoes/ping"),
    "origin": request("GET", "/echoes/ping", b"", "origin: https://a.example"),
}  # fmt: skip


class Counting:
    """Middleware of an app's own: what passes it, and what it sees of it."""

    seen: list[tuple[str, int, bool]]

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        Counting.seen = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add a header."""
        status = 0

        async def counted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-own", b"yes")]}
            await send(message)

        await self.app(scope, receive, counted)
        if scope["type"] == "http":
            self.seen.append((scope["path"], status, "route" in scope))


def with_middleware(app: Bali) -> None:
    app.add_middleware(Counting)


def with_handler(app: Bali) -> None:
    @app.exception_handler(PermissionDenied)
    async def denied(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, BaliError)
        return JSONResponse({"own": error.detail}, 418)


def with_both(app: Bali) -> None:
    with_middleware(app)
    with_handler(app)


VARIANTS: dict[str, Any] = {
    "bare": lambda _: None,
    "middleware": with_middleware,
    "handler": with_handler,
    "both": with_both,
}


@contextmanager
def served(url: str, variant: str, **options: Any) -> Iterator[LiveServer]:
    app = app_of(url, **options)
    VARIANTS[variant](app)
    with live_server(app) as live:
        yield live


@pytest.mark.parametrize("origins", [[], ["https://a.example"]], ids=["same origin", "cors"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_short_way_answers_like_the_long_one(
    variant: str, origins: list[str], sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    enter = DirectRoutes._enter

    def counted(self: DirectRoutes, scope: Scope) -> Any:
        found = enter(self, scope)
        if found is not None:
            taken.append(scope["path"])
        return found

    monkeypatch.setattr(DirectRoutes, "_enter", counted)
    with served(sqlite_url, variant, backend_cors_origins=origins) as live:
        with httpx2.Client(base_url=live.url) as http:
            assert http.post("/things", json={"name": "a"}).status_code == 201
        short = {name: answer(live, sent) for name, sent in REQUESTS.items()}
    assert {"/echoes/ping", "/echoes/say", "/things", "/things/1", "/things/1000"} <= set(taken)
    assert "/plain" not in taken
    taken.clear()
    monkeypatch.setattr(stacks, "_is_plain", lambda _: False)
    with served(sqlite_url, variant, backend_cors_origins=origins) as live:
        long = {name: answer(live, sent) for name, sent in REQUESTS.items()}
    assert not taken
    for name, found in long.items():
        assert short[name] == found, name


def test_middleware_of_the_app_sees_every_call(sqlite_url: str) -> None:
    with served(sqlite_url, "middleware") as live, httpx2.Client(base_url=live.url) as http:
        for path in ("/echoes/ping", "/echoes/refuse", "/plain"):
            assert http.get(path).headers["x-own"] == "yes"
    assert Counting.seen == [
        ("/echoes/ping", 200, True),
        ("/echoes/refuse", 403, True),
        ("/plain", 200, True),
    ]


def test_a_handler_of_the_app_is_asked_for_its_error(sqlite_url: str) -> None:
    with served(sqlite_url, "handler") as live, httpx2.Client(base_url=live.url) as http:
        refused = http.get("/echoes/refuse")
        assert (refused.status_code, refused.json()) == (418, {"own": "not you"})
        assert http.get("/things/1000").json()["code"] == "NOT_FOUND"


def test_dependencies_of_the_app_are_solved(sqlite_url: str) -> None:
    def key(x_key: str = Header("")) -> None:
        if x_key != "right":
            raise HTTPException(401)

    app = app_of(sqlite_url, dependencies=[Depends(key)])
    with live_server(app) as live, httpx2.Client(base_url=live.url) as http:
        assert http.get("/echoes/ping").status_code == 401
        assert http.get("/echoes/ping", headers={"x-key": "right"}).json() == {"text": "pong"}


def test_a_mounted_app_takes_the_way_of_its_host(sqlite_url: str) -> None:
    inner, outer = app_of(sqlite_url), Bali(title="outer")
    outer.mount("/inner", inner)
    with live_server(outer) as live, httpx2.Client(base_url=live.url) as http:
        assert http.get("/inner/echoes/ping").json() == {"text": "pong"}
        assert http.get("/inner/echoes/nothing").status_code == 404


def test_a_route_that_comes_later_is_seen(sqlite_url: str) -> None:
    app = app_of(sqlite_url)
    with live_server(app) as live, httpx2.Client(base_url=live.url) as http:
        assert http.get("/echoes/ping").json() == {"text": "pong"}
        app.add_api_route("/echoes/ping", lambda: "mine")
        app.router.routes.insert(0, app.router.routes.pop())
        assert http.get("/echoes/ping").json() == "mine"


def test_a_client_that_leaves_ends_its_call(sqlite_url: str) -> None:
    EchoResource.started, EchoResource.ended = asyncio.Event(), asyncio.Event()
    before = current.get()
    with served(sqlite_url, "bare") as live:
        with socket.create_connection((live.host, live.port), 10) as connection:
            connection.sendall(request("GET", "/echoes/wait"))
            _until(EchoResource.started)
        _until(EchoResource.ended)
        with httpx2.Client(base_url=live.url) as http:
            assert http.get("/echoes/ping").status_code == 200
    assert current.get() is before


def _until(event: asyncio.Event) -> None:
    waiting = asyncio.wait_for(event.wait(), 10)
    asyncio.run_coroutine_threadsafe(waiting, background_loop()).result(15)


class Wire(asyncio.Transport):
    """A connection without a network; `answered` is set by each response."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8000)})
        self.answered = asyncio.Event()
        self.written = b""

    def write(self, data: Any) -> None:
        """Take a response."""
        self.written = bytes(data)
        self.answered.set()

    def is_closing(self) -> bool:
        """Stay open."""
        return False

    def get_write_buffer_size(self) -> int:
        """Hold nothing back."""
        return 0

    def close(self) -> None:
        """Do nothing."""


async def calls_of(protocol: asyncio.Protocol, wire: Wire, sent: bytes) -> int:
    """Return how many functions of bali and other packages run to answer a request.

    Those of the standard library, whose number changes with Python, are not counted.
    """
    count = 0

    def counted(frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        file = frame.f_code.co_filename
        is_standard = file.startswith(STANDARD_LIBRARY) and "site-packages" not in file
        count += event == "call" and not is_standard and not file.startswith("<")

    wire.answered.clear()
    sys.setprofile(counted)
    try:
        protocol.data_received(sent)
        await wire.answered.wait()
        await asyncio.sleep(0)
    finally:
        sys.setprofile(None)
    return count


async def test_a_call_runs_few_functions_also_among_many_resources(sqlite_url: str) -> None:
    few, many = app_of(sqlite_url), app_of(sqlite_url)
    for number in range(30):
        many.register(
            type(f"Other{number}Resource", (EchoResource,), {"plural": f"others{number}"})
        )
    sent = b"GET /echoes/ping HTTP/1.1\r\nhost: test\r\n\r\n"
    found = []
    for app in (few, many):
        front = HttpFront(app, ServerOptions(), {})
        front.start()
        protocol, wire = front.make_protocol(), Wire()
        protocol.connection_made(wire)
        counts = [await calls_of(protocol, wire, sent) for _ in range(5)]
        assert wire.written.endswith(b'{"text":"pong"}')
        protocol.connection_lost(None)
        front.stop()
        found.append(min(counts))
    alone, among = found
    assert alone <= CALLS_OF_A_CONSTANT, (
        f"{alone} Python functions run for a REST action that returns a constant, more than "
        f"{CALLS_OF_A_CONSTANT}: has a layer come between the server and the pipeline, or does a "
        "request no longer take the short way (bali.rest.direct)?"
    )
    assert among == alone, (
        f"among 30 more resources {among} Python functions run for the same call, alone {alone}: "
        "the price of a call depends on the routes of others again (bali.rest.index)"
    )


def test_telemetry_that_is_set_later_is_asked() -> None:
    class Telemetry:
        asked = 0

        def enabled(self) -> bool:
            self.asked += 1
            return False

    app = FastAPI()
    telemetry = app._native_telemetry = Telemetry()  # type: ignore[assignment] # counts
    tracing = stacks.Tracing(app)
    assert tracing.is_off()
    assert tracing.is_off()
    assert telemetry.asked == 1
    names = sys.modules["opentelemetry.trace"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(names, "_TRACER_PROVIDER", object())
        assert tracing.is_off()
        assert telemetry.asked == 2
    assert tracing.is_off()
    assert telemetry.asked == 2
