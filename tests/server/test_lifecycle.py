from __future__ import annotations

import asyncio

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
