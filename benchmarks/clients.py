"""`python -m benchmarks.clients`: generated clients against bare stubs on a shared channel.

Both call the same method of the same server, which answers at once from a process of its own,
in turn, round after round; only the ratio of medians counts. The client is pinned to one core, the
server to the other.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.table import Table

PROTO = """syntax = "proto3";
package user;
service UserService {
  rpc GetUser(GetUserRequest) returns (User);
  rpc ListUsers(ListUsersRequest) returns (ListUsersResponse);
}
message User {
  int64 id = 1;
  string username = 2;
  optional int64 age = 3;
  bool is_active = 4;
}
message GetUserRequest { int64 id = 1; }
message ListUsersRequest { int32 page_size = 1; string page_token = 2; }
message ListUsersResponse { repeated User items = 1; string next_page_token = 2; }
"""
TARGET = 0.8
console = Console()


def generate(folder: Path) -> None:
    """Make a proto repo and the client of what is in it, as `bali add` does."""
    (folder / "proto" / "user").mkdir(parents=True)
    (folder / "proto" / "user" / "user.proto").write_text(PROTO)
    (folder / "service").mkdir()
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
    for command in (
        ["git", "init", "-q"],
        ["git", "add", "."],
        ["git", *identity, "commit", "-qm", "user"],
    ):
        subprocess.run(command, cwd=folder / "proto", check=True)
    add = [sys.executable, "-m", "bali_cli", "add", "user"]
    subprocess.run(add, cwd=folder / "service", check=True, capture_output=True)
    sys.path.insert(0, str(folder / "service"))


def serve(folder: str, connection: Any) -> None:
    """Answer calls with what is ready, until the process is ended."""
    _pin(1)
    sys.path.insert(0, str(Path(folder) / "service"))
    pb2: Any = importlib.import_module("clients.intermediates.user.user_pb2")
    user = pb2.User(id=1, username="ann", age=41, is_active=True)
    one = user.SerializeToString()
    many = pb2.ListUsersResponse(items=[user] * 20).SerializeToString()

    async def run() -> None:
        server = grpc.aio.server()

        def answer(content: bytes) -> Any:
            async def handle(request: bytes, context: Any) -> bytes:
                del request, context
                return content

            return grpc.unary_unary_rpc_method_handler(handle)

        methods = {"GetUser": answer(one), "ListUsers": answer(many)}
        handler = grpc.method_handlers_generic_handler("user.UserService", methods)
        server.add_generic_rpc_handlers((handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        connection.send(port)
        await server.wait_for_termination()

    asyncio.run(run())


def _pin(core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def timed(call: Callable[[], Any], count: int) -> float:
    """Return calls per second."""
    begun = time.perf_counter()
    for _ in range(count):
        call()
    return count / (time.perf_counter() - begun)


async def timed_async(call: Callable[[], Awaitable[Any]], count: int, lanes: int = 8) -> float:
    """Return calls per second with so many at once."""

    async def lane() -> None:
        for _ in range(count // lanes):
            await call()

    begun = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(lanes)))
    return count / (time.perf_counter() - begun)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One method, called through the generated client and through a bare stub."""

    address: str
    method: str
    python_name: str
    request: Any
    response: Any
    given: dict[str, Any]

    def stub(self, channel: Any) -> Callable[[], Any]:
        """Return what calls the bare stub."""
        call = channel.unary_unary(
            f"/user.UserService/{self.method}",
            request_serializer=type(self.request).SerializeToString,
            response_deserializer=self.response.FromString,
        )
        return lambda: call(self.request, timeout=10)

    def method_of(self, client: Any) -> Callable[[], Any]:
        """Return what calls the generated client."""
        call = getattr(client, self.python_name)
        return lambda: call(**self.given)


Rates = tuple[list[float], list[float]]


def measure(port: int, rounds: int, count: int) -> dict[str, Rates]:
    """Return the rates of each case, of the generated client and of the bare stub."""
    pb2: Any = importlib.import_module("clients.intermediates.user.user_pb2")
    cases = {
        "get": Case(
            address=f"127.0.0.1:{port}",
            method="GetUser",
            python_name="get_user",
            request=pb2.GetUserRequest(id=1),
            response=pb2.User,
            given={"id": 1},
        ),
        "list(20)": Case(
            address=f"127.0.0.1:{port}",
            method="ListUsers",
            python_name="list_users",
            request=pb2.ListUsersRequest(page_size=20),
            response=pb2.ListUsersResponse,
            given={"page_size": 20},
        ),
    }
    found: dict[str, Rates] = {}
    for name, case in cases.items():
        found[f"sync {name}"] = _measure(case, rounds, count)
        found[f"async {name}"] = asyncio.run(_measure_async(case, rounds, count))
    return found


def _measure(case: Case, rounds: int, count: int) -> Rates:
    clients: Any = importlib.import_module("clients")
    ours: list[float] = []
    bare: list[float] = []
    with grpc.insecure_channel(case.address) as channel, clients.UserClient(case.address) as client:
        for _ in range(rounds):
            bare.append(timed(case.stub(channel), count))
            ours.append(timed(case.method_of(client), count))
    return ours, bare


async def _measure_async(case: Case, rounds: int, count: int) -> Rates:
    clients: Any = importlib.import_module("clients")
    ours: list[float] = []
    bare: list[float] = []
    async with (
        grpc.aio.insecure_channel(case.address) as channel,
        clients.AsyncUserClient(case.address) as client,
    ):
        for _ in range(rounds):
            bare.append(await timed_async(case.stub(channel), count))
            ours.append(await timed_async(case.method_of(client), count))
    return ours, bare


def main() -> None:
    """Measure, print a table, and end with exit code 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--calls", type=int, default=2000, help="calls of a measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rates there instead")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bali-bench-"))
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(str(folder), there))
    try:
        generate(folder)
        server.start()
        port = here.recv()
        _pin(0)
        found = measure(port, options.rounds, options.calls)
    finally:
        if server.is_alive():
            server.terminate()
            server.join()
        shutil.rmtree(folder)
    if options.json:
        options.json.write_text(json.dumps(found))
        return
    table = Table("case", "generated", "bare stub", "ratio", "target", "")
    missed = 0
    for name, (ours, bare) in found.items():
        ratio = statistics.median(ours) / statistics.median(bare)
        missed += ratio < TARGET
        table.add_row(
            name,
            f"{statistics.median(ours):,.0f}",
            f"{statistics.median(bare):,.0f}",
            f"{ratio:.2f}",
            f"{TARGET:.2f}",
            "ok" if ratio >= TARGET else "MISSED",
        )
    console.print(table)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
