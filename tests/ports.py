"""Ports for servers that tests start."""

from __future__ import annotations

import secrets
import socket

#: Below those that a kernel chooses by itself, for a client's end of a connection or a server that
#: asks for any: nobody gets one of these between the moment it is found and the moment it is used.
_PORTS = range(12_000, 32_000)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
