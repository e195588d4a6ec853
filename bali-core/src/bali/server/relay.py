"""Two connections joined into one: a client's, and the private one to the gRPC server."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from bali.server.frames import GOAWAY, FrameCursor
from bali.server.peers import Peer, peer_address, peer_certificate
from bali.server.private_socket import PrivateSocket

__all__ = ["Relay"]

_log = logging.getLogger("bali.server")

#: How long a call that outlives its connection may still ask who its peer was.
_PEER_MEMORY_SECONDS = 30.0


class Relay:
    """A client's connection, carried to the gRPC server byte by byte.

    Each side reads no faster than the other side writes. The end of one side's stream, a close and
    an abort are carried over as what they are. Closing waits for what is still to be written, for
    at most `write_timeout_seconds` without progress.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        head: bytes,
        private: PrivateSocket,
        relays: set[Relay],
        ended: Callable[[], None],
    ) -> None:
        """`relays` are all that are open, this one while it is; `ended` is called then."""
        self._loop = asyncio.get_running_loop()
        self._private = private
        self._relays = relays
        self._ended = ended
        self._forget: Callable[[], None] | None = None
        self._write_timeout_seconds: float | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._transport = transport
        self._client = _Side(self, transport)
        self._server = _ServerSide(self, transport)
        self._client.other = self._server
        self._server.other = self._client
        self._head = head

    def start(self, *, write_timeout_seconds: float | None) -> None:
        """Take the client's transport over and connect to the gRPC server."""
        self._relays.add(self)
        self._write_timeout_seconds = write_timeout_seconds
        client = self._transport
        client.set_protocol(self._client)
        client.pause_reading()
        self._connecting = self._loop.create_task(self._connect(client))

    def send_goaway(self) -> None:
        """Tell the client, between two frames, to open no new call on this connection."""
        self._server.send_goaway()

    def abort(self) -> None:
        """Cut both sides."""
        self._client.abort()
        self._server.abort()

    async def _connect(self, client: asyncio.Transport) -> None:
        try:
            sock, name = await self._private.connect()
            self._forget = self._private.peers.register(name, _peer(client))
            await self._open(sock)
        except OSError as error:
            _log.error("a gRPC connection could not be relayed: %s", error)
            client.abort()
            return
        if client.is_closing():
            self._server.abort()
            return
        self._server.write(self._head)
        self._head = b""
        self._client.pass_on()
        client.set_protocol(self._client)  # loops remember what they call with data
        client.resume_reading()

    async def _open(self, sock: socket.socket) -> None:
        try:
            if sock.family == socket.AF_INET:
                await self._loop.create_connection(lambda: self._server, sock=sock)
            else:
                await self._loop.create_unix_connection(lambda: self._server, sock=sock)
        except BaseException:
            sock.close()
            raise

    def side_lost(self, side: _Side, exc: Exception | None) -> None:
        """Carry the end of one side over to the other."""
        if side is self._client and self._connecting is not None:
            self._connecting.cancel()
        other = side.other
        if exc is not None:
            other.abort()
        else:
            other.close(self._write_timeout_seconds)
        if self._client.is_lost and (self._server.is_lost or self._server.transport is None):
            self._relays.discard(self)
            self._ended()
            if self._forget is not None:
                self._loop.call_later(_PEER_MEMORY_SECONDS, self._forget)


class _Side(asyncio.Protocol):
    """One of the two connections of a relay."""

    other: _Side

    def __init__(self, relay: Relay, transport: asyncio.Transport | None) -> None:
        self._relay = relay
        self.transport = transport
        self.is_lost = False
        self._has_ended = False
        self._closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # streams
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.other.write(data)

    def pass_on(self) -> None:
        """Write what comes to the other side from now on, without a stop here.

        No data comes after this side's end, nor once the other is lost and this one closing.
        """
        if self.other.transport is not None:
            self.data_received = self.other.transport.write  # type: ignore[method-assign]

    def eof_received(self) -> bool:
        # TLS has no half-closed state: there the end of one direction ends the connection.
        return self.other.write_eof() and self.can_write_eof()

    def pause_writing(self) -> None:
        self.other.pause_reading()

    def resume_writing(self) -> None:
        self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if self._closing is not None:
            self._closing.cancel()
        self._relay.side_lost(self, exc)

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self._has_ended and not self.is_lost:
            self.transport.write(data)

    def can_write_eof(self) -> bool:
        return self.transport is not None and not self.is_lost and self.transport.can_write_eof()

    def write_eof(self) -> bool:
        """End this side's stream; tell whether the other side may stay open for answers."""
        if self.transport is None or not self.can_write_eof():
            return False
        self._has_ended = True
        self.transport.write_eof()
        return True

    def pause_reading(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def close(self, timeout_seconds: float | None) -> None:
        if self.transport is None or self.is_lost:
            return
        self.transport.close()
        if timeout_seconds is not None and self.transport.get_write_buffer_size():
            loop = asyncio.get_running_loop()
            unsent = self.transport.get_write_buffer_size()
            self._closing = loop.call_later(
                timeout_seconds, self._expire, self.transport, timeout_seconds, unsent
            )

    def abort(self) -> None:
        if self.transport is not None and not self.is_lost:
            self.transport.abort()

    def _expire(self, transport: asyncio.Transport, timeout_seconds: float, unsent: int) -> None:
        if transport.get_write_buffer_size() == unsent:
            transport.abort()
        else:
            self.close(timeout_seconds)


class _ServerSide(_Side):
    """The private connection; what comes from it is watched for the ends of frames."""

    def __init__(self, relay: Relay, client: asyncio.Transport) -> None:
        super().__init__(relay, None)
        self._cursor = FrameCursor()
        self._feed = self._cursor.feed
        self._write_to_client = client.write
        self._is_goaway_due = False

    def data_received(self, data: bytes) -> None:
        """Pass on what the gRPC server sent; put a GOAWAY that is due between two frames."""
        place = self._feed(data)
        if self._is_goaway_due and place is not None:
            self._is_goaway_due = False
            data = data[:place] + GOAWAY + data[place:]
        self._write_to_client(data)

    def send_goaway(self) -> None:
        """Send a GOAWAY at once, or behind the frame that is under way."""
        self._is_goaway_due = True
        if self._cursor.has_frames and self._cursor.at_boundary:
            self._is_goaway_due = False
            self.other.write(GOAWAY)

    def eof_received(self) -> bool:
        # gRPC ends its direction only by closing the connection.
        return False


def _peer(client: asyncio.Transport) -> Peer:
    address = peer_address(client.get_extra_info("peername"))
    return Peer(address=address, certificate=peer_certificate(client))
