from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, field_serializer
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from bali.errors import BaliError, FailedPrecondition
from bali.resources import Collector, Pipeline, Resource, action
from bali.rest import install_errors, resource_router
from bali.rest.streams import StreamFormat, format_of
from tests.rest.served import connected, served
from tests.rest.service import ProbeResource, make_app


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, StreamFormat.EVENTS),
        ("", StreamFormat.EVENTS),
        ("*/*", StreamFormat.EVENTS),
        ("application/json", StreamFormat.EVENTS),
        ("text/event-stream", StreamFormat.EVENTS),
        ("application/x-ndjson", StreamFormat.NDJSON),
        ("application/ndjson", StreamFormat.NDJSON),
        ("application/jsonl, */*;q=0.1", StreamFormat.JSONL),
        ("text/event-stream;q=0.5, application/x-ndjson", StreamFormat.NDJSON),
        ("application/x-ndjson;q=0.5, text/event-stream", StreamFormat.EVENTS),
        ("application/x-ndjson;q=0", StreamFormat.EVENTS),
        ("application/x-ndjson;q=high", StreamFormat.EVENTS),
    ],
)
def test_the_format_follows_accept(accept: str | None, expected: StreamFormat) -> None:
    assert format_of(accept) is expected


def test_events(client: TestClient) -> None:
    response = client.get("/probes/ticks?count=2", headers={"x-request-id": "id-1"})
    assert response.text == 'data: {"number":0}\n\ndata: {"number":1}\n\n'
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-request-id"] == "id-1"


@pytest.mark.parametrize("media_type", ["application/x-ndjson", "application/jsonl"])
def test_lines(client: TestClient, media_type: str) -> None:
    response = client.get("/probes/ticks?count=2", headers={"accept": media_type})
    assert response.text == '{"number":0}\n{"number":1}\n'
    assert response.headers["content-type"] == media_type


def test_a_stream_without_items_is_empty(client: TestClient) -> None:
    response = client.get("/probes/ticks?count=0")
    assert (response.status_code, response.text) == (200, "")
    assert response.headers["content-type"] == "text/event-stream"


def test_an_error_before_the_first_item_is_an_ordinary_problem(client: TestClient) -> None:
    response = client.get("/probes/ticks?count=2&fail_at=0")
    assert (response.status_code, response.json()["reason"]) == (400, "STOPPED")
    assert response.headers["content-type"] == "application/problem+json"
    assert client.get("/probes/ticks?count=x").status_code == 422


def test_a_later_error_is_the_last_event(client: TestClient) -> None:
    text = client.get("/probes/ticks?count=3&fail_at=1").text
    first, last, end = text.split("\n\n")
    assert first == 'data: {"number":0}'
    kind, data = last.split("\n")
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["reason"] == "STOPPED"
    assert end == ""


def test_a_later_error_is_the_last_line(client: TestClient) -> None:
    headers = {"accept": "application/x-ndjson"}
    lines = client.get("/probes/ticks?count=3&fail_at=1", headers=headers).text.splitlines()
    assert json.loads(lines[0]) == {"number": 0}
    assert json.loads(lines[1])["error"]["status"] == 400
    assert len(lines) == 2


def test_an_unexpected_error_tells_nothing(client: TestClient) -> None:
    text = client.get("/probes/explode-ticks").text
    assert '"code":"INTERNAL"' in text
    assert "hunter2" not in text


def test_a_deadline_ends_a_stream(client: TestClient) -> None:
    headers = {"x-request-timeout": "0.1"}
    text = client.get("/probes/ticks?count=3&pause=30", headers=headers).text
    assert text.startswith('data: {"number":0}\n\nevent: error\n')
    assert "DEADLINE_EXCEEDED" in text


class Odd(BaseModel):
    """An item that cannot always be written."""

    number: int

    @field_serializer("number")
    def _number(self, number: int) -> int:
        if number:
            raise RuntimeError("password hunter2")
        return number


class OddResource(Resource):
    """Streams that fail outside of the action."""

    @action()
    async def run(self, start: int = 0) -> AsyncIterator[Odd]:
        """Count."""
        for number in range(start, 3):
            yield Odd(number=number)


def test_an_item_that_cannot_be_written_ends_the_stream() -> None:
    app = FastAPI()
    app.include_router(resource_router(Collector().collect(OddResource), Pipeline()))
    client = TestClient(app)
    text = client.get("/odds/run").text
    assert text.startswith('data: {"number":0}\n\nevent: error\n')
    assert "hunter2" not in text
    assert client.get("/odds/run?start=1").status_code == 500


def test_a_users_handler_answers_for_a_stream_that_has_not_begun() -> None:
    async def mine(_: Request, error: Exception) -> Response:
        assert isinstance(error, BaliError)
        return PlainTextResponse("mine", status_code=418)

    for dependencies in ([], [Depends(lambda: None)]):
        app = make_app(dependencies=dependencies)
        app.add_exception_handler(FailedPrecondition, mine)
        client = TestClient(app)
        assert client.get("/probes/ticks?count=1&fail_at=0").text == "mine"
        assert "STOPPED" in client.get("/probes/ticks?count=2&fail_at=1").text


async def test_items_are_sent_when_they_come() -> None:
    app = make_app()
    async with served(app) as port, connected(port) as client:
        await client.send("GET", "/probes/ticks?count=2&pause=30")
        assert "text/event-stream" in await client.head()
        assert await client.chunk() == b'data: {"number":0}\n\n'


async def test_a_silent_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bali.rest.streams.KEEP_ALIVE_SECONDS", 0.05)
    app = make_app()
    async with served(app) as port, connected(port) as client:
        await client.send("GET", "/probes/ticks?count=2&pause=30")
        await client.head()
        assert await client.chunk() == b'data: {"number":0}\n\n'
        assert await client.chunk() == b": keep-alive\n\n"
        assert await client.chunk() == b": keep-alive\n\n"


async def test_a_stream_that_is_slow_to_begin_is_kept_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bali.rest.streams.KEEP_ALIVE_SECONDS", 0.05)
    release = asyncio.Event()

    class SlowResource(Resource):
        @action()
        async def run(self) -> AsyncIterator[Odd]:
            await release.wait()
            raise FailedPrecondition("no further", reason="STOPPED")
            yield Odd(number=0)  # type: ignore[unreachable]  # makes it a stream

    app = FastAPI()
    install_errors(app)
    app.include_router(resource_router(Collector().collect(SlowResource), Pipeline()))
    async with served(app) as port:
        async with connected(port) as client:
            await client.send("GET", "/slows/run")
            assert "200 ok" in await client.head()
            assert await client.chunk() == b": keep-alive\n\n"
            release.set()
            text = b"".join([part async for part in _rest(client)])
            assert text.endswith(b"}\n\n")
            assert b"event: error" in text
        release.clear()
        async with connected(port) as client:
            await client.send("GET", "/slows/run", b"", "accept: application/x-ndjson")
            assert "application/x-ndjson" in await client.head()
            release.set()
            text = b"".join([part async for part in _rest(client)])
            assert json.loads(text)["error"]["reason"] == "STOPPED"


async def _rest(client: Any) -> AsyncIterator[bytes]:
    while part := await client.chunk():
        yield part


async def test_a_client_that_leaves_ends_its_stream_at_once() -> None:
    app = make_app()
    async with served(app) as port:
        async with connected(port) as client:
            await client.send("GET", "/probes/ticks?count=2&pause=60")
            await client.head()
            await client.chunk()
        await asyncio.wait_for(ProbeResource.log.cancelled.wait(), 30)


class Big(BaseModel):
    text: str


class FloodResource(Resource):
    sent = 0

    @action()
    async def run(self) -> AsyncIterator[Big]:
        for _ in range(2000):
            FloodResource.sent += 1
            yield Big(text="x" * 100_000)


async def test_a_slow_reader_slows_the_stream_down() -> None:
    app = FastAPI()
    app.include_router(resource_router(Collector().collect(FloodResource), Pipeline()))
    async with served(app) as port, connected(port) as client:
        await client.send("GET", "/floods/run")
        await client.head()
        before = -1
        while before != FloodResource.sent:
            before = FloodResource.sent
            await asyncio.sleep(0.2)
        assert 0 < FloodResource.sent < 1000
