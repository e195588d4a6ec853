"""`python -m benchmarks.restart`: calls while two instances are restarted in turn.

Callers spread over the instances that are ready, as a load balancer does that asks `/readyz`, and
never retry. Every restart is a SIGTERM to one instance, whose exit code must be 0, and a new
process on the same port. No call may fail, over REST, gRPC or Connect.
"""

# ruff: noqa: ASYNC110 - what is waited for happens in other processes, which can only be polled

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx2

from benchmarks.stage import free_port

__all__ = ["Fleet", "rolling"]

CALLERS = 8
_POLL_SECONDS = 0.05
#: How long the first restart may take; calls are made until it has been.
_LONGEST_SECONDS = 120.0
_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
)


@dataclass(slots=True, kw_only=True)
class Instance:
    """One instance: its port, its process, and whether it wants work."""

    port: int
    process: subprocess.Popen[bytes]
    is_ready: bool = False


@dataclass(slots=True, kw_only=True)
class Fleet:
    """Instances of one service; `start` runs one on a port."""

    start: Callable[[int], subprocess.Popen[bytes]]
    instances: list[Instance] = field(default_factory=list)
    restarts: int = 0
    bad_exits: list[int] = field(default_factory=list)

    def open(self, count: int) -> None:
        """Start the instances."""
        for _ in range(count):
            port = free_port()
            self.instances.append(Instance(port=port, process=self.start(port)))

    def close(self) -> None:
        """End every instance."""
        for instance in self.instances:
            instance.process.kill()
            instance.process.wait()

    async def watch(self) -> None:
        """Keep `is_ready` up to date, as a load balancer does."""
        async with httpx2.AsyncClient(timeout=2) as client:
            await asyncio.gather(*(self._watch(client, item) for item in self.instances))

    async def _watch(self, client: httpx2.AsyncClient, instance: Instance) -> None:
        url = f"http://127.0.0.1:{instance.port}/readyz"
        while True:
            try:
                instance.is_ready = (await client.get(url)).status_code == 200
            except httpx2.TransportError:
                instance.is_ready = False
            await asyncio.sleep(_POLL_SECONDS)

    async def restart_in_turn(self, number: int = signal.SIGTERM) -> None:
        """Restart one instance after the other, for ever."""
        for instance in itertools.cycle(self.instances):
            await self.all_ready()
            instance.process.send_signal(number)
            while instance.process.poll() is None:
                await asyncio.sleep(_POLL_SECONDS)
            if instance.process.returncode:
                self.bad_exits.append(instance.process.returncode)
            instance.process = self.start(instance.port)
            self.restarts += 1

    async def all_ready(self) -> None:
        """Return when every instance wants work."""
        while not all(instance.is_ready for instance in self.instances):
            await asyncio.sleep(_POLL_SECONDS)

    def ready(self) -> list[int]:
        """Return the ports of the instances that want work."""
        return [instance.port for instance in self.instances if instance.is_ready]


async def rolling(
    fleet: Fleet, calls: int, *, rest: str, connect: str, grpc_call: tuple[str, bytes], number: int
) -> dict[str, list[str]]:
    """Make `calls` calls per protocol while instances restart; return what failed, by protocol.

    Raises what kept an instance from being restarted.
    """
    failed: dict[str, list[str]] = {"REST": [], "gRPC": [], "Connect": []}
    watcher = asyncio.create_task(fleet.watch())
    await fleet.all_ready()
    restarter = asyncio.create_task(fleet.restart_in_turn(number))
    loop = asyncio.get_running_loop()
    end = loop.time() + _LONGEST_SECONDS

    def may_restart_yet() -> bool:
        return not (fleet.restarts or restarter.done()) and loop.time() < end

    channels: dict[int, grpc.aio.Channel] = {
        instance.port: grpc.aio.insecure_channel(
            f"127.0.0.1:{instance.port}", options=_CHANNEL_OPTIONS
        )
        for instance in fleet.instances
    }
    path, request = grpc_call
    async with httpx2.AsyncClient(timeout=30) as client:

        async def over_rest(port: int) -> None:
            response = await client.get(f"http://127.0.0.1:{port}{rest}")
            response.raise_for_status()

        async def over_connect(port: int) -> None:
            url = f"http://127.0.0.1:{port}{connect}"
            (await client.post(url, json={"id": 7})).raise_for_status()

        async def over_grpc(port: int) -> None:
            stub: Any = channels[port].unary_unary(path)
            await stub(request, timeout=30, wait_for_ready=True)

        ways = {"REST": over_rest, "gRPC": over_grpc, "Connect": over_connect}
        await asyncio.gather(
            *(
                _callers(way, fleet, calls, failed[name], may_restart_yet)
                for name, way in ways.items()
            )
        )
    for task in (restarter, watcher):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    for channel in channels.values():
        await channel.close()
    return failed


async def _callers(
    way: Any, fleet: Fleet, calls: int, failed: list[str], goes_on: Callable[[], bool]
) -> None:
    numbers = itertools.count()

    async def caller() -> None:
        while (number := next(numbers)) < calls or goes_on():
            while not (ports := fleet.ready()):
                await asyncio.sleep(_POLL_SECONDS)
            try:
                await way(ports[number % len(ports)])
            except (httpx2.HTTPError, grpc.aio.AioRpcError) as error:
                failed.append(f"{type(error).__name__}: {error}"[:300])
            await asyncio.sleep(0.002)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


def main() -> None:
    """Restart two instances while 10,000 calls per protocol are made."""
    from benchmarks.stage import ROOT, stage  # noqa: PLC0415 - needs what tests do without

    parser = argparse.ArgumentParser(prog="python -m benchmarks.restart", description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000, help="calls per protocol")
    options = parser.parse_args()
    with stage() as env:

        def start(port: int) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "benchmarks.services.ours", "--port", str(port)]
            return subprocess.Popen(
                command,
                cwd=Path(ROOT),
                env={**env, "BALI_DRAIN_DELAY_SECONDS": "0.5"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        fleet = Fleet(start=start)
        fleet.open(2)
        try:
            failed = asyncio.run(
                rolling(
                    fleet,
                    options.calls,
                    rest="/users/7",
                    connect="/bench.BenchService/GetUser",
                    grpc_call=("/bench.BenchService/GetUser", b"\x08\x07"),
                    number=signal.SIGTERM,
                )
            )
        finally:
            fleet.close()
    for name, errors in failed.items():
        print(f"{name}: {len(errors)} of {options.calls:,} calls failed")
        for line in errors[:3]:
            print(f"  {line}")
    print(f"{fleet.restarts} restarts; exit codes that were not 0: {fleet.bad_exits}")
    sys.exit(1 if any(failed.values()) or fleet.bad_exits or not fleet.restarts else 0)


if __name__ == "__main__":
    main()
