from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bali.server import DisconnectSignal, DisconnectWatcher
from tests.server.served import Served, read_http, running, until


class Unsignalled:
    """Hides the server's own signal, as if another ASGI server served."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app({**scope, "extensions": {}}, receive, send)


def signalled(app: Any) -> Any:
    return app


@pytest.fixture
def served() -> Served:
    return Served()


HEAD = b" HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize("wrap", [signalled, Unsignalled])
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /wait" + HEAD + b"\r\n",
        b"POST /wait" + HEAD + b"content-length: 5\r\n\r\nhello",
        b"GET /stream" + HEAD + b"\r\n",
    ],
)
async def test_disconnect_cancels_the_handler(
    served: Served, wrap: Any, request_bytes: bytes
) -> None:
    app = wrap(DisconnectWatcher(served.app))
    async with running(served.server(app=app)) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request_bytes)
        await asyncio.wait_for(served.entered.wait(), 10)
        writer.close()
        await until(lambda: "cancelled" in served.events)
        assert "finished" not in served.events


async def test_handler_runs_on_without_the_watcher(served: Served) -> None:
    async with running(served.server()) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /wait" + HEAD + b"\r\n")
        await asyncio.wait_for(served.entered.wait(), 10)
        writer.close()
        await asyncio.sleep(0.3)
        assert "cancelled" not in served.events
        served.release.set()
        await until(lambda: "finished" in served.events)


async def test_disconnect_reaches_through_middleware(served: Served) -> None:
    async def dispatch(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response

    inner = Starlette(
        routes=[Route("/wait", served.wait)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch)],
    )
    async with running(served.server(app=DisconnectWatcher(inner))) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /wait" + HEAD + b"\r\n")
        await asyncio.wait_for(served.entered.wait(), 10)
        writer.close()
        await until(lambda: "cancelled" in served.events)


@pytest.mark.parametrize("wrap", [signalled, Unsignalled])
async def test_bodies_pass_whole(served: Served, wrap: Any) -> None:
    app = wrap(DisconnectWatcher(served.app))
    async with running(served.server(app=app)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        body = bytes(range(256)) * 12_000
        for _ in range(3):
            writer.write(b"POST /echo" + HEAD + b"content-length: %d\r\n\r\n" % len(body))
            writer.write(body)
            _, _, answer = await asyncio.wait_for(read_http(reader), 10)
            assert answer == body
        writer.close()


@pytest.mark.parametrize("wrap", [signalled, Unsignalled])
async def test_100_continue_waits_for_the_application(served: Served, wrap: Any) -> None:
    app = wrap(DisconnectWatcher(served.app))
    async with running(served.server(app=app)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /nowhere" + HEAD + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n")
        assert (await read_http(reader))[0] == 404
        writer.close()


@pytest.mark.parametrize("wrap", [signalled, Unsignalled])
async def test_background_task_outlives_the_client(served: Served, wrap: Any) -> None:
    async def later() -> None:
        served.entered.set()
        await served.release.wait()
        served.events.append("background")

    async def endpoint(request: Request) -> Response:
        return PlainTextResponse("x", background=BackgroundTask(later))

    app = wrap(DisconnectWatcher(Starlette(routes=[Route("/", endpoint)])))
    async with running(served.server(app=app)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /" + HEAD + b"\r\n")
        assert (await read_http(reader))[0] == 200
        await asyncio.wait_for(served.entered.wait(), 10)
        writer.close()
        await asyncio.sleep(0.1)
        served.release.set()
        await until(lambda: "background" in served.events)


async def call(app: Any, messages: list[Any]) -> list[MutableMapping[str, Any]]:
    """Run the middleware over a receive channel that ends with what `messages` end with."""
    queue = list(messages)
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        message = queue.pop(0) if queue else await asyncio.Event().wait()
        if isinstance(message, Exception):
            raise message
        assert isinstance(message, MutableMapping)
        return message

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await DisconnectWatcher(app)({"type": "http", "headers": []}, receive, send)
    return sent


async def test_cancellation_from_outside_is_not_swallowed() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(call(app, []))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_application_that_ignores_the_cancellation_leaves_no_trace() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert (await receive())["type"] == "http.request"
            assert (await receive())["type"] == "http.disconnect"

    body = {"type": "http.request", "body": b"x", "more_body": False}
    await call(app, [body, {"type": "http.disconnect"}])
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_error_while_reading_reaches_the_application() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(LookupError):
            await receive()

    await call(app, [LookupError("broken")])


async def test_read_ahead_is_bounded() -> None:
    taken = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.05)
        nonlocal taken
        taken = len(queue)
        for _ in range(100):
            await receive()

    part = {"type": "http.request", "body": b"x" * 10_000, "more_body": True}
    queue = [dict(part) for _ in range(99)] + [{**part, "more_body": False}]

    async def receive() -> Any:
        return queue.pop(0) if queue else await asyncio.Event().wait()

    async def send(message: Any) -> None: ...

    await DisconnectWatcher(app)({"type": "http", "headers": []}, receive, send)
    assert taken == 93
    assert not queue


async def test_other_scopes_pass() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any: ...

    await DisconnectWatcher(app)({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]


def test_late_subscriber_is_told_at_once() -> None:
    signal = DisconnectSignal()
    told: list[str] = []
    signal.subscribe(lambda: told.append("early"))
    gone = lambda: told.append("never")  # noqa: E731 - the same object must be given twice
    signal.subscribe(gone)
    signal.unsubscribe(gone)
    signal.fire()
    signal.fire()
    signal.subscribe(lambda: told.append("late"))
    assert told == ["early", "late"]
