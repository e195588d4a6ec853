"""A gRPC server that accepts many calls at a time: none waits behind another, none is lost."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from bali.concurrency import run_blocking
from bali.server import grpc_acceptor
from bali.server.grpc_acceptor import CALLS_AHEAD, accepting_server

METHOD = "/test.Test/Answer"
#: More than are accepted at a time, so that some wait in gRPC's core.
MANY = 3 * CALLS_AHEAD
#: A call that hangs fails the test; one that does not ends long before.
TIMEOUT_SECONDS = 30.0


#: Calls a server whose loop has ended, and looks whether what nothing changes has been changed.
ENDS_WITHOUT_STOP = """
import asyncio, gc, os, grpc
from bali.server.grpc_acceptor import accepting_server

async def answer(request, context):
    return request

async def main():
    global server, channel
    server = accepting_server()
    handlers = {"Answer": grpc.unary_unary_rpc_method_handler(answer)}
    handler = grpc.method_handlers_generic_handler("test.Test", handlers)
    server.add_generic_rpc_handlers((handler,))
    channel = grpc.insecure_channel(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    await server.start()
    await asyncio.to_thread(channel.unary_unary("/test.Test/Answer"), b"x")

asyncio.run(main())
gc.collect()
unchanging = [bytes(size) for size in range(150, 480, 8) for _ in range(400)]
calls = [channel.unary_unary("/test.Test/Answer").future(b"x", timeout=2) for _ in range(60)]
for call in calls:
    assert call.exception() is not None
print("changed:", sum(any(item) for item in unchanging), flush=True)
os._exit(0)  # as the end of a process whose server has not been stopped is another matter
"""


class Served:
    """A server whose one method is `behaviour`, and how to call it."""

    def __init__(self, behaviour: Callable[[bytes], Awaitable[bytes]]) -> None:
        self.behaviour = behaviour
        self.server = accepting_server()
        handlers: Any = {"Answer": grpc.unary_unary_rpc_method_handler(self._answer)}
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Test", handlers),)
        )
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    async def _answer(self, request: bytes, context: Any) -> bytes:
        del context
        return await self.behaviour(request)

    @contextmanager
    def caller(self) -> Iterator[Any]:
        """Give a stub for threads, on a connection of its own."""
        options = (("grpc.use_local_subchannel_pool", 1),)
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", options) as channel:
            yield channel.unary_unary(METHOD)


Serve = Callable[[Callable[[bytes], Awaitable[bytes]]], Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    running: list[Served] = []

    async def start(behaviour: Callable[[bytes], Awaitable[bytes]]) -> Served:
        served = Served(behaviour)
        running.append(served)
        await served.server.start()
        return served

    yield start
    for served in running:
        await served.server.stop(None)


async def echo(request: bytes) -> bytes:
    return request


def ends_of(calls: list[Any]) -> list[Any]:
    """Wait for calls to end; return the answer or the status of each."""

    def end(call: Any) -> Any:
        try:
            return call.result(timeout=TIMEOUT_SECONDS)
        except grpc.FutureCancelledError:
            return grpc.StatusCode.CANCELLED
        except grpc.RpcError as error:
            return error.code()

    return [end(call) for call in calls]


async def test_every_call_of_many_is_answered(serve: Serve) -> None:
    served = await serve(echo)

    def call_all() -> list[Any]:
        with served.caller() as answer:
            sent = [answer.future(str(number).encode()) for number in range(MANY)]
            return ends_of(sent)

    assert await asyncio.to_thread(call_all) == [str(number).encode() for number in range(MANY)]


async def test_calls_one_after_the_other_are_answered(serve: Serve) -> None:
    served = await serve(echo)

    def call_all() -> list[Any]:
        with served.caller() as answer:
            return [answer(b"x", timeout=TIMEOUT_SECONDS) for _ in range(MANY)]

    assert await asyncio.to_thread(call_all) == [b"x"] * MANY


async def test_what_waits_is_accepted_at_once(serve: Serve) -> None:
    """Each call goes on only when as many are under way as are accepted at a time."""
    begun, all_here = 0, asyncio.Event()

    async def meet(request: bytes) -> bytes:
        nonlocal begun
        begun += 1
        if begun == CALLS_AHEAD:
            all_here.set()
        await all_here.wait()
        return request

    served = await serve(meet)

    def call_all() -> list[Any]:
        with served.caller() as answer:
            return ends_of([answer.future(b"x") for _ in range(CALLS_AHEAD)])

    assert await asyncio.to_thread(call_all) == [b"x"] * CALLS_AHEAD


class Blocked:
    """Holds the event loop while calls come, so that they wait where nobody has begun them."""

    def __init__(self) -> None:
        self.is_held = threading.Event()
        self.let_go = threading.Event()

    async def behaviour(self, request: bytes) -> bytes:
        if request == b"hold":
            self.is_held.set()
            self.let_go.wait(TIMEOUT_SECONDS)
        return request


async def test_calls_that_were_given_up_before_they_began_hold_up_no_other(serve: Serve) -> None:
    """The core hands over others in their place, in another order than it was asked."""
    blocked = Blocked()
    served = await serve(blocked.behaviour)

    def call_all() -> list[Any]:
        with served.caller() as answer:
            holding = answer.future(b"hold")
            blocked.is_held.wait(TIMEOUT_SECONDS)
            given_up = [answer.future(b"late") for _ in range(MANY)]
            time.sleep(0.3)  # for them to reach the core; were it too short, less would be tried
            for call in given_up:
                call.cancel()
            blocked.let_go.set()
            ends = ends_of([holding, *given_up])
            assert ends == [b"hold", *[grpc.StatusCode.CANCELLED] * MANY]
            return [answer(b"x", timeout=TIMEOUT_SECONDS) for _ in range(MANY)]

    assert await asyncio.to_thread(call_all) == [b"x"] * MANY


@pytest.mark.parametrize("grace", [None, TIMEOUT_SECONDS])
async def test_a_stop_ends_calls_that_have_come_and_not_begun(
    serve: Serve, grace: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    """They are none that a grace waits for, whether the core has handed them over or not."""
    stopped: list[asyncio.Task[None]] = []
    blocked = Blocked()

    async def hold_and_stop(request: bytes) -> bytes:
        answer = await blocked.behaviour(request)
        if request == b"hold":
            stopped.append(asyncio.ensure_future(served.server.stop(grace)))
        return answer

    served = await serve(hold_and_stop)

    def call_all() -> list[Any]:
        with served.caller() as answer:
            holding = answer.future(b"hold")
            blocked.is_held.wait(TIMEOUT_SECONDS)
            waiting = [answer.future(b"x") for _ in range(MANY)]
            time.sleep(0.3)  # as above
            blocked.let_go.set()
            return ends_of([holding, *waiting])

    with caplog.at_level(logging.WARNING):
        async with asyncio.timeout(TIMEOUT_SECONDS / 2):  # the grace itself would be too long
            ends = await asyncio.to_thread(call_all)
            await stopped[0]
    allowed = {
        b"hold", b"x", grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE,
    }  # fmt: skip
    assert set(ends) <= allowed
    assert not mishaps(caplog, grace)
    assert not asked_for(served.server)


@pytest.mark.parametrize("grace", [None, TIMEOUT_SECONDS])
async def test_a_grace_is_for_what_has_come_as_well(
    serve: Serve, grace: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The server is stopped when some calls have been handed over that are not begun."""
    had_come: list[int] = []
    stopping: list[asyncio.Task[None]] = []
    blocked = Blocked()

    async def stop_when_some_have_come(request: bytes) -> bytes:
        answer = await blocked.behaviour(request)
        server: Any = served.server
        if not had_come and server._server._come:
            had_come.append(len(server._server._come))
            stopping.append(asyncio.ensure_future(served.server.stop(grace)))
        return answer

    served = await serve(stop_when_some_have_come)

    def call_all() -> list[Any]:
        with served.caller() as answer:
            while True:
                blocked.is_held.clear()
                blocked.let_go.clear()
                holding = answer.future(b"hold")
                blocked.is_held.wait(TIMEOUT_SECONDS)
                waiting = [answer.future(b"x") for _ in range(MANY)]
                time.sleep(0.3)  # for them to reach the core; were it too short, all is done again
                blocked.let_go.set()
                ends = ends_of([holding, *waiting])
                if had_come:
                    return ends

    with caplog.at_level(logging.WARNING):
        async with asyncio.timeout(TIMEOUT_SECONDS / 2):  # the grace itself would be too long
            ends = await asyncio.to_thread(call_all)
            await stopping[0]
    if grace is not None:
        assert ends.count(b"x") > had_come[0]  # and the one that has stopped it
    assert {end for end in ends if not isinstance(end, bytes)} <= {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAVAILABLE,
    }
    assert not mishaps(caplog, grace)
    assert not asked_for(served.server)


def test_a_stopped_server_is_told_nothing_any_more(caplog: pytest.LogCaptureFixture) -> None:
    """All loops of a process read what the core answers: one would tell a loop that is closed."""

    async def start_and_stop() -> None:
        server = accepting_server()
        server.add_insecure_port("127.0.0.1:0")
        await server.start()
        await server.stop(None)
        assert not asked_for(server)

    async def start() -> grpc.aio.Server:
        server = accepting_server()
        await server.start()
        return server

    other = run_blocking(start())
    for _ in range(100):
        asyncio.run(start_and_stop())
    run_blocking(other.stop(None))
    assert not caplog.records


def mishaps(caplog: pytest.LogCaptureFixture, grace: float | None) -> list[str]:
    """Return what was logged, except that a stop without grace has cut a call short."""
    told = [record.getMessage() for record in caplog.records]
    if grace is not None:
        return told
    return [text for text in told if not text.startswith("ExecuteBatchError raised in core")]


def asked_for(server: Any) -> set[Any]:
    """Return what the core has been asked for and has not answered."""
    return server._server._asked  # type: ignore[no-any-return]  # it has no types


def test_the_core_may_write_into_a_call_after_the_loop_has_ended() -> None:
    """`asyncio.run` cancels all tasks, and nobody has stopped the server.

    Memory that the core writes to would be somebody else's then: a process of its own tries it.
    """
    done = subprocess.run(
        [sys.executable, "-c", ENDS_WITHOUT_STOP], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "changed: 0\n"), done.stderr


async def test_a_server_that_was_never_started_stops() -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await accepting_server().stop(None)


async def test_servers_of_others_stay_as_they_are() -> None:
    ours, theirs = accepting_server(), grpc.aio.server()
    assert type(ours._server) is not type(theirs._server)  # type: ignore[attr-defined]
    assert type(theirs._server).__module__ == "grpc._cython.cygrpc"  # type: ignore[attr-defined]


async def test_a_grpcio_without_the_method_serves_as_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grpc_acceptor, "_Server", object)
    server: Any = accepting_server()
    assert type(server._server) is type(grpc.aio.server()._server)  # type: ignore[attr-defined]


async def test_methods_that_are_registered_by_name_are_served() -> None:
    served = Served(echo)
    handler: Any = grpc.unary_unary_rpc_method_handler(served._answer)
    served.server.add_registered_method_handlers("named.Named", {"Answer": handler})
    await served.server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel:
            for path in ("/named.Named/Answer", METHOD, "/named.Named/Answer"):
                method: Any = channel.unary_unary(path)
                assert await method(b"x", timeout=TIMEOUT_SECONDS) == b"x"
    finally:
        await served.server.stop(None)
