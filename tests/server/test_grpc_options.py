from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
from pathlib import Path
from typing import Any

import grpc
import psutil  # type: ignore[import-untyped] # it ships no types
import pytest

from bali.server import Limits, grpc_server_options
from tests.server.processes import service
from tests.server.served import Served, open_channel, running
from tests.server.wire import PREFACE, SETTINGS, headers_frame

RESET = b"\x00\x00\x04\x03\x00%s\x00\x00\x00\x08"


def test_options_follow_the_limits() -> None:
    options = dict(
        grpc_server_options(
            Limits(
                max_concurrent_streams=7,
                max_message_bytes=1000,
                max_header_bytes=2000,
                ping_interval_seconds=3,
                connection_age_seconds=60,
            )
        )
    )
    assert options["grpc.so_reuseport"] == 0
    assert options["grpc.max_concurrent_streams"] == 7
    assert options["grpc.max_receive_message_length"] == 1000
    assert options["grpc.max_send_message_length"] == 1000
    assert options["grpc.max_metadata_size"] == 2000
    assert options["grpc.keepalive_time_ms"] == 3000
    assert options["grpc.max_connection_age_ms"] == 60_000
    assert options["grpc.max_connection_age_grace_ms"] == 300_000


def test_times_that_are_off_leave_no_option() -> None:
    options = dict(
        grpc_server_options(Limits(connection_age_seconds=None, header_timeout_seconds=None))
    )
    assert "grpc.max_connection_age_ms" not in options
    assert "grpc.server_handshake_timeout_ms" not in options


async def test_message_limit_is_kept_both_ways() -> None:
    async with (
        running(Served().server(limits=Limits(max_message_bytes=1000))) as server,
        open_channel(f"127.0.0.1:{server.port}") as ch,
    ):
        assert await ch.unary_unary("/t/Echo")(b"x" * 1000) == b"x" * 1000
        for call in (ch.unary_unary("/t/Echo")(b"x" * 1001), total(ch, b"1001 1")):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await call
            assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def total(ch: Any, request: bytes) -> int:
    return sum([len(part) async for part in ch.unary_stream("/t/Many")(request)])


async def test_metadata_limit_is_kept() -> None:
    async with running(Served().server()) as server, open_channel(f"127.0.0.1:{server.port}") as ch:
        echo = ch.unary_unary("/t/Echo")
        assert await echo(b"", metadata=[("x", "y" * 12_000)]) == b""
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await echo(b"", metadata=[("x", "y" * 20_000)])
        assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("limit", [4 * 2**20, 256 * 2**20])
async def test_compressed_message_is_bounded_after_decompression(limit: int) -> None:
    """49 KiB on the wire that grow to 48 MiB; a limit above that is the negative control."""
    bomb = gzip.compress(b"\x00" * 48 * 2**20)
    assert len(bomb) < 60_000
    limits = Limits(max_message_bytes=limit)
    async with running(Served().server(limits=limits)) as server:
        process = psutil.Process(os.getpid())
        before = peak = process.memory_info().rss
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        message = b"\x01" + len(bomb).to_bytes(4, "big") + bomb
        frames = [message[i : i + 16_384] for i in range(0, len(message), 16_384)]
        window = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff"
        writer.write(PREFACE + window + headers_frame(1, b"/t/Total", gzip=True))
        for i, part in enumerate(frames):
            end = bytes([i == len(frames) - 1])
            writer.write(len(part).to_bytes(3, "big") + b"\x00" + end + b"\x00\x00\x00\x01" + part)
        answer = b""
        async with asyncio.timeout(30):
            while b"grpc-status" not in answer:
                with contextlib.suppress(TimeoutError):
                    answer += await asyncio.wait_for(reader.read(65536), 0.005)
                peak = max(peak, process.memory_info().rss)
        writer.close()
        if limit == 4 * 2**20:
            assert b"grpc-status\x018" in answer  # RESOURCE_EXHAUSTED
            assert peak - before < 16 * 2**20
        else:
            assert str(48 * 2**20).encode() in answer


async def flood(port: int, seconds: float, least: int) -> int:
    """Open and reset streams without pause on one connection; return how many.

    It goes on for so long, and until there are so many.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PREFACE + SETTINGS)

    async def swallow() -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass

    swallowing = asyncio.create_task(swallow())
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    stream = 1
    try:
        with contextlib.suppress(ConnectionError):
            while loop.time() < end or stream // 2 < least:
                burst = b""
                for _ in range(500):
                    burst += headers_frame(stream, b"/t/Echo") + RESET % stream.to_bytes(4, "big")
                    stream += 2
                writer.write(burst)
                await writer.drain()
    finally:
        writer.close()
        swallowing.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await swallowing
    return stream // 2


async def attacked(port: int, *, timeout_seconds: float) -> tuple[int, int]:
    """Flood a server; return how many calls of others were answered meanwhile, and how many not."""
    attack = asyncio.create_task(flood(port, 4.0, 10_001))
    answered, failed = 0, 0

    async def victim() -> None:
        nonlocal answered, failed
        own = [("grpc.use_local_subchannel_pool", 1)]
        async with open_channel(f"127.0.0.1:{port}", options=own) as ch:
            echo = ch.unary_unary("/t/Echo")
            while not attack.done():
                try:
                    await echo(b"", timeout=timeout_seconds)
                    answered += 1
                except grpc.aio.AioRpcError:
                    failed += 1

    await asyncio.gather(*(victim() for _ in range(5)))
    assert await attack > 10_000
    return answered, failed


async def test_rapid_reset_harms_nobody_else(tmp_path: Path) -> None:
    async with service(tmp_path, limits={"max_concurrent_streams": 100}) as running_service:
        answered, failed = await attacked(running_service.port, timeout_seconds=3)
        assert answered > 0
        assert failed == 0
        async with open_channel(f"127.0.0.1:{running_service.port}") as ch:
            assert await ch.unary_unary("/t/Echo")(b"", timeout=20)


async def test_rapid_reset_harms_others_without_the_limit(tmp_path: Path) -> None:
    """The negative control. Not every flood hits somebody, so there are several."""
    async with service(tmp_path, limits={"max_concurrent_streams": 2**31 - 1}) as running_service:
        failed = 0
        for _ in range(8):
            _, failed = await attacked(running_service.port, timeout_seconds=1)
            if failed:
                break
        assert failed > 0


@pytest.mark.parametrize("protection", [0, 1])
async def test_client_with_many_calls_is_not_refused(protection: int) -> None:
    """As many calls at once as streams are allowed, and more: they wait, none is refused."""
    options = dict(grpc_server_options()) | {"grpc.http.overload_protection": protection}
    server = Served().grpc_factory(list(options.items()))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    failed: list[Any] = []
    async with open_channel(f"127.0.0.1:{port}") as ch:
        echo = ch.unary_unary("/t/Echo")
        await echo(b"")

        async def call() -> None:
            for _ in range(30):
                try:
                    await echo(b"x" * 100)
                except grpc.aio.AioRpcError as error:
                    failed.append(error.code())

        await asyncio.gather(*(call() for _ in range(128)))
    await server.stop(0)
    assert bool(failed) is bool(protection)
