"""One process, or several, serving an ASGI application and a gRPC server on one port."""

from bali.server.body_limit import BodyLimit
from bali.server.disconnect import DisconnectSignal, DisconnectWatcher
from bali.server.grpc_options import grpc_server_options
from bali.server.lifecycle import GrpcFactory, Server
from bali.server.listeners import StartError
from bali.server.options import ClientCertificates, Limits, Mode, ServerOptions
from bali.server.peers import Peer, PeerRegistry
from bali.server.readiness import Readiness
from bali.server.runner import run

__all__ = [
    "BodyLimit",
    "ClientCertificates",
    "DisconnectSignal",
    "DisconnectWatcher",
    "GrpcFactory",
    "Limits",
    "Mode",
    "Peer",
    "PeerRegistry",
    "Readiness",
    "Server",
    "ServerOptions",
    "StartError",
    "grpc_server_options",
    "run",
]
