"""gRPC: resources on grpc.aio, over Connect and gRPC-Web, and hand-written servicers."""

from bali.rpc.health import HealthService
from bali.rpc.reflection import add_reflection
from bali.rpc.service import RpcService, metadata_of, shape_of
from bali.rpc.service_mixin import ServiceMixin
from bali.rpc.servicers import Boundary, ProcessInterceptor, interceptors_use, mount_servicer

__all__ = [
    "Boundary",
    "HealthService",
    "ProcessInterceptor",
    "RpcService",
    "ServiceMixin",
    "add_reflection",
    "interceptors_use",
    "metadata_of",
    "mount_servicer",
    "shape_of",
]
