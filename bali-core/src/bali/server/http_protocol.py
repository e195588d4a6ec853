"""HTTP/1.1 with limits kept where the bytes arrive.

uvicorn's protocol on httptools, with these rules added: the time and size of headers, the rate and
size of bodies, the pace at which responses are taken, the number of requests on a connection and of
requests sent ahead. What breaks a rule is refused with a problem document where a client can still
read one, and the connection ends. Idle connections cost one timer each, set anew at most once per
time-out; a request costs no timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from bali.errors import BaliError, DeadlineExceeded, InvalidArgument, ResourceExhausted, TooLarge
from bali.server.disconnect import EXTENSION, DisconnectSignal
from bali.server.options import Limits
from bali.server.peers import peer_certificate
from bali.server.problems import refusal

__all__ = ["HttpProtocol", "send_whole_response"]

#: The extension of an ASGI scope by which `bali.rest` sends whole responses.
_WHOLE_RESPONSE = "bali.whole_response"

#: The extension of an ASGI scope by which `bali.rest` and `bali.rpc` find the certificate.
_CERTIFICATE = "bali.peer_certificate"
#: How long a refused client may go on sending, so that it gets to read why (RFC 9112 section 9.6).
_LINGER_SECONDS = 2.0
#: The timer's period where no shorter time-out is set.
_LONGEST_TICK_SECONDS = 10.0

_IDLE, _HEADERS, _BODY = range(3)


class RequestTimeout(DeadlineExceeded):
    """The client took too long to send its request (HTTP 408)."""

    default_reason = "REQUEST_TIMEOUT"
    status_override = 408


class HeadersTooLarge(ResourceExhausted):
    """The headers of the request are larger than allowed (HTTP 431)."""

    default_reason = "HEADERS_TOO_LARGE"
    status_override = 431


class _TimedFlow(FlowControl):
    """Flow control that tells how long reading was paused, and when writing stopped."""

    def __init__(self, transport: asyncio.Transport, protocol: HttpProtocol) -> None:
        super().__init__(transport)
        self._protocol = protocol
        self._paused_at = 0.0

    def pause_reading(self) -> None:
        if not self.read_paused:
            self._paused_at = self._protocol.loop.time()
        super().pause_reading()

    def resume_reading(self) -> None:
        if self.read_paused:
            self._protocol.reading_resumed(self._paused_at)
        super().resume_reading()


def send_whole_response(
    send: Any, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> bool:
    """Send a response in one step, where ASGI messages take two, and return True; else do nothing.

    An application finds this in the scope; to the client it is the same, at a third of the price.
    `send` is what the application has to send with. It is needed still where it is not the
    server's own, since somebody then wants to see what is sent, and where the client is slow to
    take it or has gone. `headers` have the length of the body, if the status has one; their names
    are lower-case field names, none of which is about the connection.
    """
    cycle = getattr(send, "__self__", None)
    if (
        not isinstance(cycle, RequestResponseCycle)
        or cycle.response_started
        or cycle.disconnected
        or cycle.access_log
        or cycle.flow.write_paused
        or cycle.scope["method"] == "HEAD"
        or HEADER_VALUE_RE.search(b"".join([value for _, value in headers]))
    ):
        return False
    parts = [STATUS_LINE[status]]
    for name, value in (*cycle.default_headers, *headers):
        parts += (name, b": ", value, b"\r\n")
    parts += (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", body)
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True


class HttpProtocol(HttpToolsProtocol):
    """One HTTP/1.1 connection within `limits`; `ended` is called when it is no more."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
        ended: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = limits
        self._ended = ended
        self.is_draining = False
        self._signal = DisconnectSignal()
        self._extensions: dict[str, Any] = {
            EXTENSION: self._signal,
            _WHOLE_RESPONSE: send_whole_response,
        }
        self._running: RequestResponseCycle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None
        self._refused = False
        self._linger_until: float | None = None
        # What is being received, since when, and how much of it has come.
        self._phase = _IDLE
        self._requests = 0
        self._since = self.loop.time()
        self._last_byte = self._since
        self._header_bytes = 0
        #: The bytes that came at once, and those that a whole head was among.
        self._received = 0
        self._chunk_bytes = 0
        self._body_bytes = 0
        self._owes_continue = False
        # The response bytes last seen waiting for the client, and since when.
        self._unsent = 0
        self._unsent_since = self._since
        timeouts = (
            limits.header_timeout_seconds,
            limits.body_timeout_seconds,
            limits.write_timeout_seconds,
        )
        self._tick = min([_LONGEST_TICK_SECONDS, *(t for t in timeouts if t is not None)])

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """Begin to watch the connection."""
        super().connection_made(transport)
        self.flow = _TimedFlow(transport, self)
        certificate = peer_certificate(transport)
        if certificate is not None:
            self._extensions[_CERTIFICATE] = certificate
        self._timer = self.loop.call_later(self._tick, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what runs for a client that has gone."""
        self._stop_timer()
        super().connection_lost(exc)
        self._stop_waiting()
        self._signal.fire()
        if self._ended is not None:
            self._ended()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on to the WebSocket protocol, without these limits."""
        self._stop_timer()
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def drain(self) -> None:
        """Have every response that has not begun yet, and every later one, close the connection."""
        self.is_draining = True
        running = self._running
        if running is not None and not running.response_started:
            running.keep_alive = False

    def shutdown(self) -> None:
        """Close the connection when the request that it is carrying has been answered."""
        self.drain()
        if self._running is not None and not self._running.response_complete:
            self._running.keep_alive = False
        elif self._phase == _IDLE:
            self.transport.close()

    # Bytes in

    def data_received(self, data: bytes) -> None:
        """Take bytes, and bound the headers that are not complete yet."""
        if self._refused:
            return
        now = self._last_byte = self.loop.time()
        if self._phase == _IDLE:
            self._enter(_HEADERS, now)
        requests, self._received = self._requests, len(data)
        self._chunk_bytes = 0
        super().data_received(data)
        if self._phase == _HEADERS and requests == self._requests and not self._refused:
            self._header_bytes += len(data)
            if self._header_bytes > self.limits.max_header_bytes:
                self._refuse_headers()

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._refused:
            return
        super().on_message_begin()
        self._requests += 1
        self._enter(_HEADERS, self._last_byte)
        self._chunk_bytes = self._received
        self.scope["extensions"] = dict(self._extensions)

    def on_headers_complete(self) -> None:
        """Start the request's work unless its head breaks a limit."""
        if self._refused:
            return
        limits, count = self.limits, len(self.headers)
        if count > limits.max_headers or self._exceeds(limits.max_header_bytes):
            self._refuse_headers()
            return
        if len(self.pipeline) >= self.limits.max_pipelined_requests:
            self._refuse(ResourceExhausted("Too many requests sent ahead on this connection"))
            return
        if self._announced_bytes() > self.limits.max_body_bytes:
            self._refuse_body()
            return
        super().on_headers_complete()
        self._enter(_BODY, self._last_byte)
        self._owes_continue = self.expect_100_continue
        if self.is_draining or self._requests == self.limits.max_requests_per_connection:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body unless it is too much."""
        if self._refused:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self.limits.max_body_bytes:
            self._refuse_body()
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; its client owes nothing more."""
        if self._refused:
            return
        self._phase = _IDLE
        super().on_message_complete()

    def reading_resumed(self, paused_at: float) -> None:
        """Take the time in which the server did not want to read off the client's account."""
        now = self.loop.time()
        self._since += now - paused_at
        self._last_byte = now

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _exceeds(self, max_bytes: int) -> bool:
        """Tell whether the headers are too large; not if all that came with them is less."""
        if self._chunk_bytes and self._chunk_bytes + len(self.headers) <= max_bytes:
            return False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        return size > max_bytes

    def _announced_bytes(self) -> int:
        value = dict(self.headers).get(b"content-length", b"")
        return int(value) if value.isdigit() else 0

    def _enter(self, phase: int, now: float) -> None:
        self._phase = phase
        self._since = now
        self._header_bytes = 0
        self._body_bytes = 0

    # Time

    def on_response_complete(self) -> None:
        """Begin the next request of the connection, or to wait for it."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._wait(self._idle_since + self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has rested for too long; else wait for the time that is left."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        due = self._idle_since + self.timeout_keep_alive
        if self.loop.time() >= due:
            super().timeout_keep_alive_handler()
        else:
            self._wait(due)

    def _wait(self, due: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_at(due, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        # A timer for each request would cost more than one that looks again.
        self._idle_since = None

    def _stop_waiting(self) -> None:
        self._idle_since = None
        super()._unset_keepalive_if_required()

    def pause_writing(self) -> None:
        """Note what the client has to take for the connection to go on."""
        self._unsent = self.transport.get_write_buffer_size()
        self._unsent_since = self.loop.time()
        super().pause_writing()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        """Act on a deadline that has passed; else wait for the next one there can be."""
        now = self.loop.time()
        self._expire_writing(now)
        if self._linger_until is not None and now >= self._linger_until:
            self._linger_until = None
            self.transport.abort()
        is_over = self._refused or self.transport.is_closing()
        due = None if is_over else self._receive_deadline(now)
        if due is not None and now >= due:
            self._expire_receiving()
            due = None
        when = min(
            now + self._tick, due or now + self._tick, self._linger_until or now + self._tick
        )
        # A refusal has set a timer already; two would each set the next one, for ever.
        self._stop_timer()
        self._timer = self.loop.call_at(when, self._check)

    def _receive_deadline(self, now: float) -> float | None:
        """When the client must have sent what it owes; None while it owes nothing."""
        limits = self.limits
        if self._phase == _HEADERS or (self._phase == _IDLE and self._requests == 0):
            timeout = limits.header_timeout_seconds
            return None if timeout is None else self._since + timeout
        timeout = limits.body_timeout_seconds
        if self._phase == _IDLE or timeout is None or self.flow.read_paused:
            return None
        if self._owes_continue:
            # The client waits for our word; its time begins when we see that it has been given.
            self._owes_continue = self.cycle.waiting_for_100_continue
            self._since = self._last_byte = now
            return None
        due = self._last_byte + timeout
        if limits.min_body_bytes_per_second:
            covered = self._body_bytes / limits.min_body_bytes_per_second
            due = min(due, self._since + max(timeout, covered))
        return due

    def _expire_receiving(self) -> None:
        if self._phase == _IDLE:
            self.transport.close()
            return
        part = "headers" if self._phase == _HEADERS else "body"
        self._refuse(RequestTimeout(f"The {part} of the request did not arrive in time"))

    def _expire_writing(self, now: float) -> None:
        timeout = self.limits.write_timeout_seconds
        if timeout is None:
            return
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent = unsent
            self._unsent_since = now
        elif now - self._unsent_since >= timeout:
            self.transport.abort()

    # Refusals

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are no HTTP/1.1."""
        self._refuse(InvalidArgument(msg, reason="MALFORMED_REQUEST"))

    def _refuse_headers(self) -> None:
        limits = self.limits
        self._refuse(
            HeadersTooLarge(
                "The request line and headers are larger than the "
                f"{limits.max_header_bytes} bytes, "
                f"or more than the {limits.max_headers} fields, that are allowed"
            )
        )

    def _refuse_body(self) -> None:
        limit = self.limits.max_body_bytes
        self._refuse(TooLarge(f"The request body is larger than the {limit} bytes allowed"))

    def _refuse(self, error: BaliError) -> None:
        """Answer the request being received with `error`, and end the connection."""
        if self._refused:
            return
        self._refused = True
        running = self._running
        if running is not None and not running.response_complete:
            if self._phase != _BODY or running is not self.cycle:
                # An earlier request is being answered: its response comes first, and is the last.
                running.keep_alive = False
                self.pipeline.clear()
                return
            if running.response_started:
                self.transport.abort()
                return
            running.disconnected = True
            running.message_event.set()
            self._signal.fire()
        self._unset_keepalive_if_required()
        self.transport.write(refusal(error, self.headers or ()))
        self._linger()

    def _linger(self) -> None:
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._stop_timer()
        self._linger_until = self.loop.time() + _LINGER_SECONDS
        self._timer = self.loop.call_at(self._linger_until, self._check)
