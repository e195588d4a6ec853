"""Connections spread evenly over the workers of one port.

Workers that listen on one socket take connections as they come: whoever wakes first takes all that
wait, and since gRPC clients keep theirs, one worker then does the work of all. So each tells the
others how many it has, in memory that they share, and leaves a new one to whoever has fewer.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import mmap
import os
import socket
import ssl
import struct
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Balance", "BalancedAcceptor"]

_log = logging.getLogger("bali.server")

_SLOT_BYTES = 8
_NOT_SERVING = -1
#: Of many connections, a few more or less make no difference: one in so many may.
_SLACK = 8
#: How often a worker that leaves connections to others looks whether its turn has come, and after
#: how many looks it takes all that wait, for so long: the others are busy, or hang.
_LOOK_SECONDS = 0.001
_LOOKS = 20
_TAKE_ALL_SECONDS = 0.2
#: Connections accepted before the loop does something else.
_AT_ONCE = 16
#: Without a file descriptor or memory for a connection, or where nothing but errors is to be had:
#: how long until the next try.
_EXHAUSTED_SECONDS = 1.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Balance:
    """How many connections each of `workers` processes has; `seat` is the number of this one.

    The parent makes it with `of` and hands `fileno()` to the workers. Each writes its own number
    only, and the parent that of a worker which has ended.
    """

    def __init__(self, fd: int, workers: int, seat: int = 0) -> None:
        self.workers = workers
        self.seat = seat
        self._fd = fd
        self._memory = mmap.mmap(fd, workers * _SLOT_BYTES)
        self._counts = memoryview(self._memory).cast("q")
        self._others = [number for number in range(workers) if number != seat]

    @classmethod
    def of(cls, workers: int) -> Balance:
        """Return new memory for so many workers, none of which serves yet."""
        fd = _memory()
        os.write(fd, struct.pack("q", _NOT_SERVING) * workers)
        return cls(fd, workers)

    def fileno(self) -> int:
        """Return the file descriptor to hand to a worker."""
        return self._fd

    def close(self) -> None:
        """Let go of the memory."""
        self._counts.release()
        self._memory.close()
        os.close(self._fd)

    def tell(self, count: int) -> None:
        """Tell the other workers how many connections this one has."""
        self._counts[self.seat] = count

    def leave(self, seat: int | None = None) -> None:
        """Take no part: this worker, or another that has ended, takes no connections now."""
        self._counts[self.seat if seat is None else seat] = _NOT_SERVING

    def fewest(self) -> int | None:
        """Return how many the one with the fewest of the other workers has; None if none serves."""
        return min(
            (found for number in self._others if (found := self._counts[number]) >= 0),
            default=None,
        )

    def room(self, count: int) -> int:
        """Return how many connections to take, having `count`, until another worker has fewer."""
        fewest = self.fewest()
        return _AT_ONCE if fewest is None else fewest + fewest // _SLACK + 1 - count


def _memory() -> int:
    """Return the descriptor of an empty file that is in memory, where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("bali")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class BalancedAcceptor:
    """Accepts connections of listening sockets that other workers listen on, too.

    `make_protocol` is given what to call once its connection is among those that `count` tells;
    `context` and the time-out are those of `loop.create_server`. Used in the running event loop.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        balance: Balance,
        *,
        make_protocol: Callable[[Callable[[], None]], asyncio.BaseProtocol],
        count: Callable[[], int],
        context: ssl.SSLContext | None = None,
        handshake_timeout_seconds: float | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._balance = balance
        self._make_protocol = make_protocol
        self._count = count
        self._context = context
        self._handshake_timeout_seconds = handshake_timeout_seconds
        self._opening: set[socket.socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}
        self._takes_all_until = 0.0
        self._is_closed = False
        self.tell()
        for sock in sockets:
            # A worker's are made anew from descriptors, with whatever default the program has set.
            sock.setblocking(False)
            self._listen(sock)

    def tell(self) -> None:
        """Tell the other workers how many connections there are; call it when there are fewer."""
        if not self._is_closed:
            self._balance.tell(self._total())

    def close(self) -> None:
        """Accept no more; connections that there are go on."""
        self._is_closed = True
        self._balance.leave()
        for pause in self._pauses.values():
            pause.cancel()
        for sock in self._sockets:
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock)
                sock.close()

    def _total(self) -> int:
        return self._count() + len(self._opening)

    def _room(self) -> int:
        """Tell the others how many connections there are, and return how many more to take."""
        count = self._total()
        self._balance.tell(count)
        if self._takes_all_until > self._loop.time():
            return _AT_ONCE
        return self._balance.room(count)

    def _listen(self, sock: socket.socket) -> None:
        self._pauses.pop(sock, None)
        self._loop.add_reader(sock, self._ready, sock)

    def _pause(
        self, sock: socket.socket, seconds: float, then: Callable[..., None], *given: Any
    ) -> None:
        self._loop.remove_reader(sock)
        self._pauses[sock] = self._loop.call_later(seconds, then, sock, *given)

    def _ready(self, sock: socket.socket) -> None:
        """Take this worker's share of the connections that wait; leave others to the others."""
        room = self._room()
        if room > 0:
            self._accept(sock, room)
        else:
            self._pause(sock, _LOOK_SECONDS, self._look, _LOOKS, self._balance.fewest())

    def _look(self, sock: socket.socket, looks: int, fewest: int | None) -> None:
        """Look again, until others have as many, or have had time and do not take what waits."""
        looks -= 1
        if self._room() > 0:
            self._listen(sock)
        elif looks:
            self._pause(sock, _LOOK_SECONDS, self._look, looks, fewest)
        else:
            self._listen(sock)
            if self._balance.fewest() == fewest and self._accept(sock, 1):
                self._takes_all_until = self._loop.time() + _TAKE_ALL_SECONDS

    def _accept(self, sock: socket.socket, room: int) -> bool:
        """Accept so many connections at most; tell whether there was one."""
        taken = failures = 0
        while taken < room and taken + failures < _AT_ONCE:
            try:
                connection, _ = sock.accept()
            except BlockingIOError:
                break
            except OSError as error:
                failures += 1
                if error.errno not in _EXHAUSTED and failures < _AT_ONCE:
                    continue  # what befell that connection while it waited; not all of them
                _log.error("a connection could not be accepted: %s", error.strerror)
                self._pause(sock, _EXHAUSTED_SECONDS, self._listen)
                break
            taken += 1
            connection.setblocking(False)
            self._opening.add(connection)
            task = self._loop.create_task(self._open(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.tell()
        return taken > 0

    async def _open(self, connection: socket.socket) -> None:
        def opened() -> None:
            self._opening.discard(connection)

        try:
            await self._loop.connect_accepted_socket(
                lambda: self._make_protocol(opened),
                connection,
                ssl=self._context,
                ssl_handshake_timeout=self._handshake_timeout_seconds,
            )
        except OSError as error:  # a client that went, speaks no TLS, or shows no certificate
            _log.debug("a connection was not opened: %s", error)
            connection.close()
        finally:
            opened()
