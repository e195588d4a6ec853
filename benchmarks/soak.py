"""`python -m benchmarks.soak`: many calls on the one port, without an error or growing memory.

100,000 calls over gRPC and as many over REST, a mix of get, list, create and calls that must be
refused. Fails on any answer that is not the expected one, and when the server's memory in the last
fifth of the run is more than `TOLERANCE` above that in the second fifth. The kernel's numbers for
resident memory move in steps, so the medians of many samples are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import httpx2
from rich.console import Console

from benchmarks.stage import Service, services, stage

TOLERANCE = 1.10
CALLERS = 16
SAMPLE_SECONDS = 0.25
MIX = ("get", "get", "list", "get", "create", "get", "missing", "list", "get", "invalid")
_SERVICE = "/bench.BenchService"

console = Console()


def main() -> None:
    """Run the soak and end with 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000, help="calls per protocol")
    parser.add_argument("--minutes", type=float, default=10.0, help="the longest that it may take")
    options = parser.parse_args()
    with stage() as env, services({"bali": ("ours",)}, env) as running:
        is_well = asyncio.run(_soak(running["bali"], options.calls, options.minutes * 60))
    sys.exit(0 if is_well else 1)


async def _soak(service: Service, calls: int, seconds: float) -> bool:
    samples: list[tuple[int, int]] = []
    done = {"REST": 0, "gRPC": 0}
    wrong: list[str] = []
    began = time.monotonic()
    sampler = asyncio.create_task(_sample(service.process.pid, done, samples))
    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(
                _rest(service.port, calls, done, wrong), _rpc(service.port, calls, done, wrong)
            )
    except TimeoutError:
        wrong.append(f"not finished after {seconds:.0f} s: {done}")
    sampler.cancel()
    spent = time.monotonic() - began
    console.print(f"{done['REST']:,} REST and {done['gRPC']:,} gRPC calls in {spent:.0f} s")
    for line in wrong[:10]:
        console.print(f"[red]wrong:[/] {line}")
    return _memory_is_level(samples, 2 * calls) and not wrong


def _memory_is_level(samples: list[tuple[int, int]], total: int) -> bool:
    early = [size for count, size in samples if 0.2 <= count / total < 0.4]
    late = [size for count, size in samples if count / total >= 0.8]
    if not early or not late:
        console.print("[red]too few samples of memory to tell; use more calls[/]")
        return False
    before, after = statistics.median(early), statistics.median(late)
    growth = after / before
    console.print(
        f"memory: {before / 1024:.1f} MiB in the second fifth, {after / 1024:.1f} MiB in the last "
        f"({growth:.3f} times; at most {TOLERANCE})"
    )
    return growth <= TOLERANCE


async def _sample(pid: int, done: dict[str, int], samples: list[tuple[int, int]]) -> None:
    status = Path(f"/proc/{pid}/status")
    shown = 0
    while True:
        text = await asyncio.to_thread(status.read_text)
        kibibytes = int(text.partition("VmRSS:")[2].split()[0])
        count = sum(done.values())
        samples.append((count, kibibytes))
        if count - shown >= 20_000:
            shown = count
            console.print(f"{count:,} calls, {kibibytes / 1024:.1f} MiB")
        await asyncio.sleep(SAMPLE_SECONDS)


async def _rest(port: int, calls: int, done: dict[str, int], wrong: list[str]) -> None:
    limits = httpx2.Limits(max_connections=CALLERS)
    url = f"http://127.0.0.1:{port}"
    async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=30) as client:

        async def one(kind: str) -> None:
            if kind == "create":
                response = await client.post("/users", json={"username": "soak", "age": 1})
            elif kind == "invalid":
                response = await client.post("/users", json={"username": 5})
            else:
                paths = {"get": "/users/7", "list": "/users?page_size=20", "missing": "/users/0"}
                response = await client.get(paths[kind])
            expected = {"create": 201, "invalid": 422, "missing": 404}.get(kind, 200)
            if response.status_code != expected:
                wrong.append(f"REST {kind}: {response.status_code} {response.text[:200]}")

        await _spread(one, calls, "REST", done)


async def _rpc(port: int, calls: int, done: dict[str, int], wrong: list[str]) -> None:
    requests = {
        "get": ("GetUser", b"\x08\x07"),
        "list": ("ListUsers", b"\x08\x14"),
        "missing": ("GetUser", b"\x08\x00"),
        # user{username: "soak"}, and a user without a name
        "create": ("CreateUser", b"\x0a\x06\x2a\x04soak"),
        "invalid": ("CreateUser", b"\x0a\x00"),
    }
    codes = {"missing": grpc.StatusCode.NOT_FOUND, "invalid": grpc.StatusCode.INVALID_ARGUMENT}
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stubs: dict[str, Any] = {
            name: channel.unary_unary(f"{_SERVICE}/{name}")
            for name in ("GetUser", "ListUsers", "CreateUser")
        }

        async def one(kind: str) -> None:
            name, request = requests[kind]
            code = grpc.StatusCode.OK
            try:
                await stubs[name](request, timeout=30)
            except grpc.aio.AioRpcError as error:
                code = error.code()
                detail = error.details()
            else:
                detail = ""
            if code is not codes.get(kind, grpc.StatusCode.OK):
                wrong.append(f"gRPC {kind}: {code.name} {detail}")

        await _spread(one, calls, "gRPC", done)


async def _spread(one: Any, calls: int, protocol: str, done: dict[str, int]) -> None:
    """Make `calls` calls from several callers at once."""
    numbers = iter(range(calls))

    async def caller() -> None:
        for number in numbers:
            await one(MIX[number % len(MIX)])
            done[protocol] += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


if __name__ == "__main__":
    main()
