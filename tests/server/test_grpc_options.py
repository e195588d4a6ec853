from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
from typing import Any

import grpc
import psutil  # type: ignore[import-untyped] # it ships no types
import pytest

from bali.server import Limits, grpc_server_options
from tests.server.served import Served, running
from tests.server.test_mux import PREFACE, SETTINGS, channel, headers_frame

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
        channel(server) as ch,
    ):
        assert await ch.unary_unary("/t/Echo")(b"x" * 1000) == b"x" * 1000
        for call in (ch.unary_unary("/t/Echo")(b"x" * 1001), total(ch, b"1001 1")):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await call
            assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def total(ch: Any, request: bytes) -> int:
    return sum([len(part) async for part in ch.unary_stream("/t/Many")(request)])


async def test_metadata_limit_is_kept() -> None:
    async with running(Served().server()) as server, channel(server) as ch:
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


async def flood(port: int, seconds: float) -> int:
    """Open and reset streams without pause on one connection; return how many."""
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
            while loop.time() < end:
                burst = b""
                for _ in range(500):
                    burst += headers_frame(stream, b"/t/Wait") + RESET % stream.to_bytes(4, "big")
                    stream += 2
                writer.write(burst)
                await writer.drain()
    finally:
        writer.close()
        swallowing.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await swallowing
    return stream // 2


async def test_rapid_reset_harms_nobody_else() -> None:
    async with running(Served().server()) as server, channel(server) as ch:
        echo = ch.unary_unary("/t/Echo")
        await echo(b"")
        attack = asyncio.create_task(flood(server.port or 0, 2.0))
        failed: list[Any] = []
        answered = 0
        while not attack.done():
            try:
                await echo(b"x", timeout=5)
                answered += 1
            except grpc.aio.AioRpcError as error:
                failed.append(error)
        assert await attack > 1000
        assert failed == []
        assert answered > 20
        assert await echo(b"after") == b"after"
