"""Several processes of one service on one port, and restarts when source files change.

A worker is this very program started again (`sys.orig_argv`), told by an environment variable
that it is one: nothing is forked after gRPC has threads, and `main.py` needs no special form. The
parent opens the port and hands it down, so connections wait instead of failing while a worker
restarts. Parent and worker hold the two ends of a channel: the worker says when it serves; when the
parent asks for it or has died, the worker stops.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from bali.server.balance import Balance
from bali.server.lifecycle import Server
from bali.server.listeners import StartError, bind_sockets, listen
from bali.server.options import ServerOptions

__all__ = ["Supervisor", "WorkerChannel"]

_log = logging.getLogger("bali.server")

_VARIABLE = "BALI_WORKER"
_STARTED = b"S"
_DRAIN = b"D"
_STOP = b"N"

#: A worker that lived this long had no trouble starting: the next pause is short again.
_HEALTHY_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_POLL_SECONDS = 0.02
#: On top of the drain delay and the grace: how long a worker may take to shut down.
_SHUTDOWN_SECONDS = 10.0
#: In the place of a descriptor.
_NOTHING = -1
#: While developing, a restart does not wait for streams.
_RELOAD_GRACE_SECONDS = 2.0


class WorkerChannel:
    """A worker's end: the sockets it was handed and the line to its parent."""

    def __init__(
        self, channel: socket.socket, sockets: list[socket.socket], balance: Balance | None
    ) -> None:
        self._channel = channel
        self.sockets = sockets
        self.balance = balance

    @classmethod
    def from_environment(cls) -> WorkerChannel | None:
        """Return the channel if this process is a worker; its own children will not be."""
        text = os.environ.pop(_VARIABLE, "")
        if not text:
            return None
        own, shared, seat, workers, *handed = (int(part) for part in text.split(","))
        sockets = [socket.socket(fileno=number) for number in handed]
        balance = Balance(shared, workers, seat) if shared != _NOTHING else None
        return cls(socket.socket(fileno=own), sockets, balance)

    async def attach(self, server: Server) -> None:
        """Stop `server` when the parent says so or is gone; tell the parent once it serves."""
        self._channel.setblocking(False)
        asyncio.get_running_loop().add_reader(self._channel, self._told, server)
        await server.started.wait()
        try:
            self._channel.send(_STARTED)
        except OSError:
            server.request_stop(skip_delay=True)

    def close(self) -> None:
        """Let the parent see that this worker is through."""
        self._channel.close()
        if self.balance is not None:
            self.balance.close()

    def _told(self, server: Server) -> None:
        try:
            word = self._channel.recv(1)
        except BlockingIOError:
            return
        except OSError:
            word = b""
        server.request_stop(skip_delay=word != _DRAIN)
        asyncio.get_running_loop().remove_reader(self._channel)


@dataclass(slots=True)
class _Worker:
    """One running child process."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    born: float

    def tell(self, word: bytes) -> None:
        try:
            self.channel.send(word)
        except OSError:
            _log.debug("worker %d is gone already", self.process.pid)


class Supervisor:
    """The parent process: starts workers, replaces those that die, stops them all."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._sockets: list[socket.socket] = []
        self._workers: dict[int, _Worker] = {}
        self._count = 1 if options.reload else options.workers
        self._balance = Balance.of(self._count) if self._count > 1 else None
        self._stop = asyncio.Event()
        self._signals: list[int] = []
        self._is_draining = True
        self._any_started = False
        self._changed = asyncio.Event()
        self._exit_code = 0

    async def serve(self, announce: Callable[[int], None]) -> int:
        """Run until a signal, and return the exit code. `announce` is called with the port."""
        options = self._options
        changes = _source_changes(options) if options.reload else None
        self._sockets = _open_sockets(options)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled, number)
        tasks = [asyncio.create_task(self._keep(index)) for index in range(self._count)]
        if changes is not None:
            tasks.append(asyncio.create_task(self._follow(changes)))
        try:
            announce(self._sockets[0].getsockname()[1])
            await self._stop.wait()
            await self._stop_workers()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for sock in self._sockets:
                sock.close()
            if self._balance is not None:
                self._balance.close()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        return self._exit_code

    def _signalled(self, number: int) -> None:
        self._signals.append(number)
        if len(self._signals) > 1:
            self._exit_code = 128 + number
            for worker in self._workers.values():
                _kill(worker)
            return
        self._is_draining = number != signal.SIGINT
        self._stop.set()

    async def _stop_workers(self) -> None:
        options = self._options
        for worker in self._workers.values():
            worker.tell(_DRAIN if self._is_draining else _STOP)
        limit = options.grace_seconds + _SHUTDOWN_SECONDS
        if self._is_draining:
            limit += options.drain_delay_seconds
        for worker in tuple(self._workers.values()):
            await self._ended(worker, limit)

    async def _ended(self, worker: _Worker, limit_seconds: float) -> None:
        """Wait for a worker that was told to stop; kill it when its time is over."""
        try:
            code = await asyncio.wait_for(_exit_code(worker), limit_seconds)
        except TimeoutError:
            _log.error("worker %d did not stop in time and is killed", worker.process.pid)
            _kill(worker)
            code = await _exit_code(worker)
        if code != 0 and self._exit_code == 0:
            self._exit_code = 1

    # Workers

    async def _keep(self, index: int) -> None:
        """Keep one worker alive until the service stops."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            worker = self._start(index)
            code = await self._outlive(worker)
            if self._balance is not None:
                self._balance.leave(index)
            if self._stop.is_set():
                return
            if self._options.reload:
                await self._wait_for_change(code)
                continue
            if not self._any_started and code == 1:
                # The worker has said why: no use in trying again.
                self._exit_code = 1
                self._stop.set()
                return
            if time.monotonic() - worker.born >= _HEALTHY_SECONDS:
                pause_seconds = _FIRST_PAUSE_SECONDS
            _log.warning(
                "worker %d ended with code %d; the next one starts in %g s",
                worker.process.pid,
                code,
                pause_seconds,
            )
            await self._pause(pause_seconds)
            pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)

    def _start(self, index: int) -> _Worker:
        ours, theirs = socket.socketpair()
        sockets = [sock.fileno() for sock in self._sockets]
        shared = [] if self._balance is None else [self._balance.fileno()]
        told = [theirs.fileno(), *(shared or [_NOTHING]), index, self._count, *sockets]
        environment = os.environ | {_VARIABLE: ",".join(map(str, told))}
        try:
            # Not a loop's own way to start a process: uvloop's runs Python code between fork and
            # exec, where the library of gRPC, if it is in use, can hang.
            process = subprocess.Popen(  # noqa: S603 - quick, and this very program
                [sys.executable, *sys.orig_argv[1:]],
                env=environment,
                pass_fds=[theirs.fileno(), *shared, *sockets],
                # While developing, a debugger may read from the terminal.
                stdin=None if self._options.reload else subprocess.DEVNULL,
                # Linux shares cores among sessions first, so workers of one session are one to it,
                # which it weighs anew on each core, and takes cores from their threads for that.
                start_new_session=not self._options.reload,
            )
        finally:
            theirs.close()
        ours.setblocking(False)
        worker = _Worker(process, ours, time.monotonic())
        self._workers[index] = worker
        return worker

    async def _outlive(self, worker: _Worker) -> int:
        """Wait until `worker` ends, noting when it serves; return its exit code."""
        loop = asyncio.get_running_loop()
        try:
            while word := await loop.sock_recv(worker.channel, 1):
                if word == _STARTED:
                    self._any_started = True
        except OSError:
            _log.debug("the channel of worker %d broke", worker.process.pid)
        code = await _exit_code(worker)
        worker.channel.close()
        return code

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    # Reload

    async def _follow(self, changes: AsyncIterator[set[Any]]) -> None:
        """Restart the worker on each change of a source file."""
        async for files in changes:
            _log.info("changed, restarting: %s", ", ".join(sorted(path for _, path in files)))
            self._changed.set()
            worker = self._workers[0]
            worker.tell(_STOP)
            try:
                await asyncio.wait_for(_exit_code(worker), _RELOAD_GRACE_SECONDS)
            except TimeoutError:
                _kill(worker)

    async def _wait_for_change(self, code: int) -> None:
        if not self._changed.is_set():
            _log.warning("the server ended with code %d; it starts again on the next change", code)
        await self._changed.wait()
        self._changed.clear()


def _source_changes(options: ServerOptions) -> AsyncIterator[set[Any]]:
    """Watch the source files of the service."""
    try:
        from watchfiles import PythonFilter, awatch  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise StartError(
            "--reload needs the package watchfiles: install bali-cli, or watchfiles itself"
        ) from error
    directories = options.reload_directories or (".",)
    endings = (".env", ".json", ".proto", ".toml", ".yaml", ".yml")
    return awatch(*directories, watch_filter=PythonFilter(extra_extensions=endings))


async def _exit_code(worker: _Worker) -> int:
    while (code := worker.process.poll()) is None:  # noqa: ASYNC110 - Popen has no event
        await asyncio.sleep(_POLL_SECONDS)
    return code


def _kill(worker: _Worker) -> None:
    try:
        worker.process.kill()
    except ProcessLookupError:
        _log.debug("worker %d is gone already", worker.process.pid)


def _open_sockets(options: ServerOptions) -> list[socket.socket]:
    sockets = bind_sockets(options.host, options.listening_port)
    listen(sockets, options.backlog)
    return sockets
