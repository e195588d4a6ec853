"""The sockets a server listens on."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Sequence

from bali.server.options import ServerOptions

__all__ = ["StartError", "bind_sockets", "display_host", "listen", "tls_context"]


class StartError(Exception):
    """The server cannot start; the message says why, for the person who started it."""


def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """Return sockets bound to every address of `host`, on one port; 0 takes a free one.

    Raises `StartError` if the host is unknown or the port is in use.
    """
    sockets: list[socket.socket] = []
    try:
        for family, (name, _, *rest) in _addresses(host, port):
            # All addresses share the port that the first one got.
            chosen = sockets[0].getsockname()[1] if sockets else port
            sockets.append(_bind(family, (name, chosen, *rest)))
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise _start_error(host, port, error) from error
    return sockets


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str | int, ...]]]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    places: dict[tuple[socket.AddressFamily, tuple[str | int, ...]], None] = {}
    for family, _, _, _, address in infos:
        places[family, tuple(part for part in address if isinstance(part, (str, int)))] = None
    return list(places)


def _bind(family: socket.AddressFamily, address: tuple[str | int, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Both families on "::", as gRPC does; an explicit IPv4 address has a socket of its own.
            only = int(address[0] != "::")
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        sock.bind(address)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def listen(sockets: Sequence[socket.socket], backlog: int) -> None:
    """Have bound sockets accept connections. Raises `StartError` if another process does so."""
    for sock in sockets:
        try:
            sock.listen(backlog)
        except OSError as error:
            host, port = sock.getsockname()[:2]
            raise _start_error(host, port, error) from error


def _start_error(host: str, port: int, error: OSError) -> StartError:
    place = f"{display_host(host)}:{port}"
    if error.errno == errno.EADDRINUSE:
        return StartError(
            f"port {port} is already in use ({place}); "
            "stop the other process or choose another port"
        )
    if error.errno == errno.EACCES:
        return StartError(f"port {port} may not be opened by this user ({place})")
    return StartError(f"cannot listen on {place}: {error.strerror or error}")


def display_host(host: str) -> str:
    """Write a host as in a URL."""
    return f"[{host}]" if ":" in host else host


def tls_context(options: ServerOptions, protocols: Sequence[str]) -> ssl.SSLContext | None:
    """Return the TLS settings of the port, offering `protocols` by ALPN; None without TLS.

    Raises `StartError` if a file is missing or is no certificate or key.
    """
    if options.certfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(list(protocols))
    try:
        context.load_cert_chain(options.certfile, options.keyfile)
        if options.client_ca_file is not None:
            context.load_verify_locations(options.client_ca_file)
            is_required = options.client_certificates == "required"
            context.verify_mode = ssl.CERT_REQUIRED if is_required else ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(
            file for file in (options.certfile, options.keyfile, options.client_ca_file) if file
        )
        raise StartError(f"cannot load the TLS files {files}: {error}") from error
    return context
