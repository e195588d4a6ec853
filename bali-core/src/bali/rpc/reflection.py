"""gRPC reflection, v1 and v1alpha, over the descriptors of several pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha._async import ReflectionServicer

from bali.proto import BoundService
from bali.rpc.pools import Pools

__all__ = ["add_reflection"]

_V1 = "grpc.reflection.v1.ServerReflection"


def add_reflection(
    server: grpc.aio.Server,
    bound: Sequence[BoundService],
    *,
    extra_service_names: Sequence[str] = (),
) -> None:
    """Let clients ask a server for its services and messages.

    `bound` services bring their own descriptors; `extra_service_names` are hand-written ones, whose
    descriptors are in the default pool. v1 and v1alpha have the same messages.
    """
    names = [
        *(service.full_name for service in bound),
        *extra_service_names,
        health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
        reflection.SERVICE_NAME,
        _V1,
    ]
    pools = [service.pool for service in bound]
    servicer = ReflectionServicer(names, pool=Pools([*pools, descriptor_pool.Default()]))
    add: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
    add(servicer, server)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_V1, {"ServerReflectionInfo": handler}),)
    )
