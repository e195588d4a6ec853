# ruff: noqa: ASYNC110 - another process's state can only be asked for
from __future__ import annotations

import asyncio
import json
import signal
import socket
from pathlib import Path

import grpc
import pytest

from bali.server import ServerOptions
from bali.server.runner import start_line
from tests.server.processes import longer_way, service, start
from tests.server.served import open_channel, read_http


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "Serving REST and gRPC on http://127.0.0.1:81 (Ctrl-C stops)"),
        (
            {"mode": "http", "host": "0.0.0.0", "workers": 4},
            "Serving REST on http://127.0.0.1:81 (4 workers, on every interface, Ctrl-C stops)",
        ),
        (
            {"mode": "rpc", "host": "::1", "certfile": "x", "reload": True},
            "Serving gRPC on [::1]:81 (TLS) (reloading on change, Ctrl-C stops)",
        ),
        ({"certfile": "x"}, "Serving REST and gRPC on https://127.0.0.1:81 (Ctrl-C stops)"),
    ],
)
def test_start_line(options: dict[str, object], expected: str) -> None:
    assert start_line(ServerOptions(**options), 81) == expected  # type: ignore[arg-type] # varied


async def test_sigterm_drains_unary_calls_and_streams(tmp_path: Path) -> None:
    """All four kinds of work in flight end well; readiness goes first; the exit code is 0."""
    async with service(tmp_path, drain_delay_seconds=6) as running:
        target = f"127.0.0.1:{running.port}"
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await read_http(reader))[1].get("connection") is None
        streaming_reader, streaming_writer = await asyncio.open_connection(
            "127.0.0.1", running.port
        )
        async with open_channel(target) as channel:
            unary = asyncio.ensure_future(channel.unary_unary("/t/Echo")(b"7"))
            ticks = channel.unary_stream("/t/Ticks")(b"")
            assert await ticks.read() == b"0"
            slow = asyncio.create_task(running.get("/slow?seconds=7"))
            streaming_writer.write(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
            await streaming_reader.readuntil(b"0\n")
            assert (await running.get("/readyz"))[0] == 200

            running.process.send_signal(signal.SIGTERM)
            while (await running.get("/readyz"))[0] != 503:  # it still serves
                await asyncio.sleep(0.02)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            status, headers, _ = await read_http(reader)
            assert (status, headers["connection"]) == (200, "close")
            assert await reader.read() == b""

            assert int(await unary) == running.process.pid
            assert [await ticks.read() for _ in range(9)] == [str(i).encode() for i in range(1, 10)]
            assert await ticks.code() is grpc.StatusCode.OK
            assert await slow == (200, {**(await slow)[1], "connection": "close"}, b"done")
            assert (await streaming_reader.read()).endswith(b"9\n\r\n0\r\n\r\n")
        assert await running.ended() == 0
        writer.close()
        streaming_writer.close()
    assert sorted(running.notes()[1:3]) == ["echo", "slow"]
    assert running.notes()[3:] == ["drained", "ended", "shutdown"]


@pytest.mark.parametrize("mode", ["all", "rpc"])
@pytest.mark.parametrize("fail", ["", "goaway"])
async def test_no_call_fails_while_one_of_two_instances_stops(
    tmp_path: Path, fail: str, mode: str
) -> None:
    """Under steady load, without any drain delay. Without the early GOAWAY some calls fail.

    Answers are on their way for a while, as between machines: what a stopping server sends is heard
    late, and some calls are always sent before it is.
    """
    folders = [tmp_path / "1", tmp_path / "2"]
    # However late the client hears of it, the server waits; without a GOAWAY it would in vain.
    environment = {"FAIL": fail} if fail else {"PATIENT": "1"}
    for folder in folders:
        folder.mkdir()
    async with (
        service(folders[0], environment=environment, mode=mode) as first,
        service(folders[1], environment=environment, mode=mode) as second,
        longer_way(first.port, seconds=0.05) as first_port,
        longer_way(second.port, seconds=0.05) as second_port,
        open_channel(f"ipv4:127.0.0.1:{first_port},127.0.0.1:{second_port}") as channel,
    ):
        echo = channel.unary_unary("/t/Echo")
        pids: list[int] = []
        failed: list[str] = []
        has_stopped = asyncio.Event()

        async def call() -> None:
            while not has_stopped.is_set():
                try:
                    pids.append(int(await echo(b"", wait_for_ready=True)))
                except grpc.aio.AioRpcError as error:
                    failed.append(error.code().name)

        calls = [asyncio.create_task(call()) for _ in range(20)]
        while len(pids) < 100:
            await asyncio.sleep(0.01)
        victim = first if first.process.pid in pids else second
        victim.process.send_signal(signal.SIGTERM)
        assert await victim.ended() == 0
        async with asyncio.timeout(20):
            while len(set(pids)) < 2:  # its end is heard later, and calls go to the other one then
                await asyncio.sleep(0.01)
        has_stopped.set()
        await asyncio.gather(*calls)
        assert len(set(pids)) == 2
        assert bool(failed) is bool(fail)


async def test_sigint_skips_the_drain_delay(tmp_path: Path) -> None:
    async with service(tmp_path, drain_delay_seconds=600) as running:
        slow = asyncio.create_task(running.get("/slow?seconds=0.5"))
        await running.noted("slow")
        running.process.send_signal(signal.SIGINT)
        assert (await slow)[0] == 200
        assert await running.ended() == 0


async def test_grace_ends_what_does_not_end_by_itself(tmp_path: Path) -> None:
    async with service(tmp_path, grace_seconds=0.3) as running:
        slow = asyncio.create_task(running.get("/slow?seconds=600"))
        async with open_channel(f"127.0.0.1:{running.port}") as channel:
            call = channel.unary_unary("/t/Echo")(b"600")
            await running.noted("slow")
            await running.noted("echo")
            running.process.send_signal(signal.SIGTERM)
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await call
            assert failure.value.code() in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.CANCELLED,
            )
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await slow
        assert await running.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_second_signal_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    async with service(tmp_path, drain_delay_seconds=600, grace_seconds=600) as running:
        slow = asyncio.create_task(running.get("/slow?seconds=600"))
        await running.noted("slow")
        running.process.send_signal(number)
        await running.draining()
        assert running.process.poll() is None
        running.process.send_signal(number)
        assert await running.ended() == 128 + number
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await slow
    assert "second SIG" in running.errors[-1]


async def test_second_signal_stops_a_blocked_loop(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        blocked = asyncio.create_task(running.get("/block"))
        while running.notes()[-1] != "blocking":
            await asyncio.sleep(0.02)
        sent = 0
        while running.process.poll() is None:  # two that come at once are one to the kernel
            running.process.send_signal(signal.SIGTERM)
            sent += 1
            await asyncio.sleep(0.2)
        assert sent > 1
        assert await running.ended() == 143
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await blocked


@pytest.mark.parametrize("mode", ["all", "http", "rpc"])
@pytest.mark.parametrize("workers", [1, 2])
async def test_port_in_use_is_told_and_fails(tmp_path: Path, mode: str, workers: int) -> None:
    async with service(tmp_path, mode=mode) as running:
        second = await start(
            tmp_path, mode=mode, workers=workers, port=running.port, rpc_port=running.port
        )
        errors = await second.failed()
        assert f"error: port {running.port} is already in use" in errors
        assert "Traceback" not in errors


async def test_failing_startup_is_told_and_fails(tmp_path: Path) -> None:
    for workers in (1, 2):
        failed = await start(tmp_path, workers=workers, environment={"FAIL": "startup"})
        errors = await failed.failed()
        assert "error: the application failed to start" in errors
        assert "the database is not there" in errors


async def test_failing_hook_fails_the_process_after_the_rest_was_shut_down(tmp_path: Path) -> None:
    async with service(tmp_path, environment={"FAIL": "hook"}) as running:
        running.process.send_signal(signal.SIGTERM)
        assert await running.ended() == 1
    assert running.notes()[-1] == "shutdown"
    assert "a pool did not close" in "".join(running.errors)


async def test_missing_certificate_is_told(tmp_path: Path) -> None:
    for mode in ("all", "rpc"):
        failed = await start(tmp_path, certfile="nowhere.pem", mode=mode)
        errors = await failed.failed()
        assert "error: cannot load the TLS files" in errors
        assert "nowhere.pem" in errors


async def test_rpc_mode_serves_grpc_on_its_own_port(tmp_path: Path) -> None:
    async with service(tmp_path, mode="rpc") as running:
        async with open_channel(f"127.0.0.1:{running.port}") as channel:
            assert int(await channel.unary_unary("/t/Echo")(b"")) == running.process.pid
            last = channel.unary_unary("/t/Echo")(b"0.5")
            await running.noted("echo")
            running.process.send_signal(signal.SIGTERM)
            assert int(await last) == running.process.pid
        assert await running.ended() == 0


async def test_port_is_free_again_after_the_stop(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        await running.get("/")
        running.process.send_signal(signal.SIGTERM)
        assert await running.ended() == 0
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", running.port))


async def test_options_are_those_of_the_program(tmp_path: Path) -> None:
    async with service(tmp_path) as running:
        answer = json.loads((await running.get("/"))[2])
        assert answer == {"pid": running.process.pid, "version": "1"}


@pytest.mark.parametrize("workers", [1, 2])
async def test_what_is_there_at_the_start_is_no_work_for_the_garbage_collector(
    tmp_path: Path, workers: int
) -> None:
    async with service(tmp_path, workers=workers) as running:
        _, _, body = await running.get("/frozen")
        assert int(body) > 10_000
