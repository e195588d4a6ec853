"""A request that is never sent to its end does not hold a connection."""

from __future__ import annotations

import gc
import socket
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from bali import Bali, Resource, action
from bali.server import Limits
from bali.server.http_protocol import HttpProtocol
from bali.server.mux import PortMux
from bali.server.relay import Relay
from bali.settings import Settings, Stage
from bali.testing import LiveServer, RestServiceClient, live_server
from tests.waiting import until

#: The time-outs of the server under test.
SHORT = Limits(header_timeout_seconds=0.3, body_timeout_seconds=0.3)
#: Longer ones, in which a whole request arrives however busy the server is.
LONGER = Limits(header_timeout_seconds=4, body_timeout_seconds=4)
#: The same server without the rule.
NONE = Limits(header_timeout_seconds=None, body_timeout_seconds=None)
#: How long a test waits for a connection to end: many times the time-outs.
PATIENCE_SECONDS = 60.0
#: How long one waits to see that a connection stays: longer than the time-outs.
STAYS_SECONDS = 1.0


class Note(BaseModel):
    """A text."""

    text: str


class NoteResource(Resource):
    """Takes notes."""

    @action(methods=["post"])
    async def take(self, schema_in: Note) -> str:
        """Return the text."""
        return schema_in.text


def serve(limits: Limits) -> Any:
    app = Bali(title="half", resources=[NoteResource], settings=Settings(stage=Stage.TEST))
    return live_server(app, limits=limits)


@pytest.fixture(scope="module")
def live() -> Iterator[LiveServer]:
    with serve(SHORT) as server:
        yield server


@pytest.fixture(scope="module")
def unlimited() -> Iterator[LiveServer]:
    with serve(NONE) as server:
        yield server


HEAD = (
    b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
)
HALVES = {
    "nothing": b"",
    "a letter": b"P",
    "half a line": b"POST /notes/take HTT",
    "half of the headers": b"POST /notes/take HTTP/1.1\r\nhost: x\r\ncontent-le",
    "no body": HEAD % b"/notes/take",
    "half a body": HEAD % b"/notes/take" + b'{"text": "',
    "half a body over connect": HEAD % b"/half.HalfService/TakeNotes" + b'{"text": "',
    "half a preface": b"PRI * HTTP/2.0\r\n",
    "half a chunk": (
        b"POST /notes/take HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b'transfer-encoding: chunked\r\n\r\n20\r\n{"text"'
    ),
    "no settings behind the preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


def open_half(live: LiveServer, sent: bytes) -> socket.socket:
    connection = socket.create_connection((live.host, live.port))
    connection.sendall(sent)
    return connection


def read_to_the_end(connection: socket.socket) -> bytes:
    """Return what the server says before it closes; fail if it does not."""
    connection.settimeout(PATIENCE_SECONDS)
    told = b""
    try:
        while data := connection.recv(65536):
            told += data
    except ConnectionResetError:
        pass
    finally:
        connection.close()
    return told


@pytest.mark.parametrize("half", list(HALVES))
def test_a_half_sent_request_is_closed(live: LiveServer, half: str) -> None:
    told = read_to_the_end(open_half(live, HALVES[half]))
    if told.startswith(b"HTTP/1.1"):
        assert told.startswith(b"HTTP/1.1 408 ")
        assert b"REQUEST_TIMEOUT" in told


@pytest.mark.parametrize("half", [half for half in HALVES if "preface" not in half])
def test_without_the_rule_it_stays_open(unlimited: LiveServer, half: str) -> None:
    connection = open_half(unlimited, HALVES[half])
    connection.settimeout(STAYS_SECONDS)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.close()


def test_hundreds_of_them_are_closed_and_a_whole_request_is_answered() -> None:
    halves = list(HALVES.values())
    with serve(LONGER) as live:
        connections = [open_half(live, halves[number % len(halves)]) for number in range(200)]
        client = RestServiceClient(live)
        answer: Any = client.call("notes.take", {"text": "whole"})
        assert answer.result == "whole"
        for connection in connections:
            read_to_the_end(connection)
        client.close()


@pytest.fixture
def made() -> list[type[Any]]:
    """What kinds of connections the server has made, also of those that are gone."""
    return []


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch, made: list[type[Any]]) -> weakref.WeakSet[Any]:
    """The objects of connections that the server has made and still keeps."""
    kept: weakref.WeakSet[Any] = weakref.WeakSet()

    def remember(kind: type[Any]) -> None:
        make = kind.__init__

        def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807 - in its place
            make(self, *arguments, **named)
            kept.add(self)
            made.append(kind)

        monkeypatch.setattr(kind, "__init__", __init__)

    remember(PortMux)
    remember(HttpProtocol)
    remember(Relay)
    return kept


@pytest.mark.parametrize("half", list(HALVES))
def test_nothing_of_a_closed_connection_remains(
    half: str, connections: weakref.WeakSet[Any], made: list[type[Any]]
) -> None:
    # A timer that goes on keeps its connection in memory, and the processor busy.
    def is_all_gone() -> bool:
        gc.collect()  # a parser and its connection know each other
        return not connections

    with serve(SHORT) as live:
        connection = open_half(live, HALVES[half])
        until(lambda: made, "the server has the connection")  # it may have ended it by now
        read_to_the_end(connection)
        until(is_all_gone, "nothing of the connection remains")
