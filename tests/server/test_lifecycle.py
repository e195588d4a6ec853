from __future__ import annotations

import asyncio

import grpc
import pytest

from tests.server.served import Served, open_channel, read_http, running


async def test_one_port_answers_http_and_grpc() -> None:
    served = Served()
    async with running(served.server()) as server:
        assert server.port == server.rpc_port
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        status, headers, body = await read_http(reader)
        assert (status, body) == (200, b"hello")
        assert "date" in headers
        assert "server" not in headers
        async with open_channel(f"127.0.0.1:{server.port}") as channel:
            assert await channel.unary_unary("/t/Echo")(b"hi") == b"hi"
        writer.close()
        assert served.readiness.is_ready
        assert served.events == ["startup"]
    assert served.events == ["startup", "shutdown"]
    assert not served.readiness.is_ready


async def test_one_that_is_cancelled_ends_its_grpc_calls() -> None:
    served = Served()
    server = served.server()
    serving = asyncio.create_task(server.serve(signals=()))
    await server.started.wait()
    async with open_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.unary_unary("/t/Wait")(b"", timeout=60)
        await served.entered.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert served.events[-1] == "cancelled"
        with pytest.raises(grpc.aio.AioRpcError):
            await call
