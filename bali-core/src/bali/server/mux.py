"""One TCP port for HTTP/1.1 and gRPC: what a connection's first bytes say decides.

A connection that opens with the HTTP/2 preface, or that chose `h2` in its TLS handshake, is relayed
to the gRPC server of this process over a private socket. Anything else becomes an HTTP/1.1
connection: the relay costs it nothing, since the HTTP protocol then owns the transport.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from bali.server.frames import PREFACE
from bali.server.options import Limits
from bali.server.private_socket import PrivateSocket
from bali.server.relay import Relay

__all__ = ["PortMux", "SharedPort"]

_log = logging.getLogger("bali.server")

#: More connections than any worker has.
_DRAINING = 2**32


def _nothing() -> None:
    """Tell nobody."""


class SharedPort:
    """What the connections of one port share: where they go, and how many there may be.

    `make_http` builds the protocol of an HTTP/1.1 connection from what that calls when it has
    ended, `private` leads to the gRPC server; without one of them such connections are closed.
    `count_http` tells how many of HTTP/1.1 there are.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        make_http: Callable[[Callable[[], None]], asyncio.Protocol] | None,
        count_http: Callable[[], int],
        private: PrivateSocket | None,
    ) -> None:
        self.limits = limits
        self.make_http = make_http
        self.count_http = count_http
        self.private = private
        self.undecided: set[PortMux] = set()
        self.relays: set[Relay] = set()
        self.is_draining = False
        #: Called when a connection has ended, or the drain has begun.
        self.changed: Callable[[], None] = _nothing
        self._refused = 0

    def load(self) -> int:
        """How many connections are open, for comparison; one that drains wants none."""
        return self.count() + (_DRAINING if self.is_draining else 0)

    def count(self) -> int:
        """How many connections are open."""
        return len(self.undecided) + len(self.relays) + self.count_http()

    def admits(self) -> bool:
        """Whether there is room for one more connection; a refusal is counted and logged."""
        count = self.count()
        if count < self.limits.max_connections:
            return True
        self._refused += 1
        if self._refused & (self._refused - 1) == 0:  # the 1st, 2nd, 4th, 8th ...
            _log.warning(
                "connection refused: %d are open, which is the limit (refused so far: %d)",
                count,
                self._refused,
            )
        return False

    def drain(self) -> None:
        """Tell every gRPC client to open its next calls on another connection."""
        self.is_draining = True
        self.changed()
        for relay in tuple(self.relays):
            relay.send_goaway()

    def close_idle(self) -> None:
        """Close the connections on which nothing was sent yet."""
        for mux in tuple(self.undecided):
            mux.close_if_silent()

    def abort(self) -> None:
        """Cut every connection that is relayed or undecided."""
        for mux in tuple(self.undecided):
            mux.abort()
        for relay in tuple(self.relays):
            relay.abort()


class PortMux(asyncio.Protocol):
    """A connection whose protocol is not known yet; `opened` is called once it counts as one."""

    def __init__(self, port: SharedPort, opened: Callable[[], None] | None = None) -> None:
        self._port = port
        self._opened = opened
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._head = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # TCP
        """Take a connection, unless there are too many."""
        if self._opened is not None:
            self._opened()
        if not self._port.admits():
            transport.abort()
            return
        self._transport = transport
        self._port.undecided.add(self)
        _send_at_once(transport)
        ssl_object = transport.get_extra_info("ssl_object")
        chosen = ssl_object.selected_alpn_protocol() if ssl_object is not None else None
        if chosen == "h2":
            self._become_relay(transport)
        elif chosen == "http/1.1":
            self._become_http(transport)
        elif self._port.limits.header_timeout_seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._port.limits.header_timeout_seconds, transport.close)

    def data_received(self, data: bytes) -> None:
        """Decide as soon as the bytes tell; until then, at most 23 of them are held."""
        transport = self._transport
        if transport is None:
            return
        self._head += data
        size = min(len(self._head), len(PREFACE))
        if self._head[:size] != PREFACE[:size]:
            self._become_http(transport)
        elif size == len(PREFACE):
            self._become_relay(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget a connection that ended undecided."""
        self._leave()
        self._port.changed()

    def close_if_silent(self) -> None:
        """Close if nothing has been sent."""
        if self._transport is not None and not self._head:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _leave(self) -> None:
        self._port.undecided.discard(self)
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _become_http(self, transport: asyncio.Transport) -> None:
        self._leave()
        if self._port.make_http is None:
            transport.close()
            return
        protocol = self._port.make_http(self._port.changed)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._head:
            protocol.data_received(self._head)

    def _become_relay(self, transport: asyncio.Transport) -> None:
        self._leave()
        if self._port.private is None:
            transport.close()
            return
        relay = Relay(
            transport, self._head, self._port.private, self._port.relays, self._port.changed
        )
        relay.start(write_timeout_seconds=self._port.limits.write_timeout_seconds)


def _send_at_once(transport: asyncio.Transport) -> None:
    """Switch Nagle's algorithm off, which makes a response wait for the client's delayed ACK.

    Event loops do it for the connections that they accept with `create_server`, but not for those
    of a socket that was made with other options.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
