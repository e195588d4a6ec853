"""The private way from the one port to the gRPC server of the same process.

A Unix socket in a directory that only this user may enter: no other user of the machine can reach
the gRPC server past TLS and the limits of the port. Every connection to it is made from a socket
with a name of its own, which gRPC reports as its peer; that is how a call finds its true client.
Where no such directory can be made (a read-only file system), it is a TCP port of the loopback
interface, and the source port is the name.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import shutil
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bali.server.peers import PeerRegistry

if TYPE_CHECKING:
    import grpc

__all__ = ["PrivateSocket"]

_log = logging.getLogger("bali.server")

_ABANDONED_SECONDS = 60.0
_CONNECT_ATTEMPTS = 200
_CONNECT_PAUSE_SECONDS = 0.01


class PrivateSocket:
    """Where the gRPC server listens for the one port, and how connections to it are made."""

    def __init__(self, peers: PeerRegistry) -> None:
        self.peers = peers
        self._names = itertools.count(1)
        self._directory: Path | None = None
        self._port = 0

    def listen(self, server: grpc.aio.Server) -> None:
        """Have `server` listen here. Call before the server starts."""
        try:
            self._directory = Path(tempfile.mkdtemp(prefix="bali-"))
        except OSError as error:
            _log.info("no directory for a Unix socket (%s): gRPC uses a loopback port", error)
            self._port = server.add_insecure_port("127.0.0.1:0")
        else:
            _remove_abandoned(self._directory)
            server.add_insecure_port(f"unix:{self._directory / 'grpc'}")

    async def connect(self) -> tuple[socket.socket, str]:
        """Return a connected socket and the name under which gRPC sees its other end.

        Raises `OSError` if the gRPC server does not accept connections.
        """
        if self._directory is None:
            return await self._connect_tcp()
        name = self._directory / str(next(self._names))
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.bind(str(name))
            try:
                await _connect_unix(sock, str(self._directory / "grpc"))
            finally:
                name.unlink(missing_ok=True)
        except BaseException:
            sock.close()
            raise
        return sock, f"unix:{name}"

    async def _connect_tcp(self) -> tuple[socket.socket, str]:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.bind(("127.0.0.1", 0))
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
        except BaseException:
            sock.close()
            raise
        return sock, f"ipv4:127.0.0.1:{sock.getsockname()[1]}"

    def close(self) -> None:
        """Remove the socket's directory."""
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)


def _remove_abandoned(own: Path) -> None:
    """Remove what processes that were killed have left beside `own`."""
    for directory in own.parent.glob("bali-*"):
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            # A younger one may be about to listen.
            if time.time() - directory.stat().st_mtime < _ABANDONED_SECONDS:
                continue
            try:
                sock.connect(str(directory / "grpc"))
            except ConnectionRefusedError:
                shutil.rmtree(directory)


async def _connect_unix(sock: socket.socket, address: str) -> None:
    # A full queue of a Unix socket refuses at once instead of letting the caller wait.
    for _ in range(_CONNECT_ATTEMPTS):
        try:
            sock.connect(address)
        except BlockingIOError:
            await asyncio.sleep(_CONNECT_PAUSE_SECONDS)
        else:
            return
    raise ConnectionRefusedError("the gRPC server of this process accepts no connections")
