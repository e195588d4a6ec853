"""gRPC: resources on grpc.aio, over Connect and gRPC-Web, and hand-written servicers."""

from bali.rpc.health import HealthService
from bali.rpc.reflection import add_reflection
from bali.rpc.service import RpcService, shape_of
from bali.rpc.servicers import BoundaryInterceptor, ProcessInterceptor, mount_servicer
from bali.rpc.status import error_from_status, status_proto

__all__ = [
    "BoundaryInterceptor",
    "HealthService",
    "ProcessInterceptor",
    "RpcService",
    "add_reflection",
    "error_from_status",
    "mount_servicer",
    "shape_of",
    "status_proto",
]
