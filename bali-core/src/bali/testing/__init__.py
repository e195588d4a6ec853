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
from bali.testing.queries import QueryCount, at_most_queries, count_queries

__all__ = [
    "ConnectServiceClient",
    "GRPCTestBase",
    "LiveServer",
    "LocalServiceClient",
    "QueryCount",
    "RestServiceClient",
    "RpcServiceClient",
    "ServiceClient",
    "at_most_queries",
    "count_queries",
    "live_server",
]
