"""What a server is told before it starts: addresses, processes, times, and the limits it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ClientCertificates", "Limits", "Mode", "ServerOptions"]

#: `all`: HTTP and gRPC on one port; `http`: HTTP alone; `rpc`: gRPC alone, on a port of its own.
Mode = Literal["all", "http", "rpc"]
#: Whether every client has to show a certificate.
ClientCertificates = Literal["required", "optional"]

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what one client may cost, kept where its bytes arrive.

    A time of `None` switches that rule off.
    """

    #: Bytes of one HTTP request body, on the wire and after decompression.
    max_body_bytes: int = 4 * _MEBIBYTE
    #: Bytes of one gRPC message, either way.
    max_message_bytes: int = 4 * _MEBIBYTE
    #: Bytes of the request line and headers of an HTTP request, or of one call's gRPC metadata.
    max_header_bytes: int = 16 * 1024
    #: Header fields in one HTTP request.
    max_headers: int = 100
    #: Time to open a connection's first request, and to send the headers of any request.
    header_timeout_seconds: float | None = 10.0
    #: Longest pause between two pieces of a body that the server is ready to take.
    body_timeout_seconds: float | None = 10.0
    #: Mean rate that a body must keep once it has taken `body_timeout_seconds`; 0 for any rate.
    min_body_bytes_per_second: int = 1024
    #: Longest time in which a client takes nothing of a response that waits for it.
    write_timeout_seconds: float | None = 30.0
    #: How long an HTTP connection may rest between two requests. Keep it above the idle time-out of
    #: the load balancer in front (commonly 60), or that one meets connections just closed.
    keep_alive_seconds: float = 75.0
    #: Requests that one HTTP connection may carry before it is closed; `None` for any number.
    max_requests_per_connection: int | None = None
    #: Requests sent ahead on one HTTP connection while an earlier one is being answered.
    max_pipelined_requests: int = 32
    #: Connections of one process, HTTP and gRPC together; more are closed at once.
    max_connections: int = 10_000
    #: gRPC calls in flight on one connection.
    max_concurrent_streams: int = 100
    #: Shortest interval at which a gRPC client may send keepalive pings.
    min_ping_interval_seconds: float = 20.0
    #: Interval at which the server pings a silent gRPC client, and how long it waits for an answer.
    ping_interval_seconds: float = 60.0
    ping_timeout_seconds: float = 20.0
    #: Age at which a gRPC connection is told to go (gRPC adds a jitter of 10 %), so that clients
    #: spread over new instances, and the time its calls then have to end. `None` for no such age.
    connection_age_seconds: float | None = 1800.0
    connection_age_grace_seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How a service is served.

    `host` defaults to the loopback address, so that a service under development is not offered to
    the network by accident; a container image sets it to `0.0.0.0`. A port of 0 takes any free one.
    """

    host: str = "127.0.0.1"
    #: The port of the modes `all` and `http`.
    port: int = 8000
    #: The port of the mode `rpc`.
    rpc_port: int = 9080
    mode: Mode = "all"
    #: Processes that share the port.
    workers: int = 1
    #: Restart when a source file below `reload_directories` changes (default: the working
    #: directory).
    reload: bool = False
    reload_directories: tuple[str, ...] = ()
    #: PEM files. With a certificate the port speaks TLS only. With `client_ca_file` a client must
    #: show a certificate signed by one of these authorities, or may, if that is optional: one
    #: that is not in order is refused in both cases.
    certfile: str | None = None
    keyfile: str | None = None
    client_ca_file: str | None = None
    client_certificates: ClientCertificates = "required"
    #: After SIGTERM: how long to serve on, no longer ready, until load balancers have noticed.
    drain_delay_seconds: float = 5.0
    #: How long calls in flight then have to end.
    grace_seconds: float = 20.0
    #: Addresses of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed over HTTP.
    trusted_proxies: tuple[str, ...] = ()
    #: Log each HTTP request to the logger `uvicorn.access`.
    access_log: bool = False
    #: Linux: have the kernel run threads of a process that serves in batches (`SCHED_BATCH`).
    batch_scheduling: bool = True
    #: Length of the queue of connections not yet accepted.
    backlog: int = 2048
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Refuse values that cannot work together."""
        if self.mode not in ("all", "http", "rpc"):
            raise ValueError(f"mode is {self.mode!r}; it must be 'all', 'http' or 'rpc'")
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}; it must be at least 1")
        if self.keyfile and not self.certfile:
            raise ValueError("keyfile is set without certfile; TLS needs the certificate as well")
        if self.client_ca_file and not self.certfile:
            raise ValueError("client_ca_file is set without certfile; client certificates need TLS")
        if self.client_certificates not in ("required", "optional"):
            raise ValueError(
                f"client_certificates is {self.client_certificates!r}; "
                "it must be 'required' or 'optional'"
            )

    @property
    def listening_port(self) -> int:
        """The port that the mode listens on."""
        return self.rpc_port if self.mode == "rpc" else self.port

    @property
    def scheme(self) -> str:
        """`https` when the port speaks TLS, else `http`."""
        return "https" if self.certfile else "http"
