"""What a gRPC call runs and holds, counted: what is added to every call shows here, not in time.

The bounds are some more than what runs today. Whoever breaks one has put something into every call:
find it, or raise the bound knowingly.
"""

from __future__ import annotations

import sys
import sysconfig
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy.orm import Mapped

from bali import AllowAny, Bali, Database, ModelResource, action
from bali.proto import build_service
from bali.resources import Collector, Pipeline
from bali.rpc import RpcService, shape_of
from bali.server.grpc_acceptor import CALLS_AHEAD, _AcceptingServer

STANDARD_LIBRARY = sysconfig.get_path("stdlib")
PACKAGES = sysconfig.get_path("purelib")

CALLS_OF_A_CONSTANT = 46
CALLS_OF_A_GET = 81
CALLS_OF_A_CREATE = 120
#: For each row: it is put into its message, and its two times are read.
CALLS_PER_ROW = 4
BYTES_PER_ROW = 600

db = Database()


class Hot(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """A row."""

    __tablename__ = "hot_rows"

    name: Mapped[str]
    age: Mapped[int | None]


class Pong(BaseModel):
    """What `ping` says."""

    text: str


class HotResource(ModelResource):
    """The actions that are counted."""

    model = Hot
    permission_classes = (AllowAny,)

    @action(detail=False)
    async def ping(self) -> Pong:
        """Say the same each time."""
        return Pong(text="pong")


class Peer:
    """grpcio's context, as far as a call looks at it."""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("user-agent", "test"),)

    def time_remaining(self) -> None:
        return None

    def peer(self) -> str:
        return "ipv4:127.0.0.1:5000"

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.trailing = metadata


Answer = Callable[..., Awaitable[bytes]]


@pytest.fixture
async def answer() -> AsyncIterator[Answer]:
    db.connect("sqlite://")
    await db.create_all()
    async with db.unit() as unit:
        unit.session.add_all([Hot(name=f"n{number}", age=number) for number in range(200)])
    spec = Collector().collect(HotResource)
    bound = build_service(shape_of([spec], package="hot", service="HotService"))
    rpc = RpcService(bound, [spec], Pipeline(units=[db.unit]))
    methods = {method.name: method for method in bound.methods}
    service = rpc.generic_handler()

    requests: dict[str, tuple[Any, bytes]] = {}

    async def call(name: str, **values: Any) -> bytes:
        known = requests.get(f"{name} {values}")
        if known is None:
            details: Any = SimpleNamespace(method=f"/hot.HotService/{name}")
            handler: Any = service.service(details)
            request = methods[name].encode_request(values).SerializeToString()
            known = requests[f"{name} {values}"] = (handler.unary_unary, request)
        method, request = known
        data: bytes = await method(request, Peer())
        return data

    yield call
    await db.drop_all()
    await db.close()


async def functions_of(call: Callable[[], Awaitable[Any]]) -> int:
    """Return how many functions in Python, but for those of the standard library, a call runs.

    The thread of SQLite's connection is not counted.
    """
    count = 0

    def note(frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        if event == "call":
            path = frame.f_code.co_filename
            count += path.startswith(PACKAGES) or not path.startswith(STANDARD_LIBRARY)

    found = []
    for _ in range(4):  # the first ones build what is kept
        count = 0
        sys.setprofile(note)
        try:
            await call()
        finally:
            sys.setprofile(None)
        found.append(count)
    return min(found)


@pytest.mark.parametrize(
    ("name", "values", "most"),
    [
        ("PingHots", {}, CALLS_OF_A_CONSTANT),
        ("GetHot", {"id": 1}, CALLS_OF_A_GET),
        ("CreateHot", {"hot": {"name": "new"}}, CALLS_OF_A_CREATE),
        ("UpdateHot", {"id": 1, "hot": {"age": 3}}, CALLS_OF_A_CREATE),
    ],
)
async def test_a_call_runs_few_functions(
    answer: Answer, name: str, values: dict[str, Any], most: int
) -> None:
    count = await functions_of(lambda: answer(name, **values))
    assert 10 < count <= most, f"{count} Python functions run for {name}, more than {most}"


async def test_a_server_asks_for_calls_once_whatever_methods_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    for name in ("_request_call", "_request_registered_call"):

        def request(server: Any, *arguments: Any, name: str = name) -> Any:
            asked.append(name)
            return getattr(super(_AcceptingServer, server), name)(*arguments)

        monkeypatch.setattr(_AcceptingServer, name, request, raising=False)
    app = Bali(title="hot", resources=[HotResource], databases=[db])
    server = app.services.server([])
    await server.start()
    await server.stop(None)
    assert asked == ["_request_call"] * CALLS_AHEAD


async def test_a_row_costs_few_functions(answer: Answer) -> None:
    few = await functions_of(lambda: answer("ListHots", page_size=20))
    many = await functions_of(lambda: answer("ListHots", page_size=120))
    each = (many - few) / 100
    assert 1 <= each <= CALLS_PER_ROW, f"{each} Python functions run for each row of a list"


async def test_a_row_is_held_once(answer: Answer) -> None:
    peaks = []
    for size in (20, 120):
        await answer("ListHots", page_size=size)
        tracemalloc.start()
        try:
            await answer("ListHots", page_size=size)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    each = (peaks[1] - peaks[0]) / 100
    assert 50 < each <= BYTES_PER_ROW, f"a row of a list holds {each} bytes at most at one time"
