"""Who is at the other end of a gRPC call that reached its server through the one port."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bali.resources import PeerCertificate

__all__ = ["Peer", "PeerRegistry", "peer_address", "peer_certificate"]

#: What has a meaning in a distinguished name as text (RFC 4514 section 2.4).
_SPECIAL = re.compile(r'([,+"\\<>;=#])')


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One end of a connection: its address as gRPC writes it, and whom its certificate names."""

    address: str
    certificate: PeerCertificate | None = None


class PeerRegistry:
    """Maps the private connections behind the one port to the clients they were made for.

    gRPC sees the relay as its peer. `resolve` turns what `context.peer()` says into the client's
    own address; a peer that is not a relay, as on a gRPC port of its own, is its own answer.
    """

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def register(self, relay: str, peer: Peer) -> Callable[[], None]:
        """Record that the private connection `relay` serves `peer`; return how to forget it."""
        key = relay.rpartition("/")[2]
        self._peers[key] = peer

        def forget() -> None:
            if self._peers.get(key) is peer:
                del self._peers[key]

        return forget

    def resolve(self, grpc_peer: str) -> str:
        """Return the client's address, as `ipv4:10.0.0.7:51234` or `ipv6:%5B::1%5D:51234`."""
        return self.peer(grpc_peer).address

    def peer(self, grpc_peer: str) -> Peer:
        """Return all that is known of the client, its certificate's names included."""
        # gRPC percent-encodes the directory of a socket; its last part is a plain number.
        return self._peers.get(grpc_peer.rpartition("/")[2]) or Peer(address=grpc_peer)


def peer_address(name: Any) -> str:
    """Write a socket's `getpeername()` the way gRPC's `context.peer()` does."""
    if not isinstance(name, (tuple, list)):
        return f"unix:{name or ''}"
    host, port = str(name[0]), int(name[1])
    if host.startswith("::ffff:") and "." in host:
        host = host.removeprefix("::ffff:")
    if ":" in host:
        return f"ipv6:{quote(f'[{host}]:{port}', safe=':')}"
    return f"ipv4:{host}:{port}"


def peer_certificate(client: asyncio.BaseTransport) -> PeerCertificate | None:
    """Return whom a connection's client certificate names, None without one.

    TLS has checked it: without an authority to check by, a server asks for none.
    """
    certificate = client.get_extra_info("peercert")
    if not certificate:
        return None
    parts = [
        f"{key}={_SPECIAL.sub(_escaped, value)}"
        for group in certificate.get("subject", ())
        for key, value in group
    ]
    names = [f"{kind}:{value}" for kind, value in certificate.get("subjectAltName", ())]
    return PeerCertificate(subject=",".join(parts), names=tuple(names))


def _escaped(found: re.Match[str]) -> str:
    return f"\\{found[0]}"
