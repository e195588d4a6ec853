"""`python main.py --rpc` with a `serve()` of the service's own: rules, start and stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from bali.app.own_server import _TASK_OF_A_CALL
from tests.app.library import compile_protos
from tests.waiting import until

TIMEOUT_SECONDS = 60.0
PROGRAM = """
import asyncio, contextlib, os, pathlib, signal, sys, threading, time, types
from concurrent.futures import ThreadPoolExecutor

import grpc
import library_pb2
import library_pb2_grpc
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from bali import Bali, IsAuthenticated, ModelResource, ProcessInterceptor, StaticTokens, db

ADDRESS = os.environ["ADDRESS"]


class Book(db.BaseModel):
    title: Mapped[str] = mapped_column(String(50))


class BookResource(ModelResource):
    model = Book
    permission_classes = [IsAuthenticated]


class LibraryService(library_pb2_grpc.LibraryServiceServicer):
    def CreateBook(self, request, context):
        return BookResource(request, context, library_pb2.BookResponse).create_book()

    def GetBooks(self, request, context):
        pathlib.Path("asked").touch()
        time.sleep(float(os.environ["SLEEP"]))
        return library_pb2.BooksResponse()


def plain():
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[ProcessInterceptor()])
    library_pb2_grpc.add_LibraryServiceServicer_to_server(LibraryService(), server)
    server.add_insecure_port(ADDRESS)
    server.start()
    return server


def serve():
    plain().wait_for_termination()


def serve_asleep():
    server = plain()
    while True:
        time.sleep(3600)


def serve_missing_a_signal():
    kill, missed = signal.pthread_kill, []

    def wake_nobody_at_first(thread, number):
        kill(thread if missed else threading.get_ident(), number)
        missed.append(number)

    signal.pthread_kill = wake_nobody_at_first
    serve_asleep()


async def serve_async():
    server = grpc.aio.server()
    library_pb2_grpc.add_LibraryServiceServicer_to_server(AsyncService(), server)
    server.add_insecure_port(ADDRESS)
    await server.start()
    await server.wait_for_termination()


class AsyncService(library_pb2_grpc.LibraryServiceServicer):
    async def GetBooks(self, request, context):
        pathlib.Path("asked").touch()
        await asyncio.sleep(float(os.environ["SLEEP"]))
        return library_pb2.BooksResponse()


async def serve_briefly():
    # It returns while grpc.aio still ends a call.
    async def _schedule_rpc_coro():
        try:
            await asyncio.sleep(0.1)
            print("ended", flush=True)
        except asyncio.CancelledError:
            print("cancelled", flush=True)

    _schedule_rpc_coro.__qualname__ = "_schedule_rpc_coro"
    serve_briefly.task = asyncio.create_task(_schedule_rpc_coro())
    await asyncio.sleep(0)


def serve_nothing():
    pass


def serve_badly():
    raise OSError("no such interface")


@contextlib.asynccontextmanager
async def lifespan(app):
    print("enter", flush=True)
    yield
    print("leave", flush=True)


app = Bali(
    title="library",
    authenticator=StaticTokens({"secret": "ann"}),
    rpc_service=types.SimpleNamespace(serve=globals()[os.environ["SERVE"]]),
    lifespan=lifespan,
    databases=[db],
)
app.register(BookResource)
if __name__ == "__main__":
    app.start()
"""


class Program:
    """A running main.py whose `--rpc` calls a `serve()` of its own."""

    def __init__(self, folder: Path, port: int, serve: str, **variables: str) -> None:
        self.address = f"127.0.0.1:{port}"
        self.asked = folder / "asked"
        kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        own = {"ADDRESS": self.address, "SERVE": serve, "SLEEP": "0", "PYTHONPATH": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "main.py", "--rpc"],
            cwd=folder,
            env={**kept, "BALI_DRAIN_DELAY_SECONDS": "0", "BALI_STAGE": "dev", **own, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> None:
        host, _, port = self.address.partition(":")
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"nothing listens: {self.process.communicate()}")

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code, stdout and stderr."""
        output, errors = self.process.communicate(timeout=TIMEOUT_SECONDS)
        return self.process.returncode, output, errors


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path, free_port: int) -> Iterator[Start]:
    compile_protos(tmp_path)
    (tmp_path / "main.py").write_text(PROGRAM)
    programs: list[Program] = []

    def run(serve: str, **variables: str) -> Program:
        programs.append(Program(tmp_path, free_port, serve, **variables))
        return programs[-1]

    yield run
    for program in programs:
        program.process.kill()
        program.process.communicate()


def stub(channel: Any, stubs: tuple[Any, Any]) -> Any:
    return stubs[1].LibraryServiceStub(channel)


def test_the_rules_of_the_app_and_its_tables_are_there(
    start: Start, stubs: tuple[Any, Any]
) -> None:
    program = start("serve")
    program.wait()
    with grpc.insecure_channel(program.address) as channel:
        create = stub(channel, stubs).CreateBook
        with pytest.raises(grpc.RpcError) as refused:
            create(stubs[0].CreateBookRequest(title="b"), timeout=30)
        token = (("authorization", "Bearer secret"),)
        created = create(stubs[0].CreateBookRequest(title="b"), metadata=token, timeout=30)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert created.data.title == "b"
    program.signal()
    assert program.end() == (0, "enter\nleave\n", "")


@pytest.mark.parametrize(
    "serve", ["serve", "serve_async", "serve_asleep", "serve_missing_a_signal"]
)
def test_a_call_under_way_ends_well_before_the_process_does(
    start: Start, stubs: tuple[Any, Any], serve: str
) -> None:
    program = start(serve, SLEEP="1")
    program.wait()
    with grpc.insecure_channel(program.address) as channel, ThreadPoolExecutor(1) as pool:
        grpc.channel_ready_future(channel).result(30)
        call = pool.submit(stub(channel, stubs).GetBooks, stubs[0].GetBooksRequest(), timeout=30)
        until(program.asked.exists, "the call is under way")
        program.signal()
        assert call.result() == stubs[0].BooksResponse()
    assert program.end() == (0, "enter\nleave\n", "")


def test_what_grpc_does_at_the_end_of_calls_is_waited_for(start: Start) -> None:
    assert start("serve_briefly").end() == (0, "enter\nended\nleave\n", "")


async def test_grpc_still_calls_the_end_of_a_call_so(stubs: tuple[Any, Any]) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    class Waiting(stubs[1].LibraryServiceServicer):  # type: ignore[misc]  # made at run time
        async def GetBooks(self, request: Any, context: Any) -> Any:
            entered.set()
            await leave.wait()
            return stubs[0].BooksResponse()

    server = grpc.aio.server()
    stubs[1].add_LibraryServiceServicer_to_server(Waiting(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = stub(channel, stubs).GetBooks(stubs[0].GetBooksRequest())
        await entered.wait()
        coroutines: list[Any] = [task.get_coro() for task in asyncio.all_tasks()]
        assert _TASK_OF_A_CALL in [item.__qualname__ for item in coroutines]
        leave.set()
        await call
    await server.stop(None)


def test_a_call_that_outlasts_the_grace_does_not_keep_the_process(
    start: Start, stubs: tuple[Any, Any]
) -> None:
    program = start("serve", SLEEP="600", BALI_GRACE_SECONDS="0.1")
    program.wait()
    with grpc.insecure_channel(program.address) as channel, ThreadPoolExecutor(1) as pool:
        grpc.channel_ready_future(channel).result(30)
        call = pool.submit(stub(channel, stubs).GetBooks, stubs[0].GetBooksRequest(), timeout=30)
        until(program.asked.exists, "the call is under way")
        program.signal(signal.SIGINT)
        with pytest.raises(grpc.RpcError):
            call.result()
        code, output, errors = program.end()
    assert (code, output) == (0, "enter\nleave\n")
    assert errors == "warning: calls that did not end in time were given up\n"


def test_a_serve_that_returns_ends_the_program(start: Start) -> None:
    assert start("serve_nothing").end() == (0, "enter\nleave\n", "")


def test_what_serve_raises_is_shown_where_it_came_from(start: Start) -> None:
    code, output, errors = start("serve_badly").end()
    assert (code, output) == (1, "enter\nleave\n")
    assert "in serve_badly" in errors
    assert errors.endswith("OSError: no such interface\n")
