"""A caller that goes away, or whose time is over, ends the query that runs for it."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import asyncpg
import grpc
import pytest
from sqlalchemy import String, text
from sqlalchemy.orm import Mapped, mapped_column
from starlette.types import ASGIApp

from bali import Bali, Database, DeadlineExceeded, Resource, action
from bali.settings import Settings, Stage
from bali.testing import (
    ConnectServiceClient,
    LiveServer,
    RestServiceClient,
    RpcServiceClient,
    live_server,
)
from tests.waiting import until

pytestmark = pytest.mark.postgres

db = Database()


class Trace(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """Something that a call writes before it waits."""

    __tablename__ = "bounds_traces"

    mark: Mapped[str] = mapped_column(String(40))


class WaitResource(Resource):
    """Waits in the database."""

    @action(methods=["post"])
    async def long(self, mark: str, seconds: float) -> str:
        """Write a row, then wait in a query."""
        await Trace.aio.create(mark=mark)
        statement = text(f"SELECT pg_sleep(:seconds) /* {mark} */")
        await db.session.execute(statement, {"seconds": seconds})
        return "waited"


class UnwatchedBali(Bali):
    """An app without the rule: nobody watches for clients that go away."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the ASGI application alone."""
        return super(Bali, self).build_middleware_stack()


def serve(kind: type[Bali], url: str) -> Any:
    db.connect(url)
    app = kind(
        title="wait",
        resources=[WaitResource],
        databases=[db],
        settings=Settings(stage=Stage.TEST),
    )

    @app.post("/plain")
    async def plain(body: dict[str, str]) -> str:
        async with db.unit():
            await db.session.execute(text(f"SELECT pg_sleep(30) /* {body['mark']} */"))
        return "waited"

    return live_server(app)


@pytest.fixture(scope="module")
def live(postgres_url: str) -> Iterator[LiveServer]:
    with serve(Bali, postgres_url) as server:
        yield server


@pytest.fixture
def mark() -> str:
    return f"mark{uuid.uuid4().hex}"


def ask(url: str, statement: str, *values: Any) -> Any:
    """Ask the database on a connection of its own."""

    async def work() -> Any:
        connection: Any = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close()

    return asyncio.run(work())


CANCEL = (
    "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE state = 'active' "
    "AND query LIKE $1 AND pid <> pg_backend_pid()"
)


def running(url: str, mark: str) -> int:
    statement = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 "
        "AND pid <> pg_backend_pid()"
    )
    return int(ask(url, statement, f"%pg_sleep%{mark}%"))


def wait_until(url: str, mark: str, count: int) -> None:
    """Wait until the number of running queries is `count`, less long than they sleep."""
    until(lambda: running(url, mark) == count, f"{count} queries run", seconds=20)


def post(live: LiveServer, path: str, body: str) -> socket.socket:
    """Send a request over HTTP/1.1 and leave the connection open."""
    connection = socket.create_connection((live.host, live.port))
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {live.host}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body.encode())
    return connection


PATHS = {"rest": "/waits/long", "connect": "/wait.WaitService/LongWaits"}


@pytest.mark.parametrize("protocol", ["rest", "connect"])
def test_a_disconnect_over_http_ends_the_query(
    live: LiveServer, postgres_url: str, mark: str, protocol: str
) -> None:
    body = f'{{"mark": "{mark}", "seconds": 30}}'
    connection = post(live, PATHS[protocol], body)
    wait_until(postgres_url, mark, 1)
    connection.close()
    wait_until(postgres_url, mark, 0)
    written = ask(postgres_url, "SELECT count(*) FROM bounds_traces WHERE mark = $1", mark)
    assert written == 0


def test_without_the_watcher_the_query_goes_on(postgres_url: str, mark: str) -> None:
    # On a plain route: the adapters of REST and Connect watch for themselves under other servers.
    with serve(UnwatchedBali, postgres_url) as live:
        connection = post(live, "/plain", f'{{"mark": "{mark}"}}')
        wait_until(postgres_url, mark, 1)
        connection.close()
        time.sleep(1)
        assert running(postgres_url, mark) == 1
        ask(postgres_url, CANCEL, f"%pg_sleep%{mark}%")
        wait_until(postgres_url, mark, 0)


def test_with_the_watcher_a_plain_route_ends_too(
    live: LiveServer, postgres_url: str, mark: str
) -> None:
    connection = post(live, "/plain", f'{{"mark": "{mark}"}}')
    wait_until(postgres_url, mark, 1)
    connection.close()
    wait_until(postgres_url, mark, 0)


def test_a_cancelled_grpc_call_ends_the_query(
    live: LiveServer, postgres_url: str, mark: str
) -> None:
    bound = live.app.services.bound
    assert bound is not None
    method = next(item for item in bound.methods if item.name == "LongWaits")
    with grpc.insecure_channel(live.address) as channel:
        stub = channel.unary_unary(
            method.path,
            request_serializer=method.input_type.SerializeToString,
            response_deserializer=method.output_type.FromString,
        )
        call = stub.future(method.encode_request({"mark": mark, "seconds": 30.0}))
        wait_until(postgres_url, mark, 1)
        call.cancel()
        wait_until(postgres_url, mark, 0)
    written = ask(postgres_url, "SELECT count(*) FROM bounds_traces WHERE mark = $1", mark)
    assert written == 0


@pytest.mark.parametrize("kind", [RestServiceClient, RpcServiceClient, ConnectServiceClient])
def test_a_deadline_ends_the_query(
    live: LiveServer, postgres_url: str, mark: str, kind: Any
) -> None:
    client = kind(live)
    try:
        with pytest.raises(DeadlineExceeded):
            client.call("waits.long", {"mark": mark, "seconds": 30.0}, timeout_seconds=0.5)
    finally:
        client.close()
    wait_until(postgres_url, mark, 0)
    written = ask(postgres_url, "SELECT count(*) FROM bounds_traces WHERE mark = $1", mark)
    assert written == 0
    assert ask(postgres_url, "SELECT 1") == 1


def test_the_pool_is_whole_after_many_cancelled_calls(live: LiveServer, mark: str) -> None:
    client = RestServiceClient(live)
    try:
        for _ in range(40):
            with pytest.raises(DeadlineExceeded):
                client.call("waits.long", {"mark": mark, "seconds": 30.0}, timeout_seconds=0.05)
        answer: Any = client.call("waits.long", {"mark": mark, "seconds": 0.0})
        assert answer.result == "waited"
    finally:
        client.close()
