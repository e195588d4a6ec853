from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import Self

import pytest

from bali.server import Limits, Server
from bali.server.http_protocol import HttpProtocol
from tests.server.served import Served, read_http, running, until

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
def served() -> Served:
    return Served()


class Client:
    """A raw connection that is closed with the block."""

    def __init__(self, server: Server) -> None:
        self.port = server.port

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        self.writer.write(data)
        return await asyncio.wait_for(read_http(self.reader), 10)

    async def is_open_after(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(1), seconds)
        except TimeoutError:
            return True
        return False


def reason(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    status, headers, body = answer
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    content = json.loads(body)
    assert content["status"] == status
    assert content["request_id"] == headers["x-request-id"]
    assert set(content) == {
        "type",
        "title",
        "status",
        "code",
        "reason",
        "detail",
        "request_id",
    }
    return status, content["reason"]


# Headers


@pytest.mark.parametrize(
    "start", [b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\n", b"POST /echo HTTP/1.1\r\nx: "]
)
async def test_half_sent_headers_are_refused_in_time(served: Served, start: bytes) -> None:
    async with (
        running(served.server(limits=Limits(header_timeout_seconds=0.2))) as server,
        Client(server) as client,
    ):
        assert reason(await client.ask(start)) == (408, "REQUEST_TIMEOUT")
        assert not await client.is_open_after(5)


async def test_half_sent_headers_stay_without_the_rule(served: Served) -> None:
    async with (
        running(served.server(limits=Limits(header_timeout_seconds=None))) as server,
        Client(server) as client,
    ):
        client.writer.write(b"GET / HT")
        assert await client.is_open_after(0.6)


async def test_trickled_headers_are_refused_in_time(served: Served) -> None:
    """Bytes that keep coming do not extend the time."""
    async with (
        running(served.server(limits=Limits(header_timeout_seconds=0.3))) as server,
        Client(server) as client,
    ):

        async def trickle() -> None:
            client.writer.write(b"GET / HTTP/1.1\r\nx: ")
            while True:
                client.writer.write(b"y")
                await asyncio.sleep(0.02)

        task = asyncio.create_task(trickle())
        answer = await asyncio.wait_for(read_http(client.reader), 5)
        task.cancel()
        assert reason(answer) == (408, "REQUEST_TIMEOUT")


async def test_second_request_has_its_own_time_for_headers(served: Served) -> None:
    async with (
        running(served.server(limits=Limits(header_timeout_seconds=0.2))) as server,
        Client(server) as client,
    ):
        for _ in range(3):
            assert (await client.ask(GET))[0] == 200
            await asyncio.sleep(0.15)
        assert await client.is_open_after(0.4)  # resting between requests is another rule
        assert reason(await client.ask(b"GET /")) == (408, "REQUEST_TIMEOUT")


async def test_headers_too_large(served: Served) -> None:
    async with running(served.server()) as server:
        for header in (b"x: " + b"y" * 20_000, b"\r\n".join(b"x%d: y" % i for i in range(101))):
            async with Client(server) as client:
                answer = await client.ask(b"GET / HTTP/1.1\r\nhost: x\r\n" + header + b"\r\n\r\n")
                assert reason(answer) == (431, "HEADERS_TOO_LARGE")
        async with Client(server) as client:
            answer = await client.ask(b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n")
            assert reason(answer) == (431, "HEADERS_TOO_LARGE")


async def test_endless_header_is_refused(served: Served) -> None:
    async with running(served.server()) as server, Client(server) as client:
        client.writer.write(b"GET / HTTP/1.1\r\nx: ")

        async def pour() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    client.writer.write(b"y" * 4096)
                    await client.writer.drain()
                    await asyncio.sleep(0)

        task = asyncio.create_task(pour())
        answer = await asyncio.wait_for(read_http(client.reader), 10)
        assert reason(answer) == (431, "HEADERS_TOO_LARGE")
        task.cancel()


async def test_headers_just_within_the_limits(served: Served) -> None:
    many = b"".join(b"x%d: y\r\n" % i for i in range(98))
    async with running(served.server()) as server, Client(server) as client:
        assert (await client.ask(b"GET / HTTP/1.1\r\nhost: x\r\n" + many + b"\r\n"))[0] == 200
        large = b"x: " + b"y" * 16_000 + b"\r\n"
        assert (await client.ask(b"GET / HTTP/1.1\r\nhost: x\r\n" + large + b"\r\n"))[0] == 200


# Bodies


async def test_half_sent_body_is_refused_in_time(served: Served) -> None:
    async with running(served.server(limits=Limits(body_timeout_seconds=0.2))) as server:
        for path in (b"/echo", b"/wait"):
            async with Client(server) as client:
                head = b"POST " + path + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"
                assert reason(await client.ask(head + b"12345")) == (408, "REQUEST_TIMEOUT")
                assert not await client.is_open_after(5)
        served.release.set()


async def test_half_sent_body_stays_without_the_rule(served: Served) -> None:
    async with (
        running(served.server(limits=Limits(body_timeout_seconds=None))) as server,
        Client(server) as client,
    ):
        client.writer.write(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345")
        assert await client.is_open_after(0.6)


@pytest.mark.parametrize("rate", [1_000_000, 0])
async def test_body_slower_than_the_rate_is_refused(served: Served, rate: int) -> None:
    limits = Limits(body_timeout_seconds=60, min_body_bytes_per_second=rate)
    async with running(served.server(limits=limits)) as server, Client(server) as client:
        head = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n"
        client.writer.write(head + b"y")

        def begun() -> list[HttpProtocol]:
            assert server._front is not None
            found = [c for c in server._front._state.connections if isinstance(c, HttpProtocol)]
            return [protocol for protocol in found if protocol._body_bytes]

        await until(begun)
        (protocol,) = begun()
        protocol._since -= 61  # one byte in a minute; the last one came just now
        protocol._check()
        if rate:
            answer = await asyncio.wait_for(read_http(client.reader), 60)
            assert reason(answer) == (408, "REQUEST_TIMEOUT")
        else:
            assert (await client.ask(b"y" * 49))[::2] == (200, b"y" * 50)


async def test_time_in_which_the_application_does_not_read_is_not_the_clients(
    served: Served,
) -> None:
    limits = Limits(body_timeout_seconds=0.2, min_body_bytes_per_second=10_000_000)

    async def slow(scope: dict[str, object], receive: object, send: object) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(0.8)
        await served.app(scope, receive, send)  # type: ignore[arg-type] # passed on as they are

    async with running(served.server(limits=limits, app=slow)) as server, Client(server) as client:
        body = b"z" * 3_000_000
        head = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
        status, _, answer = await client.ask(head + body)
        assert (status, len(answer)) == (200, len(body))


async def test_client_waiting_for_100_continue_is_not_slow(served: Served) -> None:
    async def slow(scope: dict[str, object], receive: object, send: object) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(0.6)
        await served.app(scope, receive, send)  # type: ignore[arg-type] # passed on as they are

    limits = Limits(body_timeout_seconds=0.2)
    async with running(served.server(limits=limits, app=slow)) as server, Client(server) as client:
        client.writer.write(
            b"POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        )
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.ask(b"ab"))[2] == b"ab"


async def test_body_larger_than_allowed_is_refused_before_it_is_read(served: Served) -> None:
    async with running(served.server(limits=Limits(max_body_bytes=1000))) as server:
        async with Client(server) as client:
            head = b"POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n"
            assert reason(await client.ask(head)) == (413, "REQUEST_TOO_LARGE")
        assert not served.entered.is_set()
        async with Client(server) as client:
            head = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
            assert (await client.ask(head + b"y" * 1000))[0] == 200


@pytest.mark.parametrize(
    "header", [b"content-type: application/proto", b"connect-protocol-version: 1"]
)
async def test_a_connect_client_is_refused_in_the_form_of_connect(
    served: Served, header: bytes
) -> None:
    limits = Limits(max_body_bytes=10)
    async with running(served.server(limits=limits)) as server, Client(server) as client:
        head = b"POST /u.U/Get HTTP/1.1\r\nhost: a\r\n%s\r\ncontent-length: 11\r\n\r\n" % header
        status, headers, body = await client.ask(head)
    assert (status, headers["content-type"]) == (413, "application/json")
    assert json.loads(body)["code"] == "resource_exhausted"


async def test_chunked_body_larger_than_allowed_cancels_its_request(served: Served) -> None:
    async with (
        running(served.server(limits=Limits(max_body_bytes=1000))) as server,
        Client(server) as client,
    ):
        head = b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        answer = await client.ask(head + (b"100\r\n" + b"y" * 256 + b"\r\n") * 10)
        assert reason(answer) == (413, "REQUEST_TOO_LARGE")


async def test_refusal_is_read_by_a_client_that_is_still_sending(served: Served) -> None:
    async with running(served.server()) as server:

        def upload() -> bytes:
            answer = b""
            with socket.create_connection(("127.0.0.1", server.port or 0)) as sock:
                sock.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 50000000\r\n\r\n")
                for _ in range(50):
                    sock.sendall(b"y" * 1_000_000)
                while data := sock.recv(65536):
                    answer += data
            return answer

        assert b"REQUEST_TOO_LARGE" in await asyncio.to_thread(upload)


# Requests


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS spoken to a port without it
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header: y\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_malformed_request_is_refused(served: Served, request_bytes: bytes) -> None:
    async with running(served.server()) as server, Client(server) as client:
        assert reason(await client.ask(request_bytes)) == (400, "MALFORMED_REQUEST")


async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    async with running(served.server()) as server, Client(server) as client:
        client.writer.write(GET + b"GET /bytes/3 HTTP/1.1\r\nhost: x\r\n\r\n" + GET)
        bodies = [(await read_http(client.reader))[2] for _ in range(3)]
        assert bodies == [b"hello", b"xxx", b"hello"]


async def test_malformed_request_behind_a_running_one_waits_for_its_response(
    served: Served,
) -> None:
    async with running(served.server()) as server, Client(server) as client:
        client.writer.write(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n" + b"\x00\x01 nonsense\r\n\r\n")
        await asyncio.wait_for(served.entered.wait(), 10)
        await asyncio.sleep(0.05)
        served.release.set()
        status, _, body = await read_http(client.reader)
        assert (status, body) == (200, b"done")
        assert not await client.is_open_after(5)


async def test_too_many_requests_sent_ahead_end_the_connection(served: Served) -> None:
    async with (
        running(served.server(limits=Limits(max_pipelined_requests=5))) as server,
        Client(server) as client,
    ):
        client.writer.write(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n" + GET * 100)
        await asyncio.wait_for(served.entered.wait(), 10)
        served.release.set()
        assert (await read_http(client.reader))[2] == b"done"
        assert not await client.is_open_after(5)


async def test_connection_ends_after_its_number_of_requests(served: Served) -> None:
    async with (
        running(served.server(limits=Limits(max_requests_per_connection=3))) as server,
        Client(server) as client,
    ):
        answers = [await client.ask(GET) for _ in range(3)]
        assert [headers.get("connection") for _, headers, _ in answers] == [None, None, "close"]
        assert not await client.is_open_after(5)


async def test_idle_connection_is_closed(served: Served) -> None:
    async with (
        running(served.server(limits=Limits(keep_alive_seconds=0.2))) as server,
        Client(server) as client,
    ):
        assert (await client.ask(GET))[0] == 200
        assert not await client.is_open_after(5)


async def test_a_connection_in_use_is_not_idle(served: Served) -> None:
    """One timer looks whether a connection has rested for long enough, however many requests."""
    server = served.server(limits=Limits(keep_alive_seconds=1000))
    async with running(server), Client(server) as client:
        assert (await client.ask(GET))[0] == 200
        assert server._front is not None
        (protocol,) = server._front._state.connections
        assert isinstance(protocol, HttpProtocol)
        timer = protocol.timeout_keep_alive_task
        assert timer is not None
        assert (await client.ask(GET))[0] == 200
        assert protocol.timeout_keep_alive_task is timer
        protocol.timeout_keep_alive_handler()  # too early: it waits for what is left
        again = protocol.timeout_keep_alive_task
        assert again is not None
        assert again is not timer
        assert (await client.ask(GET))[0] == 200
        protocol._unset_keepalive_if_required()  # as a request that is under way does
        protocol.timeout_keep_alive_handler()
        assert protocol.timeout_keep_alive_task is None
        assert (await client.ask(GET))[0] == 200
        protocol._idle_since = protocol.loop.time() - 1001
        protocol.timeout_keep_alive_handler()
        assert not await client.is_open_after(5)


async def test_headers_in_several_pieces_are_counted_together(served: Served) -> None:
    limits = Limits(max_header_bytes=1000)
    async with running(served.server(limits=limits)) as server, Client(server) as client:
        client.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx-first: " + b"a" * 600)
        await client.writer.drain()
        while not server._front or not any(  # noqa: ASYNC110 - the protocol tells nobody
            isinstance(item, HttpProtocol) and item._requests
            for item in server._front._state.connections
        ):
            await asyncio.sleep(0)
        answer = await client.ask(b"\r\nx-second: " + b"a" * 600 + b"\r\n\r\n")
        assert reason(answer) == (431, "HEADERS_TOO_LARGE")


async def test_client_request_id_is_quoted_in_refusals(served: Served) -> None:
    async with running(served.server(limits=Limits(max_body_bytes=1))) as server:
        for sent, is_kept in ((b"abc-123", True), (b'"<x>', False)):
            async with Client(server) as client:
                head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nX-Request-Id: "
                _, _, body = await client.ask(head + sent + b"\r\n\r\n")
                assert (json.loads(body)["request_id"] == sent.decode()) is is_kept


# Responses


@pytest.mark.parametrize("seconds", [1.0, None])
async def test_client_that_takes_nothing_is_cut(served: Served, seconds: float | None) -> None:
    limits = Limits(write_timeout_seconds=seconds)
    async with running(served.server(limits=limits)) as server:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", server.port or 0))
            sock.sendall(b"GET /bytes/30000000 HTTP/1.1\r\nhost: x\r\n\r\n")
            front = server._front
            assert front is not None
            await until(front.count)
            if seconds:
                await until(lambda: front.count() == 0)
            else:
                await asyncio.sleep(1.5)
                assert front.count() == 1


async def test_websocket_is_handed_on_or_refused(served: Served) -> None:
    """Without a WebSocket library the request is answered as plain HTTP."""
    async with running(served.server()) as server, Client(server) as client:
        status, _, _ = await client.ask(
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert status == 200
