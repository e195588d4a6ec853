"""The channel arguments of a gRPC server that keeps the limits of this process.

Each argument is described in gRPC's `grpc/impl/channel_arg_names.h`.
"""

from __future__ import annotations

from bali.server.options import Limits

__all__ = ["grpc_server_options"]


def grpc_server_options(limits: Limits | None = None) -> list[tuple[str, int]]:
    """Return the options for `grpc.aio.server(options=...)`.

    A second server on a port that is in use fails to start, instead of taking half of the calls.
    """
    limits = limits or Limits()
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", limits.max_concurrent_streams),
        # It also counts calls that have ended but are not yet forgotten, and so refuses clients who
        # keep the limit (measured: up to a quarter of the calls of a client with 128 at once).
        # Against floods of resets the limit alone does as well.
        ("grpc.http.overload_protection", 0),
        ("grpc.max_receive_message_length", limits.max_message_bytes),
        ("grpc.max_send_message_length", limits.max_message_bytes),
        ("grpc.max_metadata_size", limits.max_header_bytes),
        ("grpc.absolute_max_metadata_size", limits.max_header_bytes),
        ("grpc.keepalive_time_ms", _milliseconds(limits.ping_interval_seconds)),
        ("grpc.keepalive_timeout_ms", _milliseconds(limits.ping_timeout_seconds)),
        ("grpc.keepalive_permit_without_calls", 1),
        (
            "grpc.http2.min_ping_interval_without_data_ms",
            _milliseconds(limits.min_ping_interval_seconds),
        ),
        ("grpc.http2.max_ping_strikes", 2),
    ]
    if limits.header_timeout_seconds is not None:
        options.append(
            ("grpc.server_handshake_timeout_ms", _milliseconds(limits.header_timeout_seconds))
        )
    if limits.connection_age_seconds is not None:
        options += [
            ("grpc.max_connection_age_ms", _milliseconds(limits.connection_age_seconds)),
            (
                "grpc.max_connection_age_grace_ms",
                _milliseconds(limits.connection_age_grace_seconds),
            ),
        ]
    return options


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
