# ruff: noqa: ASYNC110 - another process's state can only be asked for
from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import signal
import socket
import ssl
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bali.server import balance
from bali.server.balance import Balance, BalancedAcceptor
from bali.server.listeners import bind_sockets
from tests.server.conftest import Certificates
from tests.server.processes import Service, service
from tests.server.served import Served, open_channel, read_http
from tests.server.test_workers import pids

#: See `program.py`.
PATIENT = {"PATIENT": "1"}
NONE = 0
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


@pytest.fixture
def seats() -> Iterator[list[Balance]]:
    """Three workers' views of the same memory; the parent's is the first one's."""
    first = Balance.of(3)
    found = [first, *(Balance(os.dup(first.fileno()), 3, seat) for seat in (1, 2))]
    yield found
    for item in found:
        item.close()


def test_room_is_what_brings_a_worker_past_the_fewest(seats: list[Balance]) -> None:
    first, second, third = seats
    assert first.fewest() is None
    assert first.room(1000) == balance._AT_ONCE  # nobody else serves
    second.tell(4)
    third.tell(7)
    assert [first.room(count) for count in (0, 3, 4, 5)] == [5, 2, 1, 0]
    assert second.room(4) == 4  # the first one does not serve yet
    first.tell(0)
    assert second.room(4) == -3
    first.leave(1)
    assert (first.fewest(), third.fewest()) == (7, 0)
    third.leave()
    assert first.fewest() is None


def test_of_many_an_eighth_more_makes_no_difference(seats: list[Balance]) -> None:
    seats[1].tell(800)
    seats[2].tell(900)
    assert seats[0].room(800) == 101
    assert seats[0].room(901) == 0


# -- one acceptor, in this process -----------------------------------------------------------------


class Counted(asyncio.Protocol):
    """A connection that counts while it is open."""

    def __init__(self, opened: Callable[[], None], there: set[Counted]) -> None:
        self.opened = opened
        self.there = there

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened()
        self.there.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.there.discard(self)


class Failing(socket.socket):
    """A listening socket whose `accept` fails first with what is in `failures`, if not `NONE`."""

    failures: list[int]

    def accept(self) -> tuple[socket.socket, Any]:
        failure = self.failures.pop() if self.failures else NONE
        if failure != NONE:
            raise OSError(failure, "as told")
        return super().accept()


@asynccontextmanager
async def accepting(
    seat: Balance, *, failures: tuple[int, ...] = (), **options: Any
) -> AsyncIterator[tuple[set[Counted], int]]:
    """Accept connections; yield the set of those that are open, and the port."""
    there: set[Counted] = set()
    listening = Failing()
    listening.failures = list(failures)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    listening.settimeout(10.0)  # as after `socket.setdefaulttimeout(10.0)`
    port = listening.getsockname()[1]
    acceptor = BalancedAcceptor(
        [listening],
        seat,
        make_protocol=lambda opened: Counted(opened, there),
        count=lambda: len(there),
        **options,
    )
    assert listening.gettimeout() == 0.0
    try:
        yield there, port
    finally:
        acceptor.close()
        acceptor.close()  # as the end of a stop does once more
        assert listening.fileno() == -1


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def until(is_done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_done():
            await asyncio.sleep(0.005)


async def test_connections_that_no_other_worker_takes_are_taken(seats: list[Balance]) -> None:
    """Also when the one with fewer does not serve in truth: it hangs, or was stopped."""
    seats[1].tell(0)
    async with accepting(seats[0]) as (there, port):
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
        await until(lambda: len(there) == 40)
        assert seats[1].fewest() == 40
        for _, writer in opened:
            await closed(writer)
        await until(lambda: not there)
    assert seats[1].fewest() is None


@pytest.mark.parametrize("failure", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM])
async def test_a_connection_that_failed_while_it_waited_is_passed_over(
    seats: list[Balance], failure: int
) -> None:
    async with accepting(seats[0], failures=(failure, failure)) as (there, port):
        await open_until_there(there, port)


async def test_without_file_descriptors_it_tries_again_later(
    seats: list[Balance], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "_EXHAUSTED_SECONDS", 0.05)
    with caplog.at_level(logging.ERROR, "bali.server"):
        async with accepting(seats[0], failures=(errno.EMFILE, errno.ENFILE)) as (there, port):
            await open_until_there(there, port)
    assert [record.message for record in caplog.records] == [
        "a connection could not be accepted: as told"
    ] * 2


async def test_where_accept_does_nothing_but_fail_it_tries_again_later(
    seats: list[Balance], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "_EXHAUSTED_SECONDS", 0.05)
    failures = (errno.ENETDOWN,) * (2 * balance._AT_ONCE)
    with caplog.at_level(logging.ERROR, "bali.server"):
        async with accepting(seats[0], failures=failures) as (there, port):
            await open_until_there(there, port)
    assert len(caplog.records) == 2


async def test_failures_after_a_connection_keep_no_other_waiting(
    seats: list[Balance], caplog: pytest.LogCaptureFixture
) -> None:
    failures = (*(errno.ECONNABORTED,) * balance._AT_ONCE, NONE)  # from the last to the first
    with caplog.at_level(logging.ERROR, "bali.server"):
        async with accepting(seats[0], failures=failures) as (there, port):
            await open_until_there(there, port)
            await open_until_there(there, port)
    assert not caplog.records


async def open_until_there(there: set[Counted], port: int, **options: Any) -> None:
    _, writer = await asyncio.open_connection("localhost", port, **options)
    await until(lambda: len(there) == 1)
    await closed(writer)
    await until(lambda: not there)


async def test_a_failed_tls_handshake_counts_no_more(
    seats: list[Balance], certificates: Certificates
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    options: dict[str, Any] = {"context": context, "handshake_timeout_seconds": 10.0}
    async with accepting(seats[0], **options) as (there, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        await closed(writer)
        trust = ssl.create_default_context(cafile=certificates.ca)
        await open_until_there(there, port, ssl=trust)
        await open_until_there(there, port, ssl=trust)
        assert seats[1].fewest() == 1  # told while the last one was being accepted


@pytest.mark.parametrize("kind", ["HTTP", "gRPC", "silent"])
async def test_a_connection_that_ends_counts_no_more(seats: list[Balance], kind: str) -> None:
    server = Served().server()
    listening = bind_sockets("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve(listening, balance=seats[0], signals=()))
    await server.started.wait()
    address = f"127.0.0.1:{server.port}"
    if kind == "gRPC":
        async with open_channel(address, options=OWN_CONNECTION) as channel:
            await channel.unary_unary("/t/Echo")(b"0")
            assert seats[1].fewest() == 1
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        if kind == "HTTP":
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await read_http(reader))[0] == 200
        await until(lambda: seats[1].fewest() == 1)
        await closed(writer)
    await until(lambda: seats[1].fewest() == 0)
    server.request_stop()
    assert await serving == 0
    assert seats[1].fewest() is None


async def test_a_worker_that_drains_gets_no_new_connections(seats: list[Balance]) -> None:
    server = Served().server(drain_delay_seconds=30.0)
    listening = bind_sockets("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve(listening, balance=seats[0], signals=()))
    await server.started.wait()
    assert seats[1].room(3) == -2
    server.request_stop()
    await until(lambda: seats[1].room(3) > 0)
    server.request_stop(skip_delay=True)
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def test_it_needs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "no usable temporary directory")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    first = Balance.of(2)
    first.tell(7)
    second = Balance(os.dup(first.fileno()), 2, 1)
    assert second.fewest() == 7
    first.close()
    second.close()


# -- workers ---------------------------------------------------------------------------------------


async def answering(channel: Any) -> int:
    """Return the process that answers on a channel."""
    return int(await channel.unary_unary("/t/Echo")(b"0"))


def told(worker: int) -> list[int]:
    """How many connections each worker of one port has told the others of."""
    for file in Path(f"/proc/{worker}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            if str(file.readlink()).startswith("/memfd:bali"):
                return list(memoryview(file.read_bytes()).cast("q"))
    raise LookupError(f"process {worker} shares no memory with others")


@pytest.mark.skipif(sys.platform != "linux", reason="reads the workers' memory in /proc")
async def test_grpc_connections_are_spread_evenly(tmp_path: Path) -> None:
    async with (
        service(tmp_path, workers=2, environment=PATIENT) as running,
        AsyncExitStack() as stack,
    ):
        workers = await pids(running, 2)
        # The connections of those who asked for the pids are to be forgotten first.
        await until(lambda: told(min(workers)) == [0, 0])
        found = Counter[int]()
        for _ in range(8):
            channel = await stack.enter_async_context(
                open_channel(f"127.0.0.1:{running.port}", options=OWN_CONNECTION)
            )
            found[await answering(channel)] += 1
        assert found == dict.fromkeys(workers, 4)
        assert told(min(workers)) == [4, 4]


@asynccontextmanager
async def connections(running: Service, count: int) -> AsyncIterator[Counter[int]]:
    """Open HTTP connections at once and keep them while the block runs; yield who has how many."""

    async def one() -> tuple[int, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        return json.loads((await read_http(reader))[2])["pid"], writer

    async with asyncio.timeout(30):
        found = await asyncio.gather(*(one() for _ in range(count)))
    try:
        yield Counter(pid for pid, _ in found)
    finally:
        for _, writer in found:
            await closed(writer)


async def test_a_burst_is_shared(tmp_path: Path) -> None:
    async with service(tmp_path, workers=2, environment=PATIENT) as running:
        workers = await pids(running, 2)
        async with connections(running, 40) as found:
            assert set(found) == workers
            assert min(found.values()) >= 10


async def test_a_worker_that_hangs_keeps_no_connection_waiting(tmp_path: Path) -> None:
    async with service(tmp_path, workers=2) as running:
        hanging, other = await pids(running, 2)
        async with connections(running, 4):
            os.kill(hanging, signal.SIGSTOP)
            try:
                async with connections(running, 40) as found:
                    os.kill(hanging, signal.SIGCONT)
                    assert set(found) == {other}
                    await until_most_reach(running, hanging)  # it has fewer
            finally:
                os.kill(hanging, signal.SIGCONT)


async def until_most_reach(running: Service, worker: int) -> None:
    async with asyncio.timeout(30):
        while True:
            async with connections(running, 8) as found:
                if found[worker] >= 6:
                    return


async def test_a_worker_that_replaces_another_gets_the_next_ones(tmp_path: Path) -> None:
    async with service(tmp_path, workers=2, environment=PATIENT) as running:
        await pids(running, 2)
        async with connections(running, 12) as before:
            left, killed = (pid for pid, _ in before.most_common())
            os.kill(killed, signal.SIGKILL)
            async with asyncio.timeout(30):
                while (await running.hello())["pid"] == left:
                    await asyncio.sleep(0.02)
            async with connections(running, 4) as found:
                assert left not in found
