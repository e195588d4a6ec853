from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from bali.server import Limits, Server
from bali.server.mux import PortMux, SharedPort
from tests.server.conftest import Certificates
from tests.server.served import Served, open_channel, read_http, running, until
from tests.server.wire import PREFACE, SETTINGS, data_frame, headers_frame


def channel(server: Server, **options: int) -> Any:
    pairs = [(f"grpc.{name}", value) for name, value in options.items()]
    return open_channel(f"127.0.0.1:{server.port}", options=pairs)


async def connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    head = await reader.readexactly(9)
    return head[3], head[4], await reader.readexactly(int.from_bytes(head[:3], "big"))


@asynccontextmanager
async def direct(served: Served, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve gRPC on a port of its own, without the relay."""
    server = served.grpc_factory([])
    port = server.add_insecure_port(f"{host}:0")
    await server.start()
    yield port
    await server.stop(0)


@pytest.mark.parametrize("cut", range(1, len(PREFACE)))
async def test_preface_in_two_pieces_is_recognised(cut: int) -> None:
    async with running(Served().server()) as server:
        reader, writer = await connect(server)
        writer.write(PREFACE[:cut])
        await asyncio.sleep(0.002)
        writer.write(PREFACE[cut:] + SETTINGS)
        kind, _, _ = await read_frame(reader)
        assert kind == 4
        writer.close()


async def test_http_method_that_begins_like_the_preface() -> None:
    async with running(Served().server()) as server:
        for method in (b"PUT", b"PROPFIND", b"P"):
            reader, writer = await connect(server)
            writer.write(method[:1])
            await asyncio.sleep(0.002)
            writer.write(method[1:] + b" / HTTP/1.1\r\nhost: x\r\n\r\n")
            status, _, _ = await read_http(reader)
            assert status == (400 if method == b"P" else 405)
            writer.close()


async def test_large_payloads_survive_in_both_directions() -> None:
    served = Served()
    limits = Limits(max_message_bytes=64 * 2**20, max_body_bytes=64 * 2**20)
    payload = bytes(range(256)) * (2**20 // 256) * 24
    async with running(served.server(limits=limits)) as server:
        async with channel(server, max_receive_message_length=-1, max_send_message_length=-1) as ch:
            echo = ch.unary_unary("/t/Echo")
            assert await echo(payload) == payload
            echoes = await asyncio.gather(*(echo(payload[: 2**20 + i]) for i in range(20)))
            assert [len(e) for e in echoes] == [2**20 + i for i in range(20)]
        reader, writer = await connect(server)
        head = f"POST /digest HTTP/1.1\r\nhost: x\r\ncontent-length: {len(payload)}\r\n\r\n"
        writer.write(head.encode() + payload)
        status, _, body = await read_http(reader)
        assert (status, body.decode()) == (200, hashlib.sha256(payload).hexdigest())
        writer.write(b"GET /bytes/%d HTTP/1.1\r\nhost: x\r\n\r\n" % len(payload))
        _, _, body = await read_http(reader)
        assert body == b"x" * len(payload)
        writer.close()


async def test_relay_reads_no_faster_than_the_client_takes() -> None:
    """A client that stops reading stops the gRPC server's stream; nothing piles up in the relay."""
    served = Served()
    sent = 0

    async def flood(request: bytes, context: Any) -> Any:
        nonlocal sent
        for _ in range(2000):
            yield b"x" * 32768
            sent += 32768

    def factory(options: list[tuple[str, Any]]) -> grpc.aio.Server:
        grpc_server = grpc.aio.server(options=options)
        handler: Any = grpc.unary_stream_rpc_method_handler(flood)
        grpc_server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("t", {"Flood": handler}),)
        )
        return grpc_server

    served.grpc_factory = factory  # type: ignore[method-assign] # this test's own service
    async with running(served.server()) as server:
        sock = socket.create_connection(("127.0.0.1", server.port or 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        window = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff"
        grow = b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\x00\x00\x00"
        sock.sendall(PREFACE + window + grow + headers_frame(1, b"/t/Flood") + data_frame(1, b""))
        previous = -1
        async with asyncio.timeout(20):
            while sent == 0 or sent != previous:
                previous = sent
                await asyncio.sleep(0.3)
        assert 0 < sent < 16 * 2**20
        relay = next(iter(server._shared.relays))  # type: ignore[union-attr] # it has started
        assert relay._client.transport is not None
        assert relay._client.transport.get_write_buffer_size() < 2 * 2**20
        loop = asyncio.get_running_loop()
        received = 0
        sock.setblocking(False)
        async with asyncio.timeout(20):
            while received < 2000 * 32768:
                data = await loop.sock_recv(sock, 2**20)
                assert data
                received += len(data)
        sock.close()


async def test_server_reads_no_faster_than_the_handler(served: Served) -> None:
    """A handler that takes nothing stops the client through the relay."""
    limits = Limits(max_message_bytes=2**20)
    async with running(served.server(limits=limits)) as server:
        written = 0

        async def requests() -> Any:
            nonlocal written
            for _ in range(200):
                yield b"x" * 2**19
                written += 2**19

        async with channel(server) as ch:
            call = ch.stream_unary("/t/Stuck")(requests())
            await asyncio.wait_for(served.entered.wait(), 10)
            previous = -1
            async with asyncio.timeout(20):
                while written != previous:
                    previous = written
                    await asyncio.sleep(0.3)
            assert written < 40 * 2**20
            served.release.set()
            assert await call == str(200 * 2**19).encode()


@pytest.fixture
def served() -> Served:
    return Served()


async def test_half_close_reaches_the_grpc_server(served: Served) -> None:
    """What gRPC does when a client ends its direction is what the client sees."""
    async with running(served.server()) as server:
        reader, writer = await connect(server)
        writer.write(PREFACE + SETTINGS + headers_frame(1, b"/t/Wait") + data_frame(1, b""))
        await asyncio.wait_for(served.entered.wait(), 10)
        writer.write_eof()
        async with asyncio.timeout(10):
            while await reader.read(65536):
                pass
        await until(lambda: served.events[-1] == "cancelled")
        writer.close()


async def test_abort_cancels_the_call(served: Served) -> None:
    async with running(served.server()) as server:
        _, writer = await connect(server)
        writer.write(PREFACE + SETTINGS + headers_frame(1, b"/t/Wait") + data_frame(1, b""))
        await asyncio.wait_for(served.entered.wait(), 10)
        writer.transport.abort()
        await until(lambda: served.events[-1] == "cancelled")
        await until(lambda: not server._shared.relays)  # type: ignore[union-attr] # it has started


async def kinds_of_frames(port: int | None, sent: bytes) -> list[int]:
    """Return the frames a server answers until it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    kinds = []
    async with asyncio.timeout(10):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
            while True:
                kinds.append((await read_frame(reader))[0])
    writer.close()
    return kinds


async def test_protocol_error_ends_the_connection_as_without_the_relay(served: Served) -> None:
    wrong = PREFACE + SETTINGS + b"\x00\x00\x01\x06\x00\x00\x00\x00\x00x"  # a PING of one byte
    async with running(served.server()) as server:
        relayed = await kinds_of_frames(server.port, wrong)
        await until(lambda: not server._shared.relays)  # type: ignore[union-attr] # it has started
    async with direct(Served()) as port:
        assert relayed == await kinds_of_frames(port, wrong)


async def test_true_peer_on_both_protocols(served: Served) -> None:
    async with running(served.server()) as server:
        reader, writer = await connect(server)
        writer.write(b"GET /client HTTP/1.1\r\nhost: x\r\n\r\n")
        _, _, body = await read_http(reader)
        assert json.loads(body) == list(writer.get_extra_info("sockname"))
        writer.close()

        reader, writer = await connect(server)
        own = "ipv4:{}:{}".format(*writer.get_extra_info("sockname"))
        call = headers_frame(1, b"/t/Peer") + data_frame(1, b"")
        writer.write(PREFACE + SETTINGS + call)
        seen = b""
        async with asyncio.timeout(10):
            while own.encode() not in seen:
                seen += await reader.read(65536)
        writer.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_peer_reads_the_same_as_without_the_relay(served: Served, host: str) -> None:
    shown = f"[{host}]" if ":" in host else host
    async with (
        running(served.server(host=host)) as server,
        open_channel(f"{shown}:{server.port}") as ch,
    ):
        relayed = (await ch.unary_unary("/t/Peer")(b"")).decode()
    async with (
        direct(served, shown) as port,
        open_channel(f"{shown}:{port}") as ch,
    ):
        unrelayed = (await ch.unary_unary("/t/Peer")(b"")).decode()
    assert relayed.rpartition(":")[0] == unrelayed.rpartition(":")[0]
    assert relayed.rpartition(":")[2].isdigit()


async def test_peer_without_a_directory_for_the_private_socket(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    async with running(served.server()) as server:
        async with channel(server) as ch:
            peer = (await ch.unary_unary("/t/Peer")(b"")).decode()
        assert peer.startswith("ipv4:127.0.0.1:")
        assert server._private is not None
        assert server._private._port not in (0, server.port)
        assert len(served.peers) == 1


async def test_private_socket_is_not_for_others(served: Served) -> None:
    async with running(served.server()) as server:
        assert server._private is not None
        folder = server._private._directory
        assert folder is not None
        assert folder.stat().st_mode & 0o777 == 0o700
        async with channel(server) as ch:
            await ch.unary_unary("/t/Echo")(b"")
            assert [path.name for path in folder.iterdir()] == ["grpc"]
    assert not folder.exists()


def private_directory(folder: str, name: str, *, listens: bool = False) -> socket.socket:
    """Make a directory as a server has one, old enough to be looked at."""
    place = Path(folder, name)
    place.mkdir()
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(place / "grpc"))
    if listens:
        sock.listen()
    os.utime(place, (1, 1))
    return sock


async def test_directory_of_a_killed_server_is_removed(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="b") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        living = private_directory(folder, "bali-alive", listens=True)
        for name in ("bali-dead", "bali-young", "other"):
            private_directory(folder, name).close()
        os.utime(f"{folder}/bali-young")
        async with running(served.server()):
            left = set(os.listdir(folder))  # noqa: PTH208 - Path blocks as well
            assert {"bali-alive", "bali-young", "other"} < left
            assert "bali-dead" not in left
        living.close()


# TLS


def client_context(certificates: Certificates, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificates.ca)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


async def test_tls_serves_both_on_one_port(served: Served, certificates: Certificates) -> None:
    server = served.server(certfile=certificates.server, keyfile=certificates.server_key)
    async with running(server):
        for protocols in ((), ("http/1.1",)):
            reader, writer = await asyncio.open_connection(
                "localhost", server.port, ssl=client_context(certificates, *protocols)
            )
            writer.write(b"GET /client HTTP/1.1\r\nhost: x\r\n\r\n")
            status, _, body = await read_http(reader)
            assert status == 200
            assert json.loads(body) == list(writer.get_extra_info("sockname"))[:2]
            writer.close()
            await writer.wait_closed()
        credentials = grpc.ssl_channel_credentials(certificates.read("ca"))
        async with open_channel(f"localhost:{server.port}", credentials) as ch:
            payload = b"y" * 3_000_000
            assert await ch.unary_unary("/t/Echo")(payload) == payload
            assert (await ch.unary_unary("/t/Peer")(b"")).startswith(b"ipv4:127.0.0.1:")
            assert await ch.unary_unary("/t/Subject")(b"") == b"|"
            sizes = [len(m) async for m in ch.unary_stream("/t/Many")(b"100000 50")]
            assert sizes == [100_000] * 50


async def test_client_certificate_is_known_to_the_call(
    served: Served, certificates: Certificates
) -> None:
    async with running(
        served.server(
            certfile=certificates.server,
            keyfile=certificates.server_key,
            client_ca_file=certificates.ca,
        )
    ) as server:
        root = certificates.read("ca")
        pair = [certificates.read("client_key"), certificates.read("client")]
        credentials = grpc.ssl_channel_credentials(root, *pair)
        async with open_channel(f"localhost:{server.port}", credentials) as ch:
            subject = await ch.unary_unary("/t/Subject")(b"")
            assert subject == b"commonName=billing|DNS:billing.internal"
        anonymous = grpc.ssl_channel_credentials(root)
        async with open_channel(f"localhost:{server.port}", anonymous) as ch:
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await ch.unary_unary("/t/Subject")(b"", timeout=30)
            assert failure.value.code() is grpc.StatusCode.UNAVAILABLE


# Limits of connections


async def test_silent_connection_is_closed(served: Served) -> None:
    async with running(served.server(limits=Limits(header_timeout_seconds=0.2))) as server:
        for start in (b"", b"PRI * HT"):
            reader, writer = await connect(server)
            writer.write(start)
            async with asyncio.timeout(30):
                assert await reader.read() == b""
            writer.close()


async def test_silent_connection_stays_without_the_rule(served: Served) -> None:
    async with running(served.server(limits=Limits(header_timeout_seconds=None))) as server:
        reader, writer = await connect(server)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(), 0.6)
        writer.close()


@pytest.mark.parametrize("limit", [3, 10_000])
async def test_connections_beyond_the_limit_are_closed(served: Served, limit: int) -> None:
    async with running(served.server(limits=Limits(max_connections=limit))) as server:
        silent = [await connect(server) for _ in range(2)]
        async with channel(server) as ch:
            await ch.unary_unary("/t/Echo")(b"")
            reader, writer = await connect(server)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            if limit == 3:
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
            else:
                assert (await read_http(reader))[0] == 200
            writer.close()
        for _, held in silent:
            held.close()
        await until(lambda: not server._shared.relays)  # type: ignore[union-attr] # it has started
        reader, writer = await connect(server)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await read_http(reader))[0] == 200
        writer.close()


async def test_mode_http_closes_grpc(served: Served) -> None:
    async with running(served.server(mode="http")) as server:
        assert server.rpc_port is None
        reader, writer = await connect(server)
        writer.write(PREFACE + SETTINGS)
        assert await reader.read() == b""
        writer.close()
        reader, writer = await connect(server)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await read_http(reader))[0] == 200
        writer.close()


async def test_mode_rpc_closes_http(served: Served) -> None:
    async with running(served.server(mode="rpc")) as server:
        assert server.port is None
        reader, writer = await asyncio.open_connection("127.0.0.1", server.rpc_port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        async with open_channel(f"127.0.0.1:{server.rpc_port}") as ch:
            assert await ch.unary_unary("/t/Echo")(b"x") == b"x"


def test_a_response_never_waits_for_a_delayed_acknowledgement() -> None:
    # uvloop sets the option by itself; asyncio's own loop only on sockets made in its own way.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(_no_delay()) != 0


async def _no_delay() -> int:
    seen: asyncio.Queue[int] = asyncio.Queue()

    class Http(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connection = transport.get_extra_info("socket")
            seen.put_nowait(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

        def data_received(self, data: bytes) -> None:
            """Take what the connection began with."""

    port = SharedPort(
        limits=Limits(), make_http=lambda _ended: Http(), count_http=lambda: 0, private=None
    )
    # Made as the server makes it: with a protocol of 0, for which no event loop sets the option.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("127.0.0.1", 0))
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: PortMux(port), sock=listening)
        _, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        value = await seen.get()
        writer.close()
        server.close()
        return value
