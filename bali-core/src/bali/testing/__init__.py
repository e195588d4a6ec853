"""Testing a service: on a real port, over every protocol.

Needs the packages of the extra `testing`: `pip install bali-core[testing]`.
"""

from bali.testing.clients import (
    ConnectServiceClient,
    LocalServiceClient,
    RestServiceClient,
    RpcServiceClient,
    ServiceClient,
)
from bali.testing.grpc_test import GRPCTestBase
from bali.testing.live import LiveServer, live_server

__all__ = [
    "ConnectServiceClient",
    "GRPCTestBase",
    "LiveServer",
    "LocalServiceClient",
    "RestServiceClient",
    "RpcServiceClient",
    "ServiceClient",
    "live_server",
]
