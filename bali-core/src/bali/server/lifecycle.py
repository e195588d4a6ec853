"""One process that serves HTTP and gRPC, from start to a stop that loses nothing.

Stopping, in this order: not ready any more; serve on for the drain delay, asking every client to
leave (`Connection: close`, GOAWAY); stop what takes work in by itself; accept no more connections;
let calls, streams and responses in flight end; shut the application down.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from bali.server.balance import Balance, BalancedAcceptor
from bali.server.disconnect import ASGIApp
from bali.server.grpc_options import grpc_server_options
from bali.server.lifespan import Lifespan
from bali.server.listeners import bind_sockets, listen, tls_context
from bali.server.mux import PortMux, SharedPort
from bali.server.options import ServerOptions
from bali.server.peers import PeerRegistry
from bali.server.private_socket import PrivateSocket
from bali.server.readiness import Readiness

if TYPE_CHECKING:
    import grpc

    from bali.server.front import HttpFront

__all__ = ["GrpcFactory", "Hook", "Server"]

_log = logging.getLogger("bali.server")

#: Makes the gRPC server from channel options, in the running loop, without ports, not started.
GrpcFactory = Callable[[list[tuple[str, Any]]], "grpc.aio.Server"]
Hook = Callable[[], Awaitable[None]]

#: How long what was cut or cancelled at the end of the grace may take to unwind.
_UNWIND_SECONDS = 2.0
_POLL_SECONDS = 0.02
#: How long a client may take to hear a GOAWAY before its new calls are refused.
_SETTLE_SECONDS = 1.0

#: What each mode offers by ALPN in a TLS handshake.
_PROTOCOLS = {"all": ("h2", "http/1.1"), "http": ("http/1.1",), "rpc": ("h2",)}


class Server:
    """Serves `app` and the gRPC server that `grpc_factory` makes, as `options` say.

    `readiness` and `peers` may be shared with the application: the first tells whether new work is
    wanted, the second who a gRPC call comes from. Used in one event loop, once.
    """

    def __init__(
        self,
        app: ASGIApp,
        grpc_factory: GrpcFactory | None,
        options: ServerOptions | None = None,
        *,
        readiness: Readiness | None = None,
        peers: PeerRegistry | None = None,
    ) -> None:
        self.options = ServerOptions() if options is None else options
        self.readiness = Readiness() if readiness is None else readiness
        self.peers = PeerRegistry() if peers is None else peers
        #: Set once the server accepts connections.
        self.started = asyncio.Event()
        #: The port of HTTP, and the port of gRPC, once started; the same one in the mode `all`.
        self.port: int | None = None
        self.rpc_port: int | None = None
        self._app = app
        self._grpc_factory = grpc_factory
        self._drain_hooks: list[Hook] = []
        self._shutdown_hooks: list[Hook] = []
        self._stop = asyncio.Event()
        self._skips_delay = False
        self._signals: list[int] = []
        self._lifespan = Lifespan(app)
        self._front: HttpFront | None = None
        self._shared: SharedPort | None = None
        self._private: PrivateSocket | None = None
        self._grpc: grpc.aio.Server | None = None
        self._acceptors: list[asyncio.AbstractServer | BalancedAcceptor] = []

    def on_drain(self, hook: Hook) -> None:
        """Have `hook` run after the drain delay, while calls end: stop consumers here."""
        self._drain_hooks.append(hook)

    def on_shutdown(self, hook: Hook) -> None:
        """Have `hook` run when no call is in flight any more, before the application shuts down."""
        self._shutdown_hooks.append(hook)

    def request_stop(self, *, skip_delay: bool = False) -> None:
        """Begin to stop, as SIGTERM does; with `skip_delay` without the drain delay, as SIGINT."""
        self._skips_delay = self._skips_delay or skip_delay
        self._stop.set()

    async def serve(
        self,
        sockets: list[socket.socket] | None = None,
        *,
        balance: Balance | None = None,
        signals: Sequence[int] = (signal.SIGINT, signal.SIGTERM),
    ) -> int:
        """Serve until told to stop, and return the exit code of the process: 0 after a clean stop.

        `sockets` are inherited from a parent process; other workers that accept their connections
        share them evenly through `balance`. `signals` begin the stop, a second one ends
        the process at once; outside the main thread none is handled. Raises `StartError` if
        the server or the application cannot start; nothing is left open then.
        """
        with self._signals_handled(signals):
            try:
                await self._start(sockets, balance)
                await self._stop.wait()
                return 0 if await self._end() else 1
            finally:
                try:
                    await self._stop_grpc(0)  # it has ended, unless this is cancelled
                finally:
                    self._release()

    # Start

    async def _start(self, sockets: list[socket.socket] | None, balance: Balance | None) -> None:
        options = self.options
        if sockets is None:
            sockets = bind_sockets(options.host, options.listening_port)
        try:
            context = tls_context(options, _PROTOCOLS[options.mode])
            await self._lifespan.startup()
            try:
                await self._start_grpc()
                await self._start_port(sockets, context, balance)
            except BaseException:
                await self._stop_grpc(0)
                await self._lifespan.shutdown()
                raise
        except BaseException:
            for sock in sockets:
                sock.close()
            raise
        self.readiness.change(ready=True)
        self.started.set()

    async def _start_grpc(self) -> None:
        if self.options.mode == "http" or self._grpc_factory is None:
            return
        self._grpc = self._grpc_factory(list(grpc_server_options(self.options.limits)))
        self._private = PrivateSocket(self.peers)
        self._private.listen(self._grpc)
        await self._grpc.start()

    async def _start_port(
        self,
        sockets: list[socket.socket],
        context: ssl.SSLContext | None,
        balance: Balance | None,
    ) -> None:
        options = self.options
        front = None
        if options.mode != "rpc":
            from bali.server.front import HttpFront  # noqa: PLC0415 - gRPC alone needs no uvicorn

            self._front = front = HttpFront(self._app, options, self._lifespan.state)
            front.start()
        self._shared = shared = SharedPort(
            limits=options.limits,
            make_http=front.make_protocol if front else None,
            count_http=front.count if front else lambda: 0,
            private=self._private,
        )
        listen(sockets, options.backlog)
        port = int(sockets[0].getsockname()[1])
        self.port = port if front is not None else None
        self.rpc_port = port if self._grpc is not None else None
        handshake_timeout = options.limits.header_timeout_seconds if context else None
        if balance is not None:
            balanced = BalancedAcceptor(
                sockets,
                balance,
                make_protocol=lambda opened: PortMux(shared, opened),
                count=shared.load,
                context=context,
                handshake_timeout_seconds=handshake_timeout,
            )
            shared.changed = balanced.tell
            self._acceptors.append(balanced)
            return
        loop = asyncio.get_running_loop()
        for sock in sockets:
            acceptor = await loop.create_server(
                lambda: PortMux(shared),
                sock=sock,
                ssl=context,
                ssl_handshake_timeout=handshake_timeout,
                backlog=options.backlog,
            )
            self._acceptors.append(acceptor)

    # Stop

    async def _end(self) -> bool:
        """Stop in the order that loses nothing; tell whether all went well."""
        options = self.options
        self.readiness.change(ready=False)
        if self._front is not None:
            self._front.drain()
        if self._shared is not None:
            self._shared.drain()
        if not self._skips_delay:
            await asyncio.sleep(options.drain_delay_seconds)
        went_well = await _run_hooks(self._drain_hooks)
        for acceptor in self._acceptors:
            acceptor.close()
        await asyncio.gather(self._stop_relayed(), self._stop_http())
        went_well &= await _run_hooks(self._shutdown_hooks)
        went_well &= await self._lifespan.shutdown()
        await self.readiness.settled()
        return went_well

    async def _stop_grpc(self, grace_seconds: float) -> None:
        if self._grpc is not None:
            await self._grpc.stop(grace_seconds)

    async def _stop_http(self) -> None:
        front = self._front
        if front is None:
            return
        front.shutdown()
        if await _within(self.options.grace_seconds, lambda: not front.is_busy()):
            return
        _log.warning("%d HTTP requests did not end in time and are cancelled", front.count())
        front.abort()
        await _within(_UNWIND_SECONDS, lambda: not front.is_busy())

    async def _stop_relayed(self) -> None:
        """End gRPC: no new calls, then none in flight, then no connections."""
        shared = self._shared
        if shared is None:
            return
        shared.close_idle()
        # A gRPC server that stops cancels the calls that reach it later. So the clients are told
        # first, while it still serves what they had sent before they heard.
        shared.drain()
        await _within(_SETTLE_SECONDS, lambda: not shared.relays)
        await self._stop_grpc(self.options.grace_seconds)
        if not await _within(_UNWIND_SECONDS, lambda: not shared.relays):
            shared.abort()
            await _within(_UNWIND_SECONDS, lambda: not shared.relays)

    def _release(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()
        if self._front is not None:
            self._front.stop()
        if self._private is not None:
            self._private.close()

    # Signals

    @contextmanager
    def _signals_handled(self, numbers: Sequence[int]) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def handle(number: int, _frame: FrameType | None) -> None:
            self._signals.append(number)
            if len(self._signals) > 1:
                self._die(number)
            skip_delay = number == signal.SIGINT
            loop.call_soon_threadsafe(lambda: self.request_stop(skip_delay=skip_delay))

        # Not `loop.add_signal_handler`: a second signal must work while the loop is blocked.
        previous = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _die(self, number: int) -> None:
        """Stop at once, with the exit code of a process killed by the signal."""
        if self._private is not None:
            self._private.close()
        sys.stdout.flush()
        sys.stderr.write(f"stopped at once by a second {signal.Signals(number).name}\n")
        sys.stderr.flush()
        os._exit(128 + number)


async def _run_hooks(hooks: list[Hook]) -> bool:
    went_well = True
    for hook in hooks:
        try:
            await hook()
        except Exception:  # noqa: BLE001 - the other hooks must run; the exit code tells
            went_well = False
            _log.exception("a hook failed while the server was stopping")
    return went_well


async def _within(seconds: float, is_done: Callable[[], bool]) -> bool:
    """Wait until `is_done`, at most so long; tell whether it is."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not is_done():
        if loop.time() >= end:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
