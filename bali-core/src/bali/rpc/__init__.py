"""gRPC: resources on grpc.aio, over Connect and gRPC-Web, and hand-written servicers.

What needs grpcio is loaded when it is first used: a service with HTTP alone does without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bali.rpc.service import RpcService
from bali.rpc.service_mixin import ServiceMixin
from bali.rpc.shape import metadata_of, shape_of

if TYPE_CHECKING:
    from bali.rpc.health import HealthService
    from bali.rpc.reflection import add_reflection
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

_HOMES = {
    "Boundary": "bali.rpc.servicers",
    "HealthService": "bali.rpc.health",
    "ProcessInterceptor": "bali.rpc.servicers",
    "add_reflection": "bali.rpc.reflection",
    "interceptors_use": "bali.rpc.servicers",
    "mount_servicer": "bali.rpc.servicers",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'bali.rpc' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
