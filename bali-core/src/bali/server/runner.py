"""From a program's `main` to its exit code."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable

from bali.errors import ConfigurationError
from bali.server.lifecycle import Server
from bali.server.listeners import StartError, display_host
from bali.server.options import ServerOptions
from bali.server.scheduling import schedule_in_batches
from bali.server.workers import Supervisor, WorkerChannel

_new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop as _new_event_loop
except ImportError:  # pragma: no cover - a platform without uvloop
    _new_event_loop = asyncio.new_event_loop

__all__ = ["run"]

_log = logging.getLogger("bali.server")

_EVERY_INTERFACE = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


def run(server_factory: Callable[[], Server], options: ServerOptions) -> int:
    """Serve until a signal, and return the exit code for `sys.exit`.

    `server_factory` is called in each process that serves, inside its event loop. With several
    workers or `reload`, this process only supervises: it starts the same program again for each
    worker, where this function serves. What keeps the server from starting is told on stderr, with
    exit code 1.
    """
    channel = WorkerChannel.from_environment()
    try:
        if channel is None and (options.workers > 1 or options.reload):
            supervisor = Supervisor(options)
            with asyncio.Runner() as runner:
                return runner.run(supervisor.serve(lambda port: _announce(options, port)))
        if options.batch_scheduling:
            schedule_in_batches()
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            return runner.run(_serve(server_factory, options, channel))
    except (StartError, ConfigurationError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


async def _serve(
    server_factory: Callable[[], Server], options: ServerOptions, channel: WorkerChannel | None
) -> int:
    if channel is None:
        server = server_factory()
        announcing = asyncio.create_task(_announce_start(server, options))
        settling = asyncio.create_task(_settle(server))
        try:
            return await server.serve()
        finally:
            announcing.cancel()
            settling.cancel()
    # Ctrl-C in a terminal reaches a worker that reloads, too; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = server_factory()
    attaching = asyncio.create_task(channel.attach(server))
    settling = asyncio.create_task(_settle(server))
    try:
        return await server.serve(
            channel.sockets, balance=channel.balance, signals=(signal.SIGTERM,)
        )
    finally:
        attaching.cancel()
        settling.cancel()
        channel.close()


async def _settle(server: Server) -> None:
    """Have the garbage collector leave alone what is there for as long as the process.

    Each of its full rounds would else look at every module and route once more, which costs calls
    of a quick action a sixth of their rate.
    """
    await server.started.wait()
    gc.freeze()


async def _announce_start(server: Server, options: ServerOptions) -> None:
    await server.started.wait()
    _announce(options, server.port or server.rpc_port or 0)


def _announce(options: ServerOptions, port: int) -> None:
    """Tell a person where the service is: to the log if it shows, else to stderr."""
    line = start_line(options, port)
    if _log.hasHandlers() and _log.isEnabledFor(logging.INFO):
        _log.info(line)
    else:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def start_line(options: ServerOptions, port: int) -> str:
    """Return the line that tells where the service is."""
    every = options.host in _EVERY_INTERFACE
    place = f"{'127.0.0.1' if every else display_host(options.host)}:{port}"
    what, where = {
        "all": ("REST and gRPC", f"{options.scheme}://{place}"),
        "http": ("REST", f"{options.scheme}://{place}"),
        "rpc": ("gRPC", f"{place}{' (TLS)' if options.certfile else ''}"),
    }[options.mode]
    notes = [f"{options.workers} workers"] if options.workers > 1 and not options.reload else []
    notes += ["reloading on change"] if options.reload else []
    notes += ["on every interface"] if every else []
    notes.append("Ctrl-C stops")
    return f"Serving {what} on {where} ({', '.join(notes)})"
