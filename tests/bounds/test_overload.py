"""Where there is no room, a call is refused at once and told when to come again."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from connectrpc.protocol import ProtocolType
from sqlalchemy import text

from bali import Bali, Database, Resource, action
from bali.errors import BaliError, Code
from bali.settings import Settings, Stage
from bali.testing import (
    ConnectServiceClient,
    LiveServer,
    RestServiceClient,
    RpcServiceClient,
    live_server,
)

db = Database()

CLIENTS: dict[str, Callable[[LiveServer], Any]] = {
    "rest": RestServiceClient,
    "grpc": RpcServiceClient,
    "connect": ConnectServiceClient,
    "grpc-web": lambda live: ConnectServiceClient(live, protocol=ProtocolType.GRPC_WEB),
}


class Gate:
    """Holds calls until it is opened, and knows how many are inside."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    async def pass_through(self) -> None:
        self.entered.release()
        while not self.opened.is_set():  # noqa: ASYNC110 - it is opened by another thread
            await asyncio.sleep(0.005)

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.entered.acquire(timeout=20)


gate = Gate()


class DoorResource(Resource):
    """Lets calls wait."""

    @action(methods=["post"])
    async def hold(self) -> str:
        """Stay until the gate is opened."""
        await gate.pass_through()
        return "held"

    @action(methods=["post"])
    async def query(self) -> str:
        """Stay with a connection to the database."""
        await db.session.execute(text("SELECT 1"))
        await gate.pass_through()
        return "held"

    @action(methods=["post"])
    async def quick(self) -> str:
        """Answer at once."""
        return "quick"

    @action(methods=["post"])
    async def ask(self) -> int:
        """Ask the database."""
        found = await db.session.execute(text("SELECT 7"))
        return int(found.scalar_one())


@pytest.fixture(autouse=True)
def fresh_gate() -> Iterator[None]:
    global gate  # noqa: PLW0603 - the action finds it here
    gate = Gate()
    yield
    gate.opened.set()


def make_app(**changed: Any) -> Bali:
    return Bali(
        title="door",
        resources=[DoorResource],
        databases=[db],
        settings=Settings(stage=Stage.TEST, **changed),
    )


@pytest.fixture
def sqlite(tmp_path: Any) -> None:
    db.connect(f"sqlite:///{tmp_path / 'door.sqlite3'}")


class Crowd:
    """Calls that are under way."""

    def __init__(self, live: LiveServer, count: int, operation: str) -> None:
        self.client = RpcServiceClient(live)
        self.pool = ThreadPoolExecutor(count)
        self.calls: list[Future[Any]] = [
            self.pool.submit(self.client.call, operation) for _ in range(count)
        ]

    def leave(self) -> list[Any]:
        gate.opened.set()
        answers: list[Any] = [call.result(20).result for call in self.calls]
        self.pool.shutdown()
        self.client.close()
        return answers


def refusal(
    live: LiveServer, protocol: str, operation: str, *, seconds: float | None = None
) -> BaliError:
    client = CLIENTS[protocol](live)
    try:
        with pytest.raises(BaliError) as caught:
            client.call(operation, timeout_seconds=seconds)
        return caught.value
    finally:
        client.close()


@pytest.mark.parametrize("protocol", list(CLIENTS))
def test_calls_beyond_the_room_are_refused_with_a_hint(sqlite: None, protocol: str) -> None:
    with live_server(make_app(max_in_flight=2, max_waiting=0)) as live:
        crowd = Crowd(live, 2, "doors.hold")
        gate.wait_for(2)
        error = refusal(live, protocol, "doors.quick")
        assert (error.code, error.reason) == (Code.UNAVAILABLE, "OVERLOADED")
        if protocol == "rest":
            answer = httpx2.post(f"{live.url}/doors/quick")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
        else:
            assert error.retry_after_seconds == 1.0
        assert crowd.leave() == ["held", "held"]
        client = CLIENTS[protocol](live)
        assert client.call("doors.quick").result == "quick"
        client.close()


@pytest.mark.parametrize("protocol", list(CLIENTS))
def test_with_room_the_same_call_is_answered(sqlite: None, protocol: str) -> None:
    # The negative control: one more place, and nobody is refused.
    with live_server(make_app(max_in_flight=3, max_waiting=0)) as live:
        crowd = Crowd(live, 2, "doors.hold")
        gate.wait_for(2)
        client = CLIENTS[protocol](live)
        assert client.call("doors.quick").result == "quick"
        client.close()
        assert crowd.leave() == ["held", "held"]


@pytest.mark.parametrize("protocol", ["rest", "grpc", "connect"])
def test_a_call_that_could_not_be_answered_in_time_is_refused_at_once(
    sqlite: None, protocol: str
) -> None:
    app = make_app(max_in_flight=1, max_waiting=100)
    with live_server(app) as live:
        crowd = Crowd(live, 1, "doors.hold")
        gate.wait_for(1)
        # Instead of minutes of load: calls take a minute, and this one has ten seconds.
        app.pipeline.admission._seconds_per_call = 60.0
        error = refusal(live, protocol, "doors.quick", seconds=10.0)
        assert (error.code, error.reason) == (Code.UNAVAILABLE, "OVERLOADED")
        assert app.pipeline.admission.waiting == 0
        # One that has the time waits, and is answered.
        client = CLIENTS[protocol](live)
        with ThreadPoolExecutor(1) as pool:
            patient = pool.submit(client.call, "doors.quick", timeout_seconds=300.0)
            for _ in range(1000):
                if app.pipeline.admission.waiting == 1:
                    break
                threading.Event().wait(0.01)
            assert app.pipeline.admission.waiting == 1
            assert crowd.leave() == ["held"]
            assert patient.result(20).result == "quick"
        client.close()


@pytest.mark.postgres
@pytest.mark.parametrize("protocol", list(CLIENTS))
def test_a_pool_without_connections_is_unavailable_with_a_hint(
    postgres_url: str, protocol: str
) -> None:
    db.connect(postgres_url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    with live_server(make_app()) as live:
        crowd = Crowd(live, 1, "doors.query")
        gate.wait_for(1)
        error = refusal(live, protocol, "doors.ask")
        assert (error.code, error.reason) == (Code.UNAVAILABLE, "POOL_EXHAUSTED")
        assert not re.search(r"QueuePool|sqlalche|limit of size", error.detail)
        if protocol == "rest":
            answer = httpx2.post(f"{live.url}/doors/ask")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
        else:
            assert error.retry_after_seconds == 1.0
        assert crowd.leave() == ["held"]
        client = CLIENTS[protocol](live)
        assert client.call("doors.ask").result == 7
        client.close()


@pytest.mark.postgres
def test_with_a_second_connection_the_same_call_is_answered(postgres_url: str) -> None:
    # The negative control.
    db.connect(postgres_url, pool_size=2, max_overflow=0, pool_timeout=0.1)
    with live_server(make_app()) as live:
        crowd = Crowd(live, 1, "doors.query")
        gate.wait_for(1)
        client = RestServiceClient(live)
        answer: Any = client.call("doors.ask")
        assert answer.result == 7
        client.close()
        assert crowd.leave() == ["held"]
