from __future__ import annotations

import asyncio
from typing import Any

from bali.resources import PeerCertificate
from bali.server import Peer, PeerRegistry
from bali.server.peers import peer_address, peer_certificate


def test_relay_resolves_to_its_client_until_it_is_forgotten() -> None:
    peers = PeerRegistry()
    forget = peers.register("unix:/tmp/bali-x y/17", Peer(address="ipv4:10.0.0.7:51234"))
    assert peers.resolve("unix:/tmp/bali-x%20y/17") == "ipv4:10.0.0.7:51234"
    forget()
    forget()
    assert len(peers) == 0


def test_forgetting_spares_a_later_client_of_the_same_name() -> None:
    peers = PeerRegistry()
    forget = peers.register("ipv4:127.0.0.1:5", Peer(address="ipv4:10.0.0.1:1"))
    peers.register("ipv4:127.0.0.1:5", Peer(address="ipv4:10.0.0.2:2"))
    forget()
    assert peers.resolve("ipv4:127.0.0.1:5") == "ipv4:10.0.0.2:2"


def test_direct_peer_is_its_own_answer() -> None:
    peers = PeerRegistry()
    assert peers.resolve("ipv4:10.0.0.7:1") == "ipv4:10.0.0.7:1"
    assert peers.peer("ipv4:10.0.0.7:1") == Peer(address="ipv4:10.0.0.7:1")


def test_addresses_are_written_as_grpc_writes_them() -> None:
    assert peer_address(("10.0.0.7", 51234)) == "ipv4:10.0.0.7:51234"
    assert peer_address(("::1", 5, 0, 0)) == "ipv6:%5B::1%5D:5"
    assert peer_address(("::ffff:10.0.0.7", 5, 0, 0)) == "ipv4:10.0.0.7:5"
    assert peer_address("") == "unix:"
    assert peer_address(None) == "unix:"


class _Handshake(asyncio.BaseTransport):
    """A transport after a handshake; Python gives certificates in this shape."""

    def __init__(self, certificate: dict[str, Any] | None) -> None:
        super().__init__({"peercert": certificate})


def test_a_name_cannot_pretend_to_be_two() -> None:
    forged = {
        "subject": ((("organizationName", "x,commonName=root"),),),
        "subjectAltName": (("DNS", "a"), ("URI", "spiffe://b")),
    }
    assert peer_certificate(_Handshake(forged)) == PeerCertificate(
        subject="organizationName=x\\,commonName\\=root", names=("DNS:a", "URI:spiffe://b")
    )
    assert peer_certificate(_Handshake(None)) is None
    assert peer_certificate(_Handshake({})) is None
