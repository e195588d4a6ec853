from __future__ import annotations

import socket

import pytest

from bali.server import StartError
from bali.server.listeners import bind_sockets, display_host, listen


def close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def test_every_address_of_a_name_gets_the_same_port() -> None:
    sockets = bind_sockets("localhost", 0)
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    close(sockets)


def test_any_address_takes_both_families() -> None:
    sockets = bind_sockets("::", 0)
    listen(sockets, 5)
    port = sockets[0].getsockname()[1]
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, port)).close()
    close(sockets)


def test_port_in_use_is_named() -> None:
    held = bind_sockets("127.0.0.1", 0)
    listen(held, 5)
    port = held[0].getsockname()[1]
    for host in ("127.0.0.1", "0.0.0.0"):
        with pytest.raises(StartError, match=f"port {port} is already in use"):
            bind_sockets(host, port)
    close(held)


def test_two_that_bound_at_once_cannot_both_listen() -> None:
    first = bind_sockets("127.0.0.1", 0)
    second = bind_sockets("127.0.0.1", first[0].getsockname()[1])
    listen(first, 5)
    with pytest.raises(StartError, match="already in use"):
        listen(second, 5)
    close(first + second)


def test_unknown_host_is_named() -> None:
    with pytest.raises(StartError, match=r"cannot listen on nowhere\.invalid:80"):
        bind_sockets("nowhere.invalid", 80)


def test_hosts_are_shown_as_in_urls() -> None:
    assert display_host("::1") == "[::1]"
    assert display_host("localhost") == "localhost"
